"""Parts of recordings in progress: what a container grew by becomes an object each five seconds.

A machine whose disk is lost then loses at most that much of each call. Parts are sealed as the container is. They are
removed, with every version, once the finished recording is stored, or once it is known that nothing is kept of it.
"""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from recorder.objects.marking import begin
from recorder.objects.names import key_key, keys_folder, newest_key, part_key
from recorder.objects.store import RecordingStore
from storage.container_rows import read_begun_row
from storage.durable import SavedFile, make_folder, sync_folder
from storage.errors import DamagedError, KeyProblemError, NotFoundError
from storage.format import ContainerScan, open_container
from storage.index import Index
from storage.object_queries import ObjectState, StoredObject
from storage.objects import Objects
from storage.rows import row_from_json
from storage.tombstones import Deletions
from storage.tree import entries_of_day
from storage.types import RecordingId
from storage.vault import Vault

EVERY = timedelta(seconds=4)
"""With the looks of the process, a part is stored at most 5 s after the one before.

With a look-back of 5 s, a call lacks at most 12 s when a disk is lost.
"""
MOST_BYTES = 8 << 20
OTHERS_AFTER, OTHERS_EVERY = timedelta(days=1), timedelta(hours=1)
"""How old parts of other nodes are before they are looked at here, and how often that is."""
_AT_ONCE = 8
_DAYS = 2
"""Calls in progress lie in the folders of these days, but for those that are known already."""


