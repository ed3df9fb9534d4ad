"""Opens the stores of a home: its index and, on the key holder, recordings."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.objects.elsewhere import ObjectStorage, OpenedOnce, open_objects
from recorder.objects.object_file import RangeCache
from recorder.recordings.keyring import epoch_keys
from recorder.recordings.move_note import check_place
from storage.database import sqlite_url
from storage.errors import DamagedError, DatabaseError, ExportError, VaultError
from storage.index import Index
from storage.keys import NodeKeys, SealedKeys
from storage.objects import Objects
from storage.reader import RecordingReader, open_recording
from storage.types import RecordingRow
from storage.vault import Vault


def open_vault(home: Home, config: Config, index: Index | None = None) -> Vault:
    """Open the recordings of a home: on its disk and, where one is configured, in the object store.

    Args:
        home: The recorder's home.
        config: Its configuration.
        index: Its index; None opens it when it is needed.

    Raises:
        StorageError: The node's keys cannot be read. The object store is opened when it is first read.
    """
    node = NodeKeys.load(home.root)
    if config.objects.url is None:
        return Vault(home.root, node)
    index = index or open_index(home, config, is_deferred=True)
    elsewhere = ObjectStorage(
        store=OpenedOnce(lambda: open_objects(config.objects, home.state)), objects=Objects(index.database),
        sealed=SealedKeys(home.root), node=node.fingerprint, now=utc_now, cache=RangeCache(),
    )  # fmt: skip
    return Vault(home.root, node, elsewhere)


def open_index(
    home: Home,
    config: Config,
    *,
    is_deferred: bool = False,
    longest_s: float | None = None,
    now: Callable[[], datetime] = utc_now,
    is_renewed: bool = False,
) -> Index:
    """Open the index that the configuration names. If deferred, an unreachable database is not an error yet.

    A home with recordings and without its index is not given an empty one, from which every call would be missing.

    Args:
        home: The recorder's home.
        config: Its configuration.
        is_deferred: As of `storage.database.Database`.
        longest_s: As of `storage.database.Database`.
        now: The clock, UTC.
        is_renewed: The index is made anew from recordings and audit log.

    Raises:
        DatabaseError: It cannot be opened, is missing, or was moved; if deferred, from every use.
    """
    url = config.storage.index_url or sqlite_url(home.index)
    return Index(
        url,
        is_deferred=is_deferred,
        check=partial(_check, home, config, is_renewed=is_renewed),
        longest_s=longest_s,
        now=now,
    )


def _check(home: Home, config: Config, *, is_renewed: bool) -> None:
    check_place(home, config)
    if is_renewed or config.storage.index_url or home.index.exists():
        return
    if any(home.recordings.glob("[0-9]*")):
        raise DatabaseError(
            f"{home.index} is missing although there are recordings: put it back from a backup, or stop the recorder "
            "and run `recorder index rebuild`",
            is_passing=True,
        )


def holder_of(config: Config, node: NodeKeys) -> str:
    """Return by what this home is known as the holder of a lease: the node's name, or a part of its fingerprint."""
    return config.node.name or f"without a name, {node.fingerprint[:16]}"


def shared_name(config: Config) -> str | None:
    """Return the node's name if several nodes may share the index, "" if it has none; None if this home has its own."""
    return (config.node.name or "") if config.is_shared_index else None


def open_reader(
    home: Home, config: Config, row: RecordingRow, *, passphrase_file: Path | None = None
) -> RecordingReader:
    """Open a recording's container with the private key of its epoch.

    Args:
        home: The recorder's home.
        config: Its configuration.
        row: The recording.
        passphrase_file: Of the private keys, instead of the configured one.

    Raises:
        StorageError: Nothing was kept, or the key or the file is missing or damaged.
    """
    if row.path is None:
        raise ExportError(f"nothing was kept of {row.id}: {row.outcome}, {row.reason}")
    vault = open_vault(home, config)
    try:
        return open_recording(vault.container(row), home.root, epoch_keys(home, config, passphrase_file))
    except OSError as error:
        raise VaultError(f"recording {row.id} cannot be read: {error.strerror}; {_NEXT.format(id=row.id)}") from error
    except DamagedError as error:
        raise DamagedError(f"recording {row.id} cannot be opened: {error}; {_NEXT.format(id=row.id)}") from error


_NEXT = "`recorder recordings verify {id}` says what is wrong, and a backup may have the file as it was"
