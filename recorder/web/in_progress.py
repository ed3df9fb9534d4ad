"""How many requests of people who are signed in are in progress, so that acts on calls find room. Event loop only."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from recorder.common.problems import ProblemError
from recorder.rules.limits import ConnectionLimits
from recorder.web.rates import RequestKind


class InProgress:
    """The requests of one console.

    A stream of events lasts for as long as its page is open. Streams and all else that is no act on a call leave a
    quarter of the console's connections free, and no session or token takes more than its share. Strangers are not
    counted: their connections give way (`recorder.web.connections`).

    Args:
        limits: How many there may be.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._others = 0
        self._of: Counter[bytes] = Counter()

    def refusal(self, kind: RequestKind, credentials: bytes) -> ProblemError | None:
        """Return what refuses one more request, None where there is room.

        Acts on calls have their rate, and no other limit.

        Args:
            kind: What is asked for.
            credentials: Of the session or token that asks; see `rates.credentials_of`.
        """
        if kind is RequestKind.ACT:
            return None
        if self._of[credentials] >= self._limits.most_per_session:
            return _refusal(429, f"You have {self._limits.most_per_session} requests in progress: wait for one to end.")
        if self._others >= self._limits.most_besides_acts:
            return _refusal(503, "The console has too much to do at once: wait a moment. Calls can be paused.")
        return None

    @contextmanager
    def counted(self, kind: RequestKind, credentials: bytes) -> Iterator[None]:
        """Count a request from here to its end."""
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
