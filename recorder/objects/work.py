"""The rounds of the process that keeps recordings in the object store: upload, remove, release."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from recorder.objects.marking import begin
from recorder.objects.removing import Gone, Remover
from recorder.objects.rules import kept_since
from recorder.objects.store import StoreError
from recorder.objects.uploading import NotStoredError, Uploader
from storage.audit import AuditLog
from storage.audit_entry import RECORDER
from storage.errors import AuditUnavailableError, OutsideError
from storage.object_queries import ObjectState, StoredObject
from storage.objects import Objects
from storage.types import RecordingRow

_log = logging.getLogger(__name__)

REMOVED = "recording.objects_removed"
"""Act of the audit log: every version of these recordings' objects went."""
_AT_ONCE = 4
"""Uploads at the same time: one alone waits for the network most of the time."""
_TOGETHER = 16
_PAGE = 100
_RECENT = timedelta(days=2)
_ALL_EVERY = timedelta(hours=6)
_AGAIN_AFTER = timedelta(minutes=5)
"""A recording that cannot be stored for a reason of its own is tried again after this."""


@dataclass(slots=True, kw_only=True)
class Round:
    """The result of one round.

    Attributes:
        uploaded: Recordings that were stored.
        released: Local files that were removed.
        gone: Objects that were removed.
        problems: Why recordings could not be stored, by id.
        problem: Why the store could not be used, or "".
        has_more: Whether more waits that could be done at once.
    """

    uploaded: int = 0
    released: int = 0
    gone: Gone = field(default_factory=Gone)
    problems: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    has_more: bool = False


class ObjectWork:
    """Keeps the recordings of one machine in the store. One thread calls it.

    Args:
        uploader: Stores recordings.
        remover: Removes objects and local files.
        objects: The table of objects.
        audit: The audit log.
        keep_local_days: How long a local file stays once its object is right, days.
        now: The clock, UTC.
    """

    def __init__(
        self, uploader: Uploader, remover: Remover, objects: Objects, audit: AuditLog, *, keep_local_days: int,
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._uploader = uploader
        self._remover = remover
        self._objects = objects
        self._audit = audit
        self._keep_local_days = keep_local_days
        self._now = now
        self._looked_at_all: datetime | None = None
        self._tried: dict[str, datetime] = {}

    def round(self) -> Round:
        """Do a share of the work: find new recordings, upload, remove what must go, release local files.

        Raises:
            DatabaseError, OSError: Database or disk cannot be used.
        """
        self.find_new()
        done = Round()
        try:
            begin(self._uploader.store, self._objects)
        except StoreError as error:
            return Round(problem=str(error))
        for step in (self._upload, self._renew_keys, self.remove, self._release):
            try:
                step(done)
            except StoreError as error:  # a full store still takes removals
                done.problem = done.problem or str(error)
        return done

    def find_new(self) -> None:
        """Note recordings of this machine that have no object yet: every six hours all, else recent ones."""
        now = self._now()
        is_all = self._looked_at_all is None or abs(now - self._looked_at_all) >= _ALL_EVERY
        for rows in self.new(started_from=None if is_all else now - _RECENT):
            self._objects.add(rows, self._uploader.node, now)
        if is_all:
            self._looked_at_all = now

    def new(self, started_from: datetime | None = None) -> Iterator[list[RecordingRow]]:
        """Yield recordings whose file is on this machine and that have no object yet, some hundred at a time.

        Args:
            started_from: Only calls that began then or later; None for all.
        """
        after = ""
        while True:
            page = self._objects.unknown(after=after, started_from=started_from)
            if found := [row for row in page.rows if self._is_here(row)]:
                yield found
            if not page.last:
                return
            after = page.last

    def _is_here(self, row: RecordingRow) -> bool:
        try:
            return row.path is not None and self._uploader.vault.locate(row.path).exists()
        except OutsideError:  # `recorder recordings verify` names it
            return False

    def _upload(self, done: Round) -> None:
        waiting = self._objects.in_state(ObjectState.WAITING, node=self._uploader.node, limit=_PAGE)
        due = [one for one in waiting if self._is_due(one)]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="upload") as pool:
            for start in range(0, len(due), _TOGETHER):
                some = due[start : start + _TOGETHER]
                problems = list(pool.map(self._try, some))
                done.uploaded += problems.count(None)
                for one, problem in zip(some, problems, strict=True):
                    if isinstance(problem, NotStoredError):
                        self._note(one, str(problem), done)
                failed = next((one for one in problems if isinstance(one, StoreError)), None)
                if failed is not None:
                    raise failed
        done.has_more = len(waiting) == _PAGE and done.uploaded > 0

    def _try(self, one: StoredObject) -> StoreError | NotStoredError | None:
        try:
            self._uploader.upload(one)
            self._remover.give_back(one)
        except (StoreError, NotStoredError) as error:
            return error
        return None

    def _renew_keys(self, done: Round) -> None:
        """Store the sealed keys that were sealed to another epoch since."""
        for one in self._objects.with_old_key(self._uploader.node, limit=_PAGE):
            if not self._is_due(one):
                continue
            try:
                self._uploader.renew_key(one)
            except NotStoredError as error:
                self._note(one, str(error), done)

    def _is_due(self, one: StoredObject) -> bool:
        tried = self._tried.get(one.sha256)
        return tried is None or abs(self._now() - tried) >= _AGAIN_AFTER

    def _note(self, one: StoredObject, problem: str, done: Round) -> None:
        self._tried[one.sha256] = self._now()
        done.problems[one.recording] = problem
        if one.problem != problem:
            _log.error("recording %s: not stored in the object store: %s", one.recording, problem)
            self._objects.note(one.sha256, problem)

    def remove(self, done: Round) -> None:
        """Remove objects that must go, and write into the audit log which ones went.

        Raises:
            StoreError, DatabaseError, OSError: As `recorder.objects.removing.Remover.remove_due`.
        """
        gone = done.gone = self._remover.remove_due(_PAGE)
        for recording, left in gone.left.items():
            _log.warning("recording %s: %d versions are left in the object store", recording, len(left))
        if gone.recordings:
            details = {"recordings": list(gone.recordings), "versions": gone.versions}
            try:
                self._audit.append(act=REMOVED, actor=RECORDER, subject="", details=details)
            except AuditUnavailableError as error:  # the deletion itself is in the log since before it began
                _log.error("%d removals from the object store are not in the audit log: %s", gone.versions, error)
        done.has_more = done.has_more or len(gone.recordings) == _PAGE

    def _release(self, done: Round) -> None:
        done.released = self._remover.release(kept_since(self._now(), self._keep_local_days), _PAGE)
        done.has_more = done.has_more or done.released == _PAGE
