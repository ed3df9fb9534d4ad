"""One stream of the daemon's events for all pages that watch: its beats, and what happened.

On the console's event loop only. A slow page may miss beats, never a change.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from typing import Any

from recorder.control.errors import DaemonRefusedError, DaemonUnavailableError

BEAT_S = 0.5
"""Interval of the daemon's beats, seconds; pages promise to show within 2 s that it is down."""
SILENCE_S = 1.5
"""The daemon counts as down after this time without a beat, seconds."""
CHANGED = b"data: changed\n\n"
BEAT = b"event: beat\ndata: here\n\n"
AGAIN = b"retry: 1000\n\n"
"""Tells a browser how long to wait before it connects again."""

_EVERYBODY = ""
_Lost = DaemonUnavailableError | DaemonRefusedError
Event = dict[str, Any]
"""One event of the daemon; empty if it cannot be parsed."""


class Pulse:
    """Shares the daemon's events among pages; connects only while somebody watches.

    Args:
        events: Opens the daemon's stream, which beats every ``BEAT_S`` and ends after ``SILENCE_S`` of silence.

    Attributes:
        stream: Number of streams opened so far; between two streams events may be lost.
    """

    def __init__(self, events: Callable[[], AsyncGenerator[bytes]]) -> None:
        self._events = events
        self._watching = 0
        self._reading: asyncio.Task[None] | None = None
        self._next: asyncio.Future[None] | None = None
        self._heard = 0
        self._changes = _Changes()
        self._takers: list[Callable[[Event], None]] = []
        self.stream = 0

    def give_events_to(self, take: Callable[[Event], None]) -> None:
        """Register a function that gets each event before the pages do."""
        self._takers.append(take)

    async def beats(self) -> AsyncGenerator[None]:
        """Yield after the first beat, and then after each; at once if there was one since the last yield.

        Raises:
            DaemonUnavailableError: The daemon does not answer, or fell silent.
            DaemonRefusedError: The daemon answered with an error.
        """
        self._watching += 1
        seen = -1
        try:
            while True:
                if seen in (-1, self._heard):
                    await self._beat()
                seen = self._heard
                yield
        finally:
            self._watching -= 1
            if self._watching == 0 and self._reading is not None:
                self._reading.cancel()
                self._reading = None

    async def watch(self, extensions: Collection[str]) -> AsyncGenerator[bytes]:
        """Yield server-sent events: a beat while the daemon runs, and changes.

        Args:
            extensions: Extensions whose changes are sent. Changes of unknown extensions are sent to all.

        Raises:
            DaemonUnavailableError: The daemon does not answer, or fell silent.
            DaemonRefusedError: The daemon answered with an error.
        """
        seen: int | None = None
        async with aclosing(self.beats()) as beats:
            async for _ in beats:
                now = self._changes.of(extensions)
                if seen is None:
                    yield AGAIN + CHANGED
                else:
                    yield BEAT if now == seen else CHANGED
                seen = now

    async def _beat(self) -> None:
        """Wait for the next message of the daemon."""
        if self._reading is None or self._reading.done():
            self._next = asyncio.get_running_loop().create_future()
            self.stream += 1
            self._reading = asyncio.create_task(self._read())
        assert self._next is not None
        await asyncio.shield(self._next)

    async def _read(self) -> None:
        words = Words()
        try:
            async for chunk in self._events():
                for event in words.take(chunk):
                    self._changes.take(event)
                    for take in self._takers:
                        take(event)
                self._heard += 1
                self._tell(None)
            self._tell(DaemonUnavailableError("The daemon ended its stream of events: see its log."))
        except (DaemonUnavailableError, DaemonRefusedError) as error:
            self._tell(error)

    def _tell(self, error: _Lost | None) -> None:
        told, self._next = self._next, asyncio.get_running_loop().create_future()
        if told is None or told.done():
            return
        if error is None:
            told.set_result(None)
        else:
            told.set_exception(error)
            told.exception()  # retrieved, because nobody may be waiting


class Words:
    """Parses a stream into events."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, chunk: bytes) -> list[Event]:
        """Add bytes of the stream, cut anywhere, and return the events that are complete."""
        *whole, self._rest = (self._rest + chunk).split(b"\n\n")
        lines = (line for one in whole for line in one.splitlines())
        return [_event(line.removeprefix(b"data:")) for line in lines if line.startswith(b"data:")]


def _event(data: bytes) -> Event:
    with contextlib.suppress(ValueError, TypeError):
        return dict(json.loads(data))
    return {}


def call_of(event: Event) -> str:
    """Return the id of the call that an event is about, or ""."""
    return str(event.get("call") or event.get("id") or "")


class _Changes:
    """Counts changes by extension."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._of_call: dict[str, frozenset[str]] = {}

    def of(self, extensions: Collection[str]) -> int:
        """Return a number that grows with every change of these extensions."""
        return self._counts[_EVERYBODY] + sum(self._counts[one] for one in extensions)

    def take(self, event: Event) -> None:
        """Count an event."""
        self._counts.update(self._whose(event))

    def _whose(self, event: Event) -> frozenset[str]:
        call = call_of(event)
        before = self._of_call.get(call, frozenset())
        now = frozenset(map(str, event.get("extensions_now", ())))
        if event.get("event") == "ended":
            self._of_call.pop(call, None)
        elif now:
            self._of_call[call] = now
        return before | now or frozenset({_EVERYBODY})
