"""What an open subject access request holds: at once, or as a count first. On pages, over HTTP, at the shell."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from recorder.cli.cli import app
from recorder.common.problems import ProblemError
from recorder.data_subjects import casework, scoping
from recorder.data_subjects.case_deadlines import COMPLAINT_WINDOW
from recorder.data_subjects.case_holds import waiting_scopes
from recorder.notifications.recipients import of_scopes
from recorder.rules.cases import Case, CaseEvent, CaseKind
from recorder.rules.requesting import Approvers
from storage.audit import AuditLog
from storage.query_holds import QueryHolds
from storage.tombstones import Deletions, Tombstone
from storage.types import RecordingId, Search
from tests.helpers.accounts import Clock
from tests.helpers.console_site import Console, console_site, signed_in
from tests.helpers.recorder_home import RecorderHome, recorder_home
from tests.helpers.storage_home import ID

DAY = timedelta(days=1)
CALLER = "020 7946 0000"
BEGAN = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
THAT_DAY = Search(started_from=BEGAN - timedelta(hours=9), started_to=BEGAN + timedelta(hours=15))
THAT_HOUR = Search(
    operator="Olive Officer", started_from=BEGAN - timedelta(minutes=30), started_to=BEGAN + timedelta(minutes=30)
)
GONE = RecordingId("20261124T140000Z-2001-00dead")


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 25, 9, 0, tzinfo=UTC))


@pytest.fixture
def console(tmp_path: Path, clock: Clock) -> Iterator[Console]:
    with console_site(tmp_path, now=clock, is_daemon_up=False) as running:
        index = running.deps.hold_repositories.index
        index.save(replace(index.get(ID), caller=CALLER))
        yield running


def opened(console: Console, search: Search | None = None, expected: int | None = None, by: str = "lead") -> Case:
    return casework.open_case(
        console.deps.cases, console.person(by), kind=CaseKind.SUBJECT_ACCESS, requester="J. Doe", form="letter",
        text="my call", search=search, expected=expected,
    )  # fmt: skip


def step(console: Console, case: Case, what: CaseEvent, by: str = "lead", text: str = "in words", **more: Any) -> Case:
    return casework.add_event(console.deps.cases, console.person(by), case.id, what, text=text, **more)


def held(console: Console) -> tuple[str, ...]:
    return console.deps.hold_repositories.index.get(ID).holds


def is_refused(status: int, match: str = ".") -> Any:
    return pytest.raises(ProblemError, match=match, check=lambda error: error.status == status)


@pytest.mark.parametrize("search", [Search(number=CALLER), THAT_HOUR])
def test_a_number_or_an_operator_with_a_day_and_hour_holds_at_the_opening(console: Console, search: Search) -> None:
    assert held(console) == ()
    case = opened(console, search)
    assert held(console) == ("sar",)
    details = case.entries[0].details
    assert (details["found"], details["deleted"], details["by_number"]) == (1, 0, search.number is not None)
    (query,) = QueryHolds(console.deps.hold_repositories.index.database).of_case(case.id)
    assert (query.ends_at, query.placed_by, query.owner) == (None, "lead", "lead")
    assert [entry.act for entry in console.entries()][-2:] == ["case.opened", "query_hold.placed"]
    placed = console.entries("query_hold.placed")[0].details
    assert (placed["reason"], placed["case_reference"]) == (f"case {case.id}", case.id)
    log = b"".join(path.read_bytes() for path in console.home.audit.glob("*.log"))
    assert not re.search(rb"7946 ?0999", log)  # four digits alone stand in one of thirty logs, in a digest


def test_anything_wider_is_a_count_first_and_held_for_14_days(console: Console, clock: Clock) -> None:
    for expected in (None, 0):
        with is_refused(409, "1 recordings fit this search"):
            opened(console, THAT_DAY, expected)
    assert (held(console), console.deps.cases.cases.all()) == ((), [])
    opened(console, THAT_DAY, 1)
    assert held(console) == ("sar",)
    clock.time += timedelta(days=14, seconds=-1)
    assert held(console) == ("sar",)
    clock.time += timedelta(seconds=1)
    assert held(console) == ()


def test_the_dpo_alone_confirms_what_is_wide(console: Console, clock: Clock) -> None:
    case = opened(console, THAT_DAY, 1)
    repos = console.deps.cases
    with is_refused(403, "data protection officer"):
        scoping.confirm_scope(repos, console.person("lead"), case.id, "all of that day")
    with is_refused(422):
        scoping.confirm_scope(repos, console.person("dpo"), case.id, " ")
    scoping.confirm_scope(repos, console.person("dpo"), case.id, "they do not remember when")
    with is_refused(409):
        scoping.confirm_scope(repos, console.person("dpo"), case.id, "again")
    clock.time += 60 * DAY
    assert held(console) == ("sar",)


def test_the_dpo_alone_narrows_what_is_wide_and_the_rest_is_kept_for_14_days(console: Console, clock: Clock) -> None:
    case = opened(console, THAT_DAY, 1)
    repos, other = console.deps.cases, Search(number="020 7946 0999")
    with is_refused(403, "data protection officer"):
        scoping.narrow_scope(repos, console.person("lead"), case.id, other, "that number")
    with is_refused(422):
        scoping.narrow_scope(repos, console.person("dpo"), case.id, Search(), "nothing")
    clock.time += 10 * DAY
    scoping.narrow_scope(repos, console.person("dpo"), case.id, other, "they gave their number")
    clock.time += timedelta(days=14, seconds=-1)
    assert held(console) == ("sar",)
    clock.time += timedelta(seconds=1)
    assert held(console) == ()
    (lasting,) = (one for one in scoping.scope_to_json(repos, case)["holds"])
    assert (lasting["by_number"], lasting["until"]) == (True, None)


def test_searching_holds_what_was_found_until_a_person_matches_or_dismisses_it(console: Console, clock: Clock) -> None:
    repos, lead = console.deps.cases, console.person("lead")
    case = opened(console)
    assert held(console) == ()
    casework.search_for(repos, lead, case.id, Search(operator="Olive Officer"))
    assert held(console) == ("sar",)
    step(console, case, CaseEvent.IDENTITY_CHECKED)
    for decision in ("disclose", "partly"):
        with is_refused(409, "neither matched nor dismissed"):
            step(console, case, CaseEvent.DECIDED, by="dpo", details={"decision": decision})
    with is_refused(409, "was not found for this case"):
        scoping.dismiss(repos, lead, case.id, [GONE], "another caller")
    with is_refused(422):
        scoping.dismiss(repos, lead, case.id, [ID], "")
    scoping.dismiss(repos, lead, case.id, [ID], "another caller")
    with is_refused(409, "was not found for this case"):
        scoping.dismiss(repos, lead, case.id, [ID], "another caller")
    casework.search_for(repos, lead, case.id, Search(extension="2001"))
    assert scoping.scope_to_json(repos, case)["undecided"] == [], "what was dismissed is not asked about again"
    clock.time += timedelta(days=14, seconds=-1)
    assert held(console) == ("sar",)
    clock.time += timedelta(seconds=1)
    assert held(console) == ()
    step(console, case, CaseEvent.DECIDED, by="dpo", details={"decision": "disclose"})


def test_a_search_holds_no_call_that_begins_later(console: Console, clock: Clock) -> None:
    case = opened(console)
    casework.search_for(console.deps.cases, console.person("lead"), case.id, Search(operator="Olive Officer"))
    index = console.deps.hold_repositories.index
    for seconds in (-1, 1):  # a call that went on, and one of afterwards
        began = clock.time + timedelta(seconds=seconds)
        one = RecordingId(f"{began:%Y%m%dT%H%M%SZ}-2001-0000aa")
        index.save(replace(index.get(ID), id=one, started_at=began))
        assert index.get(one).holds == (("sar",) if seconds < 0 else ())


def test_what_was_found_outlasts_a_refusal_by_the_time_to_complain(console: Console, clock: Clock) -> None:
    case = opened(console, Search(number=CALLER))
    casework.search_for(console.deps.cases, console.person("lead"), case.id, Search(number=CALLER))
    step(console, case, CaseEvent.DECIDED, by="dpo", text="they are somebody else", details={"decision": "refuse"})
    step(console, case, CaseEvent.CLOSED, text="nobody proved to be the caller")
    clock.time += COMPLAINT_WINDOW - timedelta(seconds=1)
    assert held(console) == ("sar",)
    clock.time += timedelta(seconds=1)
    assert held(console) == ()


def test_a_request_that_spans_a_deleted_recording_is_taken_for_the_rest(console: Console) -> None:
    repos, lead = console.deps.cases, console.person("lead")
    Deletions(console.deps.hold_repositories.index.database).settle(
        [Tombstone(id=GONE, deleted_at=BEGAN + 90 * DAY, rule="retention")]
    )
    case = opened(console, THAT_DAY, 1)
    assert case.entries[0].details["deleted"] == 1
    casework.search_for(repos, lead, case.id, THAT_DAY)
    with is_refused(409, "was deleted"):
        casework.match(repos, lead, case.id, [GONE])
    case = casework.match(repos, lead, case.id, [GONE, ID])
    assert case.recordings == (ID,)
    note = case.entries[-1]
    assert (note.step, note.details["gone"]) == (CaseEvent.NOTED, [GONE])
    assert f"{GONE}: The recording was deleted on" in note.text


def test_a_case_does_not_close_after_one_copy_of_two_without_a_word(console: Console, clock: Clock) -> None:
    repos, lead, index = console.deps.cases, console.person("lead"), console.deps.hold_repositories.index
    second = RecordingId("20261124T100000Z-2001-0000bb")
    index.save(replace(index.get(ID), id=second, started_at=BEGAN + timedelta(minutes=30)))
    case = opened(console, Search(number=CALLER))
    step(console, case, CaseEvent.IDENTITY_CHECKED)
    casework.search_for(repos, lead, case.id, Search(number=CALLER))
    casework.match(repos, lead, case.id, [ID, second])
    step(console, case, CaseEvent.DECIDED, by="dpo", details={"decision": "disclose"})
    with console.browser() as browser:
        browser.sign_in("lead")
        assert browser.submit(f"/recordings/{ID}/export", format="flac", reason=case.id, ground="sar").content
    step(console, case, CaseEvent.HANDED_OVER, text="by recorded post")
    with is_refused(409, f"No copy was made of {second} since the decision"):
        step(console, case, CaseEvent.CLOSED, text=" ")
    closed = step(console, case, CaseEvent.CLOSED, text="they heard the second one in our office")
    assert closed.entries[-1].details == {"without_copy": [second]}


def test_a_refused_case_does_not_close_with_a_recording_undecided_without_a_word(console: Console) -> None:
    case = opened(console, Search(number=CALLER))
    casework.search_for(console.deps.cases, console.person("lead"), case.id, Search(number=CALLER))
    step(console, case, CaseEvent.DECIDED, by="dpo", details={"decision": "refuse"})
    with is_refused(409, "1 recording found for this case was neither taken in nor dismissed"):
        step(console, case, CaseEvent.CLOSED, text=" ")
    closed = step(console, case, CaseEvent.CLOSED, text="it is another caller's")
    assert closed.entries[-1].details == {"undecided": [ID]}
    (entry,) = console.entries("case.closed")
    assert entry.details["undecided"] == [ID]
    assert AuditLog(console.home.audit).text(entry) == "it is another caller's"


def test_over_http(console: Console) -> None:
    with signed_in(console, "lead") as lead, signed_in(console, "dpo") as dpo, signed_in(console, "officer") as officer:
        assert officer.get("/api/cases").status_code == 403
        day = {"from": THAT_DAY.started_from.isoformat(), "to": THAT_DAY.started_to.isoformat()}  # type: ignore[union-attr]
        wide = {"requester": "J. Doe", "search": day}
        counted = lead.post("/api/cases", json=wide)
        assert (counted.status_code, "1 recordings fit" in counted.json()["detail"]) == (409, True)
        made = lead.post("/api/cases", json={**wide, "hold": 1}).json()
        case = f"/api/cases/{made['id']}"
        assert made["scope"]["undecided"] == [ID]
        assert lead.post(f"{case}/confirm-scope", json={"reason": "all of it"}).status_code == 403
        confirmed = dpo.post(f"{case}/confirm-scope", json={"reason": "all of it"}).json()
        assert [one["until"] for one in confirmed["scope"]["holds"]] == [None]
        assert dpo.post(f"{case}/narrow", json={"reason": "x", "search": {"number": CALLER}}).status_code == 409
        (found,) = lead.post(f"{case}/search", json={"number": CALLER}).json()["recordings"]
        assert found["holds"] == ["sar"]
        assert lead.post(f"{case}/match", json={"recordings": [ID]}).json()["recordings"] == [ID]
        assert lead.post(f"{case}/dismiss", json={"rest": True, "reason": "not theirs"}).status_code == 422
        assert lead.get(case).json()["scope"]["undecided"] == []
        assert [one["id"] for one in lead.get("/api/cases").json()["cases"]] == [made["id"]]


def test_on_the_pages(console: Console) -> None:
    with signed_in(console, "lead") as lead, signed_in(console, "dpo") as dpo:
        wide = {"requester": "J. Doe", "from_date": "2026-11-24", "to_date": "2026-11-24"}
        counted = lead.submit("/cases", **wide)
        assert (counted.status_code, "1 recording fits this search" in counted.text) == (409, True)
        assert 'value="J. Doe"' in counted.text, "nothing has to be typed again"
        page = lead.submit("/cases", **wide, hold="1").headers["location"].partition("?")[0]
        assert f'value="{ID}"' in lead.get(f"{page}/recordings").text
        assert "confirm-scope" not in lead.get(page).text
        assert lead.submit(f"{page}/confirm-scope", text="all").status_code == 403
        assert lead.get(f"{page}/narrow").status_code == 403
        assert "confirm-scope" in dpo.get(page).text
        assert 'name="number"' in dpo.get(f"{page}/narrow").text
        assert dpo.submit(f"{page}/narrow", number="<b>1</b>", text="their number").status_code == 303
        assert dpo.submit(f"{page}/confirm-scope", text="all").status_code == 303
        assert lead.submit(f"{page}/dismiss", text="").status_code == 422
        assert lead.submit(f"{page}/dismiss", text="another caller").status_code == 303
        assert "1 recording dismissed" in lead.get(f"{page}/history").text


@pytest.fixture
def home(tmp_path: Path) -> Iterator[RecorderHome]:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5999", is_started=False) as home:
        yield home


def test_at_the_shell(home: RecorderHome, tmp_path: Path) -> None:
    def sar(*words: str) -> Result:
        return CliRunner().invoke(app, ["sar", *words, *home.as_admin(), "-C", str(home.root)])

    (number := tmp_path / "number").write_text("020 7946 0000\n")
    wide = ("open", "--requester", "J. Doe", "--from", "2026-11-24", "--to", "2026-11-24")
    assert "0 recordings fit this search" in " ".join(sar(*wide).stderr.split())
    made = json.loads(sar(*wide, "--hold", "0", "--json").stdout)
    assert made["entries"][0]["details"]["found"] == 0
    narrowed = sar("narrow", made["id"], "--number-file", str(number), "--reason", "they gave it", "--json")
    assert json.loads(narrowed.stdout)["entries"][-1]["step"] == "narrowed"
    assert sar("confirm-scope", made["id"], "--reason", "all of it").exit_code == 0
    shown = json.loads(sar("show", made["id"], "--json").stdout)["scope"]
    assert [one["until"] for one in shown["holds"]] == [None, None]
    assert sar("dismiss", made["id"], "--rest", "--reason", "nothing there").exit_code == 1
    assert "0 recordings that fit are held" in sar("open", "--requester", "K. Roe", "--number-file", str(number)).stderr


def test_the_dpo_is_told_of_what_is_wide_and_again_before_it_ends(console: Console, clock: Clock) -> None:
    approvers = Approvers(people=(console.person("dpo"), console.person("lead")))

    def told() -> list[tuple[str, str, str]]:
        waiting = waiting_scopes(console.deps.hold_repositories)
        return [(one.account, one.subject, one.moment) for one in of_scopes(waiting, approvers, clock.time)]

    opened(console, Search(number=CALLER))
    assert told() == []
    case = opened(console, THAT_DAY, 1)
    assert told() == [("dpo", case.id, "")]
    clock.time += 11 * DAY
    assert told() == [("dpo", case.id, ""), ("dpo", case.id, "again")]
    scoping.confirm_scope(console.deps.cases, console.person("dpo"), case.id, "all of it")
    assert told() == []
