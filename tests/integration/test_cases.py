"""A case from the letter to the copy: held when found, decided by another, heard by leave, kept for a complaint."""

import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from recorder.cli.cli import app
from recorder.common.problems import ProblemError
from recorder.data_subjects import case_deadlines, case_entries, casework
from recorder.data_subjects.case_deadlines import COMPLAINT_WINDOW
from recorder.data_subjects.case_repository import CaseRepository
from recorder.retention.holding import release_hold
from recorder.rules.cases import Case, CaseEvent, CaseKind, LegalGround
from storage.types import RecordingId, Search
from tests.helpers.accounts import PASSWORD, Clock
from tests.helpers.console_site import Console, console_site, signed_in
from tests.helpers.recorder_home import RecorderHome, recorder_home
from tests.helpers.storage_home import ID

SAR = CaseKind.SUBJECT_ACCESS


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 25, 9, 0, tzinfo=UTC))


@pytest.fixture
def console(tmp_path: Path, clock: Clock) -> Iterator[Console]:
    with console_site(tmp_path, now=clock, is_daemon_up=False) as running:
        yield running


def opened(console: Console, **changes: Any) -> Case:
    how = {"kind": SAR, "requester": "J. Doe", "form": "by telephone", "text": "my call of Tuesday", **changes}
    return casework.open_case(console.deps.cases, console.person("lead"), **how)


def step(console: Console, case: Case, what: CaseEvent, by: str = "lead", text: str = "in words", **more: Any) -> Case:
    return casework.add_event(console.deps.cases, console.person(by), case.id, what, text=text, **more)


def refused(console: Console, case: Case, what: CaseEvent, status: int, **how: Any) -> str:
    with pytest.raises(ProblemError) as caught:
        step(console, case, what, **how)
    assert caught.value.status == status
    return caught.value.detail


def test_from_the_request_to_the_copy_and_after(console: Console, clock: Clock) -> None:
    repos, lead = console.deps.cases, console.person("lead")
    case = opened(console)
    assert case.id == "SAR-2026-0001"
    assert case_deadlines.due(repos, case) == date(2026, 12, 29)  # Christmas, a weekend, a bank holiday
    step(console, case, CaseEvent.IDENTITY_CHECKED, text="council tax account and date of birth")
    assert casework.search_for(repos, lead, case.id, Search(number="020 7946 0999")) == []
    (found,) = casework.search_for(repos, lead, case.id, Search(operator="Olive Officer"))
    case = casework.match(repos, lead, case.id, [found.id])
    (hold,) = console.deps.hold_repositories.holds.of_recording(ID)
    assert (str(hold.kind), hold.case_reference, hold.owner) == ("sar", case.id, "lead")
    assert console.deps.hearing.requests.newest() == []
    refused(console, case, CaseEvent.DECIDED, 403, details={"decision": "disclose"})
    step(console, case, CaseEvent.DECIDED, by="dpo", details={"decision": "disclose"})
    (leave,) = console.deps.hearing.requests.newest()
    assert (leave.account, leave.decided_by, leave.wish.recordings) == ("lead", "dpo", (RecordingId(ID),))
    with console.browser() as browser:
        browser.sign_in("lead")
        copy = browser.submit(f"/recordings/{ID}/export", format="flac", reason=case.id, ground="sar", package="yes")
        assert copy.content[:2] == b"PK"
        letter = browser.get(f"/cases/{case.id}/letters/disclosure")
        assert letter.content[:5] == b"%PDF-"
        assert letter.headers["content-disposition"] == (
            'attachment; filename="SAR-2026-0001 Letter with the copies.pdf"'
        )
        assert browser.get(f"/cases/{case.id}/letters/refusal").status_code == 409
        assert browser.get(f"/cases/{case.id}/letters/gossip").status_code == 404
    step(console, case, CaseEvent.HANDED_OVER, text="by recorded post")
    case = step(console, case, CaseEvent.CLOSED, text="")
    console_hold = console.deps.hold_repositories.holds.get(hold.id)
    assert console_hold.review_on == clock.time.date() + COMPLAINT_WINDOW
    held = console.deps.hold_repositories
    with pytest.raises(ProblemError, match="can complain"):
        release_hold(held, console.person("dpo"), hold.id, reason="it is over")
    clock.time += COMPLAINT_WINDOW
    assert release_hold(held, console.person("dpo"), hold.id, reason="it is over").released_by == "dpo"
    acts = [(e.act, e.actor) for e in console.entries() if e.act.startswith(("case.", "request.", "hold."))]
    assert acts == [
        ("case.opened", "lead"), ("case.identity_checked", "lead"),
        ("case.searched", "lead"), ("case.searched", "lead"),
        ("hold.placed", "lead"), ("case.matched", "lead"), ("case.decided", "dpo"), ("request.granted", "dpo"),
        ("case.handed_over", "lead"), ("case.closed", "lead"), ("hold.reviewed", "lead"), ("hold.released", "dpo"),
    ]  # fmt: skip
    log = b"".join(path.read_bytes() for path in console.home.audit.glob("*.log"))
    assert b"Doe" not in log
    assert not re.search(rb"7946 ?0999", log)  # four digits alone stand in one of thirty logs, in a digest


