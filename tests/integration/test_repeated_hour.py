"""Calls of the hour that comes twice, and of the one that does not come, as the clocks of Europe/London change."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from recorder.cli.cli import app
from storage.database import sqlite_url
from storage.index import Index
from storage.rows import row_from_json
from storage.types import RecordingId
from tests.helpers.console_site import Console, console_site, signed_in
from tests.helpers.recorder_home import RecorderHome, recorder_home
from tests.helpers.storage_home import row

BEFORE, FIRST, SECOND, AFTER = (
    RecordingId(f"20261025T{clock}00Z-2001-0a1b2c") for clock in ("0020", "0030", "0130", "0150")
)
"""At 1:20am and 1:30am in summer time, and an hour later at 1:30am and 1:50am in winter time."""


def save_calls(index: Index) -> None:
    for call in (BEFORE, FIRST, SECOND, AFTER):
        at = f"2026-10-25T{call[9:11]}:{call[11:13]}:00Z"
        index.save(row_from_json(row(call, started_at=at)))


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with console_site(tmp_path, is_daemon_up=False) as running:
        save_calls(running.deps.hold_repositories.index)
        yield running


def test_a_search_on_the_page_finds_both_hours(console: Console) -> None:
    span = {"from_date": "2026-10-25", "from_time": "01:25", "to_date": "2026-10-25", "to_time": "1:45am"}
    with signed_in(console, "dpo") as browser:
        found = browser.submit("/recordings", **span).text
        listed = [call for call in (BEFORE, FIRST, SECOND, AFTER) if f"/recordings/{call}" in found]
        refused = browser.submit("/recordings", from_date="2026-03-29", from_time="01:30")
    assert listed == [FIRST, SECOND]
    assert refused.status_code == 422
    assert "There is no 1:30am on 29 March 2026, because the clocks go forward" in refused.text


def test_a_subject_access_request_holds_the_calls_of_both_hours(console: Console) -> None:
    asked = {
        "kind": "subject_access", "requester": "J. Doe", "form": "letter", "text": "my call", "on": "",
        "extension": "2001",
        "from_date": "2026-10-25", "from_time": "1:25am", "to_date": "2026-10-25", "to_time": "1:45am",
    }  # fmt: skip
    with signed_in(console, "lead") as browser:
        assert browser.submit("/cases", **asked, hold="2").status_code == 303
    index = console.deps.hold_repositories.index
    assert [call for call in (BEFORE, FIRST, SECOND, AFTER) if "sar" in index.get(call).holds] == [FIRST, SECOND]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[RecorderHome]:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5999", is_started=False) as home:
        yield home


def test_the_command_finds_both_hours_and_refuses_the_missing_one(home: RecorderHome) -> None:
    def find(*words: str) -> Result:
        return CliRunner().invoke(app, ["recordings", "list", *words, *home.as_admin(), "-C", str(home.root)])

    index = Index(sqlite_url(home.root / "index.sqlite"))
    save_calls(index)
    index.close()
    found = find("--from", "25/10/2026 01:25", "--to", "25/10/2026 01:45", "--json")
    assert [one["id"] for one in json.loads(found.stdout)] == [SECOND, FIRST]
    refused = find("--to", "2026-03-29T01:30")
    assert refused.exit_code == 2
    assert "There is no 1:30am on 29 March 2026, because the clocks go forward" in " ".join(refused.stderr.split())
