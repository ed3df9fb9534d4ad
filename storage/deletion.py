"""Deletes recordings for good, and once more what a backup brings back. Needs no private key.

Steps, each durable before the next: the tombstone in the audit log; the sealed keys, from where on nothing opens the
recordings; the containers; then the tombstone takes the place of the row in the database. Killed anywhere,
`Shredder.finish` goes on where the audit log says. Many recordings go through the steps together, so that a step costs
one wait for the disk and not one each.

Names are removed and nothing is overwritten: what is left on the medium is ciphertext, and a key that is sealed to an
epoch whose private half is destroyed in its turn (docs/retention.md).
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from storage.audit import AuditLog
from storage.durable import sync_folder
from storage.keys import unlink_key
from storage.tombstones import AGAIN, DELETED, Deletions, Tombstone, deleted_details, since_settled, tombstones_of
from storage.types import RecordingId
from storage.vault import Vault

BY = "recorder"
"""Actor of what nobody in person does."""
PART = ".part"
_KEY_SUFFIXES = (".key", ".next")
_DAY = 8
"""Characters of an id that name its day."""
_REPEATED_AT_ONCE = 250

Spared = Callable[[Sequence[Tombstone]], set[RecordingId]]
"""Tells which recordings must not be destroyed although they have a tombstone."""


@dataclass(slots=True, kw_only=True)
class Done:
    """What became of some recordings.

    Attributes:
        ids: Nothing is left of these but their tombstone.
        files: Files that were destroyed.
        keys: Sealed keys that were destroyed.
        rows: Rows that were taken out of the index.
        problems: Why others could not be destroyed; a sentence by id. They have a tombstone in the audit log.
        spared: Held since their deletion was cut off, so they stay.
    """

    ids: list[RecordingId] = field(default_factory=list)
    files: int = 0
    keys: int = 0
    rows: int = 0
    problems: dict[RecordingId, str] = field(default_factory=dict)
    spared: set[RecordingId] = field(default_factory=set)

    def add(self, other: "Done") -> None:
        """Count another's too."""
        self.ids += other.ids
        self.files += other.files
        self.keys += other.keys
        self.rows += other.rows
        self.problems |= other.problems
        self.spared |= other.spared


class Shredder:
    """Destroys recordings. One at a time in a home: the caller holds its lock.

    Args:
        vault: Where they lie.
        deletions: The tombstones in the database.
        audit: The audit log.
    """

    def __init__(self, vault: Vault, deletions: Deletions, audit: AuditLog) -> None:
        self.vault = vault
        self.deletions = deletions
        self.audit = audit

    def delete(self, doomed: Sequence[Tombstone], *, rule: str, by: str = BY) -> Done:
        """Delete recordings: tombstones, keys, containers, rows.

        Args:
            doomed: Of one rule; some hundred at once are quick. Nobody may be writing them.
            rule: Why they go.
            by: Who has them deleted.

        Raises:
            AuditUnavailableError: The tombstones cannot be written; nothing was destroyed.
            DatabaseError, OSError: `finish` has to go on later.
        """
        subject = doomed[0].id if len(doomed) == 1 else ""
        entry = self.audit.append(act=DELETED, actor=by, subject=subject, details=deleted_details(rule, doomed))
        return self._destroy(tombstones_of(entry))

    def destroy_keys(self, recordings: Sequence[RecordingId]) -> int:
        """Destroy sealed keys of calls of which nothing was kept; returns how many there were.

        Raises:
            OSError: One cannot be removed.
        """
        done = Done()
        self._unlink_keys(recordings, done)
        for problem in done.problems.values():
            raise OSError(problem)
        return done.keys

    def finish(self, spared: Spared = lambda _: set()) -> Done:
        """Destroy what has a tombstone in the audit log that the table does not know, oldest first.

        That is what a kill cut off, and everything that an index restored from a backup brought back.

        Args:
            spared: Which of them must stay after all: those that were held since.

        Raises:
            AuditUnavailableError, DatabaseError, OSError: Log, database or disk cannot be used; do it again later.
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
        """Destroy files, keys and rows of recordings whose tombstone the table knows: a backup brought them back.

        Args:
            is_thorough: Look for rows too; they cannot come back without the whole table, unless a program errs.

        Raises:
            AuditUnavailableError, DatabaseError, OSError: Log, database or disk cannot be used; do it again later.
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
            self.audit.append(act=AGAIN, actor=BY, subject="", details={"recordings": list(ids), **counts})
            counts = dict.fromkeys(counts, 0)

    def _destroy(self, tombstones: Sequence[Tombstone]) -> Done:
        """Destroy keys, then containers, then put the tombstones in the place of the rows."""
        done = Done()
        self._unlink_keys([one.id for one in tombstones], done)
        left = [one for one in tombstones if one.id not in done.problems]
        done.files += self._remove_files(left, done)
        settled = [one for one in left if one.id not in done.problems]
        done.rows += self.deletions.settle(settled)
        done.ids += [one.id for one in settled]
        return done

    def _unlink_keys(self, recordings: Sequence[RecordingId], done: Done) -> None:
        """Remove every sealed key of recordings, whatever the month: durable when this returns."""
        touched: set[Path] = set()
        months = [folder for folder in self._key_folders() if folder.is_dir()]
        for recording in recordings:
            with _noting(done, recording):
                for folder in months:
                    for suffix in _KEY_SUFFIXES:
                        if unlink_key(folder / f"{recording}{suffix}"):
                            done.keys += 1
                            touched.add(folder)
        _sync(touched)

    def _remove_files(self, tombstones: Sequence[Tombstone], done: Done) -> int:
        removed, folders, old_folders = 0, set[Path](), set[Path]()
        for day, some in groupby(tombstones, key=lambda one: one.id[:_DAY]):
            files = files_of_day(self.vault, day)
            for one in some:
                with _noting(done, one.id):
                    for path in files.get(one.id, ()):
                        path.unlink(missing_ok=True)
                        removed += 1
                        (old_folders if day < _day_before(one.deleted_at) else folders).add(path.parent)
        _sync(folders | old_folders)
        for folder in old_folders:
            _remove_empty(folder, self.vault.root)
        return removed

    def _key_folders(self) -> Iterable[Path]:
        return (self.vault.home / "keys" / "sealed").glob("*")

    def _returned(self, *, is_thorough: bool) -> Iterator[RecordingId]:
        for folder in sorted(self.vault.root.glob("[0-9]*/[0-9]*/[0-9]*")):
            day = "".join(folder.parts[-3:])
            gone = self.deletions.of_day(day) | self.deletions.of_day(_next_day(day, -1))
            if gone:
                yield from sorted(gone & _listed(folder).keys())
        for folder in sorted(self._key_folders()):
            yield from self._returned_keys(folder)
        last = ""
        while is_thorough and (rows := self.deletions.returned_rows(_REPEATED_AT_ONCE, after=last)):
            yield from rows
            last = rows[-1]

    def _returned_keys(self, folder: Path) -> Iterator[RecordingId]:
        with os.scandir(folder) as found:
            ids = sorted({entry.name.rpartition(".")[0] for entry in found if entry.name.endswith(_KEY_SUFFIXES)})
        for day, some in groupby(ids, key=lambda one: one[:_DAY]):
            yield from sorted(self.deletions.of_day(day).intersection(map(RecordingId, some)))


