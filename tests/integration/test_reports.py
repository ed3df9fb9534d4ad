"""The report of pauses, from a real index: command line, page and API, who sees what, and the audit entry."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recorder.access.accounts import People
from recorder.access.database import open_people
from recorder.common.home import Home
from recorder.permissions import Role
from storage.audit import AuditLog
from storage.database import sqlite_url
from storage.erasures import Erasures, new_order_id
from storage.index import Index
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState
from storage.rows import row_from_json
from storage.types import RecordingId, Search
from tests.helpers.accounts import CHEAP, PASSWORD
from tests.helpers.console_site import Console, console_site
from tests.helpers.recorder_home import RecorderHome, recorder_home
from tests.helpers.storage_home import row

NOW = datetime.now(UTC)


def stored(number: int, operator: str, team: str, *, paused: str = "agent", days: int = 1) -> dict[str, Any]:
    """Return a call of 100 s with one pause of 25 s."""
    at = NOW - timedelta(days=days, seconds=number)
    spans = [(0, 50, "recording", ""), (50, 75, "paused", paused), (75, 100, "recording", "")]
    segments = [{"start_s": a, "end_s": b, "kind": kind, "reason": why, "by": ""} for a, b, kind, why in spans]
    identity = RecordingId(f"{at:%Y%m%dT%H%M%SZ}-2001-{number:06x}")
    return row(
        identity, started_at=at.isoformat(), operator=operator, team=team, segments=segments, duration_s=100.0,
        caller="02079461234",
    )  # fmt: skip


def fill(root: Path, rows: list[dict[str, Any]]) -> None:
    index = Index(sqlite_url(Home(root).index))
    for fields in rows:
        index.save(row_from_json(fields))
    order = ErasureOrder(
        id=new_order_id(), recording=RecordingId(rows[0]["id"]), start_s=1.0, end_s=2.0, kind=ErasureKind.CARD_DATA,
        ordered_by="ann", ordered_at=NOW, state=ErasureState.CONFIRMED,
    )  # fmt: skip
    Erasures(index.database).place(order)
    index.close()


ROWS = [
    stored(1, "Ann", "north"),
    stored(2, "Ann", "north", paused="agent,payment_app:till"),
    stored(3, "Bob \x1b[31m", "south"),
    stored(4, "=cmd", "south", days=60),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecorderHome]:
    with recorder_home(tmp_path_factory.mktemp("report"), is_started=False, next_hop="127.0.0.1:5070") as made:
        fill(made.root, ROWS)
        people = People(open_people(Home(made.root).people), now=lambda: datetime.now(UTC), hasher=CHEAP)
        people.add("lead", PASSWORD, roles={Role.TEAM_LEADER})
        people.add("north", PASSWORD, roles={Role.MANAGER}, teams=["north"])
        people.add("officer", PASSWORD, roles={Role.OFFICER})
        yield made


def report(home: RecorderHome, name: str, *words: str) -> Any:
    password = home.root.parent / "report-password"
    password.write_text(PASSWORD + "\n")
    return home.run("report", "pauses", "-C", str(home.root), "--as", name, "--password-file", str(password), *words)


def test_json_has_every_officer_of_the_last_four_weeks(home: RecorderHome) -> None:
    said = report(home, "lead", "--json")
    document = json.loads(said.stdout)
    ann, bob = document["officers"]
    assert (ann["operator"], ann["calls"], ann["pauses"], ann["without_payment"], ann["forgot"]) == ("Ann", 2, 2, 1, 1)
    assert (ann["paused_share"], ann["longest_pause_s"], ann["teams"]) == (0.25, 25.0, ["north"])
    assert bob["operator"] == "Bob \x1b[31m"
    assert datetime.fromisoformat(document["from"]) < datetime.fromisoformat(document["to"])
    assert "0207946" not in said.stdout + said.stderr


def test_a_table_shows_control_characters_instead_of_obeying_them(home: RecorderHome) -> None:
    said = report(home, "lead", "--operator", "Bob \x1b[31m")
    assert said.returncode == 0
    assert "\x1b" not in said.stdout
    assert "Bob \\x1b[31m" in said.stdout
    assert "25.0%" in said.stdout
    assert "Ann" not in said.stdout


def test_comma_separated_values_are_no_formulas(home: RecorderHome) -> None:
    said = report(home, "lead", "--csv", "--from", f"{NOW - timedelta(days=70):%Y-%m-%d}")
    lines = list(csv.DictReader(io.StringIO(said.stdout)))
    assert [line["operator"] for line in lines] == ["'=cmd", "Ann", "Bob \\x1b[31m"]
    assert lines[1]["pauses"] == "2"
    assert report(home, "lead", "--csv", "--json").returncode == 2


def test_a_manager_sees_their_teams_and_an_officer_nothing(home: RecorderHome) -> None:
    assert [line["operator"] for line in json.loads(report(home, "north", "--json").stdout)["officers"]] == ["Ann"]
    other = report(home, "north", "--team", "south")
    assert (other.returncode, other.stdout) == (1, "")
    assert "own teams" in other.stderr
    officer = report(home, "officer", "--json")
    assert (officer.returncode, officer.stdout) == (1, "")
    entries = [entry for entry in AuditLog(Home(home.root).audit).entries() if entry.act.startswith("report.view")]
    assert [entry.act for entry in entries if entry.actor == "north"] == ["report.view", "report.view.refused"]
    assert [entry.act for entry in entries if entry.actor == "officer"] == ["report.view.refused"]
    assert entries[0].details["report"] == "pauses"


def test_a_period_that_ends_before_it_begins_and_nobody_are_refused(home: RecorderHome) -> None:
    assert report(home, "lead", "--from", "2026-11-02", "--to", "2026-11-01").returncode == 2
    nobody = home.run("report", "pauses", "-C", str(home.root))
    assert nobody.returncode == 2
    assert "needs a person" in nobody.stderr


def test_each_gives_every_row_once_newest_first_over_many_pages(tmp_path: Path) -> None:
    index = Index(sqlite_url(tmp_path / "index.sqlite"))
    same_time = NOW.isoformat()
    expected = []
    for number in range(25):
        fields = {**stored(number, "Ann", "north"), **({"started_at": same_time} if number % 2 else {})}
        index.save(row_from_json(fields))
        expected.append(fields["id"])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("storage.index._PAGE", 4)
        found = [one.id for one in index.each(Search())]
        newest = [one.id for one in index.find(Search(limit=100))]
        assert [one.id for one in index.each(Search(operator="nobody"))] == []
    assert sorted(found) == sorted(expected)
    assert found == newest
    index.close()


# --- the console


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with console_site(tmp_path_factory.mktemp("report-console"), is_daemon_up=False) as made:
        fill(made.home.root, ROWS)
        made.people.add("north", PASSWORD, roles={Role.MANAGER}, teams=["north"])
        yield made


def test_the_page_shows_a_manager_their_officers_and_is_audited(console: Console) -> None:
    with console.browser() as browser:
        browser.sign_in("north")
        page = browser.get("/reports/pauses")
    assert page.status_code == 200
    assert '<th scope="row">Ann</th>' in page.text
    assert "25.0%" in page.text
    assert "Bob" not in page.text
    assert "0207946" not in page.text
    assert 'href="/reports/pauses" aria-current="page"' in page.text
    (entry,) = [entry for entry in console.entries("report.view") if entry.actor == "north"]
    assert entry.details["report"] == "pauses"


def test_the_page_says_what_is_wrong_with_a_date(console: Console) -> None:
    with console.browser() as browser:
        browser.sign_in("lead")
        page = browser.get("/reports/pauses", params={"from_date": "yesterday"})
        assert page.status_code == 422
        assert "Enter a date like" in page.text
        south = browser.get("/reports/pauses", params={"team": "south"})
    assert "Bob" in south.text
    assert '<th scope="row">Ann</th>' not in south.text


def test_the_api_gives_the_same_and_refuses_who_may_not(console: Console) -> None:
    with console.browser() as browser:
        browser.sign_in("dpo")
        everybody = browser.get("/api/reports/pauses").json()
        assert [line["operator"] for line in everybody["officers"]][:1] == ["Ann"]
        backwards = browser.get("/api/reports/pauses", params={"from": NOW.isoformat(), "to": "2020-01-01T00:00:00Z"})
        assert backwards.status_code == 422
    with console.browser() as browser:
        browser.sign_in("officer")
        assert browser.get("/api/reports/pauses").status_code == 403
        assert browser.get("/reports/pauses").status_code == 403
    with console.browser() as browser:
        browser.sign_in("north")
        assert browser.get("/api/reports/pauses", params={"team": "south"}).status_code == 403
    assert any(entry.details["act"] == "report.view" for entry in console.entries("access.refused"))
    with console.browser() as browser:
        assert browser.get("/api/reports/pauses").status_code == 401


# --- calls that no recorder took


def bypassed(home: RecorderHome, name: str, *words: str) -> Any:
    password = home.root.parent / "report-password"
    password.write_text(PASSWORD + "\n")
    return home.run("report", "bypassed", *words, "-C", str(home.root), "--as", name, "--password-file", str(password))


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A folder of Kamailio's list, with lines of two processes, one of them torn, one with a strange Call-ID."""
    folder = tmp_path / "bypassed"
    folder.mkdir()
    now = int(datetime.now(UTC).timestamp())
    (folder / "bypassed_0.log").write_text(f"INVITE|tag||one@pbx|200|not recorded|{now - 60}|in|2001|192.0.2.30\nINVI")
    (folder / "bypassed_3.log").write_text(f"INVITE|tag||two\u2028\x0b\r@pbx|503|refused|{now}|out|2002|192.0.2.30\n")
    return folder


