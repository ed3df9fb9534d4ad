"""Headers and limits for every request and response of the console."""

import math
import re
import time

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recorder.common.network_sources import source_of
from recorder.common.problem_answers import response
from recorder.common.problems import ProblemError
from recorder.config.openid_options import CALLBACK_PATH
from recorder.control.http_connections import IS_KNOWN
from recorder.rules.limits import ConnectionLimits
from recorder.web.console_tallies import ConsoleTallies
from recorder.web.in_progress import InProgress
from recorder.web.rates import RateLimits, credentials_of, kind_of, session_cookie
from recorder.web.static_files import MOUNT, static_files
from recorder.web.throttle import Throttle

MAX_BODY_BYTES = 64 * 1024
MAX_UPLOAD_BYTES = 900_000
"""Limit of a form with a file. The page reports transcripts over their own limit; this stops much larger bodies.

A part of up to a million bytes stays in memory (starlette's `spool_max_size`), so an upload is never written to disk.
"""
_UPLOAD = re.compile(r"/cases/[^/]{1,40}/transcript-file\Z")

JAVA_SCRIPT_MARK = "sha256-GUQ5ad8JK5KmEWmROf3LZd9ge94daqNvd8xy9YS1iDw="
"""The one script in a page: GOV.UK Frontend's, which marks the page as one with JavaScript before it is drawn."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        f"script-src 'self' '{JAVA_SCRIPT_MARK}'",
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
_CACHE = b"cache-control"
_TO_REVALIDATE = (_CACHE, b"no-cache")
"""Of static files: a browser keeps them and asks each time whether they changed. They name no person and no call."""
_FOR_GOOD = (_CACHE, b"public, max-age=31536000, immutable")
"""Of static files at the address of their version: what is there never changes."""
_TLS = {"Strict-Transport-Security": "max-age=31536000"}


def security_headers(*, is_tls: bool) -> dict[str, str]:
    """Return the headers of every response."""
    return {**_ALWAYS, **(_TLS if is_tls else {})}


class Guard:
    """Adds security headers to every response; refuses bodies that are too large, and too many requests.

    Plain ASGI instead of starlette's base class, which would buffer server-sent events.
    """

    def __init__(
        self, app: ASGIApp, *, is_tls: bool, limits: RateLimits, connections: ConnectionLimits, tallies: ConsoleTallies
    ) -> None:
        self._app = app
        self._tallies = tallies
        self._limits = limits
        self._in_progress = InProgress(connections)
        headers = security_headers(is_tls=is_tls)
        self._headers = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
        self._names = frozenset(name for name, _ in self._headers)
        others = [field for field in self._headers if field[0] != _CACHE]
        self._headers_of_files = [*others, _TO_REVALIDATE]
        self._headers_of_versions = [*others, _FOR_GOOD]
        self._tries = Throttle(time.monotonic)
        self._cookie = session_cookie(is_tls=is_tls)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        began_s = time.monotonic()
        own = self._own_headers(str(scope["path"]))

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._tallies.answered(message["status"], time.monotonic() - began_s)
                others = [field for field in message["headers"] if field[0].lower() not in self._names]
                is_found = message["status"] in (200, 304)
                message = {**message, "headers": [*others, *(own if is_found else self._headers)]}
            await send(message)

        credentials, kind = self._credentials_of(scope), kind_of(scope["method"], scope["path"])
        is_known = self._limits.is_known(credentials)
        length = Headers(scope=scope).get("content-length", "0")
        # The body is read before the sender is identified, so an unknown client gets the smaller limit.
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

    def _own_headers(self, path: str) -> list[tuple[bytes, bytes]]:
        """Return the headers of what is found at a path."""
        if static_files().is_of_now(path):
            return self._headers_of_versions
        return self._headers_of_files if path.startswith(f"{MOUNT}/") else self._headers

    def _credentials_of(self, scope: Scope) -> bytes:
        return credentials_of(HTTPConnection(scope), self._cookie)

    def _too_often(self, scope: Scope) -> ProblemError | None:
        """Count a request by its address; sign-in attempts have their own bucket, so a flood locks nobody out."""
        host = str(scope["client"][0]) if scope.get("client") else ""
        if not _is_try(scope):
            kind = kind_of(scope["method"], scope["path"])
            return self._limits.arrived(host, kind, self._credentials_of(scope))
        wait_s = self._tries.take(source_of(host))
        if not wait_s:
            return None
        return ProblemError(
            429, "Too many attempts to sign in from this address. Wait a moment and try again.",
            headers={"Retry-After": str(math.ceil(wait_s))},
        )  # fmt: skip


_OWN = ("/account/authenticator", "/account/password", "/account/connect")
"""Paths of the account pages that take the password."""


def _is_try(scope: Scope) -> bool:
    """Tell whether a request tries a password or a code, including one from an OpenID provider.

    These need a cookie of the console. A request without one tries nothing: other sites can make browsers send many
    requests, which must not use up the attempts of everybody at an address.
    """
    if not Headers(scope=scope).get("cookie"):
        return False
    path = str(scope["path"])
    if path == CALLBACK_PATH:
        return True
    return scope["method"] == "POST" and (path.startswith("/sign-in") or path in _OWN)


def _limited(receive: Receive, most_bytes: int) -> Receive:
    """Limit bodies without Content-Length (chunked)."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most_bytes:
            # FastAPI passes on only this exception while it reads a body.
            raise HTTPException(413, _too_large(most_bytes).detail)
        return message

    return counted


def _too_large(most_bytes: int) -> ProblemError:
    return ProblemError(413, f"The console takes at most {most_bytes} bytes here.")
