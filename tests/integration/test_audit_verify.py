"""What `AuditLog.verify` finds: each flipped bit, what is missing, moved or cut, texts, heads noted elsewhere."""

import fcntl
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import Mock

import pytest

from storage.audit import AuditLog
from storage.audit_chain import REPAIRED, AuditState
from storage.audit_entry import GENESIS, line_of
from storage.errors import AuditUnavailableError
from storage.heads import AnchorsUnreadableError, Head, heads_in, parse_head, read_heads
from tests.helpers.starvation import stopwatch

AT = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    made = AuditLog(tmp_path / "audit")
    for number in range(5):
        made.append("call.pause", "Jo-Ann", f"call-{number}", {"hash": "x", "name": "Söhne \u0001"}, f"why {number}")
    return made


def lines(log: AuditLog) -> list[bytes]:
    return log.path.read_bytes().splitlines(keepends=True)


def where(state: AuditState) -> tuple[int, int]:
    assert state.bad is not None
    return state.bad.number, state.bad.line


def test_every_flipped_bit_is_found_and_named(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "small")
    for number in range(3):
        log.append("call.pause", "Jo-Ann", f"call-{number}", {"hash": "x", "name": "Söhne \u0001"})
    content = log.path.read_bytes()
    starts = [0]
    for line in content.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for at in range(len(content)):
        number = next(n for n, start in enumerate(starts) if at < start)
        for bit in range(8):
            changed = bytearray(content)
            changed[at] ^= 1 << bit
            log.path.write_bytes(changed)
            bad = log.verify().bad
            assert bad is not None, f"byte {at}, bit {bit}"
            assert (bad.line, bad.number, bad.offset) == (number, number, starts[number - 1]), f"byte {at}, bit {bit}"


def test_a_bit_of_the_last_line_stays_where_it_is_behind_what_its_writer_adds(log: AuditLog) -> None:
    content = bytearray(log.path.read_bytes())
    content[-100] ^= 4
    log.path.write_bytes(content)
    log.append("call.resume", "jo", "call-4")
    assert where(log.verify()) == (5, 5)


def test_a_bit_of_the_last_line_is_moved_aside_by_another_writer_and_named_for_good(log: AuditLog) -> None:
    content = log.path.read_bytes()
    start = len(content) - len(lines(log)[4])
    for at in range(start, len(content), 25):
        changed = bytearray(content)
        changed[at] ^= 4
        log.path.write_bytes(changed)
        AuditLog(log.folder).append("call.resume", "jo", "call-4")
        state = log.verify()
        assert [entry.number for entry in state.moved_aside] == [5]
        assert state.moved_aside[0].details["is_whole"] or at == start
        assert state.stray_texts == 1


@pytest.mark.parametrize(
    ("edit", "number", "says"),
    [
        (lambda all_: all_[1:], 1, "entry 1 is missing before it: it has number 2"),
        (lambda all_: [all_[0], *all_[3:]], 2, "entries 2 to 3 are missing before it: it has number 4"),
        (lambda all_: [all_[0], all_[2], all_[1], *all_[3:]], 2, "entry 2 is missing"),
        (lambda all_: [*all_, all_[4]], 6, "it has number 5, expected 6: it is there twice"),
        (lambda all_: [*all_[:2], all_[1], *all_[2:]], 3, "it is there twice"),
        (lambda all_: [*all_[:4], all_[4][:-30]], 5, "it is cut"),
        (lambda all_: [*all_[:4], all_[4][:-1]], 5, "it is cut"),
        (lambda all_: [*all_, bytes(700)], 6, "it is cut"),
        (lambda all_: [*all_[:2], b"\n", *all_[2:]], 3, "it is not an entry"),
        (lambda all_: [*all_[:2], b"{}\n", *all_[2:]], 3, "it is not an entry"),
    ],
)
def test_what_is_missing_moved_doubled_or_torn_is_named(
    log: AuditLog, edit: Callable[[list[bytes]], list[bytes]], number: int, says: str
) -> None:
    edited = edit(lines(log))
    log.path.write_bytes(b"".join(edited))
    state = log.verify()
    assert state.bad is not None
    assert (state.bad.number, state.bad.line, state.entries) == (number, number, number - 1)
    assert state.bad.offset == sum(map(len, edited[: number - 1]))
    assert says in state.bad.problem
    assert state.bad.sentence in state.problems


def forged(log: AuditLog, first: int) -> None:
    """Write the log anew from an entry on, so that it follows from itself."""
    kept = lines(log)
    previous = json.loads(kept[first - 2])["hash"] if first > 1 else GENESIS
    for at in range(first - 1, len(kept)):
        fields = json.loads(kept[at]) | {"actor": "nobody", "prev": previous}
        del fields["hash"]
        kept[at] = line_of(fields)
        previous = json.loads(kept[at])["hash"]
    log.path.write_bytes(b"".join(kept))


