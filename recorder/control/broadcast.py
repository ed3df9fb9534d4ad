"""Sends server-sent events from any thread to every listener, through bounded queues."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

QUEUE = 256
KEEP_ALIVE_S = 10.0
SHORTEST_BEAT_S = 0.2


class Broadcast:
    """Passes events to all listeners; one that falls behind loses the oldest, which are counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[asyncio.Queue[bytes], asyncio.AbstractEventLoop] = {}
        self.dropped = 0

    @property
    def has_listeners(self) -> bool:
        """Tell whether anybody listens. Any thread."""
        return bool(self._listeners)

    def publish(self, event: dict[str, Any]) -> None:
        """Send an event to every listener. Any thread; never blocks."""
        with self._lock:
            listeners = list(self._listeners.items())
        if not listeners:
            return
        line = f"event: {event.get('event', 'message')}\ndata: {json.dumps(event)}\n\n".encode()
        for queue, loop in listeners:
            with contextlib.suppress(RuntimeError):  # its loop has ended
                loop.call_soon_threadsafe(self._put, queue, line)

    async def listen(self, beat_s: float = KEEP_ALIVE_S) -> AsyncIterator[bytes]:
        """Yield events as they come, and a comment after ``beat_s`` seconds without one."""
        queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE)
        with self._lock:
            self._listeners[queue] = asyncio.get_running_loop()
        try:
            yield b": listening\n\n"
            while True:
                try:
                    yield await asyncio.wait_for(queue.get(), beat_s)
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            with self._lock:
                del self._listeners[queue]

    def _put(self, queue: asyncio.Queue[bytes], line: bytes) -> None:
        if queue.full():
            queue.get_nowait()
            self.dropped += 1
        queue.put_nowait(line)
