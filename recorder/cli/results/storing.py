"""Results about backups, object stores, the index and databases."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSize:
    """Files of one class in a snapshot."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A complete snapshot."""

    snapshot: str
    at: str | None
    by: str
    classes: dict[str, ClassSize]
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPlan:
    """What a backup would copy."""

    recordings: int
    new_recordings: int
    new_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeBackup:
    """A backup that was made and verified."""

    snapshot: str
    recordings: int
    files: int
    bytes: int
    new_bytes: int
    expired_snapshots: list[str]
    keys_at: str | None
    private_keys_without_passphrase: int
    problems: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedBackup:
    """What is wrong at a destination."""

    pieces: int
    problems: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsedBackup:
    """A backup that was restored on trial; ``opened``: recordings that the keys of the backup open, one a month."""

    snapshot: str
    recordings: int
    opened: int
    took_s: float
    problems: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What was replayed from the audit log."""

    audit_entries: int
    audit_unreadable: int
    audit_first_problem: str
    audit_unknown_acts: dict[str, int]
    holds_replayed: int
    orders_replayed: int
    claims_replayed: int
    copies_replayed: int
    deletions_replayed: int
    spared: int
    calls_from_audit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A recorder that was or would be restored."""

    snapshot: str
    at: str
    audit_of_snapshot: str
    keys_of_snapshot: str
    recordings: int
    files: int
    bytes: int
    deleted_since: int
    erased_since: int
    gap: str
    dry_run: bool
    entries_from_journal: int | None = None
    replayed: Replayed | None = None
    deleted_again: int | None = None
    rows_made: int | None = None
    sessions_ended: int | None = None
    access_closed: list[str] | None = None
    to_decide: list[str] | None = None
    verified: int | None = None
    problems: dict[str, str] | None = None
    months_without_private_key: list[str] | None = None
    notes: list[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """A recording that waits for the object store."""

    recording: str
    state: str
    since: str
    bytes: int | None
    locked_until: str | None
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStore:
    """The state of the object store."""

    url: str
    stored: int
    stored_bytes: int
    only_there: int
    waiting: int
    waiting_bytes: int
    removing: int
    locked: int
    locked_until: str | None
    problem: str
    at: str | None
    alarms: dict[str, int]
    not_done: list[StoredObject]


@dataclass(frozen=True, slots=True, kw_only=True)
class PushPlan:
    """What would be stored and removed."""

    waiting: int
    waiting_bytes: int
    removing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What was stored and removed."""

    uploaded: int
    removed: int
    released: int
    problems: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredObjects:
    """Recordings that were put together again."""

    restored: list[str]
    problems: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedObjects:
    """What is wrong in the object store."""

    checked: int
    problems: dict[str, str]
    returned: list[str]
    adopted: list[str]
    unknown: dict[str, str]
