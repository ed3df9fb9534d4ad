"""The daemon's event stream filtered for one reader: each call as their list shows it, or not at all."""

import json
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any

from recorder.web.pulse import Event, Words, call_of

See = Callable[[Mapping[str, Any]], dict[str, Any] | None]
"""Returns a call as the reader may see it now, or None."""
STILL_HERE = b": still here\n\n"


class SeenEvents:
    """The events of one reader.

    Args:
        see: Filters a call for the reader.
        known: The live calls that the reader may see when the stream begins.
        is_told_all: Whether the reader gets events that are about no call, such as alarms.
    """

    def __init__(self, see: See, known: Iterable[Mapping[str, Any]], *, is_told_all: bool) -> None:
        self._see = see
        self._known = {str(call.get("call")): _has_numbers(call) for call in known}
        self._is_told_all = is_told_all

    async def of(self, source: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        """Yield the reader's part of the daemon's stream, or a comment, so that they know that the daemon runs."""
        words = Words()
        async with aclosing(source):
            async for chunk in source:
                shown = [one for event in words.take(chunk) if (one := self.shown(event)) is not None]
                yield b"".join(map(_line, shown)) or STILL_HERE

    def shown(self, event: Event) -> Event | None:
        """Return an event as the reader may see it, or None."""
        call = call_of(event)
        if not call:
            return event if self._is_told_all else None
        if event.get("event") == "call" and "state" in event:
            seen = self._see(event)
            if seen is None:
                self._known.pop(call, None)
                return None
            self._known[call] = _has_numbers(seen)
            return {"event": "call", **seen}
        if event.get("event") == "opt_out":  # as in the list, a reader who sees no numbers sees no requests
            return event if self._known.get(call) else None
        return event if call in self._known else None


def _has_numbers(seen: Mapping[str, Any]) -> bool:
    return "caller" in seen


def _line(event: Event) -> bytes:
    return f"event: {event.get('event', 'message')}\ndata: {json.dumps(event)}\n\n".encode()
