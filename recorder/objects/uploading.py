"""Stores finished recordings and their sealed keys, and reads them back before they count as stored."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from recorder.objects.digests import digest_of_file, digest_of_object
from recorder.objects.marking import check_still_there
from recorder.objects.names import container_key, folder_of, key_folder, key_key, keys_folder
from recorder.objects.store import RecordingStore, StoreError
from storage.errors import KeyProblemError, NotFoundError, OutsideError, StorageError
from storage.index import Index
from storage.object_queries import StoredObject
from storage.objects import Objects
from storage.types import RecordingRow
from storage.vault import Vault


class NotStoredError(StorageError):
    """One recording cannot be stored, although the store can be used; the sentence says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploader:
    """Stores recordings, each from its local file. Safe from any thread, for different recordings.

    Attributes:
        store: The store.
        vault: The local files.
        index: Their rows.
        objects: The table of objects.
        node: Fingerprint of this machine's signing key.
        now: The clock, UTC.
    """

    store: RecordingStore
    vault: Vault
    index: Index
    objects: Objects
    node: str
    now: Callable[[], datetime]

    def upload(self, one: StoredObject) -> None:
        """Store a recording that waits. One that was deleted or rewritten meanwhile is marked to be removed.

        Raises:
            NotStoredError: This recording cannot be stored.
            StoreError: The store cannot be used.
            DatabaseError: The database cannot be used.
        """
        row = self._row(one)
        if row is None:
            return
        path = self._whole(one, row)
        try:
            self._put(one, path)
            self.objects.stored(one.sha256, self._put_key(one), self.now())
        except FileNotFoundError:
            return  # deleted meanwhile
        except OSError as error:
            raise NotStoredError(f"its file cannot be read: {error.strerror or error}") from error
        finally:
            self._after(one)

    def renew_key(self, one: StoredObject) -> None:
        """Store the present sealed key of a stored recording; the same as for `upload` is done if it was deleted.

        Raises:
            NotStoredError: There is no key.
            StoreError: The store cannot be used, or does not return the key.
            DatabaseError: The database cannot be used.
        """
        try:
            self.objects.stored(one.sha256, self._put_key(one), one.stored_at or self.now())
        finally:
            self._after(one)

    def _after(self, one: StoredObject) -> None:
        """Look at what happened while an object was written, which takes long if this process is stopped meanwhile.

        Another machine may have removed it, and its row, before it was written. A key may have been sealed anew before
        the former one was noted as stored.
        """
        known = next((other for other in self.objects.of(one.recording) if other.sha256 == one.sha256), None)
        if known is None:
            self.objects.must_go(one.sha256, one.recording, self.node, self.now())
        elif known.key_epoch is not None and self.vault.sealed.find(one.recording) not in (None, known.key_epoch):
            self.objects.key_changed([one.recording])

    def _put_key(self, one: StoredObject) -> str:
        """Store a recording's present sealed key, and remove those of other epochs; returns its epoch."""
        try:
            found = self.vault.sealed.read(one.recording)
        except KeyProblemError as error:
            raise NotStoredError(str(error)) from error
        if found is None:
            raise NotStoredError("its sealed key is missing, so nothing opens it: run `recorder recordings verify`")
        epoch, content = found
        key = key_key(one.sha256, epoch)
        self.store.put(key, content)
        if self.store.get(key) != content:
            raise StoreError(f"{self.store.name} returned another sealed key than was stored: look at the store")
        for other in {one for one in self.store.keys(keys_folder(one.sha256)) if one != key}:
            self.store.remove_all(key_folder(one.sha256, other.split("/")[-2]))
        return epoch

    def _row(self, one: StoredObject) -> RecordingRow | None:
        """Return the row of an object; None if the object is not of the recording any more."""
        try:
            row = self.index.get(one.recording)
        except NotFoundError:
            row = None
        if row is None or row.id != one.recording or row.path is None:
            # Deleted, perhaps before the object was noted; or `recorder index check` wrote its missing file off.
            self.objects.must_go(one.sha256, one.recording, self.node, self.now())
            return None
        if row.sha256 != one.sha256:
            self.objects.must_go(one.sha256, one.recording, self.node, self.now())
            return None
        return row

    def _whole(self, one: StoredObject, row: RecordingRow) -> Path:
        assert row.path is not None, "the caller has looked"
        try:
            path = self.vault.locate(row.path)
            found = digest_of_file(path)
        except OutsideError as error:
            raise NotStoredError(str(error)) from error
        except OSError as error:
            raise NotStoredError(f"its file cannot be read: {error.strerror or error}") from error
        if found != one.sha256:
            raise NotStoredError("its file is not as its row says: run `recorder recordings verify`, then restore it")
        return path

    def _put(self, one: StoredObject, path: Path) -> None:
        """Store the container unless it is there already, and read it back."""
        key = container_key(one.sha256)
        if self.store.size(key) == one.size and digest_of_object(self.store, key) == one.sha256:
            return
        self.store.put_file(key, path)
        check_still_there(self.store)
        if digest_of_object(self.store, key) != one.sha256:
            self.store.remove_all(folder_of(one.sha256))
            raise StoreError(
                f"{self.store.name} returned something else than was stored (wrong digest), so nothing counts as "
                "stored: look at the store, and at what lies between"
            )
