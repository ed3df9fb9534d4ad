"""The stream of the live calls page: only rows that changed are sent. On the event loop only."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from recorder.common.problems import ProblemError
from recorder.permissions import Person
from recorder.rules.live_access import Around, seen
from recorder.web.auth import ConsoleCaller
from recorder.web.board import Board, Call
from recorder.web.conversations import by_conversation
from recorder.web.live_rows import LiveRow, is_of_team, row_of
from recorder.web.parts import SignInNeededError
from recorder.web.pulse import AGAIN, BEAT, Pulse
from recorder.web.watchers import LOOK_EVERY_S

REQUESTS, DRAIN = (f"event: {what}\ndata: {{}}\n\n".encode() for what in ("requests", "drain"))
"""Tell the page to ask for the opt-out requests, and for the state of a drain."""
NO_CALL = "none"
"""Id of the row that says that there is no call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Who watches, and facts that their permissions depend on."""

    caller: ConsoleCaller
    around: Around


class BoardStream:
    """The stream of one page.

    Args:
        pulse: Signals possible changes.
        board: The calls.
        render: Renders rows for a person; without rows, the row that says that there is no call.
        ask: Identifies the watcher again; raises SignInNeededError or ProblemError if they may no longer watch.
        team: The team whose calls are sent; empty for all.
    """

    def __init__(
        self,
        pulse: Pulse,
        board: Board,
        *,
        render: Callable[[ConsoleCaller, Sequence[LiveRow]], str],
        ask: Callable[[], Awaitable[Watcher]],
        team: str = "",
    ) -> None:
        self._pulse = pulse
        self._board = board
        self._render = render
        self._ask = ask
        self._team = team
        self._sent: dict[str, tuple[Call, tuple[object, ...]]] = {}
        self._ids: list[str] = []
        self._asked = self._drained = -1  # a page begins by asking for both: they may have changed since it was loaded
        self._seen: dict[str, tuple[Call, Call | None]] = {}
        self._seer: tuple[Person, Around] | None = None

    async def events(self, watcher: Watcher) -> AsyncGenerator[bytes]:
        """Yield server-sent events: first all rows, then changed ones, with a beat while nothing changes.

        Ends when the person may no longer watch.

        Raises:
            DaemonUnavailableError: The daemon does not answer.
            DaemonRefusedError: The daemon answered with an error.
        """
        looking, looked_s = None, time.monotonic()
        start = AGAIN
        try:
            async with aclosing(self._pulse.beats()) as beats:
                async for _ in beats:
                    if looking is not None and looking.done():
                        watcher, looking, looked_s = looking.result(), None, time.monotonic()
                    elif looking is None and time.monotonic() - looked_s > LOOK_EVERY_S:
                        looking = asyncio.ensure_future(self._ask())  # concurrently, so that no change is delayed
                    calls = await self._board.calls(is_first=bool(start))
                    yield start + self._news(watcher.caller, by_conversation(self._shown(watcher, calls)))
                    start = b""
        except (SignInNeededError, ProblemError):
            return  # the page connects again and gets the error
        finally:
            if looking is not None:
                looking.cancel()

    def _news(self, caller: ConsoleCaller, calls: Mapping[str, Call]) -> bytes:
        rows, ids = self._changed(calls, caller.person), list(calls) or [NO_CALL]
        news = b""
        if rows or ids != self._ids:
            said: dict[str, Any] = {"html": self._render(caller, rows) if rows or not calls else ""}
            if ids != self._ids:
                said["ids"] = [f"call-{one}" for one in ids]
            self._ids = ids
            news += f"event: rows\ndata: {json.dumps(said)}\n\n".encode()
        if self._asked != self._board.asked:
            self._asked = self._board.asked
            news += REQUESTS
        if self._drained != self._board.drained:
            self._drained = self._board.drained
            news += DRAIN
        return news or BEAT

    def _shown(self, watcher: Watcher, calls: Mapping[str, Call]) -> list[Call]:
        """Return the calls as the person may see them; an unchanged call is the same object as before."""
        person = watcher.caller.person
        assert person is not None, "pages know sessions only, and those are people's"
        seer, before = (person, watcher.around), self._seen if self._seer == (person, watcher.around) else {}
        self._seer, self._seen = seer, {}
        for one, call in calls.items():
            known = before.get(one)
            is_same = known is not None and known[0] is call
            self._seen[one] = known if is_same and known is not None else (call, seen(person, call, watcher.around))
        return [shown for _, shown in self._seen.values() if shown is not None and is_of_team(shown, self._team)]

    def _changed(self, calls: Mapping[str, Call], person: Person | None) -> list[LiveRow]:
        """Return the rows that differ from what was sent, or were not sent yet."""
        changed: list[LiveRow] = []
        self._sent = {one: sent for one, sent in self._sent.items() if one in calls}
        for one, call in calls.items():
            known = self._sent.get(one)
            if known is not None and known[0] is call:
                continue
            row = row_of(call, person)
            self._sent[one] = call, row.key
            if known is None or known[1] != row.key:
                changed.append(row)
        return changed
