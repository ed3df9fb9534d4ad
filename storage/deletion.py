"""Deletes recordings permanently, and deletes them again if a backup restores them. Needs no private key.

Steps: write the tombstones to the audit log, durably; destroy the sealed keys, durably, after which nothing opens the
recordings; remove the containers; replace the rows by the tombstones in the database. After a kill at any point
`Shredder.finish` continues by the audit log. Many recordings go through the steps together, so that each step waits for
the disk once. If a power cut undoes the removal of a container, nobody can open it, and `Shredder.destroy_returned`
finds it by its tombstone. So the folders of many recordings are synced once, at the end.

Files are removed, not overwritten: the medium then holds ciphertext, and keys that are sealed to an epoch whose private
key is destroyed later (docs/storage-format.md).
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

from storage.audit import AuditLog
from storage.audit_entry import RECORDER, AuditEntry
from storage.bulk_unlink import TouchedFolders, remove_empty_days, sync_all, unlink_all
from storage.database import Database
from storage.keys import remove_twins
from storage.shared_deletion import SettledDeletion, SharedDeletion
from storage.tombstones import (
    AGAIN,
    DELETED,
    FILES_REMOVED,
    NOT_DELETED,
    Deletions,
    GoneByDay,
    Tombstone,
    deleted_details,
    not_deleted,
    since_settled,
    tombstones_of,
)
from storage.tree import DAY_CHARACTERS, day_after, day_folders, entries_of_day, files_of
from storage.types import RecordingId
from storage.vault import Vault

PART = ".part"
_KEY_SUFFIXES = (".key", ".next")
_REPEATED_AT_ONCE = 250
_FOLDERS_AT_ONCE = 2000

Files = Mapping[RecordingId, Sequence[str]]
"""All files of some recordings, in any state."""

Spared = Callable[[Sequence[Tombstone]], set[RecordingId]]
"""Returns the recordings that must not be destroyed although they have a tombstone."""


@dataclass(slots=True, kw_only=True)
class Done:
    """The result of deleting recordings.

    Attributes:
        ids: Recordings of which only the tombstone is left.
        files: Number of files destroyed.
        keys: Number of sealed keys destroyed.
        rows: Number of rows deleted from the index.
        problems: Why others could not be destroyed, by id. They have a tombstone in the audit log.
        spared: Recordings that stay because a hold was placed after their deletion was interrupted, or meanwhile.
        elsewhere: Recordings among ``ids`` whose files another node has to remove, with its name.
    """

    ids: list[RecordingId] = field(default_factory=list)
    files: int = 0
    keys: int = 0
    rows: int = 0
    problems: dict[RecordingId, str] = field(default_factory=dict)
    spared: set[RecordingId] = field(default_factory=set)
    elsewhere: dict[RecordingId, str] = field(default_factory=dict)

    def add(self, other: "Done") -> None:
        """Add another result."""
        self.ids += other.ids
        self.files += other.files
        self.keys += other.keys
        self.rows += other.rows
        self.problems |= other.problems
        self.spared |= other.spared
        self.elsewhere |= other.elsewhere


class Shredder:
    """Destroys recordings. Only one may run in a home: the caller holds a lock.

    Args:
        vault: The store.
        deletions: The tombstones in the database.
        audit: The audit log.
        shared: Deletes rows where several nodes share the index; None if one has it for itself.
    """

    def __init__(
        self, vault: Vault, deletions: Deletions, audit: AuditLog, shared: SharedDeletion | None = None
    ) -> None:
        self.vault = vault
        self.deletions = deletions
        self.audit = audit
        self.shared = shared
        self._touched = TouchedFolders(vault.root)
        self._is_many = False

    @contextmanager
    def many(self) -> Iterator[None]:
        """Make the removal of containers durable at the end of the block instead of after each call."""
        self._is_many = True
        try:
            yield
        finally:
            self._is_many = False
            self._touched.settle()

    def delete(self, doomed: Sequence[Tombstone], *, rule: str, by: str = RECORDER, files: Files | None = None) -> Done:
        """Delete recordings: tombstones, keys, containers, rows.

        Args:
            doomed: Recordings of one rule; efficient for some hundred. Nobody may be writing them.
            rule: The rule of the retention schedule.
            by: Who deletes them, for the audit log.
            files: Their files by `storage.tree.files_of`; None to look them up.

        Raises:
            AuditUnavailableError: The tombstones cannot be written; nothing was destroyed.
            DatabaseError, OSError: Interrupted; `finish` continues later.
        """

        def enter(tombstones: Sequence[Tombstone]) -> AuditEntry:
            subject = tombstones[0].id if len(tombstones) == 1 else ""
            details = deleted_details(rule, tombstones)
            return self.audit.append(act=DELETED, actor=by, subject=subject, details=details)

        if self.shared is not None:
            return self._destroy_settled(self.shared.settle(doomed, enter), files)
        return self._destroy(tombstones_of(enter(doomed)), files)

    def on(self, database: Database) -> "Shredder":
        """Return the same over another view of the database, as the one of a lease's holder."""
        shared = None if self.shared is None else replace(self.shared, database=database)
        return Shredder(self.vault, Deletions(database), self.audit, shared)

    def tidy(self, now: datetime) -> None:
        """Remove the empty folders of past days that a kill left; their names tell of an operator, though opaquely.

        Raises:
            OSError: The disk refuses; the next call tries again.
        """
        remove_empty_days(self.vault.root, before=_day_before(now))

    def destroy_keys(self, recordings: Sequence[RecordingId]) -> int:
        """Destroy the sealed keys of calls without a recording; returns how many there were.

        Raises:
            OSError: One cannot be removed.
        """
        done = Done()
        self._unlink_keys(recordings, done)
        for problem in done.problems.values():
            raise OSError(problem)
        return done.keys

    def finish(self, spared: Spared = lambda _: set()) -> Done:
        """Destroy the recordings with a tombstone in the audit log that the table lacks, oldest first.

        These are deletions that a kill interrupted, and those that an index restored from a backup does not know.

        Args:
            spared: Returns those that must stay: a hold was placed since.

        Raises:
            AuditUnavailableError, DatabaseError, OSError: Log, database or disk cannot be used; call again later.
        """
        done = Done()
        unsettled = [
            entry for entry in since_settled(self.audit, self.deletions) if entry.act in (DELETED, NOT_DELETED)
        ]
        taken_back = not_deleted(unsettled)
        for entry in reversed(unsettled):
            tombstones = [] if entry.number in taken_back else tombstones_of(entry)
            kept = spared(tombstones)
            done.add(self._finish([one for one in tombstones if one.id not in kept], entry))
            done.spared |= kept
        self._note_again(done)
        return done

    def destroy_returned(self, *, is_thorough: bool = True) -> Done:
        """Destroy files, keys and rows of recordings with a tombstone in the table, which a backup restored.

        Args:
            is_thorough: Look for rows too, which only a faulty program, or a SQLite file's write-ahead log that was
                restored alone, can bring back without the whole table.

        Raises:
            AuditUnavailableError, DatabaseError, OSError: Log, database or disk cannot be used; call again later.
        """
        done = Done()
        for ids in _in_parts(self._returned(is_thorough=is_thorough)):
            found = [tombstone for one in ids if (tombstone := self.deletions.get(one)) is not None]
            part = self._destroy(found)
            self._note_again(part)
            done.add(part)
        return done

    def _finish(self, tombstones: Sequence[Tombstone], entry: AuditEntry) -> Done:
        if self.shared is None or not tombstones:
            return self._destroy(tombstones)
        return self._destroy_settled(self.shared.settle(tombstones, lambda _: entry))

    def remove_ordered(self, *, is_known: Callable[[RecordingId], bool] = lambda _: False) -> Done:
        """Remove this node's files of recordings that other nodes deleted, and confirm it; safe to repeat.

        Args:
            is_known: Tells whether an entry of the audit log announces the removal already: it was interrupted.

        Raises:
            AuditUnavailableError: The entry cannot be written; nothing was removed.
            DatabaseError, OSError: Database or disk cannot be used; call again later.
        """
        done = Done()
        if self.shared is not None:
            for name in sorted(self.shared.names):
                done.add(self._remove_ordered(self.shared, name, is_known))
        self._touched.settle()
        return done

    def _remove_ordered(self, shared: SharedDeletion, name: str, is_known: Callable[[RecordingId], bool]) -> Done:
        done, last = Done(), ""
        while ids := shared.removals.of_node(name, after=last):
            last = ids[-1]
            here = self._here(ids)
            if new := [one for one in ids if one in here and not is_known(one)]:
                self.audit.append(act=FILES_REMOVED, actor=RECORDER, subject="", details={"recordings": new})
            done.add(self._destroy_files([Tombstone(id=one, deleted_at=shared.now(), rule="") for one in ids]))
        return done

    def _here(self, recordings: Sequence[RecordingId]) -> set[RecordingId]:
        """Return the recordings among some of which this node has a file or a key."""
        months = [folder for folder in self._key_folders() if folder.is_dir()]
        keyed = {
            one for one in recordings for folder in months for suffix in _KEY_SUFFIXES
            if (folder / f"{one}{suffix}").exists()
        }  # fmt: skip
        return keyed | files_of(self.vault.root, recordings).keys()

    def _destroy_settled(self, settled: SettledDeletion, files: Files | None = None) -> Done:
        """Destroy this node's keys and files of recordings whose rows are deleted."""
        assert self.shared is not None
        done = self._destroy_files(settled.tombstones, files)
        done.ids = [one.id for one in settled.tombstones]
        done.rows, done.spared = settled.rows, settled.held
        done.elsewhere = {one: node for one, node in settled.nodes.items() if node not in self.shared.names}
        return done

    def _destroy_files(self, tombstones: Sequence[Tombstone], files: Files | None = None) -> Done:
        """Destroy this node's keys and files, and confirm it; a recording that the disk keeps is not confirmed."""
        assert self.shared is not None
        done, ids = Done(), [one.id for one in tombstones]
        here = self._here(ids)
        self._unlink_keys(ids, done)
        left = [one for one in tombstones if one.id not in done.problems]
        self._remove_files(left, files_of(self.vault.root, ids) if files is None else files, done)
        if not self._is_many or len(self._touched) > _FOLDERS_AT_ONCE:
            self._touched.settle()
        self.shared.confirm([one for one in ids if one not in done.problems], here)
        done.ids = [one for one in ids if one in here and one not in done.problems]
        return done

    def _note_again(self, done: Done) -> None:
        counts = {"files": done.files, "keys": done.keys, "rows": done.rows}
        if not any(counts.values()):
            return
        for ids in _in_parts(done.ids):
            self.audit.append(act=AGAIN, actor=RECORDER, subject="", details={"recordings": list(ids), **counts})
            counts = dict.fromkeys(counts, 0)

    def _destroy(self, tombstones: Sequence[Tombstone], files: Files | None = None) -> Done:
        """Destroy keys, then containers, then replace the rows by the tombstones."""
        done = Done()
        ids = [one.id for one in tombstones]
        files = files_of(self.vault.root, ids) if files is None else files
        self._unlink_keys(ids, done)
        self._remove_files([one for one in tombstones if one.id not in done.problems], files, done)
        if not self._is_many or len(self._touched) > _FOLDERS_AT_ONCE:
            self._touched.settle()
        settled = [one for one in tombstones if one.id not in done.problems]
        done.rows += self.deletions.settle(settled)
        done.ids += [one.id for one in settled]
        if self.shared is not None:
            self.shared.confirm(done.ids, set(done.ids))
        return done

    def _unlink_keys(self, recordings: Sequence[RecordingId], done: Done) -> None:
        """Remove every sealed key of some recordings, in all months; durable when this returns."""
        months = [folder for folder in self._key_folders() if folder.is_dir()]
        keys: dict[str, RecordingId] = {}
        for recording in recordings:
            for folder in months:
                for suffix in _KEY_SUFFIXES:
                    path = f"{folder}/{recording}{suffix}"
                    if names := _names_of(path):
                        keys[path] = recording
                    if names > 1:  # a kill while it was made left its temporary name too
                        remove_twins(Path(path))
        removed = unlink_all(list(keys))
        done.keys += _noted(removed, keys, done)
        sync_all({Path(path).parent for path in keys})

    def _remove_files(self, tombstones: Sequence[Tombstone], files: Files, done: Done) -> None:
        paths = {path: one for one in tombstones for path in files.get(one.id, ())}
        removed = unlink_all(list(paths))
        done.files += _noted(removed, {path: one.id for path, one in paths.items()}, done)
        for folder, one in {path.rpartition("/")[0]: one for path, one in paths.items()}.items():
            self._touched.add(Path(folder), is_over=one.id[:DAY_CHARACTERS] < _day_before(one.deleted_at))

    def _key_folders(self) -> Iterable[Path]:
        return (self.vault.home / "keys" / "sealed").glob("*")

    def _returned(self, *, is_thorough: bool) -> Iterator[RecordingId]:
        by_day = GoneByDay(self.deletions)
        for folder in day_folders(self.vault.root):
            day = "".join(folder.parts[-3:])
            gone = by_day.of_day(day) | by_day.of_day(day_after(day, -1))
            if gone:
                yield from sorted(gone.intersection(one for one, _ in entries_of_day(folder)))
        for folder in sorted(self._key_folders()):
            yield from _returned_keys(folder, by_day)
        last = ""
        while is_thorough and (rows := self.deletions.returned_rows(_REPEATED_AT_ONCE, after=last)):
            yield from rows
            last = rows[-1]


