"""Call records imported by command into a real index: what is named, who sees it, what is kept, and bad files."""

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from recorder.access.accounts import People
from recorder.access.database import open_people
from recorder.assurance.assurance import JUDGED_DAYS, assurance_of
from recorder.assurance.call_records import CallRecordsError
from recorder.assurance.daily import Judged, judge_due, keep_judging
from recorder.assurance.expecting import Expected, Policy
from recorder.assurance.importing import ImportOrder, import_order, read_calls
from recorder.assurance.sources import CallRecordSources
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.call_record_options import CallRecordsOptions
from recorder.config.settings import Config
from recorder.permissions import Role
from recorder.rules.policy import Extension
from storage.assurance import AssuranceStore
from storage.assurance_types import CallDirection, ExpectedCall, Explanation, StoredDay, StoredFinding
from storage.audit import AuditLog
from storage.database import Database, sqlite_url
from storage.errors import LeaseLostError
from storage.index import Index
from storage.rows import row_from_json
from storage.types import RecordingId
from tests.helpers.accounts import CHEAP, PASSWORD
from tests.helpers.recorder_home import RecorderHome, recorder_home
from tests.helpers.storage_home import row

LONDON = ZoneInfo("Europe/London")
DAY = (datetime.now(LONDON) - timedelta(days=3)).date()
NOON = datetime.combine(DAY, time(12), LONDON)
CALLERS = "0207946{}"
HEADER = "start,answer,end,src,dst,dstchannel,duration,billsec,disposition,uniqueid\n"


def line(minute: int, extension: str, *, caller: str = "", talk_s: int = 100, uid: str = "") -> str:
    """Return a call of a PBX whose clock is 40 s ahead."""
    at = NOON + timedelta(minutes=minute, seconds=40)
    who = caller or CALLERS.format(1000 + minute)
    when = [f"{at + timedelta(seconds=one):%Y-%m-%d %H:%M:%S}" for one in (-5, 0, talk_s)]
    return (
        f"{','.join(when)},{who},{extension},PJSIP/{extension}-0000001a,{talk_s + 5},{talk_s},ANSWERED,"
        f"{uid or f'1.{minute}'}\n"
    )


def stored(minute: int, extension: str, operator: str, team: str, **changed: Any) -> dict[str, Any]:
    at = NOON + timedelta(minutes=minute)
    identity = RecordingId(f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{extension}-{minute:06x}")
    fields = row(
        identity, started_at=at.isoformat(), ended_at=(at + timedelta(seconds=100)).isoformat(), operator=operator,
        extension=extension, team=team, segments=[], duration_s=100.0, recorded_s=100.0, paused_s=0.0,
        speech_s=[40.0, 30.0], caller=CALLERS.format(1000 + minute), called=extension, outcome="recorded",
        reason="caller_hung_up",
    )  # fmt: skip
    return {**fields, **changed}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecorderHome]:
    with recorder_home(tmp_path_factory.mktemp("assured"), is_started=False, next_hop="127.0.0.1:5070") as made:
        file = made.root / "recorder.toml"
        text = file.read_text()
        before, after = text.split('operator = "bob"\n')
        after = after.replace('team = ""', 'team = "south"', 1)
        file.write_text(f'{before}operator = "bob"\n{after}')
        index = Index(sqlite_url(Home(made.root).index))
        for minute in range(0, 60, 10):
            index.save(row_from_json(stored(minute, "2001", "alice", "north")))
        index.save(row_from_json(stored(5, "2002", "bob", "south", is_one_way=True, speech_s=[40.0, 0.0])))
        index.close()
        people = People(open_people(Home(made.root).people), now=lambda: datetime.now(UTC), hasher=CHEAP)
        people.add("operator", PASSWORD, roles={Role.ICT})
        people.add("lead", PASSWORD, roles={Role.TEAM_LEADER})
        people.add("south", PASSWORD, roles={Role.MANAGER}, teams=["south"])
        people.add("north", PASSWORD, roles={Role.MANAGER}, teams=["north"])
        people.add("officer", PASSWORD, roles={Role.OFFICER})
        yield made


