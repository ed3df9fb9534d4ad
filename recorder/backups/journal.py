"""Carries the audit log to the destination between backups, and deletions with it.

New entries of the audit log are appended to the destination's journal, with their free texts. The log itself is the
queue: while the destination is away nothing else has to be stored, and the next run continues where the last one
stopped. Recordings that were deleted are then removed from every snapshot; of those from which a span was erased, the
new container and key are stored and the old ones removed. A restore replays the journal, so nothing comes back.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import takewhile

from recorder.backups.errors import BackupError
from recorder.backups.pieces import Pieces
from recorder.backups.recording_copy import RecordingCopier
from recorder.backups.rules import JOURNAL, is_in_media
from recorder.backups.snapshots import Repository, StoredFile, read_signed, signed
from recorder.recordings.replay import DONE as ERASED
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry, line_of, parse_line
from storage.audit_reading import newest_first
from storage.format import is_recording_id
from storage.heads import Head
from storage.keys import NodeKeys
from storage.tombstones import AGAIN, DELETED, FILES_REMOVED, NOT_DELETED
from storage.types import RecordingId
from storage.vault import Vault

_MARK = f"{JOURNAL}/settled.json"
"""Up to which entry recordings were removed from the destination."""
DELETING = (DELETED, AGAIN, FILES_REMOVED, ERASED)
"""Acts after which recordings are removed from the destination."""
_AT_ONCE = 500
"""Entries in one segment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSegment:
    """Entries of the audit log in one object of the journal.

    Attributes:
        lines: The entries as the log has them, without line feeds.
        texts: Commitment, salt in hex, and text of each free text that had not expired.
        rewritten: Container and key of each recording from which one of the entries erased, as they were then.
    """

    lines: tuple[str, ...]
    texts: tuple[tuple[str, str, str], ...] = ()
    rewritten: dict[str, list[StoredFile]] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class JournalRun:
    """What one run did.

    Attributes:
        entries: Entries that were copied.
        removed: Recordings that were deleted, and are not at the destination any more.
        rewritten: The files of each recording from which a span was erased, by its id.
        head: Newest entry that the destination has.
    """

    entries: int = 0
    removed: list[RecordingId] = field(default_factory=list)
    rewritten: dict[str, list[StoredFile]] = field(default_factory=dict)
    head: Head | None = None


