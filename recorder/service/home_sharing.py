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
from recorder.recordings.home_rights import READ, WRITTEN, Rights, rights_of
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
        SharingError: A database is in the home and in the common folder.
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
        SharingError: A database is in use, or in both folders; or a file has a second name, or was replaced meanwhile.
        OSError, KeyProblemError: The system refused; run it again.
    """
    moved, owner, was_of = moves(home), owner or owner_of(home), home.root.stat().st_uid
    _refuse_second_names(home)
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
    for number, found in enumerate(_walk(home.root)):
        if change := _change_of(home, found, group, owner):
            _apply(change, found, home_uid=was_of)
            count += 1
        told(number)
    sync_folder(home.root)
    return count


def changes(home: Home, group: int, owner: FileOwner | None = None) -> Iterator[RightsChange]:
    """Yield what `share` would change of the files that are there; changes nothing."""
    for found in _walk(home.root):
        if change := _change_of(home, found, group, owner or owner_of(home)):
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
        raise SharingError(f"{path} cannot be read: {error}; `recorder index check` says what is wrong") from error
    Path(f"{path}-shm").unlink(missing_ok=True)  # left by a killed process; nobody has it open
    if left := [str(one) for one in (Path(f"{path}-wal"), Path(f"{path}-journal")) if one.exists()]:
        raise SharingError(f"{', '.join(left)} is there while nobody has {path} open: run `recorder index check` first")


@dataclass(frozen=True, slots=True, kw_only=True)
class _FoundFile:
    """A file or folder, by its name in an open folder: the path could lead elsewhere by the time that it is used.

    Attributes:
        path: Its path.
        folder: Descriptor of the folder that it is in, open until the next one is found.
        name: Its name there.
        status: Its state.
    """

    path: Path
    folder: int
    name: str
    status: os.stat_result


def _walk(root: Path) -> Iterator[_FoundFile]:
    """Yield a home and the files and folders in it; no links, sockets or pipes, and a folder before its files."""
    for place, folders, files, folder in os.fwalk(root):
        inside = [(Path(place, name), name) for name in (*folders, *files)]
        for path, name in [(root, "."), *inside] if Path(place) == root else inside:
            try:
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:  # removed meanwhile
                continue
            if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
                yield _FoundFile(path=path, folder=folder, name=name, status=status)


def _refuse_second_names(home: Home) -> None:
    """Check that no file has two names of different rights: a link to the accounts would open them to the group.

    Raises:
        SharingError: A file has; the message names it.
    """
    first: dict[tuple[int, int], tuple[Path, Rights]] = {}
    for found in _walk(home.root):
        status = found.status
        if not stat.S_ISREG(status.st_mode) or status.st_nlink == 1:
            continue
        rights = rights_of(found.path.relative_to(home.root), is_folder=False)
        path, expected = first.setdefault((status.st_dev, status.st_ino), (found.path, rights))
        if rights != expected:
            raise SharingError(f"{found.path} is a second name of {path}: find out who gave it, and remove it")


def _change_of(home: Home, found: _FoundFile, group: int, owner: FileOwner) -> RightsChange | None:
    status = found.status
    rights = rights_of(found.path.relative_to(home.root), is_folder=stat.S_ISDIR(status.st_mode))
    before = (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))
    gid = group if rights.is_groups else owner.gid
    is_kept = rights.mode & stat.S_IWGRP and not owner.takes_all
    after = (status.st_uid if is_kept else owner.uid, status.st_gid if gid is None else gid, rights.mode)
    return None if before == after else RightsChange(path=found.path, before=before, after=after)


def _apply(change: RightsChange, found: _FoundFile, *, home_uid: int) -> None:
    """Change a file's rights by its descriptor: a user who may write its folder could put another in its place.

    Raises:
        SharingError: It has a second name and is not of the home's owner, so it may be a file of somewhere else; or
            another file was put in its place.
        OSError: From the system.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(found.name, flags, dir_fd=found.folder)
    try:
        opened = os.fstat(descriptor)
        if not os.path.samestat(opened, found.status):
            raise SharingError(f"{change.path} was replaced meanwhile: find out which process did it, and run it again")
        if stat.S_ISREG(opened.st_mode) and opened.st_nlink > 1 and opened.st_uid != home_uid:
            raise SharingError(f"{change.path} has a second name: find out who gave it, and remove one of the two")
        uid, gid, mode = change.after
        if (opened.st_uid, opened.st_gid) != (uid, gid):
            os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)  # after chown(2), which clears set-group-ID
    finally:
        os.close(descriptor)
