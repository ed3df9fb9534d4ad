"""The API of a running console: tokens, sessions, the daemon's answers and its silence."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from recorder.permissions import Scope
from tests.helpers.accounts import add_token
from tests.helpers.console_site import CALL, Browser, Console, console_site, signed_in
from tests.helpers.recorder_home import HANGS_S
from tests.helpers.starvation import waited_s
from tests.helpers.storage_home import ID


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with console_site(tmp_path) as running:
        yield running


@pytest.fixture
def browser(console: Console) -> Iterator[Browser]:
    with console.browser() as browser:
        browser.sign_in("lead")
        browser.headers["X-CSRF-Token"] = browser.csrf
        yield browser


def with_token(console: Console, *scopes: Scope, extensions: tuple[str, ...] = (), network: str = "") -> httpx2.Client:
    new = add_token(
        console.deps.tokens, "crm", scopes=scopes, extensions=extensions, networks=[network] if network else []
    )
    return httpx2.Client(base_url=console.url, headers={"Authorization": f"Bearer {new.secret}"}, timeout=10)


def problem(answer: httpx2.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["title"]
    return str(document["detail"])


def test_openapi_is_for_whoever_is_signed_in(console: Console) -> None:
    problem(httpx2.get(f"{console.url}/api/openapi.json"), 401)
    problem(httpx2.get(f"{console.url}/api/openapi.json", headers={"Authorization": "Bearer made-up"}), 401)
    assert httpx2.get(f"{console.url}/openapi.json").status_code == 404
    new = add_token(console.deps.tokens, "developer", scopes=[Scope.CALLS_READ])
    headers = {"Authorization": f"Bearer {new.secret}"}
    answer = httpx2.get(f"{console.url}/api/openapi.json", headers=headers, timeout=HANGS_S)
    assert answer.json()["openapi"].startswith("3.")


def test_openapi_is_served_and_complete(console: Console) -> None:
    with signed_in(console, "officer") as officer:
        paths = officer.get("/api/openapi.json").json()["paths"]
    assert set(paths) == {
        "/api/calls",
        "/api/calls/{call}/pause",
        "/api/calls/{call}/resume",
        "/api/calls/{call}/opt-out",
        "/api/calls/{call}/opt-out-request",
        "/api/calls/{call}/forgot",
        "/api/calls/{call}/second-message",
        "/api/opt-outs",
        "/api/opt-outs/{request_id}/grant",
        "/api/opt-outs/{request_id}/decline",
        "/api/extensions/{number}/forgot",
        "/api/extensions/{number}/second-message",
        "/api/extensions/{number}/pause",
        "/api/extensions/{number}/resume",
        "/api/recordings",
        "/api/recordings/search",
        "/api/recordings/{recording_id}",
        "/api/recordings/{recording_id}/export",
        "/api/recordings/{recording_id}/holds",
        "/api/requests",
        "/api/requests/{request_id}/grant",
        "/api/requests/{request_id}/decline",
        "/api/requests/{request_id}/withdraw",
        "/api/cases",
        "/api/cases/{case_id}",
        "/api/cases/{case_id}/search",
        "/api/cases/{case_id}/match",
        "/api/cases/{case_id}/dismiss",
        "/api/cases/{case_id}/narrow",
        "/api/cases/{case_id}/confirm-scope",
        "/api/holds",
        "/api/holds/{hold_id}/review",
        "/api/holds/{hold_id}/release",
        "/api/holds/{hold_id}/reinstate",
        "/api/recordings/{recording_id}/forgot",
        "/api/recordings/{recording_id}/erase",
        "/api/erasures",
        "/api/erasures/{order_id}/confirm",
        "/api/erasures/{order_id}/decline",
        "/api/health",
        "/api/reports/pauses",
        "/api/session",
        "/api/assurance/days",
        "/api/assurance/days/{day}",
        "/api/events",
    }


def test_nobody_gets_nothing(console: Console) -> None:
    answer = httpx2.get(f"{console.url}/api/calls")
    assert "Sign in" in problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    problem(httpx2.get(f"{console.url}/api/calls", headers={"Authorization": "Bearer ccr_guess"}), 401)
    problem(httpx2.get(f"{console.url}/api/calls", headers={"Authorization": "Basic eDp5"}), 401)
    assert [e.actor for e in console.entries("access.refused")] == ["unknown"]


def test_acts_carry_the_person(browser: Browser, console: Console) -> None:
    answer = browser.post(f"/api/calls/{CALL}/pause", json={"reason": "card"})
    assert answer.json() == {"call": CALL, "state": "paused", "reasons": [], "position_s": 2.0}
    browser.post(f"/api/calls/{CALL}/resume")
    browser.post("/api/extensions/2001/pause")
    what = [(heard[0], heard[1], heard[3]) for heard in console.daemon.heard]
    person = {"display_name": "lead", "roles": ["team_leader"], "teams": ["Revenues"], "extension": None}
    assert what == [
        (f"pause {CALL}", "lead", {"reason": "card", "person": person}),
        (f"resume {CALL}", "lead", {"reason": "", "person": person}),
        ("pause 2001", "lead", {"reason": "", "person": person}),
    ]


def test_cookie_alone_changes_nothing(browser: Browser, console: Console) -> None:
    del browser.headers["X-CSRF-Token"]
    problem(browser.post(f"/api/calls/{CALL}/pause"), 403)
    assert console.daemon.heard == []


def test_token_scopes(console: Console) -> None:
    with with_token(console, Scope.PAUSE) as token:
        assert token.post(f"/api/calls/{CALL}/pause").status_code == 200
        assert "calls:read" in problem(token.get("/api/calls"), 403)
        assert "recordings:read" in problem(token.get("/api/recordings"), 403)
        order = {"format": "wav", "reason": "complaint 17"}
        assert "person" in problem(token.post(f"/api/recordings/{ID}/export", json=order), 403)
    assert console.daemon.heard[0][1] == "token:crm"
    assert console.daemon.heard[0][3]["as"] == "token:crm"


def test_token_for_one_extension(console: Console) -> None:
    with with_token(console, *Scope, extensions=("2002",)) as token:
        assert token.get("/api/calls").json() == {"calls": []}
        problem(token.post(f"/api/calls/{CALL}/pause"), 403)
        problem(token.post("/api/extensions/2001/pause"), 403)
        problem(token.post("/api/calls/unknown/pause"), 404)
        problem(token.get("/api/events"), 403)
        assert problem(token.get(f"/api/recordings/{ID}"), 404) == "There is no such recording."
        assert token.get("/api/recordings").json()["total"] == 0
        problem(token.get("/api/recordings", params={"extension": "2001"}), 403)
    assert console.daemon.heard == []


def test_token_from_elsewhere_whatever_its_headers_say(console: Console) -> None:
    with with_token(console, Scope.CALLS_READ, network="192.0.2.0/24") as token:
        problem(token.get("/api/calls", headers={"X-Forwarded-For": "192.0.2.7"}), 401)
    assert console.entries("access.refused")[0].actor == "token:crm"


def test_recordings(browser: Browser, console: Console) -> None:
    found = browser.get("/api/recordings", params={"from": "2026-11-24T09:00:00Z", "operator": "Olive Officer"}).json()
    assert (found["total"], found["recordings"][0]["id"]) == (1, ID)
    assert browser.get("/api/recordings", params={"to": "2026-11-24T09:30:00Z"}).json()["total"] == 0
    assert browser.get(f"/api/recordings/{ID}").json()["duration_s"] == 3.0
    assert "from" in problem(browser.get("/api/recordings", params={"from": "2026-11-24T09:00:00"}), 422)
    assert "number" in problem(browser.get("/api/recordings", params={"number": "2001"}), 422)  # in no address
    for number, total in (("<i>02079460000</i>", 1), ("02079460001", 0)):
        assert browser.post("/api/recordings/search", json={"number": number}).json()["total"] == total
    problem(browser.post("/api/recordings/search", json={"nummer": "1"}), 422)
    assert "nummer" in problem(browser.get("/api/recordings", params={"nummer": "1"}), 422)
    assert "limit" in problem(browser.get("/api/recordings", params={"limit": "5000"}), 422)
    problem(browser.get("/api/recordings/20261124T093000Z-2001-ffffff"), 404)
    order = {"format": "g711", "reason": "tribunal 4"}
    assert "You need permission" in problem(browser.post(f"/api/recordings/{ID}/export", json=order), 403)
    console.give_leave("lead")
    copy = browser.post(f"/api/recordings/{ID}/export", json=order)
    assert copy.content[:4] == b"RIFF"
    assert [e.actor for e in console.entries("recording.view")] == ["lead"]


def test_officer_finds_own_recordings_only(console: Console) -> None:
    for name, total in (("officer", 1), ("other", 0)):
        with console.browser() as browser:
            browser.sign_in(name)
            assert browser.get("/api/recordings").json()["total"] == total
            problem(browser.get("/api/recordings", params={"operator": "Somebody Else"}), 403)


def test_events_are_passed_on(browser: Browser, console: Console) -> None:
    with browser.stream("GET", "/api/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        assert next(line for line in answer.iter_lines() if line.startswith("data:")) == f'data: {{"call": "{CALL}"}}'
    with browser.stream("GET", "/live/changes") as answer:
        lines = (line for line in answer.iter_lines() if line.startswith("data:"))
        assert "Pause<span" in json.loads(next(lines).removeprefix("data: "))["html"], "whoever begins has all rows"
        assert "data: here" in lines, "it lives"
        console.daemon.state = "paused"
        console.daemon.has_changed.set()
        assert any("Resume<span" in line for line in lines), "a change that came later"


def test_not_confirmed_within_two_seconds_when_the_daemon_hangs(browser: Browser, console: Console) -> None:
    console.daemon.is_stalled = True
    began_s, waited_before = time.monotonic(), sum(waited_s(os.getpid()).values())
    answer = browser.post(f"/api/calls/{CALL}/pause")
    took_s, without_cpu_s = time.monotonic() - began_s, sum(waited_s(os.getpid()).values()) - waited_before
    assert took_s - without_cpu_s < 2.0
    problem(answer, 504)
    assert answer.json()["state"] == "not_confirmed"
    assert answer.json()["title"] == "Not confirmed"


def test_daemon_not_running(tmp_path: Path) -> None:
    with console_site(tmp_path, is_daemon_up=False) as console, console.browser() as browser:
        browser.sign_in("lead")
        browser.headers["X-CSRF-Token"] = browser.csrf
        assert "recorder up" in problem(browser.post(f"/api/calls/{CALL}/pause"), 504)
        problem(browser.get("/api/events"), 504)
        page = browser.get("/live").text
        assert "Not confirmed" in page
        assert "The calls in progress are not known." in page
        assert browser.get("/api/recordings").json()["total"] == 1


def test_daemon_refuses(browser: Browser) -> None:
    assert problem(browser.post("/api/calls/other/pause"), 404) == "no such call."


def test_errors_are_problems(browser: Browser) -> None:
    problem(browser.get("/api/nowhere"), 404)
    problem(browser.delete("/api/calls"), 405)
    problem(browser.post(f"/api/calls/{CALL}/pause", content=b"{", headers={"Content-Type": "application/json"}), 422)
    problem(browser.post(f"/api/calls/{CALL}/pause", json={"reason": "x" * 1001}), 422)
    problem(browser.post(f"/api/calls/{CALL}/pause", content=(b"x" * 8192 for _ in range(20))), 413)
