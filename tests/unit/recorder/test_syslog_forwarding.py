"""Entries of the audit log go out at least once and in order, whatever fails in between."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.config.syslog_options import SyslogOptions
from recorder.forwarding import audit_follower
from recorder.forwarding.audit_follower import DamagedLine, Position, PositionFile, follow
from recorder.forwarding.retries import pause_s
from recorder.forwarding.sending_progress import SendingState
from recorder.forwarding.syslog_forwarding import LOOK_S, SyslogForwarding
from recorder.forwarding.syslog_server import SyslogError
from storage.audit import AuditLog
from storage.audit_entry import line_of

AT = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
OPTIONS = SyslogOptions(server="tls://siem.example:6514")


class Server:
    """Takes messages, until it is told not to."""

    def __init__(self) -> None:
        self.took: list[int] = []
        self.problem = ""
        self.takes_before_it_fails = 0

    def send(self, options: SyslogOptions, messages: Sequence[bytes], timeout_s: float) -> None:
        assert options is OPTIONS
        assert timeout_s > 0
        numbers = [int(one.partition(b' n="')[2].partition(b'"')[0] or 0) for one in messages]
        if self.problem:
            self.took += numbers[: self.takes_before_it_fails]
            raise SyslogError(self.problem)
        self.took += numbers


class Site:
    """An audit log, a server, and the process that sends, which can be started again."""

    def __init__(self, folder: Path) -> None:
        self.log = AuditLog(folder / "audit", now=lambda: AT)
        self.file = PositionFile(folder / "state" / "syslog.json")
        self.server = Server()
        self.restart()

    def restart(self) -> None:
        self.sending = SyslogForwarding(
            self.log, OPTIONS, self.file, host="rec1", now=lambda: AT, send=self.server.send
        )

    def write(self, count: int, actor: str = "alice") -> None:
        for _ in range(count):
            self.log.append("call.pause", actor, "")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_what_is_written_is_sent_once_in_order(site: Site) -> None:
    assert site.sending.run_once() == LOOK_S, "there is no log yet"
    site.write(3)
    assert site.sending.run_once() == 0.0
    assert site.sending.run_once() == LOOK_S
    site.write(2)
    site.sending.run_once()
    assert site.server.took == [1, 2, 3, 4, 5]
    assert site.sending.state == SendingState(sent=5)


def test_a_restart_goes_on_where_the_server_had_read_to(site: Site) -> None:
    site.write(3)
    site.sending.run_once()
    site.write(2)
    site.restart()
    site.sending.run_once()
    assert site.server.took == [1, 2, 3, 4, 5]


def test_what_may_not_have_been_read_is_sent_again_and_nothing_is_left_out(site: Site) -> None:
    site.write(2)
    site.sending.run_once()
    site.write(3)
    site.server.problem, site.server.takes_before_it_fails = "it went away", 2
    assert [site.sending.run_once(), site.sending.run_once()] == [pause_s(1), pause_s(2)]
    assert site.sending.state == SendingState(
        sent=2, waiting=3, oldest_at="2026-11-25T09:30:00Z", failing_since="2026-11-25T09:30:00Z",
        problem="it went away",
    )  # fmt: skip
    site.server.problem = ""
    site.restart()
    site.sending.run_once()
    assert site.server.took == [1, 2, 3, 4, 3, 4, 3, 4, 5]
    assert site.sending.state == SendingState(sent=5)


def test_where_the_position_cannot_be_stored_entries_go_on_and_a_restart_sends_them_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _content: bytes) -> None:
        raise OSError(28, "No space left on device")

    site.write(1)
    with monkeypatch.context() as patch:
        patch.setattr(audit_follower, "save_atomically", full)
        site.sending.run_once()
        site.write(1)
        site.sending.run_once()
        assert site.server.took == [1, 2]
        site.sending.run_once()
        assert "No space left" in site.sending.state.problem
        assert site.sending.state.waiting == 0
        site.restart()
    site.sending.run_once()
    assert site.server.took == [1, 2, 1, 2]
    assert not site.sending.state.problem
    assert site.file.load().number == 2


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\0" * 80, b"[]", b'{"start": "0", "end": 1, "number": 1, "hash": ""}',
        b'{"start": -5, "end": 1, "number": 1, "hash": ""}', b'{"start": 9, "end": 1, "number": 1, "hash": ""}',
        b'{"start": 0, "end": 1, "number": 1, "hash": 4}', b'{"start": 0, "end": 1.5, "number": 1, "hash": ""}',
    ],
)  # fmt: skip
def test_a_position_that_is_damaged_has_all_entries_sent_again(
    site: Site, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    site.write(2)
    site.sending.run_once()
    site.file._path.write_bytes(content)
    site.restart()
    assert "syslog.json cannot be read, so the audit log is sent from its first entry" in caplog.text
    site.write(1)
    site.sending.run_once()
    assert site.server.took == [1, 2, 1, 2, 3]
    assert not site.sending.state.problem


def test_a_line_that_was_changed_is_said_and_does_not_stop_the_rest(site: Site) -> None:
    site.write(3)
    content = site.log.path.read_bytes()
    site.log.path.write_bytes(content.replace(b"alice", b"malor", 1))
    site.sending.run_once()
    assert site.server.took == [0, 2, 3], "the message of a damaged line has no number"
    assert isinstance(follow(site.log, Position()).lines[0][0], DamagedLine)


@pytest.mark.parametrize("changes", [{"at": "9\u00e9"}, {"act": 7}, {"details": []}, {"at": None}, {"subject": ["a"]}])
def test_a_line_that_somebody_else_wrote_does_not_stop_the_rest(site: Site, changes: dict[str, object]) -> None:
    site.write(1)
    forged = {**next(site.log.entries()).to_json(), "n": 2, **changes}
    del forged["hash"]
    with site.log.path.open("ab") as file:
        file.write(line_of(forged))
    site.write(1)
    site.sending.run_once()
    assert site.server.took[0] == 1
    assert site.server.took[-1] == 3
    assert len(site.server.took) == 3
    assert not site.sending.state.problem


def test_a_damaged_line_at_the_end_is_a_position_of_its_log_only(site: Site) -> None:
    site.write(2)
    content = site.log.path.read_bytes()
    damaged = content.replace(b"alice", b"malor")
    site.log.path.write_bytes(damaged)
    site.sending.run_once()
    assert site.server.took == [0, 0]
    assert site.sending.state == SendingState(sent=0)
    site.restart()
    site.log.path.write_bytes(content)  # as it was: another log of the same length, whose next entry is the third
    site.write(1)
    site.sending.run_once()
    assert site.server.took == [0, 0, 1, 2, 3]


def test_a_log_that_was_restored_is_read_after_the_entry_that_was_sent(site: Site) -> None:
    site.write(2)
    older = site.log.path.read_bytes()
    site.sending.run_once()
    site.write(1)
    site.sending.run_once()
    site.log.path.write_bytes(older)
    site.restart()
    site.write(2, "bob")  # numbers 3 and 4 of another history
    site.sending.run_once()
    assert site.server.took == [1, 2, 3, 1, 2, 3, 4], "3 was another entry: all of the log is sent"


def test_another_log_is_said_once_however_often_it_is_tried(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.write(2)
    site.sending.run_once()
    site.log.path.write_bytes(b"")
    assert [site.sending.run_once(), site.sending.run_once()] == [LOOK_S, LOOK_S], "it has no entry yet"
    site.write(1, "bob")
    site.server.problem = "it went away"
    site.sending.run_once()
    site.sending.run_once()
    site.server.problem = ""
    site.sending.run_once()
    site.sending.run_once()
    assert site.server.took == [1, 2, 1]
    assert [one.message.partition(":")[0] for one in caplog.records if "not the one" in one.message] == [
        "The audit log is not the one that was sent by syslog before"
    ]


def test_an_entry_found_elsewhere_in_the_log_is_where_sending_goes_on(site: Site) -> None:
    site.write(2)
    site.sending.run_once()
    site.write(1)
    at = site.file.load()
    site.file.save(Position(start=at.start - 1, end=at.end - 1, number=at.number, hash=at.hash))
    site.restart()
    site.sending.run_once()
    assert site.server.took == [1, 2, 3]


def test_an_unfinished_line_waits(site: Site) -> None:
    site.write(1)
    with site.log.path.open("ab") as file:
        file.write(b'{"act":"call.pa')
    site.sending.run_once()
    site.sending.run_once()
    assert site.server.took == [1]
    site.write(1)  # moves the torn end aside, with an entry that says so
    site.sending.run_once()
    assert site.server.took == [1, 2, 3]


def test_a_backlog_goes_out_in_pieces(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write(5)
    found = follow(site.log, Position(), most=2)
    assert [position.number for _, position in found.lines] == [1, 2]
    assert [one.number for _, one in follow(site.log, found.lines[-1][1], most=2).lines] == [3, 4]
    monkeypatch.setattr(audit_follower, "MOST_BYTES", found.lines[0][1].end)
    assert len(follow(site.log, Position()).lines) == 2, "long entries do not fill the memory"
    site.sending.run_once()
    assert site.sending.state == SendingState(sent=2, waiting=3)


def test_waits_double_up_to_a_minute() -> None:
    assert [pause_s(failures) for failures in (1, 2, 3, 7, 100)] == [1, 2, 4, 60, 60]
    assert timedelta(seconds=pause_s(50)) == timedelta(minutes=1)
