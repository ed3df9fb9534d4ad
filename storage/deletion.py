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
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

from storage.audit import AuditLog
from storage.audit_entry import RECORDER
from storage.bulk_unlink import TouchedFolders, remove_empty_days, sync_all, unlink_all
from storage.keys import remove_twins
from storage.tombstones import (
    AGAIN,
    DELETED,
    Deletions,
    GoneByDay,
    Tombstone,
    deleted_details,
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
        spared: Recordings that stay because a hold was placed after their deletion was interrupted.
    """

    ids: list[RecordingId] = field(default_factory=list)
    files: int = 0
    keys: int = 0
    rows: int = 0
    problems: dict[RecordingId, str] = field(default_factory=dict)
    spared: set[RecordingId] = field(default_factory=set)

    def add(self, other: "Done") -> None:
        """Add another result."""
        self.ids += other.ids
        self.files += other.files
        self.keys += other.keys
        self.rows += other.rows
        self.problems |= other.problems
        self.spared |= other.spared


class Shredder:
    """Destroys recordings. Only one may run in a home: the caller holds a lock.

    Args:
        vault: The store.
        deletions: The tombstones in the database.
        audit: The audit log.
    """

    def __init__(self, vault: Vault, deletions: Deletions, audit: AuditLog) -> None:
        self.vault = vault
        self.deletions = deletions
        self.audit = audit
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
        subject = doomed[0].id if len(doomed) == 1 else ""
        entry = self.audit.append(act=DELETED, actor=by, subject=subject, details=deleted_details(rule, doomed))
        return self._destroy(tombstones_of(entry), files)

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
            tombstones_of(entry) for entry in since_settled(self.audit, self.deletions) if entry.act == DELETED
        ]
        for tombstones in reversed(unsettled):
            kept = spared(tombstones)
            done.add(self._destroy([one for one in tombstones if one.id not in kept]))
            done.spared |= kept
        self._note_again(done)
        return done

    def destroy_returned(self, *, is_thorough: bool = True) -> Done:
        """Destroy files, keys and rows of recordings with a tombstone in the table, which a backup restored.

        Args:
            is_thorough: Look for rows too, which only a faulty program can bring back without the whole table.

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