def files_of_day(vault: Vault, day: str) -> dict[RecordingId, list[Path]]:
    """Return every file of the recordings that a day, ``20261124``, names, in whatever state it is.

    The folder after it is looked into too: a call that rings before midnight and is answered after it lies there.
    """
    found: dict[RecordingId, list[Path]] = {}
    for one in (day, _next_day(day)):
        for recording, files in _listed(vault.root / one[:4] / one[4:6] / one[6:]).items():
            if recording.startswith(day):
                found.setdefault(recording, []).extend(files)
    return found


def _listed(folder: Path) -> dict[RecordingId, list[Path]]:
    found: dict[RecordingId, list[Path]] = {}
    try:
        operators = [entry.path for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return found
    for operator in operators:
        with os.scandir(operator) as entries:
            for entry in entries:
                found.setdefault(RecordingId(entry.name.partition(".")[0]), []).append(Path(entry.path))
    return found


def _next_day(day: str, days: int = 1) -> str:
    try:
        return (datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC) + timedelta(days=days)).strftime("%Y%m%d")
    except ValueError:  # a folder that is no day; nobody's id begins so
        return day


def _day_before(moment: datetime) -> str:
    """Return the day before a moment's: into folders older than that nobody writes any more."""
    return (moment - timedelta(days=1)).strftime("%Y%m%d")


class _noting:  # noqa: N801 - a context manager, used as a function
    """Note an OSError of the block as the problem of a recording, instead of raising it."""

    def __init__(self, done: Done, recording: RecordingId) -> None:
        self._done = done
        self._recording = recording

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, OSError):
            return False
        self._done.problems[self._recording] = error.strerror or str(error)
        return True


def _sync(folders: Iterable[Path]) -> None:
    for folder in folders:
        with suppress(FileNotFoundError):
            sync_folder(folder)


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove a folder and those above it as far as they are empty: of a day that is over nobody makes new ones."""
    with suppress(OSError):
        while folder != root:
            folder.rmdir()
            folder = folder.parent


def _in_parts(ids: Iterable[RecordingId]) -> Iterator[list[RecordingId]]:
    part: list[RecordingId] = []
    for one in ids:
        part.append(one)
        if len(part) == _REPEATED_AT_ONCE:
            yield part
            part = []
    if part:
        yield part
