"""A service that discards card calls, with a recording under legal hold, and with another caller's call on hold."""

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, date, datetime

import pytest

from audio import prompts
from recorder.cli.entries import shell_audit
from recorder.common.home import Home
from recorder.common.problems import ProblemError
from recorder.config.reading import read_config
from recorder.permissions import Person, Role
from recorder.recordings.home_stores import open_index, open_vault
from recorder.recordings.recovery import recover_all
from recorder.retention.hold_repositories import HoldRepositories
from recorder.retention.holding import place_hold
from recorder.rules.holds import HoldWish
from storage.audit import AuditLog
from storage.holds import Holds, new_hold_id
from storage.retention_types import Hold, HoldKind
from storage.types import RecordingId
from tests.helpers.exactness import times_heard
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.recorder_home import eventually
from tests.helpers.virtual.exchange import TurnedHome, exchange
from tests.virtual.test_call_discard import EDITS, WRITTEN_S, by_card, by_key, by_officer, by_page, hung_up, left_of

TEAM = ('service = "Revenues"\nteam = ""', 'service = "Revenues"\nteam = "Revenues"')
STRANGERS = {
    "an elected member": {"display_name": "Mia", "roles": ["member"]},
    "an administrator": {"display_name": "Ada", "roles": ["admin"]},
    "another team's officer": {"display_name": "Otto", "roles": ["officer"], "teams": ["Housing"]},
    "another team's manager": {"display_name": "Hugo", "roles": ["manager"], "teams": ["Housing"]},
}
OTHERS = {
    "a colleague": {"display_name": "bob", "roles": ["officer"]},
    "the manager": {"display_name": "Mary", "roles": ["manager"], "teams": ["Revenues"]},
    "another team's leader": {"display_name": "Lena", "roles": ["team_leader"], "teams": ["Housing"]},
    "the DPO": {"display_name": "Dora", "roles": ["dpo"]},
}


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("kept"), edits=(*EDITS, TEAM)) as made:
        yield made


def hold(home: Home, call: str) -> None:
    index = open_index(home, read_config(home.config))
    try:
        Holds(index.database).place(
            Hold(
                id=new_hold_id(),
                recording=RecordingId(call),
                kind=HoldKind.EVIDENCE,
                case_reference="UB 17",
                reason="threats",
                placed_by="mary",
                placed_at=datetime.now(UTC),
                owner="mary",
                review_on=date(2027, 1, 4),
            )
        )
    finally:
        index.close()


def state(talk: Talk) -> str:
    assert talk.live is not None
    return str(talk.live["state"])


@pytest.mark.parametrize("trigger", [by_key, by_card, by_officer, by_page])
def test_what_is_held_is_paused_and_not_discarded(lines: Exchange, trigger: Callable[[Talk, str], None]) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(WRITTEN_S)
    hold(Home(talk.home.root), call)
    before = lines.home.health()["alarms"].get("kept_not_discarded", 0)
    if trigger in (by_officer, by_page):
        body = {"as": "token:payments"} if trigger is by_page else {}
        answer = lines.home.act(f"/api/calls/{call}/pause", **body).raise_for_status().json()
        assert (answer["state"], answer["kept"]) == ("paused", True)
        assert answer["position_s"] > 0
    else:
        trigger(talk, call)
    eventually(lambda: lines.home.health()["alarms"].get("kept_not_discarded", 0) == before + 1, "an alarm is raised")
    assert state(talk) == "paused"
    assert left_of(talk, call) == [f"{call}.key", f"{call}.part"]
    talk.talk_for(0.5)
    row = talk.hang_up()
    assert (row["outcome"], row["path"] is not None) == ("partial", True)
    kinds = [segment["kind"] for segment in row["segments"] if segment["kind"] != "silenced"]
    assert kinds == ["recording", "paused"], "the first of the caller's digits came before what the pause erased"
    acts = [e.act for e in AuditLog(lines.home.root / "audit").entries() if e.subject == call]
    assert acts == ["call.pause"]


def placed(home: Home, call: str, manager: Person) -> Hold:
    """Place a hold as API, console and command do."""
    config = read_config(home.config)
    index = open_index(home, config)
    try:
        repos = HoldRepositories(
            index=index, holds=Holds(index.database), audit=AuditLog(home.audit), audit_service=shell_audit(home),
            vault=open_vault(home, config, index), people=lambda: [manager], state=home.state,
            now=lambda: datetime.now(UTC),
        )  # fmt: skip
        wish = HoldWish(kind=HoldKind.COMPLAINT, reason="threats", case_reference="UB 17")
        return place_hold(repos, manager, call, wish)
    finally:
        index.close()


