"""What the page of live calls is sent: what changed and nothing else, to whoever may see it, while they may."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from recorder.common.problems import ProblemError
from recorder.control.errors import DaemonUnavailableError
from recorder.permissions import Person, Role, Scope
from recorder.rules.live_access import Around
from recorder.web import board, board_stream, watchers
from recorder.web.auth import ConsoleCaller
from recorder.web.board import Board
from recorder.web.board_stream import BoardStream, Watcher
from recorder.web.live_rows import LiveRow
from recorder.web.pulse import BEAT, Pulse
from tests.helpers.accounts import PASSWORD, add_token
from tests.helpers.console_site import CALL, Browser, Console, console_site
from tests.helpers.recorder_home import HANGS_S

NUMBER = "02079460000"
MANAGER = Person(name="rhea", display_name="Rhea", roles=frozenset({Role.MANAGER}), teams=("Revenues",))


def call(name: str, state: str = "recording", **more: Any) -> dict[str, Any]:
    return {
        "call": name, "id": name, "state": state, "extension": "2001", "operator": "Ann", "team": "Revenues",
        "extensions": ["2001"], "operators": ["Ann"], "extensions_now": ["2001"], "operators_now": ["Ann"],
        "teams_now": ["Revenues"], "configured_now": ["2001"],
        "started_at": "2026-07-01T09:00:00Z", "caller": "", "called": "", "position_s": 1.0, "opt_out": None, **more,
    }  # fmt: skip


class Source:
    """The daemon: its list, and events that a test says."""

    def __init__(self) -> None:
        self.listed = [call("a"), call("b")]
        self.lists = 0
        self.is_broken = False
        self.is_asked = threading.Event()
        self.may_list = threading.Event()
        self.may_list.set()
        self.said: asyncio.Queue[bytes] = asyncio.Queue()

    async def events(self) -> AsyncGenerator[bytes]:
        yield b": listening\n\n"
        while True:
            try:
                yield await asyncio.wait_for(self.said.get(), 0.05)
            except TimeoutError:
                yield b": still here\n\n"

    def calls(self) -> list[dict[str, Any]]:
        self.lists += 1
        self.is_asked.set()
        if self.is_broken:
            raise DaemonUnavailableError("gone")
        found = list(self.listed)
        self.may_list.wait(HANGS_S)
        return found

    async def tell(self, *events: dict[str, Any]) -> None:
        for event in events:
            await self.said.put(f"data: {json.dumps(event)}\n\n".encode())


def _watcher(person: Person) -> Watcher:
    return Watcher(caller=ConsoleCaller(actor=person, session=None), around=Around())


class Page:
    """A page's stream, read one step after the other."""

    def __init__(self, pulse: Pulse, known: Board, person: Person = MANAGER) -> None:
        self.person: Person | None = person
        stream = BoardStream(pulse, known, render=self._render, ask=self._ask)
        self._events = stream.events(_watcher(person))

    async def next(self) -> dict[str, Any]:
        """Return the next that is no beat, as JSON: rows by their words, ids, and what else changed."""
        while (sent := await asyncio.wait_for(anext(self._events), HANGS_S)) == BEAT:
            pass
        found: dict[str, Any] = {"requests": b"event: requests" in sent}
        if b"event: drain" in sent:
            found["drain"] = True
        for one in sent.decode().split("\n\n"):
            kind, _, said = one.partition("\ndata: ")
            if kind == "event: rows":
                found |= json.loads(said)
        return found

    async def close(self) -> None:
        await self._events.aclose()

    async def _ask(self) -> Watcher:
        if self.person is None:
            raise ProblemError(403, "You may not.")
        return _watcher(self.person)

    @staticmethod
    def _render(_caller: ConsoleCaller, rows: Sequence[LiveRow]) -> str:
        return " ".join(f"{row.call['call']}:{row.call['state']}:{row.may_opt_out:d}" for row in rows) or "no calls"


def play(course: Callable[[Source, Pulse, Board], Awaitable[None]]) -> None:
    async def begin() -> None:
        source = Source()
        pulse = Pulse(source.events)
        await course(source, pulse, Board(pulse, source.calls))

    asyncio.run(begin())


def test_a_drain_is_told_when_it_changes_and_to_pages_that_have_begun() -> None:
    async def course(source: Source, pulse: Pulse, known: Board) -> None:
        page = Page(pulse, known)
        assert (await page.next())["drain"], "it may have changed since the page was loaded"
        await source.tell({"event": "drain", "state": "draining", "calls": 2})
        assert await page.next() == {"requests": False, "drain": True}
        await source.tell({"event": "drain", "state": "draining", "calls": 1})
        assert await page.next() == {"requests": False, "drain": True}
        pulse.stream += 1  # another stream of the daemon's: what it said in between is lost
        assert await page.next() == {"requests": False, "drain": True}
        await page.close()

    play(course)