def test_while_the_case_goes_on_its_hold_stands(console: Console) -> None:
    case = opened(console)
    casework.search_for(console.deps.cases, console.person("lead"), case.id, Search(operator="Olive Officer"))
    casework.match(console.deps.cases, console.person("lead"), case.id, [ID])
    (hold,) = console.deps.hold_repositories.holds.of_recording(ID)
    with pytest.raises(ProblemError, match="is still open"):
        release_hold(console.deps.hold_repositories, console.person("dpo"), hold.id, reason="away with it")
    with pytest.raises(ProblemError):
        casework.match(console.deps.cases, console.person("lead"), case.id, [ID])
    with pytest.raises(ProblemError):
        casework.match(console.deps.cases, console.person("lead"), case.id, ["20261124T093000Z-2001-ffffff"])
    case = casework.read_case(console.deps.cases, console.person("dpo"), case.id)
    assert case.recordings == (ID,)


def test_time_and_its_warnings(console: Console, clock: Clock) -> None:
    repos = console.deps.cases
    case = step(console, opened(console), CaseEvent.IDENTITY_ASKED)
    assert case_deadlines.due(repos, case) is None
    clock.time += timedelta(days=3)
    case = step(console, case, CaseEvent.IDENTITY_CHECKED)
    assert case_deadlines.due(repos, case) == date(2026, 12, 29)
    clock.time = datetime(2026, 12, 25, 9, 0, tzinfo=UTC)
    assert not case_deadlines.is_pressing(repos, case)
    clock.time = datetime(2026, 12, 26, 9, 0, tzinfo=UTC)
    assert case_deadlines.is_pressing(repos, case)
    other = opened(console, received_on=date(2026, 10, 1))
    assert "had to be told of the extension by 2 November 2026" in refused(console, other, CaseEvent.EXTENDED, 409)
    extended = step(console, other, CaseEvent.EXTENDED, on=date(2026, 10, 20))
    assert case_deadlines.due(repos, extended) == date(2027, 1, 4)
    listed = casework.list_cases(repos, console.person("dpo"))
    assert [one.id for one in listed] == [case.id, extended.id]


def test_a_disclosure(console: Console) -> None:
    repos, lead = console.deps.cases, console.person("lead")
    case = opened(console, kind=CaseKind.DISCLOSURE, requester="Police, PC 17", ground=LegalGround.CRIME)
    assert case.id == "DIS-2026-0001"
    casework.search_for(repos, lead, case.id, Search(extension="2001"))
    casework.match(repos, lead, case.id, [ID])
    assert console.deps.hold_repositories.holds.of_recording(ID)[0].kind == "disclosure"
    assert case_deadlines.due(repos, case) is None
    step(console, case, CaseEvent.DECIDED, by="dpo", details={"decision": "partly"})
    assert console.deps.hearing.requests.newest()[0].wish.reference == case.id


def test_who_does_not_work_on_cases_sees_none(console: Console) -> None:
    case = opened(console)
    for name in ("officer", "revenues", "ict", "admin"):
        with pytest.raises(ProblemError) as caught:
            casework.read_case(console.deps.cases, console.person(name), case.id)
        assert caught.value.status == 403
    with pytest.raises(ProblemError) as caught:
        casework.read_case(console.deps.cases, console.person("lead"), "SAR-2026-9999")
    assert caught.value.status == 404


def test_numbers_go_on_and_two_at_once_do_not_write_over_one_another(console: Console) -> None:
    repos = console.deps.cases
    first, second = opened(console), opened(console)
    assert (first.id, second.id) == ("SAR-2026-0001", "SAR-2026-0002")
    with pytest.raises(ProblemError) as caught:
        case_entries.write_entry(repos, console.person("lead"), first.id, 0, first.entries[0])
    assert caught.value.status == 409
    assert [e.subject for e in console.entries("case.opened.not_stored")] == [first.id]
    assert casework.read_case(repos, console.person("lead"), first.id) == first


def test_who_open_a_case_in_the_same_moment_get_one_each(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    cases, together, asked = console.deps.cases.cases, threading.Barrier(3), set[int]()
    next_id = type(cases).next_id

    def asked_together(book: CaseRepository, kind: CaseKind, year: int) -> str:
        found = next_id(book, kind, year)
        if threading.get_ident() not in asked:
            asked.add(threading.get_ident())
            together.wait(10)
        return found

    monkeypatch.setattr(type(cases), "next_id", asked_together)
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda name: opened(console, requester=name), ("J. Doe", "K. Roe", "L. Poe")))
    assert sorted(case.id for case in made) == [f"SAR-2026-000{number}" for number in (1, 2, 3)]
    kept = {case.id: case.entries[0].details["requester"] for case in cases.all()}
    assert kept == {case.id: case.entries[0].details["requester"] for case in made}
    assert set(kept.values()) == {"J. Doe", "K. Roe", "L. Poe"}