@dataclass(slots=True, kw_only=True)
class _Growing:
    """An open container whose parts are stored.

    Attributes:
        digest: Of its prologue, hex: it names the parts, since nobody knows the container's digest yet.
        stored: Bytes that are stored.
        at: When the last part was stored; None: none yet.
    """

    path: Path
    recording: RecordingId
    digest: str
    stored: int = 0
    at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class PartKeeper:
    """Stores parts of the open containers of one machine. One thread calls it.

    Attributes:
        store: The store.
        vault: The local files.
        index: Rows of calls.
        objects: The table of objects.
        deletions: The tombstones.
        node: Fingerprint of this machine's signing key.
        now: The clock, UTC.
    """

    store: RecordingStore
    vault: Vault
    index: Index
    objects: Objects
    deletions: Deletions
    node: str
    now: Callable[[], datetime]
    _growing: dict[Path, _Growing] = field(default_factory=dict)
    _saw_others_at: datetime | None = None

    def round(self) -> int:
        """Store what open containers grew by; returns how many parts that are.

        Raises:
            StoreError: The store cannot be used; the next round stores what is missing.
            DatabaseError, OSError: Database or disk cannot be used.
        """
        begin(self.store, self.objects)
        self._find()
        due = [one for one in self._growing.values() if one.at is None or abs(self.now() - one.at) >= EVERY]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="parts") as pool:
            count = sum(pool.map(self._store, due))
        self._settle()
        return count

    def _find(self) -> None:
        """Note new open containers, and forget those that were closed."""
        for path in list(self._growing):
            if not path.exists():
                del self._growing[path]
        for path in self._open_now():
            if path in self._growing:
                continue
            try:
                with open_container(path) as file:
                    prologue = ContainerScan(file).prologue.pack()
            except (DamagedError, FileNotFoundError):
                continue  # it is being made
            one = _Growing(path=path, recording=RecordingId(path.stem), digest=sha256(prologue).hexdigest())
            known = {other.sha256: other.size for other in self.objects.of(one.recording)}
            if one.digest not in known:
                self.objects.begin_parts(one.digest, one.recording, self.node, self.now())
            one.stored = known.get(one.digest, 0)
            self._growing[path] = one

    def _open_now(self) -> Iterator[Path]:
        for back in range(_DAYS):
            day = self.now() - timedelta(days=back)
            for _, name in entries_of_day(self.vault.root / day.strftime("%Y/%m/%d")):
                if name.endswith(".part"):
                    yield Path(name)

    def _store(self, one: _Growing) -> int:
        """Store what one container grew by, in parts of at most `MOST_BYTES`; returns how many."""
        count = 0
        try:
            if one.stored == 0:
                found = self.vault.sealed.read(one.recording)
                if found is None:
                    return 0  # it is being discarded
                self.store.put(key_key(one.digest, found[0]), found[1])
            with one.path.open("rb") as file:
                file.seek(one.stored)
                while content := file.read(MOST_BYTES):
                    self.store.put(part_key(one.digest, one.stored), content)
                    one.stored += len(content)
                    self.objects.grown(one.digest, one.stored)
                    count += 1
        except KeyProblemError:
            return 0  # the upload of the finished recording says which key cannot be read
        except FileNotFoundError:
            return count  # closed or discarded meanwhile
        one.at = self.now()
        return count

    def _settle(self) -> None:
        """Have parts removed that nobody needs any more, also old ones of other nodes, which may be lost."""
        found = self.objects.in_state(ObjectState.PARTS, node=self.node, limit=1000)
        now = self.now()
        if self._saw_others_at is None or abs(now - self._saw_others_at) >= OTHERS_EVERY:
            self._saw_others_at = now
            found += [
                one for one in self.objects.in_state(ObjectState.PARTS, limit=1000)
                if one.node != self.node and now - one.since >= OTHERS_AFTER
            ]  # fmt: skip
        for one in found:
            if self._is_over(one):
                self.objects.must_go(one.sha256, one.recording, self.node, now)

    def _is_over(self, one: StoredObject) -> bool:
        if any(growing.digest == one.sha256 for growing in self._growing.values()):
            return False
        try:
            row = self.index.get(one.recording)
        except NotFoundError:
            row = None
        if row is None or row.id != one.recording:
            return self.deletions.get(one.recording) is not None  # without a row they may be all that is left
        if row.path is None:
            return one.node == self.node or row.ended_at is not None
        stored = {other.sha256 for other in self.objects.of(one.recording) if other.state is ObjectState.STORED}
        return row.sha256 in stored


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRestorer:
    """Puts containers of a lost disk together again, from their parts, for `recorder.recordings.recovery`.

    It needs the node's keys of the machine that recorded.

    Attributes:
        store: The store.
        vault: Where they are put.
        index: Rows of calls.
        objects: The table of objects.
        filed_soon: Recordings whose rows wait on this disk for the database, such as those of discarded calls.
    """

    store: RecordingStore
    vault: Vault
    index: Index
    objects: Objects
    filed_soon: Collection[str] = ()

    def lost(self) -> list[StoredObject]:
        """Return parts of recordings of this node that have neither a file here nor a row."""
        node = self.vault.node.fingerprint
        found = self.objects.in_state(ObjectState.PARTS, node=node, limit=100_000)
        return [one for one in found if not self.vault.files_of(one.recording) and not self._has_row(one.recording)]

    def _has_row(self, recording: RecordingId) -> bool:
        if recording in self.filed_soon:
            return True
        try:
            return self.index.get(recording).id == recording
        except NotFoundError:
            return False

    def restore(self, one: StoredObject) -> Path:
        """Write the container and the sealed key of a recording, as its daemon had them when it died.

        A part that is missing ends it, and so does one that was changed: recovery cuts it there.

        Raises:
            DamagedError: It is not of this node, or its first part or its key is missing.
            StoreError: The store cannot be used.
            OSError: The disk refuses.
        """
        newest = newest_key(self.store.keys(keys_folder(one.sha256)))
        content = None if newest is None else self.store.get(newest[0])
        if newest is None or content is None:
            raise DamagedError(f"the sealed key of recording {one.recording} is not in the store")
        make_folder(self.vault.root)
        temporary = self.vault.root / f".new-{one.sha256[:16]}"
        try:
            SavedFile(temporary).replace_by(self._parts(one.sha256))
            row = row_from_json(read_begun_row(self.vault, temporary))
            if row.id != one.recording:
                raise DamagedError(f"the parts of recording {one.recording} are those of {row.id}")
            path = self.vault.folder(row.started_at, row.operator_key) / f"{row.id}.part"
            make_folder(path.parent)
            self.vault.sealed.restore(row.id, newest[1], content)
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
        return path

    def _parts(self, digest: str) -> Iterator[bytes]:
        at = 0
        while content := self.store.get(part_key(digest, at)):
            yield content
            at += len(content)
