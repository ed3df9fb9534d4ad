"""The agent page without its script, and the beats that its script waits for."""

import asyncio
import os
import re
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recorder.control.client import LiveClient
from recorder.control.errors import DaemonRefusedError, DaemonUnavailableError
from recorder.permissions import Role
from recorder.rules.call_target import ExtensionTarget
from recorder.web.pulse import BEAT, CHANGED, Pulse
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState
from storage.types import RecordingId
from tests.helpers.accounts import PASSWORD, Clock
from tests.helpers.console_site import CALL, WITHOUT_SECOND_FACTOR, Browser, Console, console_site
from tests.helpers.starvation import stopwatch
from tests.helpers.storage_home import ID


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with console_site(tmp_path) as running:
        running.people.add("ann", PASSWORD, display_name="<b>Ann</b>", roles={Role.OFFICER}, extension="2001")
        running.people.add("seated", PASSWORD, display_name="Sam Seated", roles={Role.OFFICER})
        yield running


@pytest.fixture
def ann(console: Console) -> Iterator[Browser]:
    with console.browser() as browser:
        browser.sign_in("ann")
        yield browser


def words(html: str) -> str:
    found = re.search(r'id="agent-words">([^<]+)<', html)
    assert found is not None, html
    return found[1]


def test_whoever_sits_at_a_recorded_phone_begins_there(console: Console) -> None:
    console.daemon.agents_rows.append(
        {"extension": "2009", "operator": "Sam Seated", "service": "", "is_signed_on": True}
    )
    for name, path in (("ann", "/agent"), ("seated", "/agent"), ("officer", "/live"), ("dpo", "/live")):
        with console.browser() as browser:
            assert browser.sign_in(name).headers["location"] == path, name
            assert browser.get("/").headers["location"] == path, name


def signed_on(number: str, *, is_proven: bool = True) -> dict[str, Any]:
    return {
        "extension": number, "operator": "<b>Ann</b>", "service": "", "is_signed_on": True, "is_proven": is_proven,
        "until": "2026-07-01T18:00:00Z",
    }  # fmt: skip


def test_signing_on_is_for_oneself_or_shows_the_code_to_key_at_the_phone(console: Console, ann: Browser) -> None:
    assert "Enter the extension" in ann.submit("/agent/sign-on").text
    assert "signed on at extension 2009" in ann.submit("/agent/sign-on", extension=" 2009 ").text
    shown = ann.submit("/agent/sign-on", extension="2010")
    assert shown.status_code == 200
    assert "<kbd>*7271828#</kbd>" in shown.text
    assert "Bob is at that phone" in shown.text
    assert 'http-equiv="refresh"' not in shown.text, "the code does not go away while it is keyed"
    with console.browser() as officer:
        officer.sign_in("officer")
        officer.submit("/agent/sign-on", extension="2001")
    heard = [(what, who, body) for what, who, _, body in console.daemon.heard if what.startswith("sign-on")]
    assert [(what, who, body["person"]["display_name"], body["is_anothers"]) for what, who, body in heard] == [
        ("sign-on 2009", "ann", "<b>Ann</b>", False), ("sign-on 2010", "ann", "<b>Ann</b>", False),
        ("sign-on 2001", "officer", "Olive Officer", True),
    ]  # fmt: skip
    with console.browser() as dpo:
        dpo.sign_in("dpo")
        assert 'action="/agent/sign-on"' not in dpo.get("/agent").text
        assert dpo.submit("/agent/sign-on", extension="2009").status_code == 403


