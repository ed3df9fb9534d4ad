"""Compares the store with the table of objects: what is missing there, what is wrong, and what nobody knows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from recorder.objects.digests import digest_of_object
from recorder.objects.elsewhere import HereOrThere
from recorder.objects.marking import check_still_there
from recorder.objects.names import ROOT, container_key, digest_in, keys_folder, newest_key
from recorder.objects.object_file import RangeCache
from recorder.objects.store import RecordingStore
from storage.container_rows import survey_container, with_file
from storage.errors import DamagedError, NotFoundError, StorageError
from storage.index import Index
from storage.object_queries import StoredObject
from storage.objects import Objects
from storage.rows import row_from_json
from storage.tombstones import Deletions
from storage.types import FinishedFile, RecordingId, RecordingRow
from storage.vault import Vault

_AT_ONCE = 200
_NAMELESS = RecordingId("")
_NO_KEY = "its sealed key is missing in the store"


@dataclass(slots=True, kw_only=True)
class CheckedObjects:
    """The result of a check.

    Attributes:
        checked: Stored objects that were looked at.
        problems: What is wrong, by recording; they are uploaded again if this machine has the file.
        returned: Digests of objects of deleted recordings, which are removed now.
        adopted: Recordings that the index lacked, and has now.
        unknown: Digests of other objects that nobody knows, with why they were not taken into the index.
    """

    checked: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    returned: list[str] = field(default_factory=list)
    adopted: list[str] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong that somebody must look at."""
        return not (self.problems or self.unknown)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectChecker:
    """Checks one store.

    Attributes:
        store: The store.
        vault: The recordings of this machine.
        index: Their rows.
        objects: The table of objects.
        deletions: The tombstones.
        now: The clock, UTC.
        is_thorough: Read every object, and compare its digest; else sizes are compared.
        is_dry: Change nothing.
        is_adopting: Take recordings into the index that it lacks.
    """

    store: RecordingStore
    vault: Vault
    index: Index
    objects: Objects
    deletions: Deletions
    now: Callable[[], datetime]
    is_thorough: bool = False
    is_dry: bool = False
    is_adopting: bool = False

    def check(self, progress: Callable[[float, float], None] = lambda _done, _total: None) -> CheckedObjects:
        """Check every object.

        Args:
            progress: Called with the number of objects done and the total.

        Raises:
            StorageError, OSError: Store, database or disk cannot be used.
        """
        if self.objects.has_any():
            check_still_there(self.store)
        done = CheckedObjects()
        total = self.objects.counts().stored
        for one in self.objects.each_stored():
            problem = self._problem(one)
            if problem is not None:
                done.problems[one.recording] = problem
                if not self.is_dry:
                    self._repair(one, problem)
            done.checked += 1
            progress(done.checked, total)
        digests = dict.fromkeys(digest for key in self.store.every_key(ROOT) if (digest := digest_in(key)) is not None)
        for some in _in_parts(digests):
            self._strangers(some, done)
        return done

    def _problem(self, one: StoredObject) -> str | None:
        key = container_key(one.sha256)
        size = self.store.size(key)
        if size is None:
            return "it is missing in the store"
        if size != one.size:
            return f"it has {size} bytes in the store, expected {one.size}"
        if self.is_thorough and digest_of_object(self.store, key) != one.sha256:
            return "its content in the store is another one than was stored"
        if not any(True for _ in self.store.keys(keys_folder(one.sha256))):
            return _NO_KEY
        return None

    def _repair(self, one: StoredObject, problem: str) -> None:
        """Have an object uploaded again where its file is, or its key where that is."""
        if one.released_at is None:
            self.objects.upload_again(one.sha256, problem, self.now())
            return
        if problem == _NO_KEY:
            self.objects.key_changed([one.recording])
        self.objects.note(one.sha256, problem)

    def _strangers(self, digests: Sequence[str], done: CheckedObjects) -> None:
        known = self.objects.known(digests)
        deleted = self.objects.deleted(digests)
        for digest in digests:
            if digest in known:
                continue
            if digest in deleted:
                done.returned.append(digest)
                if not self.is_dry:
                    self.objects.must_go(digest, _NAMELESS, self.vault.node.fingerprint, self.now())
            else:
                self._adopt(digest, done)

    def _adopt(self, digest: str, done: CheckedObjects) -> None:
        """Take a recording into the index that it lacks, if that is wanted and the object is this machine's."""
        try:
            row, epoch = self._row_of(digest)
        except (StorageError, OSError, KeyError, TypeError, ValueError) as error:
            done.unknown[digest] = str(error) or type(error).__name__
            return
        if self._is_filed(row.id):
            done.unknown[digest] = f"the index has recording {row.id} with another content"
        elif self.deletions.get(row.id) is not None:
            done.returned.append(digest)
            if not self.is_dry:
                self.objects.must_go(digest, row.id, self.vault.node.fingerprint, self.now())
        elif not self.is_adopting or self.is_dry:
            done.unknown[digest] = f"the index lacks recording {row.id}: `recorder objects check --adopt` files it"
        else:
            self.index.save(row)
            self.objects.add([row], self.vault.node.fingerprint, self.now())
            self.objects.stored(digest, epoch, self.now())
            self.objects.released(digest, self.now())
            done.adopted.append(row.id)

    def _is_filed(self, recording: RecordingId) -> bool:
        try:
            return self.index.get(recording).id == recording
        except NotFoundError:
            return False

    def _row_of(self, digest: str) -> tuple[RecordingRow, str]:
        """Return the row in an object, and the epoch of its sealed key; needs this machine's keys."""
        path = self.vault.root / digest  # there is no such file, so the object is read
        container = HereOrThere(path=path, sha256=digest, store=lambda: self.store, cache=RangeCache(4))
        survey = survey_container(container, self.vault.node)
        if survey.row is None or survey.status is None or survey.scan.hash.digest().hex() != digest:
            raise DamagedError("it is damaged, or another one than was stored")
        plain = row_from_json(survey.row)
        place = self.vault.folder(plain.started_at, plain.operator_key) / f"{plain.id}.rec"
        found = FinishedFile(
            path=place.relative_to(self.vault.root).as_posix(), bytes=survey.size, sha256=digest, is_complete=True
        )
        newest = newest_key(self.store.keys(keys_folder(digest)))
        if newest is None:
            raise DamagedError("its sealed key is missing in the store, so nothing opens it")
        return row_from_json(with_file(survey.row, found)), newest[1]


def _in_parts(digests: dict[str, None]) -> Iterator[list[str]]:
    rest = iter(digests)
    while part := list(islice(rest, _AT_ONCE)):
        yield part