def _returned_keys(folder: Path, by_day: GoneByDay) -> Iterator[RecordingId]:
    with os.scandir(folder) as found:
        ids = sorted({entry.name.rpartition(".")[0] for entry in found if entry.name.endswith(_KEY_SUFFIXES)})
    for day, some in groupby(ids, key=lambda one: one[:DAY_CHARACTERS]):
        yield from sorted(by_day.of_day(day).intersection(map(RecordingId, some)))


def _names_of(path: str) -> int:
    """Return how many names a file has; 0 if it is not there."""
    try:
        return os.lstat(path).st_nlink
    except FileNotFoundError:
        return 0


def _noted(removed: Mapping[str, OSError | None], owners: Mapping[str, RecordingId], done: Done) -> int:
    """Store failed removals as problems of their recordings; returns how many succeeded."""
    for path, error in removed.items():
        if error is not None:
            done.problems[owners[path]] = error.strerror or str(error)
    return sum(error is None for error in removed.values())


def _day_before(moment: datetime) -> str:
    """Return the day before a moment's day: nothing is written into folders of earlier days any more."""
    return (moment - timedelta(days=1)).strftime("%Y%m%d")


def _in_parts(ids: Iterable[RecordingId]) -> Iterator[list[RecordingId]]:
    part: list[RecordingId] = []
    for one in ids:
        part.append(one)
        if len(part) == _REPEATED_AT_ONCE:
            yield part
            part = []
    if part:
        yield part