def test_calls_that_no_recorder_took_are_counted_and_that_is_in_the_audit_log(home: RecorderHome, kept: Path) -> None:
    told = json.loads(bypassed(home, "lead", str(kept), "--json").stdout)
    assert (told["not_recorded"], told["refused"], len(told["spans"])) == (1, 1, 1)
    assert told["unreadable"] == [f"{kept / 'bypassed_0.log'}, line 2: it has 1 fields, not 10"]
    said = bypassed(home, "lead", str(kept / "bypassed_3.log"))
    assert said.stdout.endswith("\t0\t1\n")
    entry = [one for one in AuditLog(Home(home.root).audit).entries() if one.act == "report.view"][-1]
    assert (entry.actor, entry.details["report"]) == ("lead", "bypassed")


def test_who_may_see_no_reports_sees_no_list_either(home: RecorderHome, kept: Path) -> None:
    assert json.loads(bypassed(home, "north", str(kept), "--json").stdout)["calls"] == []
    refused = bypassed(home, "officer", str(kept))
    assert (refused.returncode, refused.stdout) == (1, "")


def test_a_list_that_is_not_there_is_named(home: RecorderHome, tmp_path: Path) -> None:
    missing = bypassed(home, "lead", str(tmp_path / "nothing.log"))
    assert (missing.returncode, "nothing.log: No such file" in missing.stderr.replace("\n", " ")) == (1, True)
    empty = bypassed(home, "lead", str(tmp_path))
    assert (empty.returncode, "BYPASSED of kamailio.cfg" in empty.stderr.replace("\n", " ")) == (1, True)
