"""What people do and are refused goes to the audit log by one service, wherever it is asked for."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from recorder.audit.audit_service import REFUSED
from recorder.audit.late_entries import SHELL_FOLDER, LateEntries
from recorder.common.clock import utc_now
from recorder.common.problems import ProblemError
from recorder.permissions import Act, DeniedError, Fault, Person, Role
from storage.audit import AuditLog
from tests.helpers.audit_services import audit_service

OLIVE = Person(name="olive", display_name="Olive Officer", roles=frozenset({Role.OFFICER}))


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(tmp_path / "audit")


def break_log(root: Path) -> None:
    (root / "audit").write_text("a file where the folder should be")


def queue_of(log: AuditLog, state: Path) -> LateEntries:
    """Return the queue of commands as the daemon has it."""
    return LateEntries(log, state / SHELL_FOLDER, alarm=lambda _: None, now=utc_now, clock=time.monotonic)


def test_a_refusal_stands_without_the_log_and_the_daemon_enters_it(log: AuditLog, tmp_path: Path) -> None:
    service, daemon = audit_service(log, tmp_path / "state"), queue_of(log, tmp_path / "state")
    break_log(tmp_path)
    with pytest.raises(ProblemError) as refused:
        service.require(OLIVE, Act.MANAGE_PEOPLE, "bob")
    assert refused.value.status == 403
    (tmp_path / "audit").unlink()
    daemon.catch_up_others()
    entries = [(entry.act, entry.actor, entry.subject, entry.details["late"]) for entry in log.entries()]
    assert entries == [(REFUSED, "olive", "bob", True)]
    daemon.catch_up_others()
    assert len(list(log.entries())) == 1, "it is entered once"


@pytest.mark.parametrize("content", [b'"x"', b"7", b"{}", b'{"act": 1}', b"[", b"[]"])
def test_a_file_that_holds_no_entry_stops_nothing(log: AuditLog, tmp_path: Path, content: bytes) -> None:
    service, daemon = audit_service(log, tmp_path / "state"), queue_of(log, tmp_path / "state")
    break_log(tmp_path)
    service.refusal("olive", "people.add", "bob", "no")
    (tmp_path / "audit").unlink()
    folder = tmp_path / "state" / SHELL_FOLDER
    (folder / "0.json").write_bytes(content)
    os.mkfifo(folder / "1.json")
    (folder / "2.json").symlink_to("/dev/zero")
    daemon.catch_up_others()
    assert ([entry.act for entry in log.entries()], daemon.waiting) == ([REFUSED], 0)
    assert sorted(path.name for path in folder.iterdir()) == ["0.json", "1.json", "2.json"], "they stay for inspection"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_queues_is_the_recorders(log: AuditLog, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 65534, 65534)
    break_log(tmp_path)
    audit_service(log, state).refusal("olive", "people.add", "bob", "no")
    folder = state / SHELL_FOLDER
    assert [path.stat().st_uid for path in (folder, *folder.iterdir())] == [65534, 65534]


def test_a_reason_that_is_missing_is_an_error_of_input_and_no_refusal(log: AuditLog, tmp_path: Path) -> None:
    service, dora = audit_service(log, tmp_path / "state"), replace(OLIVE, roles=frozenset({Role.DPO}), is_proven=True)
    for reason in ("", "  ", "x" * 1001):
        with pytest.raises(ProblemError) as refused:
            service.require(dora, Act.EXPORT, "a recording", reason=reason, has_grant=True)
        assert (refused.value.status, list(refused.value.fields)) == (422, ["reason"])
    with pytest.raises(ProblemError) as denied:
        raise service.denied(dora, Act.DECIDE, "a request", DeniedError(Fault.INCOMPLETE, "Say why.", "words"))
    assert (denied.value.status, denied.value.fields) == (422, {"words": "Say why."})
    assert list(log.entries()) == []
    with pytest.raises(ProblemError) as refused:
        service.require(OLIVE, Act.MANAGE_PEOPLE, "bob", reason="")
    assert refused.value.status == 403, "who may not do it at all is refused first"
    assert [entry.act for entry in log.entries()] == [REFUSED]


def test_an_act_is_not_done_without_the_log(log: AuditLog, tmp_path: Path) -> None:
    service = audit_service(log, tmp_path / "state")
    break_log(tmp_path)
    with pytest.raises(ProblemError) as refused:
        service.note("people.add", "ada", "bob")
    assert (refused.value.status, service.late.waiting) == (503, 0)
