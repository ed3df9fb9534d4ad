"""What holds for every request and answer of the console: headers, and a limit on what is sent to it."""

import math
import re
import time

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recorder.common.problem_answers import response
from recorder.common.problems import ProblemError
from recorder.config.openid_options import CALLBACK_PATH
from recorder.rules.limits import ConnectionLimits
from recorder.web.connections import IS_KNOWN
from recorder.web.in_progress import InProgress
from recorder.web.rates import RateLimits, credentials_of, kind_of, session_cookie
from recorder.web.throttle import Throttle, source_of

MAX_BODY_BYTES = 64 * 1024
MAX_UPLOAD_BYTES = 900_000
"""Of a form with a file: what is over the rule for transcripts is told by the page, what is far over it here. A part of
up to a million bytes stays in memory (starlette's `spool_max_size`): nothing of it gets onto the disk as it came."""
_UPLOAD = re.compile(r"/cases/[^/]{1,40}/transcript-file\Z")

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "media-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

_ALWAYS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
_TLS = {"Strict-Transport-Security": "max-age=31536000"}


def security_headers(*, is_tls: bool) -> dict[str, str]:
    """Return the headers of every answer."""
    return {**_ALWAYS, **(_TLS if is_tls else {})}


class Guard:
    """Adds the security headers to every answer; refuses bodies that are too large, and what comes too often.

    Plain ASGI and not starlette's base class, which would buffer server-sent events.
    """

    def __init__(self, app: ASGIApp, *, is_tls: bool, limits: RateLimits, connections: ConnectionLimits) -> None:
        self._app = app
        self._limits = limits
        self._in_progress = InProgress(connections)
        headers = security_headers(is_tls=is_tls)
        self._headers = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
        self._names = frozenset(name for name, _ in self._headers)
        self._tries = Throttle(time.monotonic)
        self._cookie = session_cookie(is_tls=is_tls)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [field for field in message["headers"] if field[0].lower() not in self._names]
                message = {**message, "headers": [*others, *self._headers]}
            await send(message)

        credentials, kind = self._credentials_of(scope), kind_of(scope["method"], scope["path"])
        is_known = self._limits.is_known(credentials)
        length = Headers(scope=scope).get("content-length", "0")
        # A body is read before who sends it is asked for: of a stranger's as little as anywhere else.
        most_bytes = MAX_UPLOAD_BYTES if is_known and _UPLOAD.match(str(scope["path"])) else MAX_BODY_BYTES
        if not length.isdigit() or int(length) > most_bytes:
            await response(_too_large(most_bytes))(scope, receive, send_guarded)
            return
        refusal = self._too_often(scope)
        if refusal is not None:
            await response(refusal)(scope, receive, send_guarded)
            return
        if not is_known:
            await self._app(scope, _limited(receive, most_bytes), send_guarded)
            return
        scope.setdefault("state", {})[IS_KNOWN] = True
        refusal = self._in_progress.refusal(kind, credentials)
        if refusal is not None:
            await response(refusal)(scope, receive, send_guarded)
            return
        with self._in_progress.counted(kind, credentials):
            await self._app(scope, _limited(receive, most_bytes), send_guarded)

    def _credentials_of(self, scope: Scope) -> bytes:
        return credentials_of(HTTPConnection(scope), self._cookie)

    def _too_often(self, scope: Scope) -> ProblemError | None:
        """Count a request by its address; a try to sign in has its own bucket: a flood must keep nobody out."""
        host = str(scope["client"][0]) if scope.get("client") else ""
        if not _is_try(scope):
            kind = kind_of(scope["method"], scope["path"])
            return self._limits.arrived(host, kind, self._credentials_of(scope))
        wait_s = self._tries.take(source_of(host))
        if not wait_s:
            return None
        return ProblemError(
            429, "Too many tries to sign in from this address: wait a moment.",
            headers={"Retry-After": str(math.ceil(wait_s))},
        )  # fmt: skip


_OWN = ("/account/authenticator", "/account/password", "/account/connect")
"""What of one's own account takes the password."""


def _is_try(scope: Scope) -> bool:
    """Tell whether a request tries a password or a code, also one that an OpenID provider gave.

    All of them take a cookie of ours. A request without any tries nothing: pages of others, which make browsers send as
    many as they like, must not use up the tries of everybody at an address.
    """
    if not Headers(scope=scope).get("cookie"):
        return False
    path = str(scope["path"])
    if path == CALLBACK_PATH:
        return True
    return scope["method"] == "POST" and (path.startswith("/sign-in") or path in _OWN)


def _limited(receive: Receive, most_bytes: int) -> Receive:
    """Count what comes without Content-Length (chunked)."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most_bytes:
            # FastAPI passes this one on while it reads a body, and no other.
            raise HTTPException(413, _too_large(most_bytes).detail)
        return message

    return counted


def _too_large(most_bytes: int) -> ProblemError:
    return ProblemError(413, f"The console takes at most {most_bytes} bytes here.")
