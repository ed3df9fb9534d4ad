"""`recorder health` says whether the daemon is well, and what to do about its alarms."""

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import pytest

from recorder.audit.audit_service import REFUSED
from recorder.audit.late_entries import SHELL_FOLDER
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.rules.alarm_book import AlarmBook
from recorder.rules.alarms import advice_on
from storage.audit import AuditLog
from storage.errors import AuditUnavailableError
from tests.helpers.exchange import Exchange
from tests.helpers.recorder_home import eventually
from tests.helpers.virtual.exchange import exchange

QUEUED = {
    "act": REFUSED, "actor": "olive", "subject": "bob", "details": {"act": "people.add"}, "text": "no",
    "at": "2026-11-28T09:30:00.000Z",
}  # fmt: skip
"""An entry that a command has queued."""


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("health")) as made:
        yield made


def test_a_daemon_that_is_well(lines: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    home = lines.home
    monkeypatch.setattr(cast(Any, home).daemon_now.services, "alarms", AlarmBook(utc_now))
    talk = lines.call()
    talk.join()
    said = home.run("health", "-C", str(home.root))
    assert (said.returncode, said.stdout) == (0, "")
    assert said.stderr.startswith("ok: 1 call in progress, SIP at 127.0.0.1:")
    document = home.run("health", "-C", str(home.root), "--json")
    assert (document.returncode, json.loads(document.stdout)["calls"]) == (0, 1)
    talk.hang_up()


def test_an_alarm_is_said_with_what_to_do_and_is_in_the_exit_code(
    lines: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = lines.home
    book = AlarmBook(utc_now)
    book["disk_full"] = 2
    monkeypatch.setattr(cast(Any, home).daemon_now.services, "alarms", book)
    said = home.run("health", "-C", str(home.root))
    assert said.returncode == 1
    advice = advice_on("disk_full")
    assert f"disk_full (2): {advice.means} {advice.do}" in " ".join(said.stderr.split())
    assert home.run("health", "-C", str(home.root), "--json").returncode == 1


def test_where_no_daemon_runs_that_is_said(lines: Exchange, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("nothing")
    said = lines.home.run("health", "-C", str(elsewhere))
    assert (said.returncode, said.stdout) == (1, "")
    assert "Traceback" not in said.stderr and str(elsewhere) in said.stderr


def test_the_version_is_that_of_the_package(lines: Exchange) -> None:
    said = lines.home.run("--version")
    assert (said.returncode, said.stdout) == (0, f"recorder {version('council-call-recorder')}\n")


def queue_of_commands(lines: Exchange) -> Path:
    """Put an entry into the queue of commands, as one that was refused; return the queue."""
    queue = Home(lines.home.root).state / SHELL_FOLDER
    queue.mkdir(exist_ok=True)
    (queue / "01795858200000000000-000123.json").write_text(json.dumps(QUEUED))
    return queue


def test_the_daemon_enters_what_a_command_was_refused_while_the_log_was_down(lines: Exchange) -> None:
    queue = queue_of_commands(lines)
    eventually(lambda: not list(queue.iterdir()), "the daemon has entered it")
    log = AuditLog(Home(lines.home.root).audit)
    late = [one for one in log.entries() if one.act == REFUSED and one.subject == "bob"]
    assert [(one.actor, one.details["happened_at"]) for one in late] == [("olive", QUEUED["at"])]


def test_it_does_not_try_that_while_its_own_entries_wait(lines: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each try may take the time-out of the log's lock, and the entries of pauses come after it."""
    tried: list[str] = []

    def held(_log: AuditLog, act: str, *_: object, **__: object) -> None:
        tried.append(act)
        raise AuditUnavailableError("another process holds its lock")

    talk = lines.call()
    call = talk.join()
    with monkeypatch.context() as patch:
        patch.setattr(AuditLog, "append", held)
        lines.home.live.post(f"/api/calls/{call}/pause", json={}).raise_for_status()
        queue = queue_of_commands(lines)
        eventually(lambda: tried.count("call.pause") == 4, "it tries to write its own")
    assert REFUSED not in tried
    eventually(lambda: not list(queue.iterdir()), "it has entered both")
    talk.hang_up()