def test_heads_show_what_was_cut_off_and_what_was_written_anew(log: AuditLog) -> None:
    heads = [Head(number=entry.number, hash=entry.hash, at=AT) for entry in log.entries()]
    assert (log.verify(heads).problems, log.verify(heads).heads) == ([], 5)
    content = lines(log)

    log.path.write_bytes(b"".join(content[:3]))
    assert log.verify().bad is None
    state = log.verify([heads[1], heads[4]])
    assert where(state) == (4, 4)
    assert state.bad is not None
    assert "head 5" in state.bad.problem
    assert "entries 4 to 5 are cut off" in state.bad.problem
    assert "2026-11-25T09:30:00Z" in state.bad.problem
    assert state.bad.offset == log.path.stat().st_size

    log.path.write_bytes(b"".join(content))
    forged(log, 3)
    assert log.verify().bad is None
    state = log.verify([heads[1], heads[3]])
    assert where(state) == (4, 4)
    assert state.bad is not None
    assert "written anew somewhere from entry 3 on" in state.bad.problem
    assert (state.entries, state.heads) == (3, 1)


def test_a_head_without_its_number_must_be_somewhere(log: AuditLog) -> None:
    entries = list(log.entries())
    loose = [Head(number=None, hash=entries[2].hash)]
    assert log.verify(loose).problems == []
    log.path.write_bytes(b"".join(lines(log)[:2]))
    (problem,) = log.verify(loose).problems
    assert f"no entry has the hash {entries[2].hash}" in problem
    log.path.unlink()
    assert where(log.verify(loose)) == (1, 1)


def change_text(log: AuditLog, statement: str) -> None:
    with closing(sqlite3.connect(log.folder / "texts.sqlite")) as database, database:
        database.execute(statement)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE texts SET text = 'lies' WHERE text = 'why 2'", "entry 3 (line 3, byte "),
        ("UPDATE texts SET salt = x'00' WHERE text = 'why 2'", "free text was changed"),
        ("UPDATE texts SET text = 5 WHERE text = 'why 2'", "free text was changed"),
        ("UPDATE texts SET text = CAST(x'ff' AS TEXT) WHERE text = 'why 2'", "free text was changed"),
        ("UPDATE texts SET hash = 'x' WHERE text = 'why 2'", "1 of the free texts fit no entry"),
        ("INSERT INTO texts VALUES ('y', x'00', 'planted')", "1 of the free texts fit no entry"),
        ("DROP TABLE texts", "the free texts cannot be read"),
    ],
)
def test_a_text_that_does_not_fit_is_named(log: AuditLog, statement: str, says: str) -> None:
    change_text(log, statement)
    state = log.verify()
    (problem,) = state.problems
    assert says in problem
    assert state.bad is None
    assert "lies" not in problem


def test_texts_that_expired_are_only_counted(log: AuditLog) -> None:
    entries = list(log.entries())
    assert log.forget_texts(entries[:2]) == 2
    state = log.verify()
    assert (state.problems, state.texts, state.gone_texts) == ([], 3, 2)


def test_a_log_is_checked_on_a_medium_for_reading_only(log: AuditLog) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in log.folder.iterdir()}
    (log.folder / "texts.sqlite").chmod(0o400)
    assert log.verify().problems == []
    assert {path.name: path.stat().st_mtime_ns for path in log.folder.iterdir()} == before