def assurance(home: RecorderHome, name: str, *words: str) -> Any:
    password = home.root.parent / "assured-password"
    password.write_text(PASSWORD + "\n")
    return home.run(
        "assurance", words[0], "-C", str(home.root), "--as", name, "--password-file", str(password), *words[1:]
    )


def imported(home: RecorderHome, text: str, *words: str) -> Any:
    file = home.root.parent / "Master.csv"
    file.write_text(text)
    return assurance(home, "operator", "import", str(file), "--format", "asterisk", *words)


def held(home: RecorderHome) -> list[ExpectedCall]:
    database = Database(sqlite_url(Home(home.root).index))
    try:
        return AssuranceStore(database).calls(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
    finally:
        database.close()


WRONG_FILES = {
    "empty": ("", (), "the file is empty"),
    "columns": ("2026-11-03 10:00:00,4\n", (), "line 1: it has 2 columns, expected 16"),
    "header": (HEADER.replace("src", "source"), (), "line 1: the header has no column 'src'"),
    "zone": (HEADER + line(0, "2001"), ("--time-zone", "Europe/Londn"), "'Europe/Londn' is no time zone"),
    "format": (HEADER + line(0, "2001"), ("--format", "avaya"), "there is no format 'avaya'"),
    "one id": (HEADER + line(0, "2001", uid="7") + line(50, "2002", uid="7"),
               (), "line 3: this call has the same id as the one of line 2"),
    "quotes": (HEADER + 'a,"b\n', (), "line 2: this is no line of comma-separated values"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_FILES)
def test_a_bad_file_is_named_with_its_line_and_changes_nothing(home: RecorderHome, case: str) -> None:
    text, words, sentence = WRONG_FILES[case]
    said = imported(home, text, *words)
    assert said.returncode == 1, said.stdout + said.stderr
    assert sentence in " ".join(said.stderr.split())
    assert "Nothing was imported" in said.stderr
    assert "Traceback" not in said.stderr
    assert not held(home)


def test_calls_are_named_explained_and_shown_to_those_who_answer_for_them(home: RecorderHome) -> None:
    text = HEADER + "".join(line(minute, "2001") for minute in range(0, 60, 10))
    text += (
        line(5, "2002") + line(15, "2002", caller="07700900123") + line(25, "2999") + line(35, "2001", caller="2002")
    )
    dry = imported(home, text, "--dry-run", "--json")
    assert (json.loads(dry.stdout)["calls"], held(home)) == (8, [])

    elsewhere = imported(home, text, "--time-zone", "America/New_York")
    assert (elsewhere.returncode, held(home)) == (1, [])
    assert "its times fit the recordings only if they are " in elsewhere.stderr

    first = json.loads(imported(home, text, "--json").stdout)
    assert (first["rows"], first["calls"], first["new"]) == (10, 8, 8)
    assert first["left_out"] == {"internal": 1, "not_nominated": 1}
    again = json.loads(imported(home, text, "--json").stdout)
    assert (again["calls"], again["new"], again["judged"]) == (8, 0, [])
    assert {call.number_end for call in held(home)} >= {"1005", "0123"}

    (report,) = json.loads(assurance(home, "lead", "report", "--day", DAY.isoformat(), "--json").stdout)
    assert (report["calls"], report["faulty"], report["unexplained"], report["unmatched"]) == (8, 2, 2, 0)
    assert report["clock_s"] == {"asterisk": 40.0}
    named = {(one["verdict"], one["extension"], one["operator"], one["team"]) for one in report["findings"]}
    assert named == {("one_sided", "2002", "bob", "south"), ("not_recorded", "2002", "bob", "south")}

    (missing,) = (one for one in report["findings"] if one["verdict"] == "not_recorded")
    period = ("--from", DAY.isoformat(), "--to", DAY.isoformat())
    assert json.loads(assurance(home, "north", "list", *period, "--json").stdout) == []
    assert assurance(home, "north", "explain", missing["id"], "--reason", "tried to").returncode == 1
    assert assurance(home, "operator", "explain", missing["id"], "--reason", "we broke it").returncode == 1
    assert assurance(home, "officer", "list").returncode == 1
    assert assurance(home, "officer", "import", "x", "--format", "cucm").returncode == 1
    done = assurance(home, "south", "explain", missing["id"][:9], "--reason", "The trunk was moved that day", "--json")
    assert json.loads(done.stdout)["explained_by"] == "south"
    assert json.loads(imported(home, text + line(45, "2001"), "--json").stdout)["new"] == 1, "the file has grown"
    still = json.loads(assurance(home, "south", "list", *period, "--json").stdout)
    assert [one["verdict"] for one in still] == ["one_sided"], "an explained call is not listed again"

    said = assurance(home, "lead", "report", "--day", DAY.isoformat())
    assert "the clock of asterisk is 40 s ahead" in said.stderr
    assert "One side only" in said.stdout
    entries = list(AuditLog(Home(home.root).audit).entries())
    assert {"assurance.import", "assurance.explain", "report.view"} <= {one.act for one in entries}
    (explained,) = (one for one in entries if one.act == "assurance.explain")
    assert (explained.actor, explained.subject) == ("south", missing["id"])
    files = b"".join(path.read_bytes() for path in Path(home.root).glob("audit/*") if path.is_file())
    assert b"07700900123" not in files
    assert b"7700900123" not in Home(home.root).index.read_bytes()


def test_the_console_imports_what_changes_at_a_place_and_says_what_it_cannot_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index, folder = Index(sqlite_url(tmp_path / "index.sqlite")), tmp_path / "cdr"
    folder.mkdir()
    audit, place = AuditLog(tmp_path / "audit"), CallRecordsOptions(path=str(folder), format="asterisk")
    assurance = assurance_of(
        Config(extension=(Extension(number="2001", operator="alice", service="s"),)), index.database, index, utc_now
    )
    sources = CallRecordSources(options=[place], audit=audit, zone=LONDON)
    (folder / "a.csv").write_text(HEADER + line(0, "2001"))
    (folder / "b.csv").write_text(HEADER + f"{CALLERS.format(1234)},,,,,,,,,\n")
    old = folder / "old.csv"
    old.write_text("not read")
    os.utime(old, (0, 0))

    def stored_calls() -> int:
        return len(assurance.store.calls(NOON - timedelta(days=1), NOON + timedelta(days=1)))

    assert judge_due(assurance, sources=sources) == Judged(days=JUDGED_DAYS - 1, unreadable=1), "one by the import"
    assert stored_calls() == 1
    assert judge_due(assurance, sources=sources) == Judged(days=0, unreadable=1)
    with (folder / "a.csv").open("a") as file:
        file.write(line(10, "2001"))
    (folder / "b.csv").unlink()
    assert judge_due(assurance, sources=sources) == Judged(days=0, unreadable=0)
    assert stored_calls() == 2
    assert [(one.actor, one.details["calls"]) for one in audit.entries()] == [("recorder", 1), ("recorder", 1)]
    assert "b.csv, line 2 cannot be imported" in caplog.text
    assert "1234" not in caplog.text
    with pytest.raises(CallRecordsError, match="future"):
        ahead = import_order(folder / "c.csv", "asterisk", pbx="", time_zone="", site_zone=LONDON)
        (folder / "c.csv").write_text(HEADER + line(60 * 24 * 30, "2001"))
        assurance.check(read_calls(ahead, assurance.policy))
    assert judge_due(assurance, sources=sources) == Judged(days=0, unreadable=1), "they would never be deleted"
    assert stored_calls() == 2
    folder.rename(tmp_path / "away")
    assert judge_due(assurance, sources=sources) == Judged(days=0, unreadable=1)
    index.close()


def test_a_place_says_which_hour_is_meant_when_the_clocks_go_back(tmp_path: Path) -> None:
    index, file = Index(sqlite_url(tmp_path / "index.sqlite")), tmp_path / "Master.csv"
    after = datetime(2026, 10, 25, 12, tzinfo=UTC)
    nominated = (Extension(number="2001", operator="alice", service="s"),)
    assurance = assurance_of(Config(extension=nominated), index.database, index, lambda: after)
    file.write_text(
        ",02079461234,2001,in,,PJSIP/t-1,PJSIP/2001-2,Dial,,2026-10-25 01:30:00,2026-10-25 01:30:05,"
        "2026-10-25 01:31:05,65,60,ANSWERED,D\n"
    )
    os.utime(file, (after.timestamp(), after.timestamp()))
    for hour, found in ((None, []), ("earlier", [0]), ("later", [0, 1])):
        place = CallRecordsOptions(path=str(file), format="asterisk", pbx=hour or "", repeated_hour=hour)
        assert place.problem is None
        sources = CallRecordSources(options=[place], audit=AuditLog(tmp_path / "audit"), zone=LONDON)
        assert sources.import_new(assurance, assurance.store) == (hour is None)
        stored = assurance.store.calls(after - timedelta(days=1), after)
        assert sorted(one.answered_at.hour for one in stored) == found
    assert CallRecordsOptions(path="/cdr", format="cucm", repeated_hour="both").problem == (
        "repeated_hour", "repeated_hour is 'both': it must be earlier or later"
    )  # fmt: skip
    index.close()


def test_one_file_that_cannot_be_read_stops_neither_the_others_nor_the_judging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    index, folder = Index(sqlite_url(tmp_path / "index.sqlite")), tmp_path / "cdr"
    folder.mkdir()
    place = CallRecordsOptions(path=str(folder), format="asterisk")
    assurance = assurance_of(
        Config(extension=(Extension(number="2001", operator="alice", service="s"),)), index.database, index, utc_now
    )
    sources = CallRecordSources(options=[place], audit=AuditLog(tmp_path / "audit"), zone=LONDON)
    for name in ("a", "b", "c"):
        (folder / f"{name}.csv").write_text(HEADER + line(ord(name), "2001"))

    def read(order: ImportOrder, *given: Any, **more: Any) -> Expected:
        if order.path.name == "a.csv":
            raise PermissionError(13, "Permission denied")
        if order.path.name == "b.csv":
            raise RuntimeError(CALLERS)
        return read_calls(order, *given, **more)

    monkeypatch.setattr("recorder.assurance.sources.read_calls", read)
    assert judge_due(assurance, sources=sources) == Judged(days=JUDGED_DAYS - 1, unreadable=2)
    assert len(assurance.store.calls(NOON, NOON + timedelta(days=1))) == 1
    assert ("a.csv cannot be read" in caplog.text, "b.csv" in caplog.text, CALLERS in caplog.text) == (
        True,
        True,
        False,
    )
    index.close()


class Looks(threading.Event):
    """Lets the thread look so many times, without waiting."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.left -= 1
        return self.left < 0


def test_a_comparison_that_fails_is_an_alarm_until_one_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, alarms = Index(sqlite_url(tmp_path / "index.sqlite")), dict[str, int]()
    assurance = assurance_of(Config(), index.database, index, utc_now)
    for error, raised in ((RuntimeError(), {"assurance_failed": 1}), (LeaseLostError(), {})):
        with monkeypatch.context() as patch:
            patch.setattr(AssuranceStore, "keep_day", Fails(error))
            keep_judging(assurance, Looks(1), alarms=alarms)
        assert alarms == raised
        keep_judging(assurance, Looks(1), alarms=alarms)
        assert alarms == {}
        AssuranceStore(index.database).forget_days(before=assurance.today)
    index.close()


class Fails:
    """A function that fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, *_: Any) -> None:
        raise self.error


def test_a_call_id_of_any_bytes_does_not_hide_calls_that_went_round(tmp_path: Path) -> None:
    went = f"INVITE|f|t|\u00ff|200|OK|{NOON.timestamp():.0f}|in|2001|192.0.2.1\n"
    (tmp_path / "bypassed_1.log").write_bytes(went.encode("latin-1"))
    order = import_order(tmp_path, "kamailio", pbx="", time_zone="", site_zone=LONDON)
    policy = Policy(nominated={"2001": Extension(number="2001", operator="alice", service="s")})
    assert len(read_calls(order, policy).calls) == 1


def test_call_records_that_stop_coming_are_missed(tmp_path: Path) -> None:
    index = Index(sqlite_url(tmp_path / "index.sqlite"))
    assurance = assurance_of(Config(), index.database, index, lambda: NOON)
    for days, records in ((9, 7), (4, 0), (3, 0), (2, 0)):
        day = assurance.today - timedelta(days=days)
        judged = StoredDay(day=day, judged_at=NOON, records=records, calls=records, bad=0, document={})
        assurance.store.keep_day(judged, [])
    assert not assurance.has_stopped()
    assurance.store.keep_day(replace(judged, day=assurance.today - timedelta(days=1)), [])
    assert assurance.has_stopped()
    assurance.store.keep_day(replace(judged, day=assurance.today - timedelta(days=9)), [])
    assert not assurance.has_stopped(), "there were never any"
    index.close()


def call(number: int, at: datetime, **changed: Any) -> ExpectedCall:
    fields = {
        "id": f"{number:032x}", "pbx": "asterisk", "answered_at": at, "talk_s": 60.0, "extensions": ("2001", "6000"),
        "direction": CallDirection.INBOUND, "number_end": "1234", "service": "Benefits", "team": "north",
    }  # fmt: skip
    return ExpectedCall(**{**fields, **changed})


def test_the_store_keeps_calls_once_and_explanations_through_a_new_judgement(database_url: str) -> None:
    index = Index(database_url)
    store, at, day = AssuranceStore(index.database), datetime(2026, 11, 3, 9, tzinfo=UTC), date(2026, 11, 3)
    calls = [call(number, at + timedelta(minutes=number)) for number in range(600)]
    assert store.add_calls(calls, at) == 600
    assert store.add_calls([*calls[:-1], call(599, calls[-1].answered_at, talk_s=99.0)], at) == 1
    assert len(store.calls(at, at + timedelta(minutes=10))) == 10
    assert store.calls(calls[-1].answered_at, calls[-1].answered_at + timedelta(seconds=1))[0].talk_s == 99.0

    judged = StoredDay(day=day, judged_at=at, records=600, calls=600, bad=2, document={"counts": {}})
    findings = [
        StoredFinding(id=f"{one:016x}", day=day, team=team, document={"n": one}) for one, team in enumerate("ab")
    ]
    store.keep_day(judged, findings)
    store.explain(findings[0].id, Explanation(by="dpo", at=at, text="a test"))
    store.keep_day(judged, findings[:1])
    (kept,) = store.findings(day, day)
    assert kept.explanation == Explanation(by="dpo", at=at, text="a test")
    assert [one.id for one in store.findings(day, day, {"b"})] == []
    assert store.days(day, day) == [judged]
    assert store.last_import(at, at + timedelta(days=1)) == at

    assert (
        store.count_calls(before=at + timedelta(minutes=5)) == 5 == store.forget_calls(before=at + timedelta(minutes=5))
    )
    assert (store.count_days(before=day), store.count_days(before=day + timedelta(days=1))) == (0, 2)
    assert store.forget_days(before=day + timedelta(days=1)) == 2
    assert store.days(day, day) == []
    index.close()
