"""Rate limits of the console by person, token and address: a rate per second, and ten seconds' worth at once.

Acts on live calls have their own buckets, so that no flood of searches stops a pause. The caller is identified only
after the address was counted; if the caller's own bucket then refuses, the address gets its count back, as otherwise
one runaway program would lock out everybody behind the same proxy. The address's limit does not stop callers who were
identified before: a flood of unknown requests from the same address must not stop their pauses.
"""

import enum
import hashlib
import math
import threading
import time
from collections.abc import Callable

from starlette.requests import HTTPConnection

from recorder.common.network_sources import source_of
from recorder.common.problems import ProblemError
from recorder.rules.limits import Rates
from recorder.web.throttle import MOST_BUCKETS, Throttle

SECONDS_AT_ONCE = 10
PEOPLE_AT_AN_ADDRESS = 10
"""An address may send as many requests as this number of people."""
KNOWN_FOR_S = 12 * 3600.0
"""How long a caller counts as identified, seconds: a working day.

Such a caller is not stopped by other requests from their address. Credentials that become invalid are removed at once.
"""

_LIVE = ("/agent", "/live", "/opt-outs", "/api/calls", "/api/extensions", "/api/opt-outs", "/api/session")
_FREE = "/static/"
_API = "/api/"
"""Paths for which a token takes precedence over cookies."""


class RequestKind(enum.Enum):
    """Kind of a request."""

    ACT = "acts_per_s"
    """An act on a live call; the value is the key of its limit."""
    OTHER = "requests_per_s"
    """Any other request: pages, searches, listings, opening an event stream."""
    FREE = ""
    """A static file: refusing it costs as much as sending it, and a page needs several."""


def kind_of(method: str, path: str) -> RequestKind:
    """Return the kind of a request."""
    if path.startswith(_FREE):
        return RequestKind.FREE
    is_act = method not in ("GET", "HEAD") and any(path == one or path.startswith(f"{one}/") for one in _LIVE)
    return RequestKind.ACT if is_act else RequestKind.OTHER


def session_cookie(*, is_tls: bool) -> str:
    """Return the name of the session cookie; with TLS its prefix makes browsers refuse one set by another site."""
    return "__Host-recorder" if is_tls else "recorder"


def credentials_of(request: HTTPConnection, cookie: str) -> bytes:
    """Return a hash of a request's credentials; empty without any.

    Only the credentials that `Gatekeeper` reads count: otherwise each additional cookie would give a session new
    limits.

    Args:
        request: The request.
        cookie: Name of the session cookie.
    """
    token = request.headers.get("authorization") if request.scope["path"].startswith(_API) else None
    said = request.cookies.get(cookie, "") if token is None else token.partition(" ")[2].strip()
    return hashlib.sha256(said.encode("utf-8", "surrogateescape")).digest() if said else b""


class RateLimits:
    """The buckets of one console.

    Args:
        rates: Limits of a person or a token.
        clock: Monotonic clock, seconds.
    """

    def __init__(self, rates: Rates, clock: Callable[[], float] = time.monotonic) -> None:
        self._a_second = {RequestKind.ACT: rates.acts_per_s, RequestKind.OTHER: rates.requests_per_s}
        self._addresses = {kind: _throttle(clock, rate * PEOPLE_AT_AN_ADDRESS) for kind, rate in self._a_second.items()}
        self._callers = {kind: _throttle(clock, rate) for kind, rate in self._a_second.items()}
        self._were_known = _WereKnown(clock)

    def arrived(self, host: str, kind: RequestKind, credentials: bytes = b"") -> ProblemError | None:
        """Count a request of an address; return the refusal if it is over the limit.

        Args:
            host: The address.
            kind: Kind of request.
            credentials: From `credentials_of`; credentials that were valid lately are not refused here.
        """
        if kind is RequestKind.FREE:
            return None
        wait_s = self._addresses[kind].take(source_of(host))
        if wait_s and credentials in self._were_known:
            return None
        return self._refusal(wait_s, kind, "from this address", PEOPLE_AT_AN_ADDRESS)

    def known(self, who: str, host: str, kind: RequestKind, credentials: bytes = b"") -> None:
        """Count a request of an identified person or token.

        Raises:
            ProblemError: 429, over the limit.
        """
        if credentials:
            self._were_known.add(credentials)
        if kind is RequestKind.FREE:
            return
        refusal = self._refusal(self._callers[kind].take(who), kind, "as you", 1)
        if refusal is not None:
            self._addresses[kind].give_back(source_of(host))
            raise refusal

    def is_known(self, credentials: bytes) -> bool:
        """Tell whether credentials were valid when last checked."""
        return credentials in self._were_known

    def unknown(self, credentials: bytes) -> None:
        """Forget credentials that are no longer valid."""
        self._were_known.drop(credentials)

    def _refusal(self, wait_s: float, kind: RequestKind, whose: str, times: int) -> ProblemError | None:
        if not wait_s:
            return None
        return ProblemError(
            429,
            f"More than {self._a_second[kind] * times:g} requests a second came {whose} ([console] {kind.value}). "
            "Wait a moment and try again.",
            headers={"Retry-After": str(math.ceil(wait_s))},
        )


class _WereKnown:
    """Credentials that were valid when last checked; safe from any thread."""

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
