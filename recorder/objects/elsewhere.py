"""Finished recordings in the object store, as `storage.vault` reads them and brings them back."""

import errno
import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from recorder.config.object_options import ObjectOptions
from recorder.objects.names import container_key, keys_folder, newest_key
from recorder.objects.object_file import ObjectFile, RangeCache
from recorder.objects.opening import open_store
from recorder.objects.store import Patience, RecordingStore, StoreAdvice, StoreError
from storage.containers import StoredContainer
from storage.durable import SavedFile, make_folder
from storage.format import open_container
from storage.keys import SealedKeys
from storage.object_queries import ObjectState
from storage.objects import Objects
from storage.types import RecordingRow

ADVICE = StoreAdvice(
    unharmed="Recordings that are not stored there yet stay on this machine's disk",
    when_full="free space there, or raise the quota",
)
STAGING = "objects-staging"
READING = Patience(connect_s=3.0, read_s=10.0, tries=2)
"""For people who wait."""
WORKING = Patience(connect_s=5.0, read_s=30.0, tries=2)
"""For the process that stores recordings, which tries again by itself."""


def open_objects(options: ObjectOptions, state: Path, patience: Patience = READING) -> RecordingStore:
    """Open the store of ``[objects]``, which must be configured.

    Args:
        options: The section.
        state: The home's folder of states.
        patience: How long requests may take.

    Raises:
        StoreError: The account cannot be used.
    """
    assert options.url is not None, "the caller asks whether it is configured"
    return open_store(
        options.url, options.s3_path, state / STAGING, section="set s3_file in [objects]", advice=ADVICE,
        patience=patience,
    )  # fmt: skip


class OpenedOnce:
    """Opens a store when it is first used; a failed try is repeated at the next use. Safe from any thread.

    Args:
        open_: Opens it.
    """

    def __init__(self, open_: Callable[[], RecordingStore]) -> None:
        self._open = open_
        self._store: RecordingStore | None = None
        self._lock = threading.Lock()

    def __call__(self) -> RecordingStore:
        """Return the store. Raises StoreError."""
        with self._lock:
            if self._store is None:
                self._store = self._open()
            return self._store


@dataclass(frozen=True, slots=True, kw_only=True)
class HereOrThere:
    """The container of a recording: the local file while it is there, else the object.

    Attributes:
        path: Of the local file.
        sha256: Digest that names the object; None: the recording has none.
        store: Returns the store.
        cache: Ranges that were read.
    """

    path: Path
    sha256: str | None
    store: Callable[[], RecordingStore]
    cache: RangeCache

    def open(self) -> BinaryIO:
        """See `storage.containers.StoredContainer`."""
        try:
            return open_container(self.path)
        except FileNotFoundError:
            if self.sha256 is None:
                raise
        store, key = self.store(), container_key(self.sha256)
        if store.size(key) is None:
            raise FileNotFoundError(errno.ENOENT, "neither this disk nor the object store has it", str(self.path))
        return io.BufferedReader(ObjectFile(store, key, self.cache), 1 << 16)

    def sealed_key(self) -> tuple[str, bytes] | None:
        """See `storage.containers.StoredContainer`."""
        if self.sha256 is None:
            return None
        store = self.store()
        newest = newest_key(store.keys(keys_folder(self.sha256)))
        content = None if newest is None else store.get(newest[0])
        return None if newest is None or content is None else (newest[1], content)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStorage:
    """The `storage.containers.Elsewhere` of a home with ``[objects]``.

    Attributes:
        store: Returns the store.
        objects: The table of objects.
        sealed: The sealed keys of this home.
        node: Fingerprint of this machine's signing key.
        now: The clock, UTC.
        cache: Ranges that were read.
    """

    store: Callable[[], RecordingStore]
    objects: Objects
    sealed: SealedKeys
    node: str
    now: Callable[[], datetime]
    cache: RangeCache

    def container(self, row: RecordingRow, path: Path) -> StoredContainer:
        """See `storage.containers.Elsewhere`."""
        return HereOrThere(path=path, sha256=row.sha256, store=self.store, cache=self.cache)

    def has(self, row: RecordingRow) -> bool:
        """See `storage.containers.Elsewhere`."""
        return any(one.state in (ObjectState.WAITING, ObjectState.STORED) for one in self.objects.of(row.id))

    def bring(self, row: RecordingRow, path: Path) -> None:
        """See `storage.containers.Elsewhere`."""
        if row.sha256 is None:
            raise FileNotFoundError(errno.ENOENT, "the file is missing", str(path))
        store = self.store()
        found = HereOrThere(path=path, sha256=row.sha256, store=self.store, cache=self.cache).sealed_key()
        if found is not None and self.sealed.find(row.id) is None:
            self.sealed.restore(row.id, *found)
        make_folder(path.parent)
        SavedFile(path).replace_by(_checked(store, row))
        self.objects.returned(row.sha256, self.node, self.now())


def _checked(store: RecordingStore, row: RecordingRow) -> Iterator[bytes]:
    """Yield the content of a recording's object; raises StoreError at the end if it is another one."""
    assert row.sha256 is not None, "it names the object"
    digest = hashlib.sha256()
    for part in store.stream(container_key(row.sha256)):
        digest.update(part)
        yield part
    if digest.hexdigest() != row.sha256:
        raise StoreError(
            f"{store.name} has another content for recording {row.id} than was stored: it was changed there, or an "
            "older version came back; `recorder objects check` says more, and a backup may have the file"
        )