class Journal:
    """The journal at one destination. Only one process may follow: the caller holds a lock.

    Args:
        repository: The destination.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._store = repository.store

    def follow(self, audit: AuditLog, vault: Vault, node: NodeKeys) -> JournalRun:
        """Copy new entries, and remove what they say was deleted; safe to kill and to run again.

        Raises:
            BackupError: The destination cannot be used, or its journal does not continue in this log.
            StorageError, OSError: The log, or a recording, cannot be read.
        """
        done = JournalRun(head=audit.head())
        settled = self._settled()
        if settled is None and self._repository.ids():
            raise BackupError(f"{self._store.name}/{_MARK} is missing: begin a new destination with --init")
        if settled is None or done.head is None:
            if done.head is not None:  # the first snapshot has all before it
                self._settle(done.head, node)
            return done
        fresh = takewhile(lambda entry: entry.number > (settled.number or 0), newest_first(audit.path))
        entries = [entry for entry in fresh if entry.number <= (done.head.number or 0)][::-1]
        self._check_continues(entries, settled, done.head)
        for start in range(0, len(entries), _AT_ONCE):
            self._carry(entries[start : start + _AT_ONCE], audit, _Sources(vault, node), done)
        return done

    def _carry(self, entries: Sequence[AuditEntry], audit: AuditLog, sources: "_Sources", done: JournalRun) -> None:
        rewritten = self._store_rewritten(entries, sources.vault)
        commitments = [entry.text_commitment for entry in entries if entry.text_commitment is not None]
        texts = tuple((one.commitment, one.salt.hex(), one.text) for one in audit.texts.stored(commitments))
        segment = JournalSegment(lines=tuple(map(_line, entries)), texts=texts, rewritten=rewritten)
        key = f"{JOURNAL}/{entries[0].number:012d}-{entries[-1].number:012d}.json"
        self._store.put(key, signed(asdict(segment), sources.node))
        done.entries += len(entries)
        done.removed += self._remove_gone(entries, rewritten)
        done.rewritten |= rewritten
        self._settle(Head(number=entries[-1].number, hash=entries[-1].hash), sources.node)

    def settle_again(self, entries: Sequence[AuditEntry], vault: Vault) -> JournalRun:
        """Remove what entries say was deleted, though it was done already: a backup may have copied it meanwhile."""
        rewritten = self._store_rewritten(entries, vault)
        return JournalRun(removed=self._remove_gone(entries, rewritten), rewritten=rewritten)

    def _store_rewritten(self, entries: Sequence[AuditEntry], vault: Vault) -> dict[str, list[StoredFile]]:
        """Store the present files of the recordings from which entries erased, if they still exist."""
        pieces, found = Pieces(self._store), {}
        copier = RecordingCopier(vault, pieces)
        for recording in erased_by(entries):
            for container in vault.files_of(recording):
                if container.suffix == ".rec" and (files := copier.copy(container, {})):
                    found[str(recording)] = files
        pieces.verify_new()
        pieces.check_there(file for files in found.values() for file in files)
        return found

    def _remove_gone(
        self, entries: Sequence[AuditEntry], rewritten: Mapping[str, Sequence[StoredFile]]
    ) -> list[RecordingId]:
        """Remove deleted recordings, and former versions of rewritten ones; returns the former."""
        removed = removed_by(entries)
        for recording in removed:
            self._remove(recording, frozenset())
        for name, files in rewritten.items():
            self._remove(RecordingId(name), frozenset(piece for file in files for piece in file.pieces))
        return removed

    def _remove(self, recording: RecordingId, kept: frozenset[str]) -> None:
        for key in [key for key in self._store.keys(is_in_media(recording)) if key not in kept]:
            self._store.remove(key)

    def segments(self) -> list[tuple[int, int, str]]:
        """Return first entry, last entry and key of each segment, in order."""
        names = [key for key in self._store.keys(JOURNAL) if key != _MARK]
        found = []
        for key in names:
            first, _, last = key.rpartition("/")[2].removesuffix(".json").partition("-")
            if first.isdecimal() and last.isdecimal():
                found.append((int(first), int(last), key))
        return sorted(found)

    def gap(self, snapshots: Sequence[int]) -> str:
        """Return a sentence on entries that were carried here and are missing now, or "".

        Args:
            snapshots: Newest entry of the audit log of each snapshot that has one; later entries must be here.

        Raises:
            BackupError: The mark is damaged or was changed.
        """
        segments = self.segments()
        last = min([min(snapshots, default=0), *(first - 1 for first, _, _ in segments)])
        for first, end, _ in segments:
            if last and first > last + 1:
                return f"the journal of {self._store.name} lacks entries {last + 1} to {first - 1}"
            last = max(last, end)  # a killed run leaves a segment whose entries the next one copies again
        settled = self._settled()
        if settled is None:
            return f"{self._store.name}/{_MARK} is missing" if snapshots else ""
        if last < (settled.number or 0):
            return f"the journal of {self._store.name} lacks entries {last + 1} to {settled.number}: files were removed"
        return ""

    def after(self, number: int) -> Iterator[JournalSegment]:
        """Yield the segments that have entries after one, in order; they may have earlier entries too.

        Raises:
            BackupError: A segment is missing, damaged or was changed.
        """
        for _, last, key in self.segments():
            if last > number:
                yield self._load(key)

    def expire(self, before: int) -> int:
        """Remove the segments whose entries every snapshot has; returns how many.

        Args:
            before: Newest entry of the oldest snapshot's audit log.
        """
        doomed = [key for _, last, key in self.segments() if last <= before]
        for key in doomed:
            self._store.remove(key)
        return len(doomed)

    def _load(self, key: str) -> JournalSegment:
        name = f"{self._store.name}/{key}"
        content = self._store.get(key)
        if content is None:
            raise BackupError(f"{name} is missing")
        document = read_signed(content, self._repository.public, name)
        try:
            return JournalSegment(
                lines=tuple(document["lines"]),
                texts=tuple((str(a), str(b), str(c)) for a, b, c in document["texts"]),
                rewritten={
                    name: [StoredFile.from_json(one) for one in files] for name, files in document["rewritten"].items()
                },
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BackupError(f"{name} is of another version of the recorder") from error

    def _settled(self) -> Head | None:
        content = self._store.get(_MARK)
        if content is None:
            return None
        found = read_signed(content, self._repository.public, f"{self._store.name}/{_MARK}")
        return Head(number=int(found["number"]), hash=str(found["hash"]))

    def _settle(self, head: Head, node: NodeKeys) -> None:
        self._store.put(_MARK, signed({"number": head.number, "hash": head.hash}, node))

    def _check_continues(self, entries: Sequence[AuditEntry], settled: Head, head: Head) -> None:
        last = entries[0].previous if entries else head.hash
        if (head.number or 0) < (settled.number or 0) or last != settled.hash:
            raise BackupError(
                f"the journal of {self._store.name} ends with entry {settled.number}, which this audit log does not "
                "have: was audit/ replaced by hand? Keep that destination as it is, and begin a new one with --init"
            )


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where rewritten recordings are read, and what signs."""

    vault: Vault
    node: NodeKeys


def removed_by(entries: Sequence[AuditEntry]) -> list[RecordingId]:
    """Return the recordings that entries say were deleted, or deleted again, or of which files were removed."""
    found: list[str] = []
    for entry in entries:
        if entry.act == DELETED:
            found += [one["id"] for one in entry.details["recordings"]]
        elif entry.act in (AGAIN, FILES_REMOVED):
            found += entry.details["recordings"]
        elif entry.act == NOT_DELETED:
            found = [one for one in found if one not in entry.details["recordings"]]
    return [RecordingId(one) for one in dict.fromkeys(found) if is_recording_id(one)]


def erased_by(entries: Sequence[AuditEntry]) -> list[RecordingId]:
    """Return the recordings from which entries say a span was erased, without those deleted since."""
    gone = set(removed_by(entries))
    found = [entry.subject for entry in entries if entry.act == ERASED and entry.details.get("was_kept")]
    return [RecordingId(one) for one in dict.fromkeys(found) if is_recording_id(one) and one not in gone]


def entries_of(segment: JournalSegment) -> list[AuditEntry]:
    """Return a segment's entries.

    Raises:
        BackupError: A line is not an entry.
    """
    try:
        return [parse_line(line.encode("ascii")) for line in segment.lines]
    except ValueError as error:
        raise BackupError(f"the journal has a line that is not an entry: {error}") from error


def _line(entry: AuditEntry) -> str:
    fields = entry.to_json()
    del fields["hash"]
    return line_of(fields).decode("ascii").rstrip("\n")
