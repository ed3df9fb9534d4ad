"""Streams of server-sent events: a limit per person, and their end when the person may no longer watch.

On the console's event loop only. An open stream sends by itself, so without a check a person who signed out, or a
revoked token, would still be sent calls.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from recorder.common.problems import ProblemError
from recorder.control.errors import DaemonRefusedError, DaemonUnavailableError

LOOK_EVERY_S = 5.0
"""Interval between checks of the watcher's permission, seconds."""
MOST_STREAMS = 20
"""Streams per person or token; each uses a descriptor here, and an API stream one of the daemon's too."""
_FULL = f"You have {MOST_STREAMS} streams of events open. Close one. Pages still work, and ask for what is new."


class Watchers:
    """The open streams by reader."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    async def stream(
        self, who: str, source: AsyncGenerator[bytes], *, ask: Callable[[], Awaitable[object]] | None = None
    ) -> StreamingResponse:
        """Return a stream after its first event came, so that a daemon that is down gives an error.

        Args:
            who: The account or token that reads.
            source: The events.
            ask: Raises if they may no longer watch; None if the source checks that itself.

        Raises:
            ProblemError: 429, too many are open; 504, the daemon does not answer; 502, it refused.
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
    """Calls ``over`` at its end, also if nothing was sent."""

    def __init__(self, content: AsyncGenerator[bytes], *, over: Callable[[], None]) -> None:
        super().__init__(content, media_type="text/event-stream")
        self._is_over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; see Starlette."""
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
            return  # the browser connects again and gets the error


async def _while_may(source: AsyncGenerator[bytes], ask: Callable[[], Awaitable[object]]) -> AsyncGenerator[bytes]:
    """Pass a stream on until the check raises; checks run concurrently, so that they delay nothing."""

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
                looking.exception()  # the reader connects again and gets the error
                return
            chunk = coming.result()
            if not chunk:
                return
            yield chunk
    finally:
        looking.cancel()
        if coming is not None and not coming.cancel():  # a cancelled one closes by itself
            await source.aclose()