def test_the_page_says_where_one_is_signed_on_and_who_took_a_phone_over(console: Console, ann: Browser) -> None:
    assert ann.submit("/agent/sign-off", extension="2001").status_code == 409, "she has not signed on there"
    console.daemon.agents_rows.append(signed_on("2009"))
    page = ann.get("/agent").text
    assert "signed on at extension 2009 until 7pm" in page
    assert "Show a code for 2009" not in page
    assert "signed off from extension 2009" in ann.submit("/agent/sign-off", extension="2009").text
    console.daemon.agents_rows[-1] = signed_on("2009", is_proven=False)
    assert "Show a code for 2009" in ann.get("/agent").text
    console.daemon.takeovers = [
        {"extension": "2001", "operator": "Bob", "instead_of": "<b>Ann</b>", "at": "2026-07-01T08:00:00Z"},
        {"extension": "2009", "operator": "<b>Ann</b>", "instead_of": "Dan", "at": "2026-07-01T08:30:00Z"},
        {"extension": "2010", "operator": "Eve", "instead_of": "Dan", "at": "2026-07-01T08:40:00Z"},
    ]
    page = ann.get("/agent").text
    assert "Bob took over extension 2001 from you" in page
    assert "you took over extension 2009 from Dan" in page
    assert "2010" not in page


def test_the_page_says_that_an_extension_names_its_officer_otherwise(console: Console, ann: Browser) -> None:
    assert "are not found as yours" not in ann.get("/agent").text
    console.daemon.agents_rows[0] |= {"operator": "ann"}
    assert "calls there are not found as yours" in ann.get("/agent").text


def test_once_a_year_the_page_asks_and_never_before_the_button(console: Console, ann: Browser) -> None:
    page = ann.get("/agent").text
    assert "I have been told" in page
    assert page.index('id="agent-button"') < page.index("I have been told")
    assert "http-equiv" in page, "the page goes on showing how the call stands"
    assert words(ann.submit("/agent/pause").text) == "Paused", "it keeps nobody from pausing"
    with console.browser() as dpo:
        dpo.sign_in("dpo")
        assert "not acknowledged it in the last year: ann" in dpo.get("/overview").text
    days = {console.deps.cases.today}
    said = ann.submit("/agent/told").text
    assert "The date has been recorded" in said
    assert "I have been told" not in said
    assert "I have been told" not in ann.get("/agent").text
    days.add(console.deps.cases.today)
    told_on = console.deps.acknowledgements.day_of("ann")
    assert told_on is not None and told_on in days
    (entry,) = console.entries("people.told_of_recording")
    assert (entry.actor, entry.subject, entry.details["on_day"]) == ("ann", "ann", told_on.isoformat())
    console.deps.acknowledgements.acknowledge("ann", told_on - timedelta(days=365), enter=lambda _: None)
    assert "I have been told" in ann.get("/agent").text
    with console.browser() as dpo:
        dpo.sign_in("dpo")
        assert "I have been told" not in dpo.get("/agent").text, "they sit at no phone that is recorded"


def test_a_call_stays_on_the_page_of_its_officer_when_the_sign_on_is_over(console: Console, ann: Browser) -> None:
    """Somebody has taken the phone over, or the working day has ended: whose call it is they can still pause."""
    console.daemon.agents_rows[0] = {"extension": "2001", "operator": "Bob", "service": "", "is_signed_on": True}
    assert words(ann.get("/agent").text) == "Recording"
    assert words(ann.submit("/agent/pause").text) == "Paused"


def test_it_pauses_and_resumes_what_is_at_the_phone(console: Console, ann: Browser) -> None:
    page = ann.get("/agent").text
    assert words(page) == "Recording"
    assert "Since 10am" in page
    assert 'action="/agent/pause"' in page
    paused = ann.submit("/agent/pause").text
    assert words(paused) == "Paused"
    assert "Paused for 0:01. An alarm is raised in 9:59 if it is still paused" in paused
    assert "at most" not in paused, "nothing ends a pause but a person"
    assert 'action="/agent/resume"' in paused
    assert words(ann.submit("/agent/resume").text) == "Recording"
    assert [(what, who) for what, who, *_ in console.daemon.heard] == [("pause 2001", "ann"), ("resume 2001", "ann")]
    assert ann.submit("/agent/other").status_code == 404
    assert ann.post("/agent/pause", data={"csrf": "x"}).status_code == 403


