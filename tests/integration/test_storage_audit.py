"""The audit log on a real disk: chained, torn, changed, shared by processes, unwritable."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from storage.audit import AuditLog
from storage.audit_chain import REPAIRED
from storage.audit_entry import GENESIS
from storage.errors import AuditUnavailableError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


def test_entries_are_chained_and_texts_kept_apart(folder: Path) -> None:
    log = AuditLog(folder)
    first = log.append(
        "recording.played", "d.po", "20261124T093000Z-2001-0a1b2c", {"seconds": 3}, "Complaint 17, Söhne"
    )
    second = log.append("recording.exported", "d.po", "", {"form": "wav"})
    assert (first.number, first.previous, second.number, second.previous) == (1, GENESIS, 2, first.hash)
    assert list(AuditLog(folder).entries()) == [first, second]
    assert log.text(first) == "Complaint 17, Söhne"
    assert log.text(second) is None
    assert b"Complaint" not in (folder / "audit.log").read_bytes()
    state = log.verify()
    assert (state.entries, state.head, state.bad, state.texts) == (2, second.hash, None, 1)
    log.forget_texts([first])
    assert log.text(first) is None
    assert log.verify() == replace(state, texts=0, gone_texts=1)


def test_an_entry_rewritten_with_its_own_hash_breaks_the_chain_behind_it(folder: Path) -> None:
    log = AuditLog(folder)
    for number in range(3):
        log.append("call.paused", "officer", f"call-{number}")
    path = folder / "audit.log"
    lines = path.read_bytes().splitlines(keepends=True)
    fields = json.loads(lines[1]) | {"actor": "nobody"}
    del fields["hash"]
    fields["hash"] = hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    lines[1] = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    path.write_bytes(b"".join(lines))
    bad = log.verify().bad
    assert bad is not None
    assert (bad.line, bad.problem) == (3, "it does not follow from the entry before")


@pytest.mark.parametrize("torn", [b'{"act":"call.pau', bytes(700), b"\n", b"junk\n"])
def test_a_torn_tail_is_moved_aside_and_noted(folder: Path, torn: bytes) -> None:
    log = AuditLog(folder)
    first = log.append("call.paused", "officer", "call-1")
    with (folder / "audit.log").open("ab") as file:
        file.write(torn)
    assert log.verify().bad is not None
    third = log.append("call.resumed", "officer", "call-1")
    entries = list(log.entries())
    assert [entry.act for entry in entries] == ["call.paused", REPAIRED, "call.resumed"]
    assert (entries[0], entries[2]) == (first, third)
    assert (folder / entries[1].details["file"]).read_bytes() == torn
    assert log.verify().bad is None


def test_a_change_further_back_does_not_stop_the_log_but_is_named(folder: Path) -> None:
    log = AuditLog(folder)
    for number in range(4):
        log.append("call.paused", "officer", f"call-{number}")
    path = folder / "audit.log"
    path.write_bytes(path.read_bytes().replace(b"call-1", b"call-9"))
    log.append("call.resumed", "officer", "call-3")
    bad = log.verify().bad
    assert bad is not None
    assert (bad.line, "changed" in bad.problem) == (2, True)


def test_long_entries_are_found_at_the_end(folder: Path) -> None:
    log = AuditLog(folder)
    for size in (10, 200_000, 300_000, 10):
        log.append("config.loaded", "recorder", "", {"difference": "x" * size})
    assert log.verify().entries == 4


def test_two_processes_write_one_chain(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from storage.audit import AuditLog\n"
        "log = AuditLog(Path(sys.argv[1]))\n"
        "for n in range(25): log.append('test.ran', sys.argv[2], str(n), text='why')"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(folder), name], cwd=ROOT) for name in "ab"]
    assert [process.wait(60) for process in running] == [0, 0]
    state = AuditLog(folder).verify()
    assert (state.entries, state.bad) == (50, None)


def test_what_cannot_be_written_is_said(folder: Path) -> None:
    folder.parent.joinpath("audit").write_text("a file where the folder should be")
    with pytest.raises(AuditUnavailableError, match="cannot be written"):
        AuditLog(folder).append("call.paused", "officer", "")


def test_details_must_be_json(folder: Path) -> None:
    log = AuditLog(folder)
    with pytest.raises(AuditUnavailableError):
        log.append("call.paused", "officer", "", {"path": Path("x")})
    assert log.verify().entries == 0
