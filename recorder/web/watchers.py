"""Streams of server-sent events: how many somebody may have open, and that each is over when they may watch no more.

On the console's event loop only. A stream that is open sends without being asked: whoever signed out, or whose token
was revoked, would be sent calls for as long as they do not hang up.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from recorder.common.problems import ProblemError
from recorder.control.client import DaemonRefusedError, DaemonUnavailableError

LOOK_EVERY_S = 5.0
"""How often it is asked whether whoever watches still may."""
MOST_STREAMS = 20
"""Streams of one person or token: each takes a descriptor here, and those of the API one of the daemon too, which it
needs for calls."""
_FULL = f"{MOST_STREAMS} streams of events are open as you: close one. Pages go on, and ask for what is new."


class Watchers:
    """The streams that are open, by who reads them."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    async def stream(
        self, who: str, source: AsyncGenerator[bytes], *, ask: Callable[[], Awaitable[object]] | None = None
    ) -> StreamingResponse:
        """Return server-sent events once the first has come, so that a daemon that is away is an error and no stream.

        Args:
            who: The account or token that reads.
            source: The events.
            ask: Raises where they may watch no more; None: the source looks itself.

        Raises:
            ProblemError: 429: too many are open; 504: the daemon does not answer; 502: it refused.
        """
        if self._open[who] >= MOST_STREAMS:
            raise ProblemError(429, _FULL, headers={"Retry-After": "5"})
        self._open[who] += 1
        try:
            first = await anext(source, b"")
        except BaseException as error:
            self._over(who)
            if isinstance(error, DaemonUnavailableError):
                raise ProblemError(504, str(error), title="Not confirmed", extra={"state": "not_confirmed"}) from error
            if isinstance(error, DaemonRefusedError):
                raise ProblemError(502, str(error)) from error
            raise
        content = _rest(first, source if ask is None else _while_may(source, ask))
        return _Events(content, over=lambda: self._over(who))

    def _over(self, who: str) -> None:
        self._open[who] -= 1
        if not self._open[who]:
            del self._open[who]


class _Events(StreamingResponse):
    """Tells when it is over, also where nothing of it was sent."""

    def __init__(self, content: AsyncGenerator[bytes], *, over: Callable[[], None]) -> None:
        super().__init__(content, media_type="text/event-stream")
        self._is_over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; see Starlette."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._is_over()


async def _rest(first: bytes, source: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(source):
        yield first
        try:
            async for chunk in source:
                yield chunk
        except (DaemonUnavailableError, DaemonRefusedError):
            return  # the browser connects again, and is told then


async def _while_may(source: AsyncGenerator[bytes], ask: Callable[[], Awaitable[object]]) -> AsyncGenerator[bytes]:
    """Pass a stream on until asking raises; it is asked beside, so that nothing that is sent waits for it."""

    async def look() -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await ask()

    looking = asyncio.ensure_future(look())
    coming: asyncio.Future[bytes] | None = None
    try:
        while True:
            coming = asyncio.ensure_future(anext(source, b""))
            await asyncio.wait({coming, looking}, return_when=asyncio.FIRST_COMPLETED)
            if looking.done():
                looking.exception()  # whoever asks again is told then
                return
            chunk = coming.result()
            if not chunk:
                return
            yield chunk
    finally:
        looking.cancel()
        if coming is not None and not coming.cancel():  # one that is cancelled ends by itself
            await source.aclose()
