"""The journal of states: what was saved is read back, and nothing that was torn."""

import os
from pathlib import Path
from typing import Any

import pytest

from storage.state_journal import StateJournal, read_states, write_states


class Kept:
    """A table of states and its journal, as its owner keeps them."""

    def __init__(self, path: Path, size: int = 4096) -> None:
        self.journal = StateJournal(path, size=size)
        self.states: dict[str, Any] = {}

    def set(self, **changes: Any) -> None:
        for name, state in changes.items():
            self.states.pop(name, None)
            if state is not None:
                self.states[name] = state
        self.journal.save(changes, self.states)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "states"


def test_what_was_saved_is_read_back_by_whoever_comes_next(path: Path) -> None:
    kept = Kept(path)
    kept.set(a={"state": "paused"})
    kept.set(b={"state": "paused", "reasons": ["agent"]}, a=None)
    kept.set(c=1)
    assert read_states(path) == {"b": {"state": "paused", "reasons": ["agent"]}, "c": 1}
    kept.journal.close()
    kept.journal.close()


def test_no_file_is_no_state_and_a_file_that_cannot_be_read_is_said(path: Path) -> None:
    assert read_states(path) == {}
    path.mkdir()
    with pytest.raises(OSError):
        read_states(path)


def test_a_change_touches_neither_the_name_nor_the_length_of_the_file(path: Path) -> None:
    kept = Kept(path)
    kept.set(a=1)
    before = path.stat()
    kept.set(a=2)
    after = path.stat()
    assert (before.st_ino, before.st_size) == (after.st_ino, after.st_size)
    assert before.st_blocks * 512 >= before.st_size, "its blocks are there already"
    assert read_states(path) == {"a": 2}


def test_a_full_file_gives_way_to_one_with_the_states_alone(path: Path) -> None:
    kept = Kept(path, size=256)
    inodes = set()
    for number in range(100):
        kept.set(**{f"call-{number % 3}": number})
        inodes.add(path.stat().st_ino)
        assert read_states(path) == kept.states
    assert path.stat().st_size == 256
    assert len(inodes) > 1


def test_states_that_need_more_than_the_size_get_it(path: Path) -> None:
    kept = Kept(path, size=64)
    for number in range(30):
        kept.set(**{f"call-{number}": "x" * 20})
    assert read_states(path) == kept.states


@pytest.mark.parametrize("what", ["cut", "zeros", "flipped", "another line's"])
def test_reading_ends_at_the_first_line_that_is_not_whole(path: Path, what: str) -> None:
    kept = Kept(path)
    kept.set(a=1)
    kept.set(b=2)
    good = path.read_bytes().rstrip(b"\0")
    kept.set(c=3)
    kept.set(d=4)
    whole = path.read_bytes().rstrip(b"\0")
    third = whole[len(good) :].index(b"\n") + 1
    broken = {
        "cut": whole[: len(good) + third - 1],
        "zeros": good + bytes(third) + whole[len(good) + third :],
        "flipped": good + bytes([whole[len(good)] ^ 1]) + whole[len(good) + 1 :],
        "another line's": good + whole[len(good) + third :],
    }[what]
    path.write_bytes(broken.ljust(4096, b"\0"))
    assert read_states(path) == {"a": 1, "b": 2}


def test_every_length_of_a_torn_last_line_gives_the_states_before_it(path: Path) -> None:
    kept = Kept(path)
    kept.set(a=1)
    kept.set(b=2)
    before = len(path.read_bytes().rstrip(b"\0"))
    kept.set(a=None, c=3)
    whole = path.read_bytes().rstrip(b"\0")
    for length in range(before, len(whole)):
        path.write_bytes(whole[:length].ljust(4096, b"\0"))
        assert read_states(path) == {"a": 1, "b": 2}, f"{length - before} bytes of the last line"


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"{", b"00000000{}\n", b"\xff\n\n", b"a3c1b2f6[1]\n"])
def test_what_is_no_journal_holds_nothing(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert read_states(path) == {}


def test_after_a_disk_that_refused_everything_is_written_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(path)
    kept.set(a=1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", _refuse)
        with pytest.raises(OSError, match="refused"):
            kept.set(b=2)
    old = path.stat().st_ino
    kept.set(c=3)
    assert read_states(path) == {"a": 1, "b": 2, "c": 3}
    assert path.stat().st_ino != old


def _refuse(_descriptor: int) -> None:
    raise OSError(5, "the disk refused")


def test_a_full_disk_does_not_stop_changes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(path)
    kept.set(a=1)
    monkeypatch.setattr(os, "fsync", _refuse)
    monkeypatch.setattr(os, "open", _refuse)
    kept.set(a=2)
    assert read_states(path) == {"a": 2}


def test_states_left_by_a_recovery_are_whole(path: Path) -> None:
    Kept(path).set(a=1, b=2)
    write_states(path, {"b": 2})
    assert read_states(path) == {"b": 2}
