"""Limits of concurrent requests, so that acts on calls always find room. Event loop only."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from recorder.common.problems import ProblemError
from recorder.rules.limits import ConnectionLimits
from recorder.web.rates import RequestKind


class InProgress:
    """The requests in progress of one console.

    An event stream lasts as long as its page is open. Requests that are not acts on calls leave a quarter of the
    console's connections free, and each session or token has its share. Requests of unknown clients are not counted,
    because their connections give way (`recorder.control.http_connections`).

    Args:
        limits: Limits of connections.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._others = 0
        self._of: Counter[bytes] = Counter()

    def refusal(self, kind: RequestKind, credentials: bytes) -> ProblemError | None:
        """Return the refusal of one more request, or None if there is room.

        Acts on calls are limited by rate only.

        Args:
            kind: Kind of request.
            credentials: Credentials of the session or token; see `rates.credentials_of`.
        """
        if kind is RequestKind.ACT:
            return None
        if self._of[credentials] >= self._limits.most_per_session:
            return _refusal(429, f"You have {self._limits.most_per_session} requests in progress. Wait for one to end.")
        if self._others >= self._limits.most_besides_acts:
            return _refusal(503, "The console is busy. Wait a moment and try again. You can still pause calls.")
        return None

    @contextmanager
    def counted(self, kind: RequestKind, credentials: bytes) -> Iterator[None]:
        """Count a request while the context is open."""
        if kind is RequestKind.ACT:
            yield
            return
        self._others += 1
        self._of[credentials] += 1
        try:
            yield
        finally:
            self._others -= 1
            self._of[credentials] -= 1
            if not self._of[credentials]:
                del self._of[credentials]


def _refusal(status: int, sentence: str) -> ProblemError:
    return ProblemError(status, sentence, headers={"Retry-After": "2"})
