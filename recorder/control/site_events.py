"""Events of all nodes of a site as one stream of server-sent events. On one event loop.

Each event says which node it is of. When a node stops answering, or answers again, there is an event ``node`` with its
``state``; events of that node may have been lost then, so readers ask for its calls again.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from recorder.control.errors import DaemonRefusedError, DaemonUnavailableError
from recorder.control.event_stream import events
from recorder.control.links import StreamLink

AGAIN_S = 1.0
"""Delay before a node that does not answer is tried again, seconds."""
LOOK_S = 2.0
"""How often the list of nodes is looked at, seconds."""
_QUEUE = 256
_LONGEST = 1 << 20
"""Longest event of a node, bytes; one that sends more without an end is taken for broken."""
_BEAT = b": still here\n\n"
_NONE = "No node of this site is known: see `recorder nodes list`."

Sources = Callable[[], Sequence[tuple[str, StreamLink]]]
"""Returns the nodes and the ways to them; may block for a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTimes:
    """Times of a stream, seconds; see `recorder.control.event_stream.events`."""

    connect_s: float = 2.0
    silence_s: float = 30.0
    beat_s: float = 10.0


class SiteEvents:
    """One merged stream.

    Args:
        sources: The nodes.
        actor: Who watches.
        times: How long to wait for each node.
    """

    def __init__(self, sources: Sources, *, actor: str, times: StreamTimes) -> None:
        self._sources = sources
        self._actor = actor
        self._times = times
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(_QUEUE)
        self._following: dict[str, asyncio.Task[None]] = {}
        self._is_up: dict[str, bool] = {}
        self._errors: dict[str, DaemonUnavailableError | DaemonRefusedError] = {}
        self._changed = asyncio.Event()
        self._has_looked = False

    async def stream(self) -> AsyncGenerator[bytes]:
        """Yield events as they come, and a comment after each ``beat_s`` without one.

        Raises:
            DaemonUnavailableError, DaemonRefusedError: No node answers.
        """
        looking = asyncio.create_task(self._look())
        try:
            await self._any_up()
            yield b": listening\n\n"
            while True:
                try:
                    yield await asyncio.wait_for(self._queue.get(), self._times.beat_s)
                except TimeoutError:
                    self._require_one()
                    yield _BEAT
        finally:
            for task in (looking, *self._following.values()):
                task.cancel()

    async def _any_up(self) -> None:
        """Wait until one node answers; raise the error of one if none does."""
        end_s = time.monotonic() + self._times.connect_s + AGAIN_S
        while not any(self._is_up.values()):
            if self._has_looked and len(self._is_up) == len(self._following):
                self._require_one()
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), max(end_s - time.monotonic(), 0.0))
            except TimeoutError:
                self._require_one()

    def _require_one(self) -> None:
        if not any(self._is_up.values()):
            raise next(iter(self._errors.values()), DaemonUnavailableError(_NONE))

    async def _look(self) -> None:
        """Follow the nodes that there are."""
        while True:
            there = dict(await run_in_threadpool(self._sources))
            for node in self._following.keys() - there.keys():
                self._following.pop(node).cancel()
                self._is_up.pop(node, None)
                await self._say(node, "gone")
            for node in there.keys() - self._following.keys():
                self._following[node] = asyncio.create_task(self._follow(node, there[node]))
            self._has_looked = True
            self._changed.set()
            await asyncio.sleep(LOOK_S)

    async def _follow(self, node: str, link: StreamLink) -> None:
        times = self._times
        while True:
            rest = b""
            try:
                source = events(
                    link, actor=self._actor, connect_s=times.connect_s, silence_s=times.silence_s, beat_s=times.beat_s
                )
                async with aclosing(source):
                    async for chunk in source:
                        await self._note(node, is_up=True)
                        *whole, rest = (rest + chunk).split(b"\n\n")
                        if len(rest) > _LONGEST:
                            break
                        for message in whole:
                            if b"data:" in message:
                                is_one = len(self._following) == 1
                                await self._queue.put(message + b"\n\n" if is_one else _of_node(message, node))
            except (DaemonUnavailableError, DaemonRefusedError) as error:
                self._errors[node] = error
            else:
                self._errors[node] = DaemonUnavailableError(f"Node {node} ended its stream of events: see its log.")
            await self._note(node, is_up=False)
            await asyncio.sleep(AGAIN_S)

    async def _note(self, node: str, *, is_up: bool) -> None:
        if self._is_up.get(node) == is_up:
            return
        self._is_up[node] = is_up
        self._changed.set()
        await self._say(node, "answers" if is_up else "silent")

    async def _say(self, node: str, state: str) -> None:
        event = {"event": "node", "node": node, "state": state}
        await self._queue.put(f"event: node\ndata: {json.dumps(event)}\n\n".encode())


def _of_node(message: bytes, node: str) -> bytes:
    """Return a message with its node in the event."""
    lines = []
    for line in message.split(b"\n"):
        if line.startswith(b"data:"):
            try:
                event = json.loads(line.removeprefix(b"data:"))
            except ValueError:
                event = None
            event = event if isinstance(event, dict) else {}
            lines.append(b"data: " + json.dumps({**event, "node": node}).encode())
        else:
            lines.append(line)
    return b"\n".join(lines) + b"\n\n"
