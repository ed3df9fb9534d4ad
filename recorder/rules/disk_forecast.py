"""How long the free space of a disk lasts at the present rate. Pure."""

from collections import deque

WINDOW_S = 24 * 3600.0
"""Time over which the rate is taken, seconds: a whole day, because nights are quiet and the sweep runs once."""
LEAST_S = 3600.0
"""Shortest time from which a rate is taken, seconds."""
_DAY_S = 86_400.0


class DiskForecast:
    """Free space over the last day, and when it ends if it goes on to shrink as fast.

    The rate counts everything that uses the disk, and what the retention sweep gives back: a recorder that deletes as
    much as it records has no end in sight.

    Args:
        every_s: Time between two samples, seconds; more frequent ones are left out, so that memory is bounded.
    """

    def __init__(self, every_s: float = 60.0) -> None:
        self._every_s = every_s
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, at_s: float, free_bytes: int) -> None:
        """Add a sample.

        Args:
            at_s: Monotonic seconds, never less than before.
            free_bytes: Free space.
        """
        if self._samples and at_s - self._samples[-1][0] < self._every_s / 2:
            return
        self._samples.append((at_s, free_bytes))
        while self._samples[0][0] < at_s - WINDOW_S:
            self._samples.popleft()

    @property
    def left_s(self) -> float | None:
        """Return how long the free space lasts, seconds; None if it does not shrink or is not known so long."""
        if not self._samples:
            return None
        (from_s, free_then), (to_s, free_now) = self._samples[0], self._samples[-1]
        if to_s - from_s < LEAST_S or free_now >= free_then:
            return None
        return free_now * (to_s - from_s) / (free_then - free_now)


def is_filling(left_s: float | None, days: int, *, was: bool) -> bool:
    """Tell whether free space ends within a number of days.

    Args:
        left_s: How long it lasts, as `DiskForecast.left_s`.
        days: At least how long it should last; 0 for never.
        was: Whether it did at the last look. It does until the space lasts a fifth longer, so that a rate that varies
            raises no alarm again and again.
    """
    return left_s is not None and left_s < days * _DAY_S * (1.2 if was else 1.0)
