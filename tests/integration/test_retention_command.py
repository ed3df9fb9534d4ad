"""`recorder retention show`: what people at the shell see, what stops a sweep and how they let it go on."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks.postgres import PostgresServer
from recorder.cli.cli import app
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.permissions import Role
from recorder.recordings.home_stores import open_index
from recorder.recordings.resurrection_guard import LOCK, alone
from recorder.retention.sweep_process import opened_sweeper
from storage.audit import AuditLog
from storage.audit_reading import of_act
from storage.database import Database, sqlite_url
from storage.hold_journal import PLACED, placed_details
from storage.holds import Holds, new_hold_id
from storage.retention_types import Hold, HoldKind
from storage.types import RecordingId
from tests.helpers.due_home import DAY, add_recording, is_there, moment
from tests.helpers.recorder_home import RecorderHome, recorder_home


@dataclass
class Shell:
    """A home without a daemon; people: founder (admin and dpo), dora (dpo), ida and ian (ict), mona, lena and lea."""

    home: RecorderHome

    def __post_init__(self) -> None:
        for name, *roles in (
            ("ida", Role.ICT), ("ian", Role.ICT, Role.TEAM_LEADER), ("mona", Role.MANAGER), ("lena", Role.TEAM_LEADER),
            ("lea", Role.TEAM_LEADER), ("dora", Role.DPO),
        ):  # fmt: skip
            self.home.add_person(name, *roles)

    def run(self, *words: str, by: str = "", code: int = 0) -> tuple[str, str]:
        """Run `recorder retention show`, which must end with an exit code; returns what it wrote."""
        who = ("--as", by, "--password-file", str(self.home.password_file)) if by else ()
        done = CliRunner().invoke(app, ["retention", *words, *who, "-C", str(self.home.root)])
        assert done.exit_code == code, (done.exit_code, done.stdout, done.stderr, done.exception)
        return done.stdout, done.stderr.replace("\n", " ")

    def json(self, *words: str, by: str = "") -> Any:
        """Run it, which must succeed, and return its document."""
        return json.loads(self.run(*words, "--json", by=by)[0])

    def acts(self, act: str) -> list[dict[str, Any]]:
        """Return the entries of the audit log of an act."""
        return [entry.to_json() for entry in of_act(AuditLog(self.home.root / "audit").path, act)]

    def hold(self, recording: RecordingId) -> None:
        """Hold a recording."""
        hold = Hold(
            id=new_hold_id(), recording=recording, kind=HoldKind.EVIDENCE, reason="police", case_reference="P-1",
            owner="founder", placed_by="founder", placed_at=utc_now(), review_on=date(2099, 1, 1),
        )  # fmt: skip
        AuditLog(self.home.root / "audit").append(PLACED, "founder", recording, placed_details(hold), hold.reason)
        index = open_index(Home(self.home.root), read_config(self.home.config))
        Holds(index.database).place(hold)
        index.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with recorder_home(tmp_path_factory.mktemp("shell"), is_started=False, next_hop="127.0.0.1:5099") as home:
        yield Shell(home)


@pytest.fixture
def shell(made: Shell, tmp_path: Path) -> Iterator[Shell]:
    """The same home for all, as it was in the beginning: every test begins with an empty vault."""
    saved = made.home.config.read_text()
    root = made.home.root
    shutil.copytree(root / "audit", tmp_path / "of-the-accounts")
    Database(sqlite_url(root / "index.sqlite")).close()  # as `init` makes it
    yield made
    made.home.config.write_text(saved)
    for name in ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm", "state", "recordings", "audit", "keys/sealed"):
        if (root / name).exists():
            (root / name).rename(tmp_path / name.replace("/", "-"))
    shutil.copytree(tmp_path / "of-the-accounts", root / "audit")


def test_the_schedule_and_the_state_before_and_after_a_sweep(shell: Shell) -> None:
    before = shell.json()
    assert before["last_success"] is None
    by_class = {line["class"]: line for line in before["schedule"] if not line["service"]}
    assert {name: line["days"] for name, line in by_class.items()} == {
        "recordings": 90, "unrecorded_calls": 90, "texts": 730, "decisions": 730, "access": 730,
        "requests": 730, "cases": 1096, "torn_files": 730, "deliveries": 90, "tombstones": 2192,
        "call_records": 30, "assurance": 365,
    }  # fmt: skip
    assert by_class["recordings"]["owner"] == "dpo"
    out, err = shell.run()
    assert "recordings: container, sealed key and row; by service\t90\t90" in out
    assert "sessions of console and shell\tas idle_minutes" in out
    assert {"what", "rule", "owner", "why"} == set(before["fixed"][0])
    assert "no sweep has succeeded yet" in err
    due, new = add_recording(shell.home, 91 * DAY, 1), add_recording(shell.home, DAY, 2)
    _, err = shell.run("run", by="ida")
    assert "recordings 1" in err
    assert (is_there(shell.home, due), is_there(shell.home, new)) == (False, True)
    (entry,) = shell.acts("retention.run")
    assert (entry["actor"], entry["details"]["share_confirmed"]) == ("ida", False)
    after = shell.json()
    assert abs(moment(after["last_success"]) - utc_now()) < timedelta(minutes=5)
    assert after["counts"]["recordings"] == 1
    assert "last sweep" in shell.run()[1]


def test_a_dry_run_counts_by_service_and_month_says_what_is_held_and_changes_nothing(shell: Shell) -> None:
    before = utc_now()
    old = [add_recording(shell.home, age * DAY, age) for age in (91, 92, 150)]
    held = add_recording(shell.home, 95 * DAY, 95)
    add_recording(shell.home, DAY, 1)
    add_recording(shell.home, 85 * DAY, 85, service="planning")
    shell.hold(held)
    plan = shell.json("--dry-run")
    housing, planning = plan["calls"]
    assert (housing["class"], housing["service"], housing["days"]) == ("recordings", "housing", 90)
    assert (housing["due"]["count"], housing["held"]["count"]) == (3, 1)
    assert housing["held"]["kinds"] == {"evidence": 1}
    assert housing["due"]["bytes"] == sum(one["bytes"] for one in housing["months"].values()) > 40_000
    assert sum(one["count"] for one in housing["months"].values()) == 3
    assert {f"{at - 150 * DAY:%Y-%m}" for at in (before, utc_now())} & housing["months"].keys()
    assert (planning["service"], planning["next_week"]["count"]) == ("planning", 1)
    assert (plan["recordings_kept"], plan["stopped"]) == (6, None)
    out, err = shell.run("--dry-run")
    assert "evidence 1" in out
    assert "3 calls of" in err
    assert "1 more are held; nothing was changed" in err
    assert "3 of 6 recordings would be deleted; at most 5 % in a day" in err
    assert all(is_there(shell.home, one) for one in [*old, held])
    assert not (shell.home.root / "state" / "retention.json").exists()
    shell.run("run", by="ida")
    assert [is_there(shell.home, one) for one in [*old, held]] == [False, False, False, True]


def test_what_is_refused(shell: Shell) -> None:
    due = add_recording(shell.home, 91 * DAY, 1)
    add_recording(shell.home, DAY, 2)
    assert "--as NAME" in shell.run("run", code=2)[1]
    assert "role" in shell.run("run", by="mona", code=1)[1]
    assert shell.acts("retention.run.refused")[0]["actor"] == "mona"
    assert "No such command" in shell.run("away", code=2)[1]
    done = CliRunner().invoke(app, ["retention", "--dry-run", "run"])
    assert (done.exit_code, "extra argument" in done.stderr) == (2, True)
    with alone(shell.home.root / "state" / LOCK):
        assert "a sweep is running already" in shell.run("run", by="ida", code=1)[1]
    assert is_there(shell.home, due)
    for words, sentence in (
        ("retention_days = 0", "retention_days is 0: it must be at least 1"),
        ("retention_days = -7", "retention_days is -7: it must be at least 1"),
        ("retention_days = 3000", "tombstone_days is 2192: shorter than the longest period"),
    ):
        text = shell.home.config.read_text()
        shell.home.edit("retention_days = 90", words)
        number = shell.home.config.read_text().splitlines().index(
            next(line for line in shell.home.config.read_text().splitlines() if line.startswith(words))
        )  # fmt: skip
        _, err = shell.run("--dry-run", code=2)
        assert sentence in err
        assert "tombstone" in sentence or f"line {number + 1}:" in err
        shell.home.config.write_text(text)


def test_a_share_that_is_too_large_waits_for_a_person(shell: Shell) -> None:
    """Nothing was recorded for ten days: then a clock that has jumped cannot be told from a long holiday."""
    due, new = add_recording(shell.home, 91 * DAY, 1), add_recording(shell.home, 10 * DAY, 2)
    assert "1 of 2 recordings are due" in shell.json("--dry-run")["stopped"]
    assert "a sweep would delete nothing" in shell.run("--dry-run")[1]
    _, err = shell.run("run", by="ida", code=1)
    assert "the clock has jumped" in err
    assert "recorder retention confirm-share --as NAME" in err
    assert is_there(shell.home, due)
    assert "since then" in shell.run()[1]
    for one in ("ida", "ian"):
        assert "ICT runs sweeps" in shell.run("run", "--confirm-share", by=one, code=1)[1]
    assert "role" in shell.run("run", "--confirm-share", by="mona", code=1)[1]
    assert shell.json("run", "--confirm-share", by="lena")["is_enough"] is False
    assert "a second person has to" in shell.run("run", "--confirm-share", by="lena", code=1)[1]
    assert "data protection officer or the deputy" in shell.run("run", "--confirm-share", by="lea", code=1)[1]
    shell.run("run", by="ida", code=1)
    assert is_there(shell.home, due), "of one person's word nothing goes"
    assert shell.json("run", "--confirm-share", by="dora")["counts"]["recordings"] == 1
    confirmed = [(entry["actor"], entry["details"]["is_enough"]) for entry in shell.acts("retention.confirmed")]
    assert confirmed == [("lena", False), ("dora", True)]
    assert shell.acts("retention.swept")[-1]["details"]["share_confirmed"] is True
    assert (is_there(shell.home, due), is_there(shell.home, new)) == (False, True)


def test_the_deputy_and_somebody_else_let_a_sweep_go_on(shell: Shell) -> None:
    due, _ = add_recording(shell.home, 91 * DAY, 1), add_recording(shell.home, 10 * DAY, 2)
    shell.home.appoint_deputy("lea")
    assert shell.json("run", "--confirm-share", by="lea")["is_enough"] is False
    assert "a second person has to" in shell.run("run", "--confirm-share", by="lea", code=1)[1]
    assert shell.json("run", "--confirm-share", by="lena")["counts"]["recordings"] == 1
    assert not is_there(shell.home, due)


def test_ict_alone_deletes_nothing_early_by_a_clock_set_forward(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = add_recording(shell.home, DAY, 1)
    ahead = utc_now() + 92 * DAY
    for module in ("recorder.retention.sweep_process", "recorder.cli.retention"):
        monkeypatch.setattr(f"{module}.opened_sweeper", partial(opened_sweeper, now=lambda: ahead))
    assert "the clock has jumped" in shell.run("run", by="ida", code=1)[1]
    for one in ("ida", "ian"):
        for words in (("run", "--confirm-share"), ("confirm-clock",), ("run",)):
            has_role = (one, words) == ("ian", ("confirm-clock",))  # of a team leader too; there is nothing to say
            shell.run(*words, by=one, code=0 if has_role else 1)
    assert is_there(shell.home, recording)
    assert shell.acts("retention.confirmed") == []


def test_a_period_that_was_made_shorter_before_the_first_sweep_waits_for_the_dpo(tmp_path: Path) -> None:
    with recorder_home(tmp_path, is_started=False, next_hop="127.0.0.1:5099") as home:
        shell = Shell(home)
        recording = add_recording(home, 40 * DAY, 1)
        add_recording(home, DAY, 2)
        home.edit("retention_days = 90", "retention_days = 1")
        (stored,) = shell.acts("retention.in_force")
        assert (stored["actor"].startswith("os:"), stored["details"]["periods"]["retention_days"]) == (True, 90)
        assert stored["details"]["most_share"] == 5
        shell.run("run", by="ida")
        assert is_there(home, recording)
        assert "retention_days is 1 days, 90 are in force" in shell.json()["unconfirmed"]


def test_a_larger_share_of_a_day_waits_for_the_dpo(shell: Shell) -> None:
    """ICT writes the configuration: if all may go in a day, a clock set forward is enough."""
    due, new = add_recording(shell.home, 91 * DAY, 1), add_recording(shell.home, 10 * DAY, 2)
    shell.home.edit("most_share_a_day = 5.0", "most_share_a_day = 100.0")
    sentence = "most_share_a_day is 100 %, 5 % are in force"
    assert shell.json()["unconfirmed"] == [sentence]
    assert shell.json("--dry-run")["unconfirmed"] == [sentence]
    assert "at most 5 % in a day" in shell.run("--dry-run")[1]
    assert "more than 5 % of them" in shell.run("run", by="ida", code=1)[1]
    assert "role" in shell.run("confirm-shorter", by="ida", code=1)[1]
    shell.run("run", by="ida", code=1)
    assert is_there(shell.home, due)
    assert sentence in shell.run("confirm-shorter", by="dora")[1]
    assert shell.acts("retention.in_force")[-1]["details"]["most_share"] == 100
    assert shell.json()["unconfirmed"] == []
    shell.run("run", by="ida")
    assert (is_there(shell.home, due), is_there(shell.home, new)) == (False, True)
    shell.home.edit("most_share_a_day = 100.0", "most_share_a_day = 2.0")
    shell.run("run", by="ida")
    shell.home.edit("most_share_a_day = 2.0", "most_share_a_day = 5.0")
    assert shell.json()["unconfirmed"] == ["most_share_a_day is 5 %, 2 % are in force"]


def test_a_shorter_period_waits_for_the_dpo(shell: Shell) -> None:
    older, new = add_recording(shell.home, 40 * DAY, 1), add_recording(shell.home, DAY, 2)
    shell.run("run", by="ida")
    shell.home.edit("retention_days = 90", "retention_days = 30")
    sentence = "retention_days is 30 days, 90 are in force"
    waiting = shell.json()["unconfirmed"]
    assert waiting[0] == sentence
    assert all("of service" in one for one in waiting[1:]), "those that say nothing of their own follow"
    assert "recorder retention confirm-shorter" in shell.run()[1]
    assert shell.json("--dry-run")["calls"] == []
    assert shell.json("confirm-shorter", "--dry-run")["calls"][0]["due"]["count"] == 1
    shell.run("run", by="ida")
    assert is_there(shell.home, older)
    assert "role" in shell.run("confirm-shorter", by="ida", code=1)[1]
    shell.run("run", by="ida")
    assert is_there(shell.home, older)
    done = shell.json("confirm-shorter", by="founder")
    assert done[0] == {"key": "retention_days", "days": 30, "before": 90}
    (allowed,) = shell.acts("retention.shorten")
    assert (allowed["actor"], allowed["details"]["shorter"]) == ("founder", waiting)
    assert shell.acts("retention.in_force")[-1]["details"]["periods"]["retention_days"] == 30
    assert is_there(shell.home, older), "it says what holds, the sweep deletes"
    shell.run("run", by="ida")
    assert (is_there(shell.home, older), is_there(shell.home, new)) == (False, True)
    assert "no configured period is shorter" in shell.run("confirm-shorter", by="founder")[1]


def test_a_clock_that_was_wrong_is_said_to_be_right(shell: Shell) -> None:
    due = add_recording(shell.home, 91 * DAY, 1)
    add_recording(shell.home, DAY, 2)
    add_recording(shell.home, -3 * DAY, 3)
    _, err = shell.run("run", by="ida", code=1)
    assert "recorder retention confirm-clock --as NAME" in err
    assert is_there(shell.home, due)
    assert "role" in shell.run("confirm-clock", by="mona", code=1)[1]
    assert "role" in shell.run("confirm-clock", by="ida", code=1)[1]
    assert "ICT runs sweeps" in shell.run("confirm-clock", by="ian", code=1)[1]
    assert "a second person must confirm" in shell.run("confirm-clock", by="dora")[1]
    shell.run("run", by="ida", code=1)
    assert "the clock is right" in shell.run("confirm-clock", by="lena")[1]
    assert shell.json("confirm-clock", by="lena")["until"] is None
    shell.run("run", by="ida")
    assert not is_there(shell.home, due)


def test_the_files_of_a_node_whose_disk_is_lost_are_written_off(shell: Shell, postgres: PostgresServer) -> None:
    config = shell.home.config
    url = postgres.new_database()
    config.write_text(config.read_text().replace('index_url = "off"', f'index_url = "{url}"'))
    add_recording(shell.home, 91 * DAY, 1, node="south")
    add_recording(shell.home, DAY, 2)
    shell.run("run", by="ida")
    (waiting,) = shell.json()["files_waiting"]
    assert (waiting["node"], waiting["count"]) == ("south", 1)
    assert "1 deleted recordings have a file on node south" in shell.run()[1]
    assert "1 recordings would be written off" in shell.run("write-off", "south", "--dry-run")[1]
    reason = ("--reason", "the machine burnt, with its disk")
    assert "role" in shell.run("write-off", "south", *reason, by="ida", code=1)[1]
    assert "Enter a reason" in shell.run("write-off", "south", by="dora", code=1)[1]
    assert "nothing waits for the node 'north'" in shell.run("write-off", "north", *reason, by="dora", code=1)[1]
    assert len(shell.json()["files_waiting"]) == 1
    planned = shell.json("write-off", "south", "--dry-run")
    assert planned == {"node": "south", "recordings": 1, "dry_run": True, "is_dry": True}
    done = shell.json("write-off", "south", *reason, by="dora")
    assert done == {"node": "south", "recordings": 1}
    assert shell.json()["files_waiting"] == []
    assert shell.acts("index.reconcile")[-1]["details"]["write_off"] == {"node": "south", "recordings": 1}
