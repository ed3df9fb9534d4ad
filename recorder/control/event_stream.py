"""The stream of one daemon's server-sent events."""

from collections.abc import AsyncGenerator

import httpx2
from starlette.concurrency import run_in_threadpool

from recorder.control.client import EVENTS, actor_header, result_of
from recorder.control.connections import DaemonAnswer
from recorder.control.links import StreamLink

_LONGEST_ERROR = 1 << 16
"""Most bytes of an error that are read."""


async def events(
    link: StreamLink, *, actor: str, connect_s: float = 2.0, silence_s: float = 30.0, beat_s: float = 10.0
) -> AsyncGenerator[bytes]:
    """Yield a daemon's server-sent events as they come, as bytes.

    Args:
        link: The way to the daemon.
        actor: Who watches.
        connect_s: Longest wait for the connection and the start of the answer.
        silence_s: Longest time without an event or comment.
        beat_s: How often the daemon sends a comment while nothing happens, 0.2 to 10.

    Raises:
        DaemonUnavailableError: It is not there, or fell silent.
        DaemonRefusedError: It answered with an error.
    """
    target = f"{EVENTS}?beat_s={beat_s:g}"
    headers = await run_in_threadpool(link.signed, target, actor_header(actor))
    timeout = httpx2.Timeout(connect_s, read=silence_s)
    try:
        async with (
            httpx2.AsyncClient(
                transport=link.transport(), base_url=link.base_url(), timeout=timeout, trust_env=False
            ) as http,
            http.stream("GET", target, headers=headers) as response,
        ):
            link.check(response)
            if response.is_error:
                content = b""
                async for chunk in response.aiter_raw():
                    content += chunk
                    if len(content) > _LONGEST_ERROR:
                        break
                result_of(DaemonAnswer(status=response.status_code, reason=response.reason_phrase, content=content))
            async for chunk in response.aiter_raw():
                yield chunk
    except httpx2.HTTPError as error:
        raise link.unavailable(error) from error
