"""The live page as officers and managers use it without its script: opt-outs, and a pause that was forgotten."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.permissions import Role, Scope
from tests.helpers.accounts import PASSWORD, Clock, add_token
from tests.helpers.console_site import CALL, Browser, Console, console_site

ASK = f'action="/live/{CALL}/opt-out-request"'
RETROACTIVE_PAUSE = f'action="/live/{CALL}/forgot"'
SECOND = f'action="/live/{CALL}/second-message"'
DIRECT = f'href="/live/{CALL}/opt-out"'
DECIDE = 'action="/opt-outs/00000000"'
GRANT = {"caller_asked": "yes", "distress_judged": "yes", "reason": "caller is very upset"}


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 25, 9, 0, tzinfo=UTC))


@pytest.fixture
def console(tmp_path: Path, clock: Clock) -> Iterator[Console]:
    with console_site(tmp_path, now=clock) as running:
        # The officer of the call that the daemon lists.
        running.people.add("ann", PASSWORD, display_name="<b>Ann</b>", roles={Role.OFFICER})
        yield running


@pytest.fixture
def ann(console: Console) -> Iterator[Browser]:
    with console.browser() as browser:
        browser.sign_in("ann")
        yield browser


@pytest.fixture
def manager(console: Console) -> Iterator[Browser]:
    with console.browser() as browser:
        browser.sign_in("revenues")
        yield browser


def sent(console: Console) -> tuple[str, str | None, dict[str, object]]:
    what, actor, _, body = console.daemon.heard[-1]
    return what, actor, body


@pytest.mark.parametrize(
    ("name", "may_ask", "may_forget", "may_opt_out", "may_play_second"),
    [
        ("ann", True, True, False, True), ("officer", False, False, False, False),
        ("revenues", False, False, True, True), ("housing", False, False, False, False),
        ("dpo", False, False, False, False), ("lead", False, False, True, True),
        ("admin", False, False, False, False), ("ict", False, False, False, False),
    ],
)  # fmt: skip
def test_each_sees_what_they_may_do(
    console: Console, name: str, may_ask: bool, may_forget: bool, may_opt_out: bool, may_play_second: bool
) -> None:
    with console.browser() as browser:
        browser.sign_in(name)
        page = browser.get("/live").text
        assert (ASK in page, RETROACTIVE_PAUSE in page, DIRECT in page) == (may_ask, may_forget, may_opt_out)
        assert (SECOND in page) == may_play_second


def test_the_board_is_limited_to_a_team_without_a_script(
    console: Console, monkeypatch: pytest.MonkeyPatch, manager: Browser
) -> None:
    first = console.daemon._call()
    other = {**first, "call": f"{CALL}b", "operator": "Bea", "team": "Benefits", "teams_now": ["Benefits"]}
    monkeypatch.setattr(console.daemon, "calls_rows", lambda: [first, other])
    console.daemon.agents_rows.append({**console.daemon.agents_rows[0], "extension": "2", "team": "Benefits & Co"})
    with console.browser() as dpo:
        dpo.sign_in("dpo")
        page = dpo.get("/live").text
        assert "<option>Benefits &amp; Co</option>" in page, "a team without a call"
        assert "<option>Benefits</option>" in page, "a team without a phone of its own"
        assert (">Bea<" in page, "&lt;b&gt;Ann" in page) == (True, True)
        page = dpo.get("/live", params={"team": "Benefits"}).text
        assert (">Bea<" in page, "&lt;b&gt;Ann" in page) == (True, False)
        assert "<option selected>Benefits</option>" in page
        assert 'content="10;url=/live?team=Benefits"' in page
        assert 'name="team" value="Benefits"' in page, "an act comes back to the same board"
        rows = dpo.get("/live/rows", params={"team": "Revenues"}).text
        assert (">Bea<" in rows, "&lt;b&gt;Ann" in rows) == (False, True)
        acted = dpo.submit(f"/live/{CALL}/pause", team="Benefits").text
        assert (">Bea<" in acted, "&lt;b&gt;Ann" in acted) == (True, False)
    assert 'name="team"' not in manager.get("/live").text, "she sees one team"


def test_the_board_says_that_the_recorder_drains(console: Console, ann: Browser) -> None:
    daemon = console.daemon
    assert "new calls are refused" not in ann.get("/live").text
    assert ann.get("/live/drain").text.strip() == ""
    before = daemon.drain
    try:
        daemon.drain = {**before, "state": "draining", "since": "2026-11-29T12:00:00+00:00", "calls": 3}
        banner = "The recorder is draining: new calls are refused.</strong> 3 calls go on. You can pause them as usual."
        assert banner in ann.get("/live").text
        assert banner in ann.get("/live/drain").text
        daemon.drain = {**daemon.drain, "state": "stopping", "calls": 1, "left_s": 61.0}
        page = ann.get("/live/drain").text
        assert "The recorder is stopping: new calls are refused.</strong> 1 call goes on" in page
        assert "Calls that have not ended in 2 minutes will be cut off." in page
    finally:
        daemon.drain = before


def test_an_officer_asks_and_the_manager_of_the_team_grants(console: Console, ann: Browser, manager: Browser) -> None:
    assert "A manager of the team has been asked" in ann.submit(f"/live/{CALL}/opt-out-request").text
    assert sent(console) == (
        f"opt-out-request {CALL}", "ann",
        {"reason": "", "person": {"display_name": "<b>Ann</b>", "roles": ["officer"], "teams": [], "extension": None}},
    )  # fmt: skip
    page = ann.get("/live").text
    assert "Opt-out asked for" in page
    assert "A manager has not decided yet" in page
    assert "&lt;b&gt;Ann&lt;/b&gt; reported this" in page, "a person, not an account"
    assert ASK not in page
    assert "/opt-outs/" not in page

    page = manager.get("/live").text
    assert "The caller of &lt;b&gt;Ann&lt;/b&gt; asks not to be recorded." in page
    assert 'aria-live="polite"' in page
    assert "The caller of" in manager.get("/live/requests").text
    form = manager.get("/opt-outs/00000000").text
    assert DECIDE in form
    assert " checked" not in form, "nobody states what they have not ticked"
    done = manager.submit("/opt-outs/00000000", decision="grant", **GRANT)
    assert "ended for good" in done.text
    assert "was granted" in done.text
    what, actor, body = sent(console)
    assert (what, actor) == ("grant 00000000", "revenues")
    assert body == {
        "caller_asked": True, "distress_judged": True, "reason": "caller is very upset", "erase_before": False,
        "person": {"display_name": "Rhea Revenues", "roles": ["manager"], "teams": ["Revenues"], "extension": None},
    }  # fmt: skip
    page = ann.get("/live").text
    assert (ASK in page, RETROACTIVE_PAUSE in page) == (False, False)


def test_a_refused_decision_keeps_what_was_typed_and_says_what_is_missing(
    console: Console, ann: Browser, manager: Browser
) -> None:
    ann.submit(f"/live/{CALL}/opt-out-request")
    decide = "/opt-outs/00000000"
    for sent, missing in (
        ({"reason": "she wept"}, ["decision"]), ({"decision": "decline", "reason": " "}, ["reason"]),
        ({"decision": "grant", "caller_asked": "yes"}, ["distress_judged", "reason"]),
    ):  # fmt: skip
        page = manager.submit(decide, **sent)
        assert page.status_code == 422
        assert "<title>Error: " in page.text
        linked = re.findall(r'<a href="#([^"]+)">', page.text.partition("There is a problem")[2].partition("<h1")[0])
        assert sorted(linked) == missing
        assert DECIDE in page.text, "the form is there again"
        assert sent.get("reason", "") in page.text
        assert ('value="yes" checked' in page.text) == ("caller_asked" in sent)
        assert ('value="decline" checked' in page.text) == (sent.get("decision") == "decline")
    assert console.daemon.requests[0]["state"] == "raised"
    assert "declined" in manager.submit(decide, decision="decline", reason="she did not ask").text
    assert console.daemon.requests[0]["state"] == "declined"
    late = manager.submit(f"{decide}/grant", **GRANT)
    assert (late.status_code, "decided already" in late.text) == (409, True)
    assert console.entries("access.refused") == [], "a missing reason is an error of input"


def test_who_is_of_another_team_sees_nothing_of_it(console: Console, ann: Browser) -> None:
    ann.submit(f"/live/{CALL}/opt-out-request")
    for name in ("housing", "officer", "ict", "admin"):
        with console.browser() as browser:
            browser.sign_in(name)
            page = browser.get("/live").text
            assert "asks not to be recorded.</strong>" not in page
            assert "Opt-out asked for" not in page
            is_never = name in ("admin", "ict")
            assert browser.get("/opt-outs/00000000").status_code == (403 if is_never else 404)
            assert browser.get("/api/opt-outs").json().get("opt_outs", []) == []
            for call in browser.get("/api/calls").json().get("calls", []):
                assert (name, call["opt_out"], "caller" in call) == ("ict", None, False)
    new = add_token(console.deps.tokens, "crm", scopes=list(Scope))
    with console.browser() as browser:
        browser.headers["Authorization"] = f"Bearer {new.secret}"
        assert browser.get("/api/opt-outs").status_code == 403
        assert browser.get("/api/calls").json()["calls"][0]["opt_out"] is None


def test_a_manager_ends_a_recording_that_nobody_asked_about(console: Console, manager: Browser) -> None:
    assert f'action="/live/{CALL}/opt-out"' in manager.get(f"/live/{CALL}/opt-out").text
    assert "ended for good" in manager.submit(f"/live/{CALL}/opt-out", **GRANT, erase_before="yes").text
    what, actor, body = sent(console)
    assert (what, actor, body["erase_before"]) == (f"opt-out {CALL}", "revenues", True)


def test_roles_that_may_not_are_refused_before_the_daemon_is_asked(console: Console, ann: Browser) -> None:
    assert ann.submit(f"/live/{CALL}/opt-out", **GRANT).status_code == 403
    ann.headers["X-CSRF-Token"] = ann.csrf
    assert ann.post("/api/opt-outs/00000000/grant", json={"reason": "so there"}).status_code == 403
    with console.browser() as browser:
        browser.sign_in("ict")
        assert browser.submit(f"/live/{CALL}/opt-out-request").status_code == 403
        browser.headers["X-CSRF-Token"] = browser.csrf
        assert browser.post(f"/api/calls/{CALL}/forgot", json={"seconds": 5}).status_code == 403
    assert console.daemon.heard == []
    acts = [e.details["act"] for e in console.entries("access.refused")]
    assert acts == ["call.opt_out", "call.opt_out", "opt_out.raise", "recording.forgot"]


def test_forgetting_to_pause_pauses_at_once_and_counts_from_there(console: Console, ann: Browser, clock: Clock) -> None:
    form = ann.submit(f"/live/{CALL}/forgot").text
    assert sent(console)[:2] == (f"pause {CALL}", "ann")
    paused_at = re.search(r'name="paused_at" value="(\d+)"', form)
    assert paused_at is not None
    assert ": paused." in form
    assert " checked" not in form, "nobody erases what they have not chosen"
    heard = len(console.daemon.heard)
    again = ann.submit(f"/live/{CALL}/forgot", paused_at=paused_at[1])
    assert (again.status_code, 'href="#span"' in again.text) == (422, True)
    assert len(console.daemon.heard) == heard, "it is paused already"
    clock.time += timedelta(seconds=20)
    done = ann.submit(f"/live/{CALL}/forgot", span="120", paused_at=paused_at[1])
    assert "The recording is now paused." in done.text
    what, actor, body = sent(console)
    assert (what, actor, body["seconds"]) == (f"forgot {CALL}", "ann", 140.0)
    ann.submit(f"/live/{CALL}/forgot", span="all", paused_at=paused_at[1])
    assert sent(console)[2]["seconds"] is None
    ann.submit(f"/live/{CALL}/forgot", span="60", paused_at="x")
    assert sent(console)[2]["seconds"] == 60.0


def test_the_second_message_is_for_whose_call_it_is(console: Console, ann: Browser, manager: Browser) -> None:
    assert "The second message is played" in manager.submit(f"/live/{CALL}/second-message").text
    assert "Second message playing" in ann.get("/live").text
    assert sent(console)[:2] == (f"second-message {CALL}", "revenues")
    console.daemon.heard.clear()
    with console.browser() as browser:
        browser.sign_in("ict")
        assert browser.submit(f"/live/{CALL}/second-message").status_code == 403
        browser.headers["X-CSRF-Token"] = browser.csrf
        assert browser.post(f"/api/calls/{CALL}/second-message").status_code == 403
    new = add_token(console.deps.tokens, "crm", scopes=list(Scope))
    with console.browser() as browser:
        browser.headers["Authorization"] = f"Bearer {new.secret}"
        assert browser.post(f"/api/calls/{CALL}/second-message").status_code == 403
    assert console.daemon.heard == []
    console.daemon.second_message = "ready"
    ann.headers["X-CSRF-Token"] = ann.csrf
    assert ann.post(f"/api/calls/{CALL}/second-message").json()["state"] == "recording"
    assert ann.post(f"/api/calls/{CALL}/second-message").status_code == 409
    assert ann.post("/api/calls/20260101T000000Z-2001-ffffff/second-message").status_code == 404


def test_opt_outs_by_the_api(console: Console, ann: Browser, manager: Browser) -> None:
    for browser in (ann, manager):
        browser.headers["X-CSRF-Token"] = browser.csrf
    request = ann.post(f"/api/calls/{CALL}/opt-out-request", json={"reason": "she says so"}).json()
    assert (request["state"], request["reason"]) == ("raised", "she says so")
    assert manager.get("/api/opt-outs").json() == {"opt_outs": [{**request, "may_decide": True}]}
    told = ann.get("/api/opt-outs").json()
    assert told == {"opt_outs": [{**request, "may_decide": False}]}, "who is on the call sees what became of it"
    order = {"caller_asked": True, "distress_judged": True, "reason": "caller is very upset"}
    assert manager.post("/api/opt-outs/ffffffff/grant", json=order).status_code == 404
    granted = manager.post(f"/api/opt-outs/{request['id']}/grant", json=order)
    assert granted.json()["state"] == "opted_out"
    assert sent(console)[2]["erase_before"] is None, "the service's rule decides"
    assert manager.post(f"/api/opt-outs/{request['id']}/decline", json={"reason": "too late"}).status_code == 409
    assert manager.post(f"/api/calls/{CALL}/opt-out", json={**order, "extra": 1}).status_code == 422
    del manager.headers["X-CSRF-Token"]
    assert manager.post(f"/api/calls/{CALL}/opt-out", json=order).status_code == 403
    forgot = ann.post(f"/api/calls/{CALL}/forgot", json={"seconds": 5, "reason": "card"})
    assert forgot.json()["state"] == "paused"
    assert sent(console)[2]["seconds"] == 5
    wrong: list[dict[str, object]] = [{}, {"seconds": 0}, {"seconds": -1}, {"seconds": 86_401}, {"seconds": "x"}]
    for body in wrong:
        assert ann.post(f"/api/calls/{CALL}/forgot", json=body).status_code == 422
