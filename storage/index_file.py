"""The file of a SQLite index: its state, its users, salvaging rows from it, and replacing it. Not for PostgreSQL."""

import enum
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from storage.durable import sync_folder
from storage.errors import DatabaseError
from storage.group_modes import refuse_link
from storage.lost_found import LostFound
from storage.rows import row_from_text
from storage.types import RecordingRow

_BESIDE = ("", "-wal", "-shm", "-journal")
"""Suffixes of the files of a SQLite database; the first is the database itself."""
_DAMAGE = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB"})
_NEW = ".rebuilt"
_LOOKS, _BETWEEN_LOOKS_S = 3, 0.1


class FileState(enum.StrEnum):
    """State of an index's file."""

    MISSING = "missing"
    DAMAGED = "damaged"
    USABLE = "usable"


def state_of(path: Path) -> tuple[FileState, str]:
    """Return the state of an index's file, and what is wrong with it; reads the whole file.

    Raises:
        DatabaseError: It cannot be read now: it is locked, or access is denied. That is not damage.
    """
    if not path.exists() or not path.stat().st_size:
        return FileState.MISSING, "there is no index" if not path.exists() else "the index is an empty file"
    try:
        with closing(_opened(path)) as database:
            found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        if not _is_damage(error):
            raise DatabaseError(f"the index {path} cannot be read now: {error}", is_passing=True) from error
        return FileState.DAMAGED, str(error)
    return (FileState.USABLE, "") if found == "ok" else (FileState.DAMAGED, str(found).replace("\n", " "))


def users_of(path: Path) -> list[str]:
    """Return the other processes of this user that have an index's file open, even if it was removed since.

    Looks several times: a new child process has its parent's files open until it executes another program.
    """
    found = set(_users_of(path))
    for _ in range(_LOOKS):
        if not found:
            break
        time.sleep(_BETWEEN_LOOKS_S)
        found &= set(_users_of(path))
    return sorted(found)


def _users_of(path: Path) -> list[str]:
    names = {str(path.resolve()) + end for end in _BESIDE}
    names |= {f"{name} (deleted)" for name in names}
    return [
        _name_of(process)
        for process in sorted(Path("/proc").glob("[0-9]*"))
        if int(process.name) != os.getpid() and any(target in names for target in _open_files(process))
    ]


def _name_of(process: Path) -> str:
    try:
        words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        words = []
    return f"{process.name} ({' '.join(words).strip()})"


def _open_files(process: Path) -> Iterator[str]:
    try:
        for link in (process / "fd").iterdir():
            yield str(link.readlink())
    except OSError:
        return  # the process ended, or is another user's


def salvage(path: Path) -> Iterator[RecordingRow]:
    """Yield the readable rows of a damaged index: forwards from the first, then backwards from the last, to the damage.

    A row may be yielded twice.
    """
    for order in ("", " DESC"):
        try:
            with closing(_opened(path)) as database:
                for (document,) in database.execute(f"SELECT document FROM recordings ORDER BY id{order}"):  # noqa: S608
                    try:
                        yield row_from_text(document)
                    except (ValueError, TypeError, KeyError):
                        continue
        except sqlite3.Error:
            continue


def new_path(path: Path) -> Path:
    """Return the path at which the replacement of an index is made."""
    return path.with_name(path.name + _NEW)


def drop_unfinished(path: Path) -> None:
    """Remove an unfinished replacement that a kill left; it holds nothing that is not stored elsewhere."""
    for end in (*_BESIDE, "-lock"):
        new_path(path).with_name(new_path(path).name + end).unlink(missing_ok=True)


def put_in_place(path: Path, aside: LostFound, why: str) -> list[str]:
    """Move the old files of an index to lost+found, then rename the replacement.

    After a kill in between there is no index, and it is rebuilt again. The caller ensures that nobody has either open.

    Returns:
        Paths of the old files in lost+found.

    Raises:
        OSError: From the system; run it again.
        DatabaseError: The new file cannot be finished.
    """
    new = new_path(path)
    try:
        with closing(sqlite3.connect(new)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.execute("PRAGMA journal_mode=DELETE")  # so that all data is in one file
    except sqlite3.Error as error:
        raise DatabaseError(f"the new index {new} cannot be finished: {error}", is_passing=True) from error
    descriptor = os.open(new, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    # The old write-ahead log too: SQLite would apply it to the new file.
    moved = [aside.take(old, why) for end in _BESIDE if (old := path.with_name(path.name + end)).exists()]
    new.replace(path)
    sync_folder(path.parent)
    drop_unfinished(path)
    return moved


def _opened(path: Path) -> sqlite3.Connection:
    try:
        refuse_link(path)
    except OSError as error:
        raise DatabaseError(f"the index {path} is not opened: {error.strerror}", is_passing=False) from error
    database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5.0)
    database.execute("PRAGMA query_only=ON")
    return database


def _is_damage(error: sqlite3.Error) -> bool:
    name = getattr(error, "sqlite_errorname", "") or ""
    return any(name.startswith(known) for known in _DAMAGE)
