"""Limits on rates and connections. Pure: times are passed in."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What one person or token may ask of the console, per second. Ten seconds' worth may come at once.

    Attributes:
        requests_per_s: Pages, searches, listings.
        acts_per_s: Pauses and other acts on calls in progress.
    """

    requests_per_s: float = 20.0
    acts_per_s: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How many connections the console accepts, and how long it waits on each, seconds.

    Attributes:
        most: Connections in all.
        most_per_address: Connections of one address without a session; None behind a proxy, which has one address.
        most_per_session: Requests that one session or token may have in progress.
        header_s: For a request's header, from the connection or the last answer; TLS handshake included.
        body_s: For a request's body.
        answer_s: For a client without a session to read the answer.
    """

    most: int = 1000
    most_per_address: int | None = 100
    most_per_session: int = 50
    header_s: float = 10.0
    body_s: float = 30.0
    answer_s: float = 60.0

    @property
    def most_besides_acts(self) -> int:
        """Return how many requests that are not acts on calls may be in progress: three quarters of all."""
        return max(self.most * 3 // 4, 1)


class RateLimit:
    """A sliding window that allows at most so many events; its memory is bounded.

    Args:
        most: How many, at least 1.
        within_s: Length of the window, seconds, over 0.

    Attributes:
        refused: How many were refused since the last that was allowed.
    """

    def __init__(self, most: int, within_s: float) -> None:
        if most < 1 or within_s <= 0:
            raise ValueError(f"RateLimit needs at least one event in a positive time, got {most} in {within_s} s")
        self._within_ns = round(within_s * 1e9)
        self._times: deque[int] = deque(maxlen=most)
        self.refused = 0

    def allows(self, now_ns: int) -> bool:
        """Tell whether one more event at ``now_ns`` (monotonic) is allowed. Refused events do not count."""
        if len(self._times) == self._times.maxlen and now_ns - self._times[0] < self._within_ns:
            self.refused += 1
            return False
        self._times.append(now_ns)
        self.refused = 0
        return True
