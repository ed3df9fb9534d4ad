"""The register of dialogs: what is written outlives the daemon, and nothing of ended calls stays."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.calls.dialog_register import DialogRegister
from recorder.common.serial_executor import SerialExecutor
from sip.events import LegId
from storage.state_journal import read_states, write_states

ONE, TWO = LegId(1), LegId(2)
CALLER = {"local_tag": "a", "remote": "<sip:01632960001@pbx>;tag=x", "cseq": 7}
OFFICER = {"local_tag": "b", "remote": "<sip:2001@pbx>;tag=y", "cseq": 9}


@pytest.fixture
def executor() -> Iterator[SerialExecutor]:
    made = SerialExecutor("test-executor")
    yield made
    made.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dialogs.journal"


def written(executor: SerialExecutor) -> None:
    executor.submit(lambda: None).result(5)


def test_what_was_kept_last_is_left_to_the_next_daemon(path: Path, executor: SerialExecutor) -> None:
    register = DialogRegister(path, executor)
    assert register.left == {}
    register.keep(ONE, CALLER)
    register.keep(TWO, OFFICER)
    register.keep(ONE, CALLER | {"cseq": 8})
    written(executor)
    after = DialogRegister(path, executor)
    assert after.left == {"a": CALLER | {"cseq": 8}, "b": OFFICER}
    after.keep(ONE, {"local_tag": "c"})
    after.settle("a")
    written(executor)
    assert read_states(path) == {"b": OFFICER, "c": {"local_tag": "c"}}, "until its BYE is answered it stays"


def test_nothing_of_an_ended_call_stays(path: Path, executor: SerialExecutor) -> None:
    register = DialogRegister(path, executor)
    register.keep(ONE, CALLER)
    register.keep(TWO, OFFICER)
    written(executor)
    assert b"01632960001" in path.read_bytes()
    register.forget(ONE)
    register.forget(TWO)
    register.forget(TWO)
    written(executor)
    assert read_states(path) == {}
    assert b"01632960001" not in path.read_bytes()


def test_a_call_that_goes_on_without_the_daemon_is_not_kept(path: Path, executor: SerialExecutor) -> None:
    passed_on = {TWO}
    register = DialogRegister(path, executor, goes_on=passed_on.__contains__)
    register.keep(ONE, CALLER)
    register.keep(TWO, OFFICER)
    written(executor)
    assert read_states(path) == {"a": CALLER}
    passed_on.add(ONE)
    register.keep(ONE, CALLER)
    written(executor)
    assert read_states(path) == {}


def test_a_damaged_journal_is_set_aside_and_its_readable_part_used(
    path: Path, executor: SerialExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    write_states(path, {"a": CALLER, "odd": 3})
    DialogRegister(path, executor)
    assert not caplog.messages, "a whole one stays"
    path.write_bytes(path.read_bytes().rstrip(b"\0") + b"12345678{torn")
    with caplog.at_level(logging.ERROR):
        assert DialogRegister(path, executor).left == {"a": CALLER}
    assert "damaged and set aside as dialogs_damaged.journal; 1 legs" in caplog.text
    assert not path.exists()


def test_one_that_cannot_be_read_leaves_nothing(
    path: Path, executor: SerialExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    path.mkdir()
    assert DialogRegister(path, executor).left == {}
    assert "cannot be read" in caplog.text
