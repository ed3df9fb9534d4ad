"""Knows whether recordings can be written: not from a failed write on, until the disk has taken test files again."""

import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from recorder.calls.call_services import Scheduler
from recorder.common.serial_executor import SerialExecutor
from recorder.recordings.left_open import FAULTS

_log = logging.getLogger(__name__)

EVERY_S = 2.0
"""How often a failing disk is tried, seconds."""
TRIES = 3
"""How many test files in a row a disk must take: one may succeed just because another program deleted a file."""
PROBE_BYTES = 16 * 1024 * 1024
"""Size of the test file: about a quarter of an hour of one call."""


def write_probe(folder: Path) -> None:
    """Allocate a file and make it durable; OSError if the disk refuses.

    The file has no name, so that nobody takes it for a foreign one, and a kill leaves none.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, PROBE_BYTES)
        os.fsync(file.fileno())


class DiskFaults:
    """Whether the disk of the recordings fails. Looks on the thread that writes to it anyway, because a disk may hang.

    Args:
        folder: The folder of the recordings.
        alarms: How often each alarm was raised since the start.
        probe: Writes a test file; OSError if the disk refuses.
        works_again: Called when the disk has taken the test files again.
    """

    def __init__(
        self,
        folder: Path,
        alarms: Mapping[str, int],
        probe: Callable[[Path], None] = write_probe,
        works_again: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder = folder
        self._alarms = alarms
        self._probe = probe
        self._works_again = works_again
        self._settled = 0
        """How many faults there had been when the disk was last found to work."""
        self._successes = 0
        self._is_looking = False

    @property
    def _faults(self) -> int:
        return sum(self._alarms.get(name, 0) for name in FAULTS)

    @property
    def is_failing(self) -> bool:
        """Tell whether recordings cannot be written. Any thread may ask."""
        return self._faults != self._settled

    def keep(self, scheduler: Scheduler, executor: SerialExecutor) -> None:
        """Try a failing disk now and from then on; call thread only."""
        if self.is_failing and not self._is_looking:  # else it works, or hangs
            self._is_looking = True
            executor.submit(self.look)
        scheduler.call_later(EVERY_S, self.keep, scheduler, executor)

    def look(self) -> None:
        """Try once; may wait for the disk."""
        faults = self._faults
        try:
            self._probe(self._folder)
        except OSError as error:
            self._successes = 0
            _log.info("The disk of the recordings takes no test file: %s", error.strerror or error)
        else:
            self._successes += 1
            if self._successes >= TRIES:
                self._successes, self._settled = 0, faults
                _log.warning("The disk of the recordings can be written again")
                if not self.is_failing:  # a fault during the last test is a new one
                    self._works_again()
        finally:
            self._is_looking = False
