"""How often something may happen. Pure: times are passed in."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What one person or token may ask of the console, a second; ten seconds' worth may come at once.

    Attributes:
        requests_per_s: Pages, searches, listings.
        acts_per_s: Pauses and whatever else is done to calls in progress.
    """

    requests_per_s: float = 20.0
    acts_per_s: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How many connections the console has, and for how long it waits on one.

    Attributes:
        most: In all.
        most_per_address: Of strangers at one address; None: everybody comes from a proxy's.
        most_per_session: Requests that one session or token may have in progress.
        header_s: For the header of a request, from the connection or from the answer before; TLS included.
        body_s: For its body.
        answer_s: For a stranger to take our answer.
    """

    most: int = 1000
    most_per_address: int | None = 100
    most_per_session: int = 50
    header_s: float = 10.0
    body_s: float = 30.0
    answer_s: float = 60.0

    @property
    def most_besides_acts(self) -> int:
        """Return how many requests that are no act on a call may be in progress: a quarter of the room stays free."""
        return max(self.most * 3 // 4, 1)


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
