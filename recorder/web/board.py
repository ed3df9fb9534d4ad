"""Live calls for all pages that show them: listed by the daemon once, then updated by its events.

On the console's event loop only. Every few seconds the list is fetched again, so that changes without an event, or with
a lost one, are shown too.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool

from recorder.web.pulse import Event, Pulse, call_of

LIST_EVERY_S = 5.0
Call = dict[str, Any]
_RUNNING = ("position_s", "paused_s")
"""Fields that change all the time and that no page of the board shows."""


class Board:
    """The live calls, as the daemon reports them.

    Args:
        pulse: Source of the events.
        listed: Fetches the list of calls from the daemon; blocks.

    Attributes:
        asked: Counter that grows whenever an opt-out request may have changed.
        drained: Counter that grows whenever a drain's state has changed, or a node stops answering or answers again.
    """

    def __init__(self, pulse: Pulse, listed: Callable[[], list[Call]]) -> None:
        self._pulse = pulse
        self._listed = listed
        self._calls: dict[str, Call] = {}
        self._stream: int | None = None
        self._listing: asyncio.Task[None] | None = None
        self._meanwhile: list[Event] = []
        self._is_due = False
        self._listed_s = 0.0
        self.asked = self.drained = 0
        pulse.give_events_to(self._take)

    async def calls(self, *, is_first: bool = False) -> Mapping[str, Call]:
        """Return the live calls by id, oldest first. Call it after each beat of the pulse.

        A call that has not changed is the same object as before.

        Args:
            is_first: Whether a page begins, which needs a fresh list, not only events.

        Raises:
            DaemonUnavailableError: The calls are not known.
            DaemonRefusedError: The calls are not known.
        """
        if is_first:
            await asyncio.shield(self._list())
        while self._stream != self._pulse.stream:
            await asyncio.shield(self._list())
        if self._is_due or time.monotonic() - self._listed_s > LIST_EVERY_S:
            self._list()
        return self._calls

    def _list(self) -> "asyncio.Task[None]":
        """Fetch the list, once for all that wait for it."""
        if self._listing is None or self._listing.done():
            self._is_due, self._meanwhile = False, []
            self._listing = asyncio.create_task(self._ask(self._pulse.stream))
            self._listing.add_done_callback(_look_at)
        return self._listing

    async def _ask(self, stream: int) -> None:
        try:
            listed = await run_in_threadpool(self._listed)
        except BaseException:
            self._stream = None  # the next caller fetches again and gets the error
            raise
        before, self._calls = self._calls, {}
        for call in listed:
            self._put(call_of(call), call, before.get(call_of(call)))
        self.asked += any(_asked(before.get(one)) != _asked(call) for one, call in self._calls.items())
        self.drained += stream != self._stream  # events between two streams are lost
        # Events during the fetch may be newer than the list.
        for event in self._meanwhile:
            self._apply(event)
        self._stream, self._listed_s = stream, time.monotonic()

    def _take(self, event: Event) -> None:
        if self._listing is not None and not self._listing.done():
            self._meanwhile.append(event)
        self._apply(event)

    def _apply(self, event: Event) -> None:
        kind, call = event.get("event"), call_of(event)
        if kind == "ended":
            self.asked += _asked(self._calls.pop(call, None)) is not None
        elif kind == "call" and "state" in event:
            known = self._calls.get(call)
            self._put(call, {**event, "opt_out": _asked(known)}, known)
        elif kind in ("drain", "node"):
            self.drained += 1
            self._is_due = self._is_due or kind == "node"  # events of that node may have been lost
        elif kind in ("call", "opt_out", None):  # it does not describe the whole call
            self.asked += kind == "opt_out"
            self._is_due = True

    def _put(self, call_id: str, call: Call, known: Call | None) -> None:
        face = {key: value for key, value in call.items() if key not in (*_RUNNING, "event")}
        self._calls[call_id] = known if known == face and known is not None else face


def _asked(call: Call | None) -> Any:  # noqa: ANN401 - as the daemon says it
    return call.get("opt_out") if call else None


def _look_at(listing: "asyncio.Task[None]") -> None:
    """Retrieve the task's exception, because nobody may be waiting for it."""
    if not listing.cancelled():
        listing.exception()
