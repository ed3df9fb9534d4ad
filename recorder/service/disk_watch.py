"""Watches the free space of the disk that recordings are written to."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recorder.calls.call_services import Scheduler
from recorder.common.serial_executor import SerialExecutor
from recorder.rules.disk_forecast import DiskForecast, is_filling

EVERY_S = 60.0
"""How often to look, seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpace:
    """Space of a disk for unprivileged users; ``left_s`` is how long it lasts at the present rate, None if unknown."""

    free_bytes: int
    size_bytes: int
    left_s: float | None


def space_of(folder: Path) -> tuple[int, int]:
    """Return free and total space of the disk of a folder, bytes; OSError if it cannot be read."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


class DiskWatch:
    """Looks at a disk once a minute, on the thread that writes to it anyway, because a disk may hang.

    Args:
        folder: A folder on the disk.
        clock: Monotonic clock, seconds.
        read: Returns free and total space, bytes.
        filling: Called after each look with whether the space ends within the days that the site set.
        warn_days: Returns that number of days.

    Attributes:
        space: As last seen; None before the first look and while the disk cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], float] = time.monotonic,
        read: Callable[[Path], tuple[int, int]] = space_of,
        filling: Callable[[bool], None] = lambda _: None,
        warn_days: Callable[[], int] = lambda: 0,
    ) -> None:
        self._folder, self._clock, self._read = folder, clock, read
        self._forecast = DiskForecast(EVERY_S)
        self._is_looking = False
        self._filling, self._warn_days, self._is_filling = filling, warn_days, False
        self.space: DiskSpace | None = None

    def keep(self, scheduler: Scheduler, executor: SerialExecutor) -> None:
        """Look now and from then on; call thread only."""
        if not self._is_looking:  # else the disk hangs
            self._is_looking = True
            executor.submit(self.look)
        scheduler.call_later(EVERY_S, self.keep, scheduler, executor)

    def look(self) -> None:
        """Look once; may wait for the disk."""
        try:
            free, size = self._read(self._folder)
        except OSError:
            self.space = None
        else:
            self._forecast.add(self._clock(), free)
            self.space = DiskSpace(free_bytes=free, size_bytes=size, left_s=self._forecast.left_s)
            self._is_filling = is_filling(self._forecast.left_s, self._warn_days(), was=self._is_filling)
            self._filling(self._is_filling)
        finally:
            self._is_looking = False

    def as_json(self) -> dict[str, Any] | None:
        """Return the space as health shows it. Any thread may call this."""
        space = self.space
        if space is None:
            return None
        return {"free_bytes": space.free_bytes, "size_bytes": space.size_bytes, "left_s": space.left_s}