def test_on_the_pages(console: Console) -> None:
    with signed_in(console, "lead") as lead, signed_in(console, "dpo") as dpo, signed_in(console, "officer") as officer:
        assert officer.get("/cases").status_code == 403
        assert "There are no open cases" in lead.get("/cases").text
        assert lead.submit("/cases", requester=" ").status_code == 422
        assert lead.submit("/cases", requester="J. Doe", on="soon").status_code == 422
        made = lead.submit("/cases", requester="<i>J. Doe</i>", form="letter", text="my call", on="2026-11-02")
        page = "/cases/SAR-2026-0001"
        assert made.headers["location"] == f"{page}?done=opened"
        assert "2 Dec 2026" in lead.get("/cases").text
        assert "7 days left" in lead.get("/cases").text
        assert "<i>J. Doe" not in lead.get(page).text
        assert lead.submit(f"{page}/step", step="identity_doubted", text="no paper shown").status_code == 303
        assert lead.submit(f"{page}/step", step="identity_checked", text="it is them").status_code == 403
        assert 'value="identity_checked"' not in lead.get(f"{page}/identity").text
        assert "you raised the doubt" in lead.get(f"{page}/identity").text
        assert 'value="identity_checked"' in dpo.get(f"{page}/identity").text
        searched = lead.submit(f"{page}/search", operator="Olive Officer")
        assert searched.headers["location"] == f"{page}/recordings?done=searched"
        assert f'value="{ID}"' in lead.get(searched.headers["location"]).text
        assert lead.submit(f"{page}/search").status_code == 422
        assert lead.submit(f"{page}/search", from_date="tomorrow").status_code == 422
        assert lead.submit(f"{page}/match", recordings=ID).status_code == 303
        assert lead.submit(f"{page}/step", step="decided").status_code == 422
        assert lead.submit(f"{page}/decide", decision="disclose").status_code == 403
        assert dpo.submit(f"{page}/decide", decision="disclose").status_code == 422
        assert dpo.submit(f"{page}/decide", decision="perhaps").status_code == 422
        assert dpo.submit(f"{page}/decide", decision="disclose", balance="she knew the account").status_code == 303
        assert "she knew the account" in lead.get(f"{page}/history").text
        assert f'action="/recordings/{ID}/export#copy"' in lead.get(f"/recordings/{ID}").text
        assert lead.submit(f"{page}/step", step="closed").status_code == 409
        assert lead.submit(f"{page}/step", step="handed_over", text="in person").status_code == 303
        assert "No copy was made" in lead.submit(f"{page}/step", step="closed").text
        assert lead.submit(f"{page}/step", step="closed", text="they listened in our office").status_code == 303
        assert lead.get("/cases/SAR-2026-0009").status_code == 404


@pytest.fixture
def home(tmp_path: Path) -> Iterator[RecorderHome]:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5999", is_started=False) as home:
        yield home


def test_at_the_shell(home: RecorderHome) -> None:
    def sar(*words: str) -> Result:
        return CliRunner().invoke(app, ["sar", *words, *home.as_admin(), "-C", str(home.root)])

    made = sar("open", "--requester", "J. Doe", "--form", "letter", "--text", "my call", "--on", "2026-11-02", "--json")
    case = json.loads(made.stdout)
    assert re.fullmatch(r"SAR-\d{4}-0001", case["id"]), "the year is that of now"
    assert (case["due_on"], case["handler"]) == ("2026-12-02", "founder")
    assert sar("identity-checked", case["id"], "--reason", "tax account").exit_code == 0
    assert sar("search", case["id"], "--operator", "nobody", "--json").stdout.strip() == "[]"
    assert "may not decide it" in sar("decide", case["id"], "refuse", "--reason", "nothing there").stderr
    assert "Dear J. Doe" in sar("letter", case["id"], "acknowledgement").stdout
    letter = home.json("cases", "letter", case["id"], "acknowledgement", *home.as_admin())
    assert (letter["about"], letter["letter"]) == (case["id"], "acknowledgement")
    assert "Dear J. Doe" in letter["text"]
    assert "was not refused" in sar("letter", case["id"], "refusal").stderr
    assert [one["id"] for one in json.loads(sar("list", "--json").stdout)] == [case["id"]]
    steps = [one["step"] for one in json.loads(sar("show", case["id"], "--json").stdout)["entries"]]
    assert steps == ["opened", "identity_checked", "searched"]
    assert "tax account" in sar("show", case["id"]).stdout
    assert sar("noted", "SAR-2026-0009", "--reason", "x").exit_code == 1
    assert sar("closed", case["id"], "--on", "tomorrow").exit_code == 2
    assert PASSWORD not in made.stdout