def test_a_change_is_one_row_and_the_daemon_is_not_asked() -> None:
    async def course(source: Source, pulse: Pulse, known: Board) -> None:
        page, other = Page(pulse, known), Page(pulse, known)
        first = {"html": "a:recording:1 b:recording:1", "ids": ["call-a", "call-b"], "requests": True, "drain": True}
        assert [*await asyncio.gather(page.next(), other.next())] == [first, first]
        lists = source.lists
        await source.tell({"event": "call", **call("b", "paused", paused_s=0.1)})
        paused = {"html": "b:paused:1", "requests": False}
        assert [*await asyncio.gather(page.next(), other.next())] == [paused, paused]
        await source.tell({"event": "call", **call("b", "paused", paused_s=9.0, position_s=5.0)})
        await source.tell({"event": "call", **call("c")})
        assert await page.next() == {"html": "c:recording:1", "ids": ["call-a", "call-b", "call-c"], "requests": False}
        await source.tell({"event": "ended", "id": "a"}, {"event": "alarm", "alarm": "x", "id": "b"})
        assert await page.next() == {"html": "", "ids": ["call-b", "call-c"], "requests": False}
        await source.tell({"event": "ended", "id": "b"}, {"event": "ended", "id": "c"})
        ended = await page.next()
        while ended["html"] == "":  # it may hear of one after the other
            ended = await page.next()
        assert ended == {"html": "no calls", "ids": ["call-none"], "requests": False}
        assert source.lists == lists
        await page.close()
        await other.close()

    play(course)


def test_what_is_told_while_the_list_comes_is_newer_than_the_list() -> None:
    async def course(source: Source, pulse: Pulse, known: Board) -> None:
        source.may_list.clear()
        heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        pulse.give_events_to(heard.put_nowait)  # after the board
        page = Page(pulse, known)
        first = asyncio.ensure_future(page.next())
        assert await asyncio.to_thread(source.is_asked.wait, HANGS_S)
        await source.tell({"event": "call", **call("b", "paused")}, {"event": "ended", "id": "a"})
        for _ in range(2):
            await asyncio.wait_for(heard.get(), HANGS_S)
        source.may_list.set()
        assert await first == {"html": "b:paused:1", "ids": ["call-b"], "requests": True, "drain": True}
        await page.close()

    play(course)


def test_what_was_told_in_no_event_shows_by_the_next_list(monkeypatch: pytest.MonkeyPatch) -> None:
    async def course(source: Source, pulse: Pulse, known: Board) -> None:
        page = Page(pulse, known)
        await page.next()
        source.listed = [call("b"), call("a", "blocked", opt_out={"id": "r", "state": "raised"})]
        monkeypatch.setattr(board, "LIST_EVERY_S", 0.0)
        assert await page.next() == {"html": "a:blocked:0", "ids": ["call-b", "call-a"], "requests": True}
        await page.close()

    play(course)


def test_a_request_has_the_list_and_the_requests_asked_for() -> None:
    async def course(source: Source, pulse: Pulse, known: Board) -> None:
        page = Page(pulse, known)
        await page.next()
        await source.tell({"event": "opt_out", "id": "r", "call": "a", "state": "raised"})
        source.is_asked.clear()
        assert (await page.next())["requests"]
        assert await asyncio.to_thread(source.is_asked.wait, HANGS_S)
        await page.close()

    play(course)


def test_a_list_that_does_not_come_is_told_to_the_page_and_asked_for_again() -> None:
    async def course(source: Source, pulse: Pulse, known: Board) -> None:
        page = Page(pulse, known)
        await page.next()
        source.is_broken = True
        await source.tell({"event": "call", "call": "x"})
        with pytest.raises(DaemonUnavailableError):
            await page.next()
        source.is_broken = False
        again = Page(pulse, known)
        assert (await again.next())["ids"] == ["call-a", "call-b"]
        await again.close()

    play(course)


def test_who_may_no_longer_is_sent_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def course(source: Source, pulse: Pulse, known: Board) -> None:
        monkeypatch.setattr(board_stream, "LOOK_EVERY_S", 0.0)
        page = Page(pulse, known)
        await page.next()
        page.person = Person(name="rhea", display_name="Rhea", roles=frozenset({Role.OFFICER}))
        assert (await page.next())["ids"] == ["call-none"], "what she may see has changed"
        page.person = None
        with pytest.raises(StopAsyncIteration):
            await page.next()

    play(course)


