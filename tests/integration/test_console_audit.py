"""The page of the audit log, and what the console still does when the log cannot be written."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recorder.audit.reading import note_verified
from recorder.web.audit_pages import PAGE_SIZE
from storage.anchors import Anchor, Anchors
from storage.types import Search
from tests.helpers.console_site import CALL, Console, console_site
from tests.helpers.recorder_home import eventually
from tests.helpers.storage_home import ID

AT = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with console_site(tmp_path) as made:
        yield made


def test_the_dpo_sees_the_newest_entries_and_that_is_one(console: Console) -> None:
    log = console.deps.repos.audit
    for number in range(PAGE_SIZE + 5):
        log.append("call.pause", "olive", f"call-{number}", {"state": "<b>"}, f"reason {number}")
    with console.browser() as dpo:
        dpo.sign_in()
        page = dpo.get("/audit").text
        assert "call-54" in page
        assert "call-4<" not in page
        assert ("&lt;b&gt;" in page, "<b>" in page, "reason 54" in page) == (True, False, False)
        assert "It has not been checked yet" in page
        assert "has no anchor on another machine" in page
        assert 'href="/audit" aria-current="page"' in page
        older = dpo.submit("/audit", before="10").text
        assert ("call-0<" in older, "call-54" in older) == (True, False)
        texts = dpo.submit("/audit", act="call", actor="olive", subject="call-5", texts="yes").text
        assert ("reason 54" in texts, "reason 4<" in texts) == (True, False)
    views = console.entries("audit.view")
    assert [entry.details["texts"] for entry in views] == [False, False, True]
    assert log.text(views[-1]) == "actor: olive; subject: call-5"


def test_whoever_acted_is_named_and_not_by_a_code(console: Console) -> None:
    """Keys on a phone are written down under the officer's name, acts on pages under the account."""
    log = console.deps.repos.audit
    log.append("call.pause", "officer:Olive Officer", ID, {})
    log.append("hold.placed", "officer", ID, {})
    log.append("hold.placed", "gone", ID, {})
    with console.browser() as dpo:
        dpo.sign_in()
        for path in ("/audit", f"/recordings/{ID}"):
            page = dpo.get(path).text
            assert "officer:" not in page
            assert ">Olive Officer</td>" in page
        who = re.findall(r'<td class="govuk-table__cell">([^<]*)</td><td class="govuk-table__cell">Placed', page)
        assert sorted(who) == ["Olive Officer", "gone"], "an account that is gone keeps its own name"


def test_details_are_words_and_no_values_of_a_program(console: Console) -> None:
    details: dict[str, Any] = {
        "by_role": [],
        "act": None,
        "numbers": True,
        "texts": False,
        "days": {"old": 90, "new": None},
        "at": 1.5,
    }
    console.deps.repos.audit.append("call.pause", "olive", "call-1", details)
    with console.browser() as dpo:
        dpo.sign_in()
        page = dpo.get("/audit").text
    assert '<td class="details">at: 1.5; days: new none, old 90; numbers: yes; texts: no</td>' in page


def test_it_says_when_the_log_was_verified_and_noted_elsewhere(console: Console) -> None:
    log = console.deps.repos.audit
    first = log.append("call.pause", "olive", "call-1")
    number, before = first.number, log.path.read_bytes().rindex(b"{", 0, log.path.read_bytes().index(b"call-1"))
    before = log.path.read_bytes().rindex(b"\n", 0, before) + 1
    Anchors(console.deps.repos.index.database).note(Anchor(target="mail", number=number, hash=first.hash, at=AT))
    note_verified(console.home.state, log.verify(), AT)
    with console.browser() as dpo:
        dpo.sign_in()
        page = dpo.get("/audit").text
        assert f"Checked on 25 November 2026, 9:30am: all {number} entries are intact" in page
        assert f"Last anchor at mail: entry {number}, 25 November 2026, 9:30am" in page
        log.path.write_bytes(log.path.read_bytes().replace(b'"actor":"olive"', b'"actor":"oscar"', 1))
        note_verified(console.home.state, log.verify(), AT)
        page = dpo.get("/audit").text
    assert "The log was changed after it was written" in page
    assert f"entry {number} (line {number}, byte {before}): its hash does not fit" in page
    assert "Run recorder audit verify to find out more" in page


