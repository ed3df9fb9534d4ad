"""What people do and are refused goes to the audit log by one service, wherever it is asked for."""

from pathlib import Path

import pytest

from recorder.audit.audit_service import REFUSED
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Person, Role
from storage.audit import AuditLog
from tests.helpers.audit_services import audit_service

OLIVE = Person(name="olive", display_name="Olive Officer", roles=frozenset({Role.OFFICER}))


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(tmp_path / "audit")


def break_log(root: Path) -> None:
    (root / "audit").write_text("a file where the folder should be")


def test_a_refusal_stands_without_the_log_and_is_entered_with_the_next_act(log: AuditLog, tmp_path: Path) -> None:
    service = audit_service(log, tmp_path / "state")
    break_log(tmp_path)
    with pytest.raises(ProblemError) as refused:
        service.require(OLIVE, Act.MANAGE_PEOPLE, "bob")
    assert (refused.value.status, service.late.waiting) == (403, 1)
    (tmp_path / "audit").unlink()
    # Another process, as the next command is: the entry outlives the one that was refused.
    audit_service(log, tmp_path / "state").note("people.add", "ada", "bob")
    entries = [(entry.act, entry.actor, entry.details.get("late", False)) for entry in log.entries()]
    assert entries == [(REFUSED, "olive", True), ("people.add", "ada", False)]


def test_an_act_is_not_done_without_the_log(log: AuditLog, tmp_path: Path) -> None:
    service = audit_service(log, tmp_path / "state")
    break_log(tmp_path)
    with pytest.raises(ProblemError) as refused:
        service.note("people.add", "ada", "bob")
    assert (refused.value.status, service.late.waiting) == (503, 0)
