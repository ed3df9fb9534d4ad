"""The process that keeps recordings in the object store: `python -m recorder.service.object_process HOME PARENT_PID`.

`recorder.service.object_keeping` starts it while ``[objects]`` has a URL. It is a process of its own, at
a lower priority, so that a store that hangs reaches neither the memory nor the time of calls. It has no private key.
Only one runs in a home, and none without the process that started it.
"""

import logging
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from recorder.common import child_process
from recorder.common.clock import utc_now
from recorder.common.file_lock import locked
from recorder.common.home import Home
from recorder.common.logs import use_format
from recorder.config.reading import read_config
from recorder.config.toml_tables import ConfigError
from recorder.objects.parts import PartKeeper
from recorder.objects.rules import LOOK_S, pause_s
from recorder.objects.status import ObjectsStatus, note_status
from recorder.objects.work import ObjectWork, Round
from recorder.recordings.home_stores import open_index
from recorder.recordings.object_work import open_object_work, open_part_keeper
from storage.errors import StorageError
from storage.keys import NodeKeys
from storage.object_queries import ObjectCounts
from storage.objects import Objects

_log = logging.getLogger(__name__)

DONE, FAILED = 0, 1
LOCK = "objects.lock"
_LOOK_S = 1.0


class ObjectProcess:
    """Rounds of work until the end, and the status after each.

    Args:
        home: The recorder's home.
        open_work: Opens the store; tried again while it fails.
        objects: The table of objects.
        node: Fingerprint of this machine's signing key.
        has_daemon: Tells whether the daemon that started this process still runs.
        open_parts: Opens what stores calls in progress; None: that is not configured.
    """

    def __init__(
        self, home: Home, open_work: Callable[[], ObjectWork], objects: Objects, *, node: str,
        has_daemon: Callable[[], bool], open_parts: Callable[[], PartKeeper] | None = None,
    ) -> None:  # fmt: skip
        self._home = home
        self._open_work = open_work
        self._work: ObjectWork | None = None
        self._objects = objects
        self._node = node
        self._has_daemon = has_daemon
        self._failures = 0
        self._uploaded = self._removed = 0
        self._problem = ""
        self._stopping = threading.Event()
        self._open_parts = open_parts
        self._parts_problem = ""

    def stop(self) -> None:
        """End after the present step."""
        self._stopping.set()

    def run(self) -> None:
        """Work until told to stop, or until the daemon has gone."""
        if self._open_parts is not None:
            threading.Thread(target=self._keep_parts, args=(self._open_parts,), name="parts", daemon=True).start()
        while not self._stopping.is_set() and self._has_daemon():
            self._wait(self.step())

    def _keep_parts(self, open_parts: Callable[[], PartKeeper]) -> None:
        """Store calls in progress, on a thread of its own: a part must not wait for the upload of other recordings."""
        keeper: PartKeeper | None = None
        while not self._stopping.wait(_LOOK_S):
            try:
                keeper = keeper or open_parts()
                keeper.round()
                problem = ""
            except (StorageError, OSError) as error:
                problem = str(error)
            except Exception as error:  # noqa: BLE001 - parts must be stored as soon as possible again
                problem = f"internal error, {type(error).__name__}"
                _log.exception("Internal error while storing parts of calls in progress; retrying")
            if problem and problem != self._parts_problem:
                _log.error("Parts of calls in progress are not stored; retrying: %s", problem)
            self._parts_problem = problem

    def step(self) -> float:
        """Do one round, and write the status; returns how long to wait until the next, seconds."""
        try:
            if self._work is None:
                self._work = self._open_work()
            done = self._work.round()
        except (StorageError, OSError) as error:
            done = Round(problem=str(error))
        except Exception as error:  # noqa: BLE001 - recordings must be stored in the end
            _log.exception("Internal error while storing recordings in the object store; retrying")
            done = Round(problem=f"internal error, {type(error).__name__}; see the log")
        self._uploaded += done.uploaded
        self._removed += len(done.gone.recordings)
        self._tell(done.problem)
        self._note(done.problem or self._parts_problem)
        if done.problem:
            self._failures += 1
            return pause_s(self._failures, random.random())  # noqa: S311 - jitter
        self._failures = 0
        return 0.0 if done.has_more else LOOK_S

    def _tell(self, problem: str) -> None:
        """Log a problem when it begins or changes, and its end."""
        if problem == self._problem:
            return
        if problem:
            _log.error("Recordings are not stored in the object store; retrying: %s", problem)
        else:
            _log.info("Recordings are stored in the object store again")
        self._problem = problem

    def _note(self, problem: str) -> None:
        try:
            counts = self._objects.counts(self._node, has_stored=False)
        except (StorageError, OSError) as error:
            counts, problem = ObjectCounts(), problem or str(error)
        status = ObjectsStatus(
            at=utc_now(), counts=counts, problem=problem, uploaded=self._uploaded, removed=self._removed
        )
        try:
            note_status(self._home.state, status)
        except OSError as error:
            _log.error("The state of storing recordings cannot be written for health: %s", error)

    def _wait(self, seconds: float) -> None:
        left = seconds
        while left > 0 and self._has_daemon() and not self._stopping.wait(min(left, _LOOK_S)):
            left -= _LOOK_S


def main(root: Path, daemon: int) -> int:
    """Keep the recordings of a home in the object store; return the exit code."""
    child_process.begin()
    home = Home(root)
    try:
        config = read_config(home.config)
        use_format(config.log.format)
        with locked(home.state / LOCK, wait=True):
            index = open_index(home, config, is_deferred=True)
            process = ObjectProcess(
                home, lambda: open_object_work(home, config, index), Objects(index.database),
                node=NodeKeys.load(home.root).fingerprint, has_daemon=lambda: os.getppid() == daemon,
                open_parts=(lambda: open_part_keeper(home, config, index)) if config.objects.parts else None,
            )  # fmt: skip
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: process.stop())
            process.run()
    except (ConfigError, StorageError, OSError) as error:
        _log.error("Keeping recordings in the object store failed; retrying: %s", error)
        return FAILED
    return DONE


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
