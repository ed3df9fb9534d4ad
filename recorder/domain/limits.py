"""How often something may happen. Pure: times are passed in."""

from collections import deque


class RateLimit:
    """At most so many in a sliding time; bounded, whatever comes.

    Args:
        most: How many, at least 1.
        within_s: In how many seconds, over 0.

    Attributes:
        refused: How many were refused since one was last allowed.
    """

    def __init__(self, most: int, within_s: float) -> None:
        if most < 1 or within_s <= 0:
            raise ValueError(f"at least one in a positive time, got {most} in {within_s} s")
        self._within_ns = round(within_s * 1e9)
        self._times: deque[int] = deque(maxlen=most)
        self.refused = 0

    def allows(self, now_ns: int) -> bool:
        """Tell whether one more at ``now_ns`` (monotonic) is allowed; what is refused does not count."""
        if len(self._times) == self._times.maxlen and now_ns - self._times[0] < self._within_ns:
            self.refused += 1
            return False
        self._times.append(now_ns)
        self.refused = 0
        return True