def test_progress_ends_at_the_whole(log: AuditLog) -> None:
    seen: list[tuple[float, float]] = []
    state = log.verify(progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (state.bytes, state.bytes) == (log.path.stat().st_size, state.bytes)


def test_a_lock_that_is_held_is_waited_for_only_so_long(log: AuditLog) -> None:
    hasty = AuditLog(log.folder, lock_s=0.05)
    with log.path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        took_s = stopwatch(os.getpid())
        with pytest.raises(AuditUnavailableError, match="another process has held its lock"):
            hasty.append("call.pause", "jo", "", text="why")
        with pytest.raises(AuditUnavailableError, match="another process has held its lock"):
            hasty.verify()
        assert took_s() < 3
    hasty.append("call.pause", "jo", "")
    assert (log.verify().entries, log.verify().problems) == (6, [])


def test_an_entry_whose_text_cannot_be_kept_is_taken_back(log: AuditLog) -> None:
    change_text(log, "CREATE TRIGGER full BEFORE INSERT ON prepared BEGIN SELECT RAISE(FAIL, 'full'); END")
    before = log.path.read_bytes()
    with pytest.raises(AuditUnavailableError, match="full"):
        log.append("call.pause", "jo", "", text="why")
    assert log.path.read_bytes() == before
    log.append("call.pause", "jo", "")
    assert (log.verify().problems, log.verify().entries) == ([], 6)


def test_a_text_that_cannot_be_settled_yet_is_with_the_next_entry(log: AuditLog) -> None:
    change_text(log, "CREATE TRIGGER full BEFORE INSERT ON texts BEGIN SELECT RAISE(FAIL, 'full'); END")
    entry = log.append("call.pause", "jo", "", text="why")
    log.append("call.pause", "jo", "", text="and again")
    assert (log.verify().problems, log.verify().texts, log.text(entry)) == ([], 7, "why")
    assert unsettled(log) == 2
    change_text(log, "DROP TRIGGER full")
    log.append("call.pause", "jo", "", text="more")
    assert (log.text(entry), unsettled(log)) == ("why", 0)
    assert (log.verify().problems, log.verify().texts) == ([], 8)


def unsettled(log: AuditLog) -> int:
    with log.texts.reading() as texts:
        return len(texts.prepared())


def test_whoever_is_waited_for_settles_afterwards(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause with a reason waits for one transaction of the texts, not for two; to readers its text is there."""
    opened: list[Path] = []
    real = sqlite3.connect

    def connect(path: Path, *, timeout: float) -> sqlite3.Connection:
        opened.append(path)
        return real(path, timeout=timeout)

    AuditLog(log.folder).append("call.resume", "jo", "")  # as another process writes in turn
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", connect)
        entry = log.append("call.pause", "jo", "", text="card", settles=False)
    assert opened == [log.folder / "texts.sqlite"]
    assert (log.text(entry), unsettled(log)) == ("card", 1)
    assert (log.verify().problems, log.verify().texts) == ([], 6)
    log.settle()
    assert (log.text(entry), unsettled(log), log.verify().texts) == ("card", 0, 6)
    log.append("call.pause", "jo", "", text="card again", settles=False)
    log.append("call.pause", "jo", "", text="once more", settles=False)
    assert unsettled(log) == 1, "who comes next settles what was left"


def test_a_text_that_cannot_be_settled_now_keeps_nobody_from_writing(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = log.append("call.pause", "jo", "", text="card", settles=False)
    with monkeypatch.context() as patch:
        patch.setattr("storage.audit.mmap.mmap", Mock(side_effect=OSError(12, "no memory")))
        second = log.append("call.pause", "jo", "", text="card again", settles=False)
    assert (log.text(first), log.text(second), unsettled(log)) == ("card", "card again", 2)
    log.settle()
    assert (log.text(first), log.text(second), unsettled(log)) == ("card", "card again", 0)


def test_a_log_whose_texts_were_written_by_an_older_version_is_read(log: AuditLog) -> None:
    change_text(log, "DROP TABLE prepared")
    assert (log.verify().problems, log.verify().texts) == ([], 5)
    assert log.text(next(log.entries())) == "why 0"
    log.forget_texts([next(log.entries())])
    assert log.text(next(log.entries())) is None


def test_a_text_that_is_not_settled_expires_too(log: AuditLog) -> None:
    change_text(log, "CREATE TRIGGER full BEFORE INSERT ON texts BEGIN SELECT RAISE(FAIL, 'full'); END")
    entry = log.append("call.pause", "jo", "", text="a name that must expire")
    log.forget_texts([entry])
    assert b"a name that must expire" not in (log.folder / "texts.sqlite").read_bytes()


def test_texts_that_cannot_be_read_are_a_sentence(log: AuditLog) -> None:
    entry = next(log.entries())
    (log.folder / "texts.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(AuditUnavailableError, match="the texts of the audit log cannot be read"):
        log.text(entry)


def test_an_entry_that_cannot_be_written_leaves_no_text_behind(log: AuditLog) -> None:
    with pytest.raises(AuditUnavailableError):
        log.append("call.pause", "jo", "", {"path": Path("x")}, "a name that must expire")
    state = log.verify()
    assert (state.problems, state.texts) == ([], 5)


def test_what_was_torn_is_not_called_changed(log: AuditLog) -> None:
    with log.path.open("ab") as file:
        file.write(b'{"act":"call.pau')
    AuditLog(log.folder).append("call.resume", "jo", "")
    state = log.verify()
    assert [(entry.act, entry.details["is_whole"]) for entry in state.moved_aside] == [(REPAIRED, False)]
    assert state.problems == []


# --- heads as they are noted elsewhere


def test_a_head_is_read_back_out_of_whatever_it_was_written_into(tmp_path: Path) -> None:
    head = Head(number=17, hash=hashlib.sha256(b"x").hexdigest(), at=AT, node="0123456789abcdef")
    syslog = f"<109>1 2026-11-25T09:30:00Z box recorder 1 audit-head - {head.to_line()}"
    text = f"From: a@b\n\n{head.to_line()}\n{syslog}\n{syslog[:-20]}\nother {{}}\n"
    assert list(heads_in(text)) == [head, head]
    (tmp_path / "mails").write_text(text)
    assert read_heads(tmp_path) == read_heads(tmp_path / "mails") == [head, head]
    (tmp_path / "mails").write_bytes(b"\xff nothing")
    with pytest.raises(AnchorsUnreadableError, match="holds no anchor"):
        read_heads(tmp_path / "mails")
    with pytest.raises(AnchorsUnreadableError, match="cannot be read"):
        read_heads(tmp_path / "absent")


def test_a_head_as_a_person_notes_it() -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    assert parse_head(digest.upper()) == Head(number=None, hash=digest)
    assert parse_head(f" 12:{digest}\n") == Head(number=12, hash=digest)
    for wrong in ("", "12", digest[:-1], f"0:{digest}", f"x:{digest}", f":{digest}", f"-1:{digest}", "g" * 64):
        with pytest.raises(ValueError, match="is no head"):
            parse_head(wrong)
