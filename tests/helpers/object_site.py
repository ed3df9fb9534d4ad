"""A `RebuildSite` that keeps its recordings in an object store, and stores that fail as they are told to."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from recorder.config.object_options import ObjectOptions
from recorder.config.settings import Config
from recorder.objects.elsewhere import ADVICE, ObjectStorage
from recorder.objects.folder_store import FolderStore
from recorder.objects.object_file import RangeCache
from recorder.objects.removing import Remover
from recorder.objects.store import RecordingStore, StoreError
from recorder.objects.uploading import Uploader
from recorder.objects.work import ObjectWork, Round
from recorder.retention.call_deletion import RULE
from recorder.retention.eraser import Eraser
from storage.deletion import Shredder
from storage.keys import SealedKeys
from storage.objects import Objects
from storage.reader import RecordingReader, open_recording
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState
from storage.tombstones import Tombstone
from storage.types import RecordingId, RecordingRow
from storage.vault import Vault
from tests.helpers.rebuild_site import RebuildSite
from tests.helpers.sweep_site import NOW

DAY = timedelta(days=1)


@dataclass(slots=True)
class FaultyStore:
    """A store that passes everything on, unless it is told to fail.

    Attributes:
        store: The real one.
        away: Methods that fail as a store that does not answer.
        changed: Turns what is read of a name into something else.
        asked: Names of the methods that were called.
    """

    store: RecordingStore
    away: set[str] = field(default_factory=set)
    changed: Callable[[str, bytes], bytes] = lambda _key, content: content
    asked: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        if not callable(found):
            return found

        def called(*words: Any) -> Any:
            self.asked.append(name)
            if name in self.away or "*" in self.away:
                raise StoreError(f"the store does not answer ({name})")
            return found(*words)

        return called

    def stream(self, key: str) -> Iterator[bytes]:
        content = b"".join(self.__getattr__("stream")(key))
        yield self.changed(key, content)


class ObjectSite(RebuildSite):
    """Adds a store, a folder unless another is given; the clock of all is ``now``, which begins at `NOW`."""

    def __init__(
        self, folder: Path, store: RecordingStore | None = None, *, name: str = "home", url: str | None = None,
        keep_local_days: int = 7,
    ) -> None:  # fmt: skip
        self.dest = folder / "objects"
        self.dest.mkdir(exist_ok=True)
        self.faulty = FaultyStore(store or FolderStore(self.dest, ADVICE))
        self.keep_local_days = keep_local_days
        self.name: str | None = None
        super().__init__(folder, url, name=name)
        self.now = NOW
        self.vault = Vault(self.home.root, self.node, self.storage())
        self.work = self.open_work()

    @property
    def config(self) -> Config:
        return replace(super().config, objects=ObjectOptions(url=str(self.dest), keep_local_days=self.keep_local_days))

    @property
    def objects(self) -> Objects:
        return Objects(self.database)

    def storage(self) -> ObjectStorage:
        return ObjectStorage(
            store=lambda: self.faulty, objects=Objects(self.database), sealed=SealedKeys(self.home.root),
            node=self.node.fingerprint, now=lambda: self.now, cache=RangeCache(),
        )  # fmt: skip

    def open_work(self) -> ObjectWork:
        parts: dict[str, Any] = {
            "store": self.faulty, "vault": self.vault, "index": self.index, "objects": self.objects,
            "node": self.node.fingerprint, "now": lambda: self.now,
        }  # fmt: skip
        return ObjectWork(
            Uploader(**parts), Remover(**parts, name=self.name, erasing_lock=self.home.erasing_lock), self.objects,
            self.audit, keep_local_days=self.keep_local_days, now=lambda: self.now,
        )  # fmt: skip

    def round(self, after: timedelta = timedelta(0)) -> Round:
        self.now += after
        return self.work.round()

    def stored(self, count: int = 1, ended_at: datetime = NOW - DAY) -> list[RecordingId]:
        """Make recordings and store them."""
        made = [self.record(ended_at) for _ in range(count)]
        assert self.round().uploaded == count
        return made

    def only_there(self, count: int = 1) -> list[RecordingId]:
        """Make recordings that are only in the store."""
        made = self.stored(count)
        assert self.round(8 * DAY).released == count
        return made

    def row(self, recording: RecordingId) -> RecordingRow:
        return self.index.get(recording)

    def reader(self, recording: RecordingId) -> RecordingReader:
        return open_recording(self.vault.container(self.row(recording)), self.home.root, self.epochs)

    def audio(self, recording: RecordingId) -> bytes:
        return b"".join(self.reader(recording).blocks())

    def is_here(self, recording: RecordingId) -> bool:
        return bool(self.vault.files_of(recording))

    def names(self) -> set[str]:
        """Return the names of all objects of recordings, also of those with older versions alone."""
        return set(self.faulty.store.every_key("recordings"))

    def delete(self, *recordings: RecordingId) -> None:
        doomed = [Tombstone(id=one, deleted_at=self.now, rule=RULE, sha256=self.row(one).sha256) for one in recordings]
        done = Shredder(self.vault, self.deletions, self.audit).delete(doomed, rule=RULE)
        assert not done.problems

    def erase(self, recording: RecordingId) -> ErasureOrder:
        """Erase the first half second, as the console does for an order that was confirmed."""
        self.count += 1
        order = ErasureOrder(
            id=f"{self.count:08x}", recording=recording, start_s=0.0, end_s=0.5, kind=ErasureKind.CARD_DATA,
            ordered_by="olive", ordered_at=self.now, state=ErasureState.CONFIRMED,
        )  # fmt: skip
        self.erasures.place(order)
        eraser = Eraser(
            vault=self.vault, keys=self.epochs, index=self.index, erasures=self.erasures, holds=self.holds,
            audit=self.audit, lock=self.home.erasing_lock, now=lambda: self.now,
        )  # fmt: skip
        (done,) = eraser.carry_out_due()
        return done
