"""The register of pauses: what is acknowledged is on the disk."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.calls.pause_register import PauseRegister, read_states, write_states
from recorder.common.serial_executor import SerialExecutor
from storage import state_journal

PAUSED = {"state": "paused", "reasons": ["agent"], "position_s": 1.5}


@pytest.fixture
def executor() -> Iterator[SerialExecutor]:
    made = SerialExecutor("test-executor")
    yield made
    made.close()


on_disk = state_journal.read_states


def test_done_means_on_the_disk(tmp_path: Path, executor: SerialExecutor) -> None:
    path = tmp_path / "pauses.journal"
    register = PauseRegister(path, executor)
    register.put("call-1", state="paused", reasons=["agent"], position_s=1.5).result(5)
    assert on_disk(path) == {"call-1": PAUSED}
    register.put("call-1", state="recording", reasons=[], position_s=9).result(5)
    assert on_disk(path) == {"call-1": {"state": "recording", "reasons": [], "position_s": 9}}


def test_one_pause_holds_from_its_first_position(tmp_path: Path, executor: SerialExecutor) -> None:
    path = tmp_path / "pauses.json"
    register = PauseRegister(path, executor)
    register.put("call-1", state="paused", reasons=["agent"], position_s=4.0)
    register.put("call-1", state="paused", reasons=["agent", "hold"], position_s=6.0).result(5)
    assert on_disk(path) == {"call-1": {"state": "paused", "reasons": ["agent", "hold"], "position_s": 4.0}}
    register.put("call-1", state="recording", reasons=[], position_s=8.0)
    register.put("call-1", state="paused", reasons=["agent"], position_s=9.0).result(5)
    assert on_disk(path) == {"call-1": {"state": "paused", "reasons": ["agent"], "position_s": 9.0}}


def test_a_call_that_ended_is_forgotten(tmp_path: Path, executor: SerialExecutor) -> None:
    path = tmp_path / "pauses.journal"
    register = PauseRegister(path, executor)
    register.put("call-1", state="paused", reasons=["agent"], position_s=1.5)
    register.drop("call-1")
    register.drop("call-1")
    register.put("call-2", state="paused", reasons=["agent"], position_s=1.5).result(5)
    assert list(on_disk(path)) == ["call-2"]


def test_what_waits_together_is_one_write_and_none_is_missing(tmp_path: Path, executor: SerialExecutor) -> None:
    path = tmp_path / "pauses.journal"
    register = PauseRegister(path, executor)
    go_on = threading.Event()
    executor.submit(go_on.wait, 5)
    waiting = [register.put(f"call-{n}", state="paused", reasons=["agent"], position_s=1.5) for n in range(50)]
    assert not path.exists()
    go_on.set()
    waiting[0].result(5)
    assert len(on_disk(path)) == 50
    written_at = path.stat().st_mtime_ns
    for future in waiting:
        future.result(5)
    assert path.stat().st_mtime_ns == written_at


def test_a_disk_that_refuses_is_said(tmp_path: Path, executor: SerialExecutor) -> None:
    register = PauseRegister(tmp_path / "gone" / "pauses.journal", executor)
    with pytest.raises(OSError, match="gone"):
        register.put("call-1", state="paused", reasons=["agent"], position_s=1.5).result(5)
    assert executor.failures == 1


def test_after_a_refusal_the_next_write_holds_everything(tmp_path: Path, executor: SerialExecutor) -> None:
    folder = tmp_path / "later"
    register = PauseRegister(folder / "pauses.journal", executor)
    assert isinstance(register.put("call-1", state="paused", reasons=["agent"], position_s=1.5).exception(5), OSError)
    folder.mkdir()
    register.put("call-2", state="paused", reasons=["manager"], position_s=0.0).result(5)
    assert set(on_disk(folder / "pauses.journal")) == {"call-1", "call-2"}


def test_what_a_dead_daemon_left_and_nobody_settled_stays(tmp_path: Path, executor: SerialExecutor) -> None:
    path = tmp_path / "pauses.journal"
    PauseRegister(path, executor).put("call-1", state="paused", reasons=["agent"], position_s=1.5).result(5)
    assert read_states(path) == {"call-1": PAUSED}
    PauseRegister(path, executor).put("call-2", state="paused", reasons=["agent"], position_s=1.5).result(5)
    assert read_states(path) == {"call-1": PAUSED, "call-2": PAUSED}


@pytest.mark.parametrize("content", [None, "", "{", "[]", "7"])
def test_nothing_left_or_nothing_readable(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "pauses.journal"
    if content is not None:
        path.write_text(content)
    assert read_states(path) == {}


def test_what_recovery_leaves_is_what_the_next_daemon_begins_with(tmp_path: Path, executor: SerialExecutor) -> None:
    path = tmp_path / "pauses.journal"
    write_states(path, {"call-1": PAUSED})
    PauseRegister(path, executor).put("call-2", state="paused", reasons=["agent"], position_s=1.5).result(5)
    assert read_states(path) == {"call-1": PAUSED, "call-2": PAUSED}


def test_changes_that_come_while_another_is_written_are_all_there(tmp_path: Path, executor: SerialExecutor) -> None:
    path = tmp_path / "pauses.journal"
    register = PauseRegister(path, executor)

    def press(call: str) -> None:
        for second in range(50):
            register.put(call, state="paused", reasons=[f"{second}"], position_s=1.5)

    presses = [threading.Thread(target=press, args=(f"call-{n}",)) for n in range(4)]
    for one in presses:
        one.start()
    for one in presses:
        one.join()
    register.put("last", state="paused", reasons=["agent"], position_s=1.5).result(5)
    assert {name: state["reasons"] for name, state in read_states(path).items()} == {
        **{f"call-{n}": ["49"] for n in range(4)},
        "last": ["agent"],
    }