def test_what_a_pause_erases_stays_on_the_page_as_the_daemon_said_it(
    console: Console, ann: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    erases = "the last 3 seconds before"
    assert erases not in ann.get("/agent").text.lower(), "the daemon did not say it"
    call = {**console.daemon._call(), "pause_erases_s": 3.0}
    listed = [call]
    monkeypatch.setattr(console.daemon, "calls_rows", lambda: listed)
    assert f"When you pause, {erases} you press will be erased too." in ann.get("/agent").text
    listed[:] = [{**call, "state": "paused", "reasons": ["agent"]}]
    assert f"{erases} the pause will not be in the recording." in ann.get("/agent/state").text.lower()
    listed[:] = [{**call, "state": "paused", "reasons": ["hold"]}]
    assert erases not in ann.get("/agent").text.lower(), "a hold erases nothing"
    listed[:] = [{**call, "pause_discards": True}]
    page = ann.get("/agent").text
    assert "the whole recording of this call is erased, unless it has to be kept" in page
    assert erases not in page


def test_what_was_ordered_to_be_erased_stays_on_the_page_until_it_is_gone(console: Console, ann: Browser) -> None:
    heading = "To be erased once the call has ended"
    assert heading not in ann.get("/agent").text
    order = ErasureOrder(
        id="0badcafe", recording=RecordingId(CALL), start_s=10.0, end_s=90.0, kind=ErasureKind.CARD_DATA,
        ordered_by="ann", ordered_at=datetime.now(UTC), state=ErasureState.WAITING,
    )  # fmt: skip
    console.deps.repos.erasures.place(order)
    for page in (ann.get("/agent").text, ann.get("/agent/state").text):
        assert heading in page
        assert "1 minute 20 seconds, from 0:10 to 1:30 of the recording. A second person has to confirm" in page
    console.deps.repos.erasures.decide(order.id, by="dpo", at=datetime.now(UTC), confirm=False)
    assert heading not in ann.get("/agent").text
    with console.browser() as other:
        other.sign_in("officer")
        assert heading not in other.get("/agent").text


def test_the_last_call_is_there_with_what_was_forgotten(console: Console) -> None:
    index, now = console.deps.copy_repositories.index, datetime.now(UTC)
    row = index.get(ID)
    with console.browser() as olive, console.browser() as other:
        olive.sign_in("officer")
        other.sign_in("other")
        index.save(replace(row, ended_at=row.started_at + timedelta(seconds=3)))
        assert "Your last call" not in olive.get("/agent").text, "it was days ago"
        index.save(replace(row, started_at=now - timedelta(minutes=9), ended_at=now - timedelta(minutes=4)))
        forgot = f"/agent/recordings/{ID}/forgot"
        for page in (olive.get("/agent").text, olive.get("/agent/last-call").text):
            assert "Your last call" in page
            assert f'href="{forgot}"' in page
        assert "Your last call" not in other.get("/agent").text
        seen = [(entry.actor, entry.subject) for entry in console.entries("recording.view")]
        assert seen == [("officer", ID)], "once, however often the page looks"

        form = olive.get(forgot).text
        assert " checked" not in form
        refused = olive.submit(forgot)
        assert (refused.status_code, 'href="#span"' in refused.text) == (422, True)
        assert other.get(forgot).status_code == 404
        assert other.submit(forgot, span="30").status_code in {403, 404}
        assert console.deps.repos.erasures.of_recording(RecordingId(ID)) == []
        assert "nobody can play the recording" in olive.submit(forgot, span="all").text
        (order,) = console.deps.repos.erasures.of_recording(RecordingId(ID))
        assert (order.ordered_by, order.start_s) == ("officer", 0.0)


def test_a_call_that_cannot_be_paused_keeps_no_other_phone_from_it(
    console: Console, ann: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Her own phone has a call whose recording has ended for good; she talks at the one where she signed on."""
    for number in ("2009", "2010"):
        console.daemon.agents_rows.append(signed_on(number))
    asked = []

    def pause(_self: LiveClient, target: ExtensionTarget, **_: Any) -> dict[str, Any]:
        number = target.number
        asked.append(number)
        if number != "2009":
            raise DaemonRefusedError({"2001": 409, "2010": 404}[number], {"detail": f"Not at {number}."})
        return {"calls": []}

    monkeypatch.setattr(LiveClient, "pause", pause)
    page = ann.submit("/agent/pause")
    assert asked == ["2001", "2009", "2010"]
    assert (page.status_code, "Not at 2001." in page.text) == (409, True)


def test_somebody_else_at_ones_phone_keeps_it(console: Console, ann: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    console.daemon.agents_rows[0] = {"extension": "2001", "operator": "Bob", "service": "", "is_signed_on": True}
    rows = [{**row, "operators_now": ["Bob"], "configured_now": []} for row in console.daemon.calls_rows()]
    monkeypatch.setattr(console.daemon, "calls_rows", lambda: rows)
    page = ann.get("/agent").text
    assert words(page) == "No call"
    assert "You are not at an extension that is recorded" in page
    assert ann.submit("/agent/pause").status_code == 404
    assert console.daemon.heard == []


def test_forgetting_pauses_first_and_asks_then(console: Console, ann: Browser) -> None:
    form = ann.submit("/agent/forgot").text
    assert 'action="/agent/forgot"' in form
    assert "recording of your call: paused" in form
    assert [what for what, *_ in console.daemon.heard] == ["pause 2001"]
    done = ann.submit("/agent/forgot", span="60", paused_at=str(int(time.time()) - 5)).text
    assert words(done) == "Paused"
    what, who, _, body = console.daemon.heard[-1]
    assert (what, who) == ("forgot 2001", "ann")
    assert 65 <= body["seconds"] <= 75


def test_the_caller_asks_not_to_be_recorded(console: Console, ann: Browser) -> None:
    assert "A manager has been asked" in ann.submit(f"/agent/calls/{CALL}/opt-out-request").text
    page = ann.get("/agent").text
    assert "A manager was asked to end the recording" in page
    assert "opt-out-request" not in page
    console.daemon.state = "opted_out"
    page = ann.get("/agent").text
    assert words(page) == "Not recorded"
    assert "the caller opted out" in page
    assert 'aria-disabled="true"' in page


def test_the_second_message_is_played_on_request(console: Console, ann: Browser) -> None:
    button = f'action="/agent/calls/{CALL}/second-message"'
    assert button in ann.get("/agent").text
    done = ann.submit(f"/agent/calls/{CALL}/second-message")
    assert "does not hear the officer until it ends" in done.text
    assert "The caller hears the second message, and cannot hear you" in done.text
    assert button not in done.text, "it plays"
    again = ann.submit(f"/agent/calls/{CALL}/second-message")
    assert (again.status_code, "already" in again.text) == (409, True)
    console.daemon.second_message = "played"
    page = ann.get("/agent").text
    assert "The second message was played" in page
    assert button in page, "a caller may ask again"
    console.daemon.second_message = "off"
    assert button not in ann.get("/agent").text
    assert [(what, who) for what, who, *_ in console.daemon.heard] == [(f"second-message {CALL}", "ann")] * 2
    ann.headers["X-CSRF-Token"] = ann.csrf
    console.daemon.second_message = "ready"
    by_number = ann.post("/api/extensions/2001/second-message", json={"reason": ""})
    assert [one["call"] for one in by_number.json()["calls"]] == [CALL]


def test_nothing_is_said_that_the_daemon_did_not_say(console: Console, ann: Browser) -> None:
    console.daemon.is_stalled = True
    page = ann.submit("/agent/pause")
    assert page.status_code == 504
    assert words(page.text) == "Not confirmed"
    took_s = stopwatch(os.getpid())  # console and daemon are threads of this process
    answer = ann.get("/agent/state")
    assert (answer.status_code, took_s() < 2.0) == (504, True)


def test_a_role_that_sees_no_live_calls_sees_no_agent_page(console: Console) -> None:
    console.people.add("nobody", PASSWORD, display_name="Nobody", roles=set(), extension="2001")
    with console.browser() as browser:
        browser.sign_in("nobody")
        assert browser.get("/agent").status_code == 403
        assert browser.get("/agent/state").status_code == 403
        assert browser.submit("/agent/pause").status_code == 403
    with console.browser() as stranger:
        assert stranger.get("/agent").headers["location"] == "/sign-in"
        assert stranger.get("/agent/changes").headers["location"] == "/sign-in"
        assert stranger.get("/accessibility").status_code == 200


def test_the_stream_beats_while_the_daemon_lives(console: Console, ann: Browser) -> None:
    with ann.stream("GET", "/agent/changes") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = (line for line in answer.iter_lines() if line.startswith(("data", "event")))
        assert next(lines) == "data: changed"
        assert "event: beat" in (next(lines), next(lines), next(lines))


def test_pages_share_one_stream_and_hear_of_their_own_calls_only() -> None:
    opened: list[asyncio.Queue[bytes | None]] = []

    async def events() -> AsyncGenerator[bytes]:
        opened.append(asyncio.Queue())
        yield b": listening\n\n"
        while (chunk := await opened[-1].get()) is not None:
            yield chunk
        raise DaemonUnavailableError("gone")

    async def play() -> None:
        pulse = Pulse(events)
        ann, bob = pulse.watch(["2001"]), pulse.watch(["2002"])
        first = await asyncio.gather(anext(ann), anext(bob))
        assert all(CHANGED in one for one in first)
        assert len(opened) == 1

        async def told(chunk: bytes) -> list[bytes]:
            waiting = [asyncio.ensure_future(anext(one)) for one in (ann, bob)]
            await asyncio.sleep(0)
            await opened[0].put(chunk)
            return await asyncio.gather(*waiting)

        assert await told(b": still here\n\n") == [BEAT, BEAT]
        begins = b'data: {"event": "call", "call": "c", "extensions_now": ["2001"]}\n\n'
        assert await told(begins) == [CHANGED, BEAT]
        assert await told(b'data: {"event": "opt_out", "id": "r", "call": "c"}\n\n') == [CHANGED, BEAT]
        moved = b'data: {"event": "call", "call": "c", "extensions_now": ["2002"]}\n\n'
        assert await told(moved[:30]) == [BEAT, BEAT], "half of an event says nothing yet"
        assert await told(moved[30:]) == [CHANGED, CHANGED]
        assert await told(b'data: {"event": "ended", "id": "c"}\n\n') == [BEAT, CHANGED]
        assert await told(b"data: no json\n\n") == [CHANGED, CHANGED]

        waiting = [asyncio.ensure_future(anext(one)) for one in (ann, bob)]
        await asyncio.sleep(0)
        await opened[0].put(None)
        lost = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(one) for one in lost] == [DaemonUnavailableError] * 2
        again = pulse.watch(["2001"])
        assert CHANGED in await anext(again)
        assert len(opened) == 2
        await again.aclose()

    asyncio.run(play())


def test_nobody_is_signed_out_in_the_middle_of_a_call(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 11, 25, 9, 0, tzinfo=UTC))
    short = replace(WITHOUT_SECOND_FACTOR, longest_hours=2.0)
    with console_site(tmp_path, now=clock, options=short) as console, console.browser() as ann:
        console.people.add("ann", PASSWORD, display_name="Ann", roles={Role.OFFICER}, extension="2001")
        ann.sign_in("ann")
        for _ in range(15 * 3):
            clock.time += timedelta(minutes=4)
            assert ann.get("/agent/state").status_code == 200
        assert ann.submit("/agent/pause").status_code == 200
        console.daemon.agents_rows.clear()  # no phone, so no call of hers
        clock.time += timedelta(minutes=31)
        assert ann.get("/agent/state").headers["location"] == "/sign-in"


def test_how_long_is_left_is_told_and_asking_is_no_activity(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 11, 25, 9, 0, tzinfo=UTC))
    with console_site(tmp_path, is_daemon_up=False, now=clock) as console, console.browser() as dpo:
        assert dpo.get("/api/session").status_code == 401
        dpo.sign_in("dpo")
        clock.time += timedelta(minutes=20)
        assert dpo.get("/api/session").json() == {"idle_left_s": 600, "left_s": 11 * 3600 + 2400}
        assert dpo.post("/api/session").status_code == 403, "another page does not keep it alive"
        kept = dpo.post("/api/session", headers={"X-CSRF-Token": dpo.csrf})
        assert kept.json()["idle_left_s"] == 1800
        clock.time += timedelta(minutes=25)
        assert dpo.get("/api/session").json()["idle_left_s"] == 300
        clock.time += timedelta(minutes=5)
        assert dpo.get("/api/session").status_code == 401
