"""Removes the objects of deleted and rewritten recordings, every version of them, and local files that may go."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from recorder.common.file_lock import locked
from recorder.objects.digests import digest_of_file, digest_of_object
from recorder.objects.marking import check_still_there
from recorder.objects.names import container_key, folder_of
from recorder.objects.rules import OWN_FOR, must_read_again
from recorder.objects.store import LeftVersion, RecordingStore
from recorder.rules import times
from storage.durable import remove
from storage.errors import NotFoundError
from storage.index import Index
from storage.object_queries import ObjectState, StoredObject
from storage.objects import Objects
from storage.types import RecordingId, RecordingRow
from storage.vault import Vault

AT_ANOTHER = "the machine that made the recording is away and has its former file still: start it"
"""Problem of an object that is gone from the store."""


@dataclass(slots=True, kw_only=True)
class Gone:
    """The result of removing objects.

    Attributes:
        recordings: Recordings of which an object went, with every version.
        versions: How many versions went.
        left: What is left, by recording.
    """

    recordings: list[RecordingId] = field(default_factory=list)
    versions: int = 0
    left: dict[RecordingId, tuple[LeftVersion, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remover:
    """Removes objects and local files.

    Attributes:
        store: The store.
        vault: The local files.
        index: Their rows.
        objects: The table of objects.
        node: Fingerprint of this machine's signing key.
        name: This node's name, "" if it has none; None if the index is of this home alone.
        erasing_lock: Held by a process that rewrites a finished recording.
        now: The clock, UTC.
    """

    store: RecordingStore
    vault: Vault
    index: Index
    objects: Objects
    node: str
    name: str | None
    erasing_lock: Path
    now: Callable[[], datetime]

    def remove_due(self, limit: int = 100) -> Gone:
        """Remove objects that must go, and look afterwards that nothing is left of them.

        An object of another machine is left to it for a minute.

        Raises:
            StoreError: The store cannot be used; the rest is removed by the next call.
            DatabaseError, OSError: Database or disk cannot be used.
        """
        done = Gone()
        for one in self.objects.in_state(ObjectState.REMOVING, limit=limit):
            if one.node != self.node and self.now() - one.since < OWN_FOR:
                continue
            if one.locked_until is not None and self.now() < one.locked_until:
                continue
            self._drop_outdated(one)
            if one.problem == AT_ANOTHER and one.node != self.node and self._row(one.recording) is not None:
                continue
            found = self.store.remove_all(folder_of(one.sha256))
            if found.versions == 0:
                check_still_there(self.store)
            if found.left:
                done.versions += found.versions
                done.left[one.recording] = found.left
                until = max((left.until for left in found.left if left.until is not None), default=None)
                self.objects.note(one.sha256, _sentence(found.left, until), locked_until=until)
            elif self._finish(one):
                done.versions += found.versions
                done.recordings.append(one.recording)
        return done

    def _finish(self, one: StoredObject) -> bool:
        """Forget an object that is gone, unless its machine is away and has the file of a rewritten recording.

        Returns:
            Whether it is this machine that tells of it; another one may have removed the same object.
        """
        if one.node != self.node and one.stored_at is not None and self._row(one.recording) is not None:
            self.objects.note(one.sha256, AT_ANOTHER)
            return True
        return self.objects.gone(one.sha256)

    def _drop_outdated(self, one: StoredObject) -> None:
        """Remove the local file and key of a recording that was rewritten on another machine."""
        row = self._row(one.recording)
        if row is None or row.path is None or row.sha256 == one.sha256 or one.node != self.node:
            return
        path = self.vault.locate(row.path)
        is_elsewhere = any(
            other.node != self.node for other in self.objects.of(one.recording) if other.sha256 == row.sha256
        )
        if is_elsewhere and path.exists() and digest_of_file(path) == one.sha256:
            self.vault.sealed.destroy(one.recording)
            remove(path)

    def release(self, before: datetime, limit: int = 100) -> int:
        """Remove local files whose objects were stored before a moment; returns how many.

        An object that was read back long ago is read again first. One that is wrong is uploaded again.

        Raises:
            StoreError: The store cannot be used.
            DatabaseError, OSError: Database or disk cannot be used.
        """
        count = 0
        for one in self.objects.to_release(self.node, before=before, limit=limit):
            assert one.stored_at is not None, "the query asks for it"
            is_right = not must_read_again(one.stored_at, self.now()) or (
                digest_of_object(self.store, container_key(one.sha256)) == one.sha256
            )
            if not is_right:
                self.objects.upload_again(one.sha256, "the object is missing or was changed in the store", self.now())
                continue
            with locked(self.erasing_lock, wait=False) as is_alone:
                if not is_alone:
                    return count  # a recording is being rewritten: the next round goes on
                count += self._release(one)
        return count

    def give_back(self, one: StoredObject) -> None:
        """Remove file and sealed key of another machine's recording that was fetched, rewritten and stored again.

        Deletions are carried to the machine that made a recording, and would not reach this one.

        Raises:
            DatabaseError, OSError: Database or disk cannot be used.
        """
        row = self._row(one.recording)
        if row is not None and not self._is_own(row):
            with locked(self.erasing_lock, wait=True):
                self._release(one)

    def _is_own(self, row: RecordingRow) -> bool:
        return self.name is None or row.node in ("", self.name)

    def _release(self, one: StoredObject) -> bool:
        row = self._row(one.recording)
        if row is None or row.path is None or row.sha256 != one.sha256 or not self._is_stored(one):
            return False
        path = self.vault.locate(row.path)
        if path.exists():  # else its folder may be gone too
            remove(path)
        if not self._is_own(row):
            self.vault.sealed.destroy(row.id)
        self.objects.released(one.sha256, self.now())
        return True

    def _is_stored(self, one: StoredObject) -> bool:
        """Tell whether an object still counts as stored: `recorder objects check` may have found it missing since."""
        return any(
            other.sha256 == one.sha256 and other.state is ObjectState.STORED for other in self.objects.of(one.recording)
        )

    def _row(self, recording: RecordingId) -> RecordingRow | None:
        try:
            row = self.index.get(recording)
        except NotFoundError:
            return None
        return row if row.id == recording else None


def _sentence(left: tuple[LeftVersion, ...], until: datetime | None) -> str:
    """Return why versions are left, for people; without the names of objects."""
    reasons = sorted({one.why for one in left})
    end = "" if until is None else f", until {times.moment_utc(until)}"
    return f"{len(left)} versions are left: {'; '.join(reasons)}{end}"
