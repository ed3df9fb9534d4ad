"""How much the console does for one person, token or address: so much a second, and ten seconds' worth at once.

What is done to calls in progress has buckets of its own, so that no flood of searches ever stops a pause. Who asks is
known only after they were looked for, so an address is counted first; what its owner's own bucket then refuses is given
back to it, or one program that runs wild would close the console to everybody behind the same proxy. Nor does it stop
whoever is signed in there: a flood of nobody's, from the same address, would stop their pauses.
"""

import enum
import hashlib
import math
import threading
import time
from collections.abc import Callable

from starlette.requests import HTTPConnection

from recorder.common.problems import ProblemError
from recorder.rules.limits import Rates
from recorder.web.throttle import MOST_BUCKETS, Throttle, source_of

SECONDS_AT_ONCE = 10
PEOPLE_AT_AN_ADDRESS = 10
"""An address may ask for as much as so many people."""
KNOWN_FOR_S = 12 * 3600.0
"""For how long whoever was known is not stopped by what others at their address ask for: a working day. What is found
to be good no longer is forgotten at once."""

_LIVE = ("/agent", "/live", "/opt-outs", "/api/calls", "/api/extensions", "/api/opt-outs", "/api/session")
_FREE = "/static/"
_API = "/api/"
"""Where tokens are taken, and before cookies."""


class RequestKind(enum.Enum):
    """What a request asks for."""

    ACT = "acts_per_s"
    """Something is done to a call in progress; the key of its limit."""
    OTHER = "requests_per_s"
    """All else: pages, searches, listings, opening a stream of events."""
    FREE = ""
    """A file of the pages: to refuse one costs as much as to send it, and a page needs several."""


def kind_of(method: str, path: str) -> RequestKind:
    """Return what a request asks for."""
    if path.startswith(_FREE):
        return RequestKind.FREE
    is_act = method not in ("GET", "HEAD") and any(path == one or path.startswith(f"{one}/") for one in _LIVE)
    return RequestKind.ACT if is_act else RequestKind.OTHER


def session_cookie(*, is_tls: bool) -> str:
    """Return the name of the cookie of a session: with TLS its prefix makes browsers refuse one from elsewhere."""
    return "__Host-recorder" if is_tls else "recorder"


def credentials_of(request: HTTPConnection, cookie: str) -> bytes:
    """Return what a request says of who sends it, hashed; empty where it says nothing.

    Only what `Gatekeeper` looks at counts: with each other cookie a session would have limits of its own.

    Args:
        request: The request.
        cookie: Name of the cookie of sessions.
    """
    token = request.headers.get("authorization") if request.scope["path"].startswith(_API) else None
    said = request.cookies.get(cookie, "") if token is None else token.partition(" ")[2].strip()
    return hashlib.sha256(said.encode("utf-8", "surrogateescape")).digest() if said else b""


class RateLimits:
    """The buckets of one console.

    Args:
        rates: What a person or a token may ask for.
        clock: Returns seconds that never go back.
    """

    def __init__(self, rates: Rates, clock: Callable[[], float] = time.monotonic) -> None:
        self._a_second = {RequestKind.ACT: rates.acts_per_s, RequestKind.OTHER: rates.requests_per_s}
        self._addresses = {kind: _throttle(clock, rate * PEOPLE_AT_AN_ADDRESS) for kind, rate in self._a_second.items()}
        self._callers = {kind: _throttle(clock, rate) for kind, rate in self._a_second.items()}
        self._were_known = _WereKnown(clock)

    def arrived(self, host: str, kind: RequestKind, credentials: bytes = b"") -> ProblemError | None:
        """Count a request of an address; returns its refusal where that is one too many.

        Args:
            host: The address.
            kind: What is asked for.
            credentials: From `credentials_of`; whose were good when last looked at is not refused here.
        """
        if kind is RequestKind.FREE:
            return None
        wait_s = self._addresses[kind].take(source_of(host))
        if wait_s and credentials in self._were_known:
            return None
        return self._refusal(wait_s, kind, "From this address", PEOPLE_AT_AN_ADDRESS)

    def known(self, who: str, host: str, kind: RequestKind, credentials: bytes = b"") -> None:
        """Count a request of a person or token that was found behind it.

        Raises:
            ProblemError: 429: one too many.
        """
        if credentials:
            self._were_known.add(credentials)
        if kind is RequestKind.FREE:
            return
        refusal = self._refusal(self._callers[kind].take(who), kind, "As you", 1)
        if refusal is not None:
            self._addresses[kind].give_back(source_of(host))
            raise refusal

    def is_known(self, credentials: bytes) -> bool:
        """Tell whether credentials were good when they were last looked at."""
        return credentials in self._were_known

    def unknown(self, credentials: bytes) -> None:
        """Forget credentials: nobody is behind them any more."""
        self._were_known.drop(credentials)

    def _refusal(self, wait_s: float, kind: RequestKind, whose: str, times: int) -> ProblemError | None:
        if not wait_s:
            return None
        return ProblemError(
            429,
            f"{whose}, more was asked for than {self._a_second[kind] * times:g} a second ([console] {kind.value}): "
            "wait a moment.",
            headers={"Retry-After": str(math.ceil(wait_s))},
        )


class _WereKnown:
    """Credentials that were good when they were last looked at; for any thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until_s: dict[bytes, float] = {}

    def add(self, credentials: bytes) -> None:
        with self._lock:
            self._until_s.pop(credentials, None)
            self._until_s[credentials] = self._clock() + KNOWN_FOR_S
            if len(self._until_s) > MOST_BUCKETS:
                del self._until_s[next(iter(self._until_s))]

    def drop(self, credentials: bytes) -> None:
        with self._lock:
            self._until_s.pop(credentials, None)

    def __contains__(self, credentials: bytes) -> bool:
        with self._lock:
            return self._until_s.get(credentials, 0.0) > self._clock()


def _throttle(clock: Callable[[], float], a_second: float) -> Throttle:
    return Throttle(clock, at_once=max(a_second * SECONDS_AT_ONCE, 1.0), a_second=a_second)
