"""Lets daemon and console run as two users: gives a group the rights on the files that both use.

Both users are in the group. The user that owns the accounts owns the home. The daemon's user creates files only in the
folders that both write: anybody who can create `people.sqlite-journal` beside the accounts can change them. Files made
later inherit from their folder (`storage.group_modes`).
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from recorder.access.signing import ensure_key, public_path, secret_path
from recorder.common.home import Home
from recorder.recordings import agreement, resurrection_guard
from storage.durable import sync_folder
from storage.group_modes import COMMON, touch
from storage.hold_journal import LOCK as HOLDS_LOCK

_WRITTEN = ("audit", "state", "recordings", "keys/sealed", COMMON)
"""Folders in which both users create and remove files."""
_READ = ("keys", "keys/epochs", "keys/node", "notices")
"""Folders that the daemon reads."""
_READ_FILES = ("recorder.toml", "pins.json")
_INDEX = "index.sqlite"


class SharingError(Exception):
    """The home cannot be shared in its present state; the message says what to do."""


def _locks(home: Home) -> tuple[Path, ...]:
    """Return the lock files that either user may open first, to be created here for both."""
    names = (HOLDS_LOCK, resurrection_guard.LOCK, agreement.LOCK)
    return (home.lock, home.erasing_lock, *(home.state / name for name in names), home.common / f"{_INDEX}-lock")


def share(home: Home, group: int) -> None:
    """Give a group its rights; a second run changes nothing. No process may run in the home.

    Args:
        home: The recorder's home.
        group: Id of the group.

    Raises:
        SharingError: The index is in use, or there are two.
        OSError, KeyProblemError: The system refused; run it again.
    """
    _look_at_index(home)
    ensure_key(home.root)
    for name in (*_WRITTEN, *_READ):
        (home.root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (f"{_INDEX}-lock", _INDEX, home.webhooks.name):
        if (home.root / name).exists():
            (home.root / name).rename(home.common / name)
    for lock in _locks(home):
        touch(lock)
    _give(home.root, group, 0o2750)
    for name in _READ:
        _give(home.root / name, group, 0o2750)
        for path in _files(home.root / name):
            _give(path, group, 0o640)
    for name in _READ_FILES:
        if (home.root / name).exists():
            _give(home.root / name, group, 0o640)
    for name in _WRITTEN:
        for folder, _, names in os.walk(home.root / name):
            _give(Path(folder), group, 0o2770)
            for one in names:
                _give(Path(folder, one), group, 0o660)
    secret_path(home.root).parent.chmod(0o711)
    public_path(home.root).chmod(0o644)
    sync_folder(home.root)


def _look_at_index(home: Home) -> None:
    """Check that there is only one index, and close it if it has to be moved.

    Raises:
        SharingError: It is in use, or there are two.
    """
    before, after = home.root / _INDEX, home.common / _INDEX
    if before.exists() and after.exists():
        raise SharingError(
            f"there are two indexes, {before} and {after}: the second has been in use since this home was shared. "
            f"Look at the first, which may be an empty file that sqlite3 created, and move it away"
        )
    if before.exists():
        _close_index(before)


def _close_index(path: Path) -> None:
    """Merge an index into its one file, so that SQLite's journal files can be removed.

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


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.is_file() and not path.is_symlink())


def _give(path: Path, group: int, mode: int) -> None:
    os.chown(path, -1, group, follow_symlinks=False)
    if not path.is_symlink():
        path.chmod(mode)  # after chown(2), which clears set-group-ID