def manager_of(team: str) -> Person:
    return Person(name="mary", display_name="Mary", roles=frozenset({Role.MANAGER}), teams=(team,))


def test_a_manager_holds_a_call_in_progress_of_their_team_which_is_kept_after_a_crash(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(WRITTEN_S)
    home = Home(lines.home.root)
    with pytest.raises(ProblemError, match="no such recording"):
        placed(home, call, manager_of("Housing"))
    made = placed(home, call, manager_of("Revenues"))
    dead = Home(home.root.with_name("dead-held"))
    shutil.copytree(home.root, dead.root, ignore=shutil.ignore_patterns("*.sock"))
    talk.right.press("*1")
    eventually(lambda: state(talk) == "paused", "a card payment pauses the held call")
    talk.talk_for(0.5)
    row = talk.hang_up()
    assert (row["path"] is not None, row["holds"]) == (True, ["complaint"])
    (entry,) = (e for e in AuditLog(home.audit).entries() if (e.subject, e.act) == (call, "hold.placed"))
    assert (entry.actor, entry.details["hold"], AuditLog(home.audit).text(entry)) == ("mary", made.id, "threats")
    (found,) = (one for one in recover_all(dead, read_config(dead.config), datetime.now(UTC)) if one.id == call)
    index = open_index(dead, read_config(dead.config))
    try:
        recovered = index.get(RecordingId(call))
    finally:
        index.close()
    assert (found.problem, recovered.path is not None, recovered.holds) == (None, True, ("complaint",))


@pytest.mark.parametrize("who", OTHERS)
def test_only_the_calls_officer_discards(lines: Exchange, who: str) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(WRITTEN_S)
    answer = lines.home.act(f"/api/calls/{call}/pause", by="x", person=OTHERS[who]).raise_for_status().json()
    assert answer["state"] == "paused"
    by_extension = lines.home.act("/api/extensions/2001/pause", by="x", person=OTHERS[who]).raise_for_status().json()
    assert by_extension["calls"][0]["state"] == "paused"
    assert left_of(talk, call) == [f"{call}.key", f"{call}.part"]
    assert talk.hang_up()["outcome"] == "partial"


@pytest.mark.parametrize("who", STRANGERS)
def test_a_stranger_neither_pauses_nor_resumes(lines: Exchange, who: str) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(0.3)
    unknown = lines.home.act("/api/calls/20260101T000000Z-2001-ffffff/pause", by="x", person=STRANGERS[who])
    for word, held in (("pause", "recording"), ("resume", "paused")):
        for path in (f"/api/calls/{call}/{word}", f"/api/extensions/2001/{word}"):
            refused = lines.home.act(path, by="x", person=STRANGERS[who])
            assert (refused.status_code, state(talk)) == (404, held)
        answer = lines.home.act(f"/api/calls/{call}/{word}", by="x", person=STRANGERS[who]).text
        assert answer.replace(call, "ID") == unknown.text.replace("20260101T000000Z-2001-ffffff", "ID")
        lines.home.act(f"/api/calls/{call}/pause", by="x", person=OTHERS["the manager"]).raise_for_status()
    talk.hang_up()
    entries = [e for e in AuditLog(lines.home.root / "audit").entries() if e.subject == call]
    assert [e.act for e in entries].count("call.resume.refused") == 2
    assert "not your call" in entries[0].details["why"]


class Orders:
    """A filing executor whose database does not answer before the test says so."""

    def __init__(self) -> None:
        self.answer: Future[bool] = Future()

    def submit(self, *_: object) -> "Future[bool]":
        return self.answer


def call_while_the_database_hangs(lines: Exchange, monkeypatch: pytest.MonkeyPatch) -> tuple[Talk, str, Orders]:
    talk, orders = lines.call(), Orders()
    call = talk.join()
    talk.talk_for(WRITTEN_S)
    assert isinstance(lines.home, TurnedHome)
    monkeypatch.setattr(lines.home.daemon_now.services, "orders", orders)
    return talk, call, orders


def test_the_officer_is_told_of_the_pause_while_the_database_does_not_answer(
    lines: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk, call, orders = call_while_the_database_hangs(lines, monkeypatch)
    talk.right.press("*1")
    eventually(lambda: times_heard(talk.right, prompts.paused_tone()) == 1, "the officer is told of the pause")
    assert left_of(talk, call) == [f"{call}.key", f"{call}.part"]
    orders.answer.set_result(True)
    eventually(lambda: not left_of(talk, call), "the recording is dropped as soon as the database says so")
    eventually(lambda: times_heard(talk.right, prompts.ended_tone()) == 1, "the officer is told of that too")
    assert hung_up(talk)["reason"] == "discarded"

    def states() -> list[str]:
        entries = AuditLog(lines.home.root / "audit").entries()
        return [e.details["state"] for e in entries if (e.subject, e.act) == (call, "call.pause")]

    eventually(lambda: states() == ["paused", "discarded"], "both are in the audit log")


def test_root_at_the_machine_pauses_with_an_alarm_and_does_not_resume(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(WRITTEN_S)
    audit = lines.home.root / "audit"
    audit.rename(audit.with_name("audit.away"))
    audit.write_text("no folder: the audit log's disk is away")
    try:
        answer = lines.home.live.post(f"/api/calls/{call}/pause", json={}).raise_for_status().json()
        assert answer["state"] == "paused", "nobody with an account answers for a discard"
        (spooled,) = (json.loads(file.read_text()) for file in (lines.home.root / "state/late_entries").glob("*.json"))
        assert (spooled["act"], spooled["subject"]) == ("call.pause", call)
        assert spooled["actor"] == f"os:{spooled['details']['os_user']}"
    finally:
        audit.unlink()
        audit.with_name("audit.away").rename(audit)
    assert lines.home.health()["alarms"]["paused_without_account"] == 1
    refused = lines.home.live.post(f"/api/calls/{call}/resume", json={})
    assert (refused.status_code, "--as NAME" in refused.json()["detail"]) == (403, True)
    assert talk.hang_up()["outcome"] == "partial"


@pytest.mark.parametrize(
    ("found", "outcome"), [(True, ("blocked", "discarded")), (OSError("the database is away"), ("partial", "paused"))]
)
def test_a_call_that_ends_first_waits_for_the_decision(
    lines: Exchange,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    found: bool | OSError,
    outcome: tuple[str, str],
) -> None:
    talk, call, orders = call_while_the_database_hangs(lines, monkeypatch)
    answer = lines.home.act(f"/api/calls/{call}/pause").raise_for_status().json()
    assert answer["state"] == "paused", "what is not wanted stops at once, and whoever asked is told in time"
    talk.first.hang_up()
    talk.first.wait_ended()
    talk.talk_for(0.5)
    assert left_of(talk, call) == [f"{call}.key", f"{call}.part"]
    if isinstance(found, OSError):
        orders.answer.set_exception(found)
    else:
        orders.answer.set_result(found)
    talk.left.hush()
    talk.right.hush()
    (row,) = eventually(lambda: [r for r in talk.home.rows(number=talk.number) if r["ended_at"]], "the end is filed")
    assert row["outcome"] == outcome[0]
    assert outcome[1] in row["reason"]
    assert (not left_of(talk, call)) is (found is True)
    assert ("is to be kept (the database is away)" in caplog.text) is (found is not True)


@pytest.mark.parametrize("is_held", [False, True])
def test_a_daemon_that_dies_undecided_decides_at_its_next_start(
    lines: Exchange, monkeypatch: pytest.MonkeyPatch, is_held: bool
) -> None:
    """The home's files while the database does not answer are those that a killed daemon would leave."""
    talk, call, orders = call_while_the_database_hangs(lines, monkeypatch)
    lines.home.act(f"/api/calls/{call}/pause").raise_for_status()
    dead = Home(lines.home.root.with_name(f"dead-{is_held}"))
    shutil.copytree(lines.home.root, dead.root, ignore=shutil.ignore_patterns("*.sock"))
    orders.answer.set_result(True)
    hung_up(talk)
    if is_held:
        hold(dead, call)
    config = read_config(dead.config)
    (found,) = (one for one in recover_all(dead, config, datetime.now(UTC)) if one.id == call)
    index = open_index(dead, config)
    try:
        row = index.get(RecordingId(call))
    finally:
        index.close()
    assert found.problem is None
    assert (row.outcome, row.reason) == (("partial", "daemon_stopped") if is_held else ("blocked", "discarded"))
    assert bool(list(dead.root.rglob(f"{call}.*"))) is is_held
    acts = [e.details["state"] for e in AuditLog(dead.audit).entries() if (e.subject, e.actor) == (call, "recorder")]
    assert acts == ([] if is_held else ["discarded"])
