"""Results about the index and the databases."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """An index that was or would be rebuilt."""

    index: str
    index_problem: str
    moved_to: list[str]
    rows_before: int | None
    rows_salvaged: int
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
    destroyed_again: int
    containers: int
    rows_added: int
    rows_corrected: int
    rows_waiting: int
    audit_late_entries: int
    damaged: dict[str, str]
    unfiled: dict[str, str]
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """Recordings, index and audit log compared."""

    waits: bool
    since: str | None
    why: list[str]
    reindex: dict[str, Any]
    rows: int
    containers: int
    keys: int
    recordings_held: int
    containers_without_row: int
    rows_without_container: int
    holds_that_differ: int
    findings: dict[str, int]
    audit_entries: int
    audit_unreadable: int
    audit_unknown_acts: dict[str, int]
    anchors: dict[str, str]
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of the index or the files, and how it was or would be repaired."""

    kind: str
    where: str
    what: str
    recording: str | None
    repair: str
    mended: str | None
    details: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How much was compared."""

    containers: int = 0
    rows: int = 0
    keys: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What is wrong with index and files."""

    findings: list[Fault]
    looked_at: Counted
    mended: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MovePlan:
    """What would be moved."""

    dry_run: bool
    moves_index: bool = False
    moves_accounts: bool = False
    from_: str = ""
    to: str = ""
    rows: dict[str, int] | None = None
    bytes: int | None = None
    is_copied: bool | None = None
    is_moved: bool | None = None
    accounts: dict[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedTable:
    """A table that was moved."""

    rows: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Lines for recorder.toml."""

    section: str
    lines: list[str]
    is_changed: bool
    kept_as: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """An index, accounts or both that were moved."""

    dry_run: bool
    setting: Setting
    from_: str = ""
    to: str = ""
    tables: dict[str, MovedTable] | None = None
    rows: dict[str, int] | None = None
    bytes: int | None = None
    audit_entries: int | None = None
    set_aside: list[str] | None = None
    seconds: float | None = None
    accounts: dict[str, int] | None = None
    roles_have_rights: bool | None = None
    is_copied: bool | None = None
    is_moved: bool | None = None
    moves_index: bool = False
    moves_accounts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedAccounts:
    """Accounts that were or would be moved."""

    rows: dict[str, int]
    dry_run: bool
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The tables of one database."""

    what: str
    name: str
    before: str | None
    needed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradedDatabases:
    """Tables that were or would be upgraded."""

    databases: list[Schema]
    dry_run: bool
    roles_have_rights: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolesSql:
    """SQL that creates the roles."""

    sql: str
