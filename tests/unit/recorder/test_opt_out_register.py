"""What is left of requests when a daemon died: the file of what was open, against the audit log."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.calls.opt_out_register import DECLINED, GRANTED, LAPSED, OptOutRegister
from recorder.common.serial_executor import SerialExecutor
from storage.audit import AuditLog


@pytest.fixture
def executor() -> Iterator[SerialExecutor]:
    executor = SerialExecutor("act-writer")
    yield executor
    executor.close()


def test_only_what_was_never_decided_lapses_and_only_once(tmp_path: Path, executor: SerialExecutor) -> None:
    path, audit = tmp_path / "opt_outs.json", AuditLog(tmp_path / "audit")
    left = ["granted", "declined", "lapsed", "not stored", "open"]
    path.write_text(json.dumps({request: f"call of {request}" for request in left}))
    for act, request in ((GRANTED, "granted"), (DECLINED, "declined"), (LAPSED, "lapsed")):
        audit.append(act=act, actor="mary", subject="x", details={"request": request})
    audit.append(act=f"{DECLINED}.not_stored", actor="mary", subject="x", details={"request": "not stored"})
    assert OptOutRegister(path, executor).lapse_orphaned(audit) == 2
    assert OptOutRegister(path, executor).lapse_orphaned(audit) == 0
    new = [(e.act, e.actor, e.subject, e.details) for e in audit.entries()][4:]
    assert new == [
        (LAPSED, "recorder", f"call of {request}", {"request": request, "why": "daemon_died"})
        for request in ("not stored", "open")
    ]


@pytest.mark.parametrize("content", [None, "", "{", "null", "[]"])
def test_a_file_that_says_nothing_lapses_nothing(tmp_path: Path, executor: SerialExecutor, content: str | None) -> None:
    path, audit = tmp_path / "opt_outs.json", AuditLog(tmp_path / "audit")
    if content is not None:
        path.write_text(content)
    assert OptOutRegister(path, executor).lapse_orphaned(audit) == 0
    assert list(audit.entries()) == []
