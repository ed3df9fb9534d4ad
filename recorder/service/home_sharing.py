"""Lets daemon and console run as two users: gives both their rights on the files of a home.

The user that owns the accounts owns the home; the daemon's user is in its group. The daemon's user creates files only
in the folders that both write: anybody who can create `people.sqlite-journal` beside the accounts can change them.
Files made later inherit from their folder (`storage.group_modes`). The table of rights is in
`recorder.recordings.home_rights`.
"""

import os
import pwd
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from recorder.access.signing import ensure_key
from recorder.common.home import Home
from recorder.recordings import agreement, resurrection_guard
from recorder.recordings.home_rights import READ, WRITTEN, rights_of
from storage.durable import sync_folder
from storage.group_modes import touch
from storage.hold_journal import LOCK as HOLDS_LOCK

_INDEX = "index.sqlite"


class SharingError(Exception):
    """The home cannot be shared in its present state; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOwner:
    """The user that owns the accounts, and that user's own group.

    Attributes:
        uid: Number of the user.
        gid: Of the group; None leaves it as it is.
        takes_all: Whether it owns the files in folders that both write too, which otherwise keep their owners.
    """

    uid: int
    gid: int | None = None
    takes_all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsChange:
    """A change of a file's rights; ``before`` and ``after`` are user, group and mode."""

    path: Path
    before: tuple[int, int, int]
    after: tuple[int, int, int]


def owner_named(name: str) -> FileOwner:
    """Return a user of the operating system by name or number.

    Raises:
        SharingError: There is none.
    """
    try:
        found = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError as error:
        if name.isdigit():
            return FileOwner(uid=int(name), takes_all=True)
        raise SharingError(f"there is no user {name!r}") from error
    return FileOwner(uid=found.pw_uid, gid=found.pw_gid, takes_all=True)


def owner_of(home: Home) -> FileOwner:
    """Return the present owner of a home, whom it keeps."""
    uid = home.root.stat().st_uid
    try:
        return FileOwner(uid=uid, gid=pwd.getpwuid(uid).pw_gid)
    except KeyError:  # the user has no name here
        return FileOwner(uid=uid)


def moves(home: Home) -> list[Path]:
    """Return the files that `share` moves into the common folder.

    Raises:
        SharingError: There are two of one.
    """
    for name in _databases(home):
        before, after = home.root / name, home.common / name
        if before.exists() and after.exists():
            what = "indexes" if name == _INDEX else name
            raise SharingError(
                f"there are two {what}, {before} and {after}: the second has been in use since this home was shared. "
                f"Look at the first, which may be an empty file that sqlite3 created, and move it away"
            )
    names = (f"{_INDEX}-lock", *_databases(home))
    return [path for path in (home.root / name for name in names) if path.exists()]


def _databases(home: Home) -> tuple[str, ...]:
    return (_INDEX, home.webhooks.name)


def share(home: Home, group: int, owner: FileOwner | None = None, *, told: Callable[[int], object] = int) -> int:
    """Give both users their rights; a second run changes nothing. No process may run in the home.

    Args:
        home: The recorder's home.
        group: Id of the group of both.
        owner: Who owns it from now on; None keeps its owner.
        told: Called with the number of files that were looked at.

    Returns:
        How many files and folders were changed.

    Raises:
        SharingError: A database is in use, or there are two; or a file has a second name.
        OSError, KeyProblemError: The system refused; run it again.
    """
    moved, owner, was_of = moves(home), owner or owner_of(home), home.root.stat().st_uid
    for path in moved:
        if path.name in _databases(home):
            _close(path)
    ensure_key(home.root)
    for name in (*WRITTEN, *READ):
        (home.root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in moved:
        path.rename(home.common / path.name)
    for lock in _locks(home):
        touch(lock)
    count = 0
    for number, path in enumerate(_walk(home.root)):
        if change := _change_of(home, path, group, owner):
            _apply(change, home_uid=was_of)
            count += 1
        told(number)
    sync_folder(home.root)
    return count


def changes(home: Home, group: int, owner: FileOwner | None = None) -> Iterator[RightsChange]:
    """Yield what `share` would change of the files that are there; changes nothing."""
    for path in _walk(home.root):
        if change := _change_of(home, path, group, owner or owner_of(home)):
            yield change


def _locks(home: Home) -> tuple[Path, ...]:
    """Return the lock files that either user may open first, to be created here for both."""
    names = (HOLDS_LOCK, resurrection_guard.LOCK, agreement.LOCK)
    return (home.lock, home.erasing_lock, *(home.state / name for name in names), home.common / f"{_INDEX}-lock")


def _close(path: Path) -> None:
    """Merge a database into its one file, so that SQLite's journal files can be removed.

    Raises:
        SharingError: Another process has it open, or it cannot be read.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=0)) as database:
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("BEGIN EXCLUSIVE")  # refused while anybody else has it open
            database.execute("COMMIT")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError as error:
        raise SharingError(f"{path}: {error}; stop daemon and console, and wait for commands that still run") from error
    except sqlite3.DatabaseError as error:
        raise SharingError(f"{path} cannot be read: {error}; `recorder fsck` says what is wrong") from error
    Path(f"{path}-shm").unlink(missing_ok=True)  # left by a killed process; nobody has it open
    if left := [str(one) for one in (Path(f"{path}-wal"), Path(f"{path}-journal")) if one.exists()]:
        raise SharingError(f"{', '.join(left)} is there while nobody has {path} open: run `recorder fsck` first")


def _walk(root: Path) -> Iterator[Path]:
    """Yield a home and the files and folders in it; no links, sockets or pipes, and a folder before its files."""
    yield root
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            kind = path.lstat().st_mode
            if stat.S_ISREG(kind) or stat.S_ISDIR(kind):
                yield path


def _change_of(home: Home, path: Path, group: int, owner: FileOwner) -> RightsChange | None:
    found = path.lstat()
    rights = rights_of(path.relative_to(home.root), is_folder=stat.S_ISDIR(found.st_mode))
    before = (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode))
    gid = group if rights.is_groups else owner.gid
    is_kept = rights.mode & stat.S_IWGRP and not owner.takes_all
    after = (found.st_uid if is_kept else owner.uid, found.st_gid if gid is None else gid, rights.mode)
    return None if before == after else RightsChange(path=path, before=before, after=after)


def _apply(change: RightsChange, *, home_uid: int) -> None:
    """Change a file's rights by its descriptor: a user who may write its folder could put a link in its place.

    Raises:
        SharingError: It has a second name and is not of the home's owner, so it may be a file of somewhere else.
        OSError: From the system.
    """
    descriptor = os.open(change.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_nlink > 1 and found.st_uid != home_uid:
            raise SharingError(f"{change.path} has a second name: find out who gave it, and remove one of the two")
        uid, gid, mode = change.after
        if (found.st_uid, found.st_gid) != (uid, gid):
            os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)  # after chown(2), which clears set-group-ID
    finally:
        os.close(descriptor)
