"""Opening what lies in a home: its lock, index, vault, and - on the key holder - recordings."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from recorder.config import Config
from recorder.home import Home
from storage.errors import DamagedError, ExportError, NotFoundError
from storage.index import Index, sqlite_url
from storage.keys import EpochKeys, NodeKeys
from storage.reader import RecordingReader, epoch_of, open_recording
from storage.rows import row_from_json
from storage.types import RecordingRow
from storage.vault import Recovered, Vault, read_row, recover


class AlreadyRunningError(Exception):
    """Another daemon holds this home."""


@contextlib.contextmanager
def held(home: Home) -> Iterator[None]:
    """Hold a home's lock for as long as the daemon runs.

    Raises:
        AlreadyRunningError: Another process holds it.
    """
    home.state.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(home.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError(f"a daemon is running in {home.root} already") from error
        yield
    finally:
        os.close(descriptor)


def open_index(home: Home, config: Config, *, is_deferred: bool = False) -> Index:
    """Open the index that the configuration names; deferred, a database that is down is no reason not to start."""
    return Index(config.storage.index_url or sqlite_url(home.index), is_deferred=is_deferred)


def open_reader(home: Home, config: Config, row: RecordingRow) -> RecordingReader:
    """Open a recording's container with the private key of its month.

    Raises:
        StorageError: Nothing was kept, or the key or the file is missing or damaged.
    """
    if row.path is None:
        raise ExportError(f"nothing was kept of {row.id}: {row.outcome}, {row.reason}")
    path = Vault(home.root, NodeKeys.load(home.root)).locate(row.path)
    private = Path(config.storage.private_keys) if config.storage.private_keys else home.private_keys
    keys = EpochKeys(home.root / "keys" / "epochs", private)
    return open_recording(path, home.root, keys.load_private(epoch_of(path)))


LATELY = timedelta(days=2)
"""How far back a start looks for finished files that a kill kept out of the index."""


def recover_all(home: Home, config: Config, now: datetime) -> list[Recovered]:
    """Close what a dead daemon left open, and put it and what it could not index into the index.

    Needs no private key; nothing may be writing. It may be killed anywhere and run again.
    """
    vault = Vault(home.root, NodeKeys.load(home.root))
    recovered = recover(vault, lambda _id: False)
    index = open_index(home, config)
    try:
        for found in recovered:
            if found.row:
                index.save(row_from_json(found.row))
        _index_missing(vault, index, now)
    finally:
        index.close()
    return recovered


def _index_missing(vault: Vault, index: Index, now: datetime) -> None:
    for age in range(LATELY.days + 1):
        day = vault.root / (now - timedelta(days=age)).strftime("%Y/%m/%d")
        for path in sorted(day.glob("*/*.rec")):
            try:
                index.get(path.stem)
            except NotFoundError:
                _index_one(vault, index, path)


def _index_one(vault: Vault, index: Index, path: Path) -> None:
    try:
        index.save(row_from_json(read_row(vault, path)))
    except (DamagedError, OSError, KeyError, TypeError, ValueError):
        return  # `recorder verify --all` names it; it is no reason not to start
