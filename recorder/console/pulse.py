"""One stream of the daemon's events for every page that watches: that it lives, and when something changed.

On the console's event loop only. A page that is slow misses beats, never a change; what changed it asks for itself, as
the person that it belongs to.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection
from typing import Any

from recorder.live.client import DaemonRefusedError, DaemonUnavailableError

BEAT_S = 0.5
"""How often the daemon says that it lives; pages promise to show within 2 s that it does not."""
SILENCE_S = 1.5
"""After so long without a word it does not."""
CHANGED = b"data: changed\n\n"
BEAT = b"event: beat\ndata: here\n\n"
AGAIN = b"retry: 1000\n\n"
"""How long a browser waits before it connects again."""

_EVERYBODY = ""
_Lost = DaemonUnavailableError | DaemonRefusedError


class Pulse:
    """Shares the daemon's events among pages; asks for them only while somebody watches.

    Args:
        events: Opens the daemon's stream, which comments every ``BEAT_S`` and is over after ``SILENCE_S`` of silence.
    """

    def __init__(self, events: Callable[[], AsyncGenerator[bytes]]) -> None:
        self._events = events
        self._watching = 0
        self._reading: asyncio.Task[None] | None = None
        self._next: asyncio.Future[None] | None = None
        self._changes = _Changes()

    async def watch(self, extensions: Collection[str] | None = None) -> AsyncGenerator[bytes]:
        """Yield server-sent events: a beat while the daemon lives, and a change.

        Args:
            extensions: Whose changes; None is everybody's. What cannot be told apart is told to all.

        Raises:
            DaemonUnavailableError: It is not there, or fell silent.
            DaemonRefusedError: It answered with an error.
        """
        self._watching += 1
        try:
            await self._beat()
            yield AGAIN + CHANGED
            seen = self._changes.of(extensions)
            while True:
                await self._beat()
                now = self._changes.of(extensions)
                yield BEAT if now == seen else CHANGED
                seen = now
        finally:
            self._watching -= 1
            if self._watching == 0 and self._reading is not None:
                self._reading.cancel()
                self._reading = None

    async def _beat(self) -> None:
        """Wait for the next word of the daemon."""
        if self._reading is None or self._reading.done():
            self._next = asyncio.get_running_loop().create_future()
            self._reading = asyncio.create_task(self._read())
        assert self._next is not None
        await asyncio.shield(self._next)

    async def _read(self) -> None:
        try:
            async for chunk in self._events():
                self._changes.take(chunk)
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
            told.exception()  # it may be that nobody waits


class _Changes:
    """Counts what changed, by extension."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._of_call: dict[str, frozenset[str]] = {}
        self._rest = b""

    def of(self, extensions: Collection[str] | None) -> int:
        """Return a number that grows with every change of these extensions."""
        if extensions is None:
            return self._counts.total()
        return self._counts[_EVERYBODY] + sum(self._counts[one] for one in extensions)

    def take(self, chunk: bytes) -> None:
        """Take bytes of the stream, cut anywhere."""
        *whole, self._rest = (self._rest + chunk).split(b"\n\n")
        for event in whole:
            for line in event.splitlines():
                if line.startswith(b"data:"):
                    self._counts.update(self._whose(line.removeprefix(b"data:")))

    def _whose(self, data: bytes) -> frozenset[str]:
        """Return the extensions that an event is about."""
        event: dict[str, Any] = {}
        with contextlib.suppress(ValueError):
            event = dict(json.loads(data))
        call = str(event.get("call") or event.get("id") or "")
        before = self._of_call.get(call, frozenset())
        now = frozenset(map(str, event.get("extensions_now", ())))
        if event.get("event") == "ended":
            self._of_call.pop(call, None)
        elif now:
            self._of_call[call] = now
        return before | now or frozenset({_EVERYBODY})
