"""The merged stream of events, where one node sends what is no event."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping

import httpx2
import pytest

from recorder.control.errors import DaemonUnavailableError
from recorder.control.event_stream import events
from recorder.control.site_events import _LONGEST, SiteEvents, StreamTimes


class Link:
    """Stands for the way to a node.

    Attributes:
        taken: How many chunks of the body were read.
    """

    def __init__(self, chunk: bytes, chunks: int, status: int = 200) -> None:
        self._chunk, self._chunks, self._status = chunk, chunks, status
        self.taken = 0

    def transport(self) -> httpx2.MockTransport:
        return httpx2.MockTransport(lambda _: httpx2.Response(self._status, content=self._body()))

    async def _body(self) -> AsyncIterator[bytes]:
        for _ in range(self._chunks):
            self.taken += 1
            yield self._chunk
        await asyncio.sleep(30)

    def base_url(self) -> str:
        return "http://node"

    def signed(self, target: str, headers: Mapping[str, str]) -> dict[str, str]:
        return dict(headers)

    def check(self, response: httpx2.Response) -> None:
        pass

    def unavailable(self, error: Exception) -> DaemonUnavailableError:
        return DaemonUnavailableError(str(error))


def test_a_node_that_sends_no_events_does_not_fill_the_consoles_memory() -> None:
    endless = Link(b"x" * (_LONGEST // 4), 100)
    odd = Link(b'data: [1]\n\ndata: {"event": "state", "call": "c1"}\n\n', 1)
    heard: list[dict[str, object]] = []

    async def listen() -> None:
        stream = SiteEvents(lambda: [("evil", endless), ("north", odd)], actor="dora", times=StreamTimes())  # type: ignore[list-item]
        async with asyncio.timeout(20):
            async for chunk in stream.stream():
                heard.extend(json.loads(line[5:]) for line in chunk.splitlines() if line.startswith(b"data:"))
                if {"event": "node", "node": "evil", "state": "silent"} in heard and len(heard) >= 5:
                    return

    asyncio.run(listen())
    assert {"event": "state", "call": "c1", "node": "north"} in heard
    assert endless.taken <= 6


def test_an_error_without_an_end_is_cut_off() -> None:
    link = Link(b"x" * 50_000, 100, status=500)

    async def ask() -> None:
        async with asyncio.timeout(20):
            async for _ in events(link, actor="dora"):  # type: ignore[arg-type]
                pass

    with pytest.raises(Exception, match="not a JSON object"):
        asyncio.run(ask())
    assert link.taken <= 3
