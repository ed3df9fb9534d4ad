"""Decides what a restore takes from which snapshot, before anything is written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from recorder.backups.checking import gone_since
from recorder.backups.errors import BackupError
from recorder.backups.journal import Journal, JournalSegment, entries_of, removed_by
from recorder.backups.rules import DATA, BackupClass
from recorder.backups.snapshots import Repository, Snapshot, StoredFile, read_pieces, read_unverified
from recorder.objects.store import Store
from storage import crypto
from storage.rows import time_to_json

SIGNING_KEY = "keys/node/sign.key"
PLACED = (BackupClass.KEYS, BackupClass.AUDIT, BackupClass.INDEX, BackupClass.ACCOUNTS, BackupClass.MEDIA)
"""Classes in the order in which they are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePlan:
    """What a restore writes.

    Attributes:
        snapshot: Index, accounts and recordings are those of this one.
        audit: The audit log is that of the newest snapshot: no other has every hold and deletion.
        keys: The keys are those of this one.
        files: Files by class.
        deleted: Recordings of the snapshot that were deleted since: they are left out.
        rewritten: Recordings from which a span was erased since: they are taken as they were afterwards.
        gap: A sentence on entries of the audit log that the destination has lost, or "".
    """

    snapshot: Snapshot
    audit: Snapshot
    keys: Snapshot
    files: Mapping[BackupClass, list[StoredFile]]
    deleted: frozenset[str]
    rewritten: frozenset[str]
    gap: str

    @property
    def bytes(self) -> int:
        """Return how many bytes are written."""
        return sum(file.size for files in self.files.values() for file in files)

    @property
    def recordings(self) -> int:
        """Return how many recordings are written."""
        return sum(file.path.endswith(".rec") for file in self.files[BackupClass.MEDIA])

    def as_json(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {
            "snapshot": self.snapshot.id,
            "at": time_to_json(self.snapshot.at),
            "audit_of_snapshot": self.audit.id,
            "keys_of_snapshot": self.keys.id,
            "recordings": self.recordings,
            "files": sum(map(len, self.files.values())),
            "bytes": self.bytes,
            "deleted_since": len(self.deleted),
            "erased_since": len(self.rewritten),
            "gap": self.gap,
        }


def public_key_of(keys: Store) -> bytes:
    """Return the public key of the node whose keys a destination has: it verifies everything else.

    Raises:
        BackupError: There is no backup of keys, or it is damaged.
    """
    for snapshot in reversed(Repository(keys, b"").ids()):
        for file in read_unverified(keys, snapshot, BackupClass.KEYS):
            if file.path == SIGNING_KEY:
                try:
                    seed = bytes.fromhex(b"".join(read_pieces(keys, file)).decode("ascii"))
                    return crypto.signing_pair(seed)[0]
                except ValueError as error:
                    raise BackupError(f"{keys.name}: {SIGNING_KEY} is damaged") from error
    raise BackupError(
        f"{keys.name} holds no backup of keys: give the folder that `recorder backups add --keys` wrote to. "
        "Without the "
        "node's keys nothing can be verified"
    )


def plan_restore(data: Repository, keys: Repository, wanted: str | None) -> RestorePlan:
    """Decide what to restore.

    Args:
        data: The destination of the data.
        keys: The destination of the keys.
        wanted: Id of the snapshot; None for the newest that is complete.

    Raises:
        BackupError: A snapshot is missing, expired, damaged or was changed.
    """
    data.check_owner()
    keys.check_owner()
    snapshot = _wanted(data, wanted)
    audit = _newest(data, BackupClass.AUDIT)
    of_keys = keys.load(_keys_for(keys, snapshot.id))
    gone = gone_since(data, snapshot)
    since = list(Journal(data).after(_number(snapshot)))
    rewritten: dict[str, list[StoredFile]] = {}
    for segment in since:
        rewritten |= segment.rewritten
    deleted = {name for segment in since for name in removed_by(entries_of(segment))} & gone
    media = [file for file in data.files(snapshot, BackupClass.MEDIA) if _recording(file) not in gone]
    again = {name: files for name, files in rewritten.items() if name in gone and name not in deleted}
    files = {name: data.files(snapshot, name) for name in (BackupClass.INDEX, BackupClass.ACCOUNTS)}
    files[BackupClass.AUDIT] = data.files(audit, BackupClass.AUDIT)
    files[BackupClass.KEYS] = keys.files(of_keys, BackupClass.KEYS)
    files[BackupClass.MEDIA] = media + [file for some in again.values() for file in some]
    for some in files.values():
        _check_paths(some)
    return RestorePlan(
        snapshot=snapshot, audit=audit, keys=of_keys, files=files, deleted=frozenset(deleted),
        rewritten=frozenset(again), gap=Journal(data).gap([_number(snapshot), _number(audit)]),
    )  # fmt: skip


def journal_after(data: Repository, plan: RestorePlan) -> Iterator[JournalSegment]:
    """Yield the journal's segments that the plan's audit log may lack entries of."""
    return Journal(data).after(_number(plan.audit))


def _wanted(data: Repository, wanted: str | None) -> Snapshot:
    if wanted is not None:
        found = data.load(wanted)
        if missing := [str(name) for name in DATA if not data.has(found, name)]:
            raise BackupError(
                f"snapshot {wanted} has no {', '.join(missing)} any more, since their period is over: choose "
                "another one of `recorder backups list`"
            )
        return found
    for name in reversed(data.ids()):
        found = data.load(name)
        if all(data.has(found, one) for one in DATA):
            return found
    raise BackupError(f"{data.store.name} holds no complete snapshot")


def _newest(data: Repository, name: BackupClass) -> Snapshot:
    found = [one for one in map(data.load, reversed(data.ids())) if data.has(one, name)]
    return found[0]


def _keys_for(keys: Repository, snapshot: str) -> str:
    """Return the snapshot of the keys for one of the data: made with it, else the next after it, else the newest."""
    ids = keys.ids()
    later = [one for one in ids if one >= snapshot]
    return later[0] if later else ids[-1]


def _number(snapshot: Snapshot) -> int:
    return 0 if snapshot.head is None else snapshot.head.number or 0


def _recording(file: StoredFile) -> str:
    return PurePosixPath(file.path).stem


def _check_paths(files: list[StoredFile]) -> None:
    for file in files:
        path = PurePosixPath(file.path)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise BackupError(f"the snapshot names the path {file.path!r}, which leads out of the home")