@pytest.mark.parametrize("name", ["officer", "ict", "lead", "admin"])
def test_nobody_else_does(console: Console, name: str) -> None:
    with console.browser() as browser:
        browser.sign_in(name)
        answer = browser.get("/audit")
        assert answer.status_code == 403
        assert 'href="/audit"' not in browser.get("/live").text
    assert "audit.view" in [entry.details["act"] for entry in console.entries("access.refused")]
    assert console.entries("audit.view") == []


def test_a_date_that_is_none_is_said_beside_it(console: Console) -> None:
    with console.browser() as dpo:
        dpo.sign_in()
        answer = dpo.submit("/audit", from_date="yesterday")
        assert answer.status_code == 422
        assert "Enter a date like 28 11 2026" in answer.text
    assert console.entries("audit.view") == []


def late_acts(console: Console) -> list[str]:
    return [entry.act for entry in console.entries() if entry.details.get("late")]


def test_without_the_log_nothing_is_shown_and_pausing_goes_on(console: Console) -> None:
    (row,) = console.deps.repos.index.find(Search())
    console.give_leave()
    with console.browser() as dpo, console.browser() as officer:
        dpo.sign_in()
        officer.sign_in("officer")
        place_hold = {"kind": "complaint", "reason": "a complaint", "case_reference": "C 1"}
        assert dpo.submit(f"/recordings/{row.id}/hold", **place_hold).status_code == 200
        (hold,) = console.deps.hold_repositories.holds.of_recording(row.id)
        kept = console.home.audit.with_name("kept")
        console.home.audit.rename(kept)
        console.home.audit.write_text("a file where the folder should be")
        stopped = {
            "search": dpo.submit("/recordings", operator="Olive Officer"),
            "view": dpo.get(f"/recordings/{row.id}"),
            "play": dpo.submit(f"/recordings/{row.id}/play", reason="because of C 1"),
            "export": dpo.submit(f"/recordings/{row.id}/export", reason="because of C 1", format="wav"),
            "erase": dpo.post(
                f"/api/recordings/{row.id}/erase", json={"from_s": 0, "to_s": 1, "reason": "card data"},
                headers={"X-CSRF-Token": dpo.csrf},
            ),
            "release": dpo.submit(f"/holds/{hold.id}/release", reason="it is over"),
            "report": dpo.get("/reports/pauses"),
            "audit": dpo.get("/audit"),
        }  # fmt: skip
        for what, answer in stopped.items():
            assert answer.status_code == 503, f"{what}: {answer.status_code} {answer.text[:400]}"
            assert "audit log cannot be written" in answer.text, what
            assert "Olive" not in answer.text, what
        assert officer.get("/audit").status_code == 403
        officer.submit("/sign-out")
        assert officer.sign_in("officer").status_code == 303, "whoever is to pause gets in"
        assert officer.get("/live").status_code == 200, "and sees the calls"
        assert officer.sign_in("officer", "wrong").status_code == 403
        paused = officer.post(f"/api/calls/{CALL}/pause", json={}, headers={"X-CSRF-Token": officer.csrf})
        resumed = officer.post(f"/api/calls/{CALL}/resume", json={}, headers={"X-CSRF-Token": officer.csrf})
        assert (paused.status_code, paused.json()["state"]) == (200, "paused")
        assert (resumed.status_code, resumed.json()["state"]) == (200, "recording")
        console.home.audit.unlink()
        kept.rename(console.home.audit)
        assert console.deps.hold_repositories.holds.of_recording(row.id) == [hold]
        eventually(
            lambda: dpo.get(f"/recordings/{row.id}").status_code == 200, "the log is taken up again", timeout_s=15
        )
        eventually(lambda: dpo.get("/erasures") and late_acts(console), "what waited is entered", timeout_s=15)
    assert late_acts(console) == [
        "access.refused", "people.sign_out", "people.sign_in", "live.view", "people.sign_in_refused",
    ]  # fmt: skip
    assert console.deps.repos.audit.verify().problems == []