def test_a_board_that_is_limited_to_a_team_is_sent_no_other() -> None:
    async def course(source: Source, pulse: Pulse, known: Board) -> None:
        person = replace(MANAGER, teams=("Revenues", "Benefits"))
        stream = BoardStream(pulse, known, render=Page._render, ask=_never, team="Benefits")
        source.listed = [call("a"), call("b", team="Benefits", teams_now=["Benefits"])]
        events = stream.events(_watcher(person))
        assert b"b:recording:1" in (first := await anext(events))
        assert b"call-a" not in first
        await events.aclose()

    play(course)


async def _never() -> Watcher:
    raise AssertionError("nobody is asked so soon")


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with console_site(tmp_path) as running:
        yield running


def sent(lines: Iterator[str], words: str) -> dict[str, Any]:
    """Read on until the rows that are sent say something."""
    for line in lines:
        if line.startswith("data: {") and words in (said := json.loads(line.removeprefix("data: "))).get("html", ""):
            return dict(said)
    raise AssertionError(f"the stream ended without {words}")


def test_each_is_sent_their_own_rows(console: Console) -> None:
    def watched(browser: Browser, name: str) -> str:
        browser.sign_in(name)
        with browser.stream("GET", "/live/changes") as answer:
            html = str(sent(answer.iter_lines(), CALL)["html"])
            assert (f'name="csrf" value="{browser.csrf}"' in html) == (name != "ict")
            return html

    console.people.add("olga", PASSWORD, roles={Role.OFFICER}, teams=["Revenues"])
    with console.browser() as manager, console.browser() as officer, console.browser() as ict:
        manager.sign_in("revenues")
        manager.submit(f"/live/{CALL}/opt-out-request")
        console.daemon.requests.append({**console.daemon._call(), "id": "r", "state": "raised"})
        whole = watched(manager, "revenues")
        assert "Opt-out asked for" in whole
        assert "&lt;b&gt;Ann" in whole
        assert NUMBER in whole
        for browser, name in ((officer, "olga"), (ict, "ict")):
            part = watched(browser, name)
            assert ("Extension 2001</span>" in part, "Pause<span" in part) == (True, name == "olga")
            for hidden in ("Opt-out asked for", "&lt;b&gt;Ann", NUMBER, "Resume<span"):
                assert hidden not in part


def test_the_stream_ends_for_who_signed_out(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_stream, "LOOK_EVERY_S", 0.2)
    with console.browser() as browser:
        browser.sign_in("revenues")
        with browser.stream("GET", "/live/changes") as answer:
            lines = answer.iter_lines()
            sent(lines, CALL)
            console.deps.sessions.end_all("revenues")
            with pytest.raises(AssertionError, match="the stream ended"):
                sent(lines, "never said")
        assert browser.get("/live/changes").headers["location"] == "/sign-in"


def ends(answer: httpx2.Response) -> bool:
    """Tell whether a stream ends and does not only go on with beats."""
    until = time.monotonic() + HANGS_S
    return all(time.monotonic() < until for _ in answer.iter_bytes())


@pytest.mark.parametrize("path", ["/api/events", "/agent/changes"])
def test_no_stream_outlasts_the_session(console: Console, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(watchers, "LOOK_EVERY_S", 0.2)
    with console.browser() as browser:
        browser.sign_in("officer")
        with browser.stream("GET", path) as answer:
            assert answer.status_code == 200
            console.deps.sessions.end_all("officer")
            assert ends(answer)


def test_no_stream_outlasts_its_token(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers, "LOOK_EVERY_S", 0.2)
    new = add_token(console.deps.tokens, "wall", scopes=[Scope.CALLS_READ])
    with console.browser() as wall:
        wall.headers["Authorization"] = f"Bearer {new.secret}"
        with wall.stream("GET", "/api/events") as answer:
            console.deps.tokens.revoke("wall")
            assert ends(answer)


def test_nobody_has_more_streams_than_the_daemon_can_spare(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers, "MOST_STREAMS", 3)
    with console.browser() as browser, console.browser() as other, contextlib.ExitStack() as streams:
        browser.sign_in("revenues")
        other.sign_in("officer")
        for path in ("/api/events", "/agent/changes", "/live/changes"):
            assert streams.enter_context(browser.stream("GET", path)).status_code == 200
        assert browser.get("/api/events").status_code == 429
        assert browser.get("/live/changes").status_code == 429
        assert browser.get("/live/rows").status_code == 200
        with other.stream("GET", "/api/events") as answer:
            assert answer.status_code == 200, "others have their own"
        streams.close()
        until = time.monotonic() + HANGS_S
        while _status(browser, "/api/events") == 429:
            assert time.monotonic() < until, "a stream that was left is counted no more"


def _status(browser: Browser, path: str) -> int:
    with browser.stream("GET", path) as answer:
        return answer.status_code
