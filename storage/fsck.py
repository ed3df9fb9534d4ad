"""The comparisons of `recorder index check`: kinds of findings, their repairs, how files and rows are compared. Pure.

`recorder.recordings.fsck` reads files, index, keys and audit log, a day at a time, and calls this module;
`recorder.recordings` repairs the findings.
"""

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from storage.stored_rows import StoredRow
from storage.types import RecordingId, RecordingRow


class Kind(enum.StrEnum):
    """Kind of a finding."""

    NO_ROW = "container_without_row"
    NO_CONTAINER = "row_without_container"
    NO_KEY = "container_without_key"
    LONE_KEY = "key_without_container"
    LONE_OFFICERS = "officers_without_row"
    UNFINISHED = "unfinished"
    HALF_ERASED = "half_erased"
    MISPLACED = "misplaced"
    TWICE = "there_twice"
    DAMAGED = "damaged"
    STRANGE = "not_ours"
    DIGEST = "wrong_digest"
    SIZE = "wrong_size"
    DUE = "wrong_retention_due"
    ROW = "row_differs"
    COLUMNS = "row_damaged"
    HOLD = "hold_differs"
    HOLD_ALONE = "hold_not_in_log"
    CLAIM = "claim_differs"
    CLAIM_ALONE = "claim_not_in_log"
    ORDER = "order_differs"
    ORDER_ALONE = "order_not_in_log"
    COPY = "copy_differs"
    TOMBSTONE = "tombstone_missing"
    DELETED = "deleted_and_there"
    AUDIT_TORN = "audit_torn"
    AUDIT = "audit_damaged"
    RESTORED = "restored"
    MODE = "mode"
    LINK = "link"
    UNKNOWN = "unknown_file"
    TEMPORARY = "temporary_file"


REPAIRS = {
    Kind.NO_ROW: "make its row from the container",
    Kind.LONE_KEY: "move it to lost+found",
    Kind.LONE_OFFICERS: "write them down in lost+found, and take them out",
    Kind.UNFINISHED: "close it as a partial recording, as the next start does",
    Kind.HALF_ERASED: "bring it to the old or the new state; takes the private key",
    Kind.MISPLACED: "move it to where it belongs",
    Kind.TWICE: "move the one that the index does not know to lost+found",
    Kind.DIGEST: "make its row from the container, which its node signed; keep the old row in lost+found",
    Kind.SIZE: "make its row from the container; keep the old row in lost+found",
    Kind.DUE: "make its row from the container; keep the old row in lost+found",
    Kind.ROW: "make its row from the container; keep the old row in lost+found",
    Kind.COLUMNS: "make its row from the container; keep the old row in lost+found",
    Kind.HOLD: "replay the audit log, and have the sweep wait for the DPO",
    Kind.CLAIM: "replay the audit log, and have the sweep wait for the DPO",
    Kind.ORDER: "replay the audit log",
    Kind.COPY: "replay the audit log",
    Kind.TOMBSTONE: "replay the audit log",
    Kind.DELETED: "destroy it again: the audit log says that it was deleted",
    Kind.AUDIT_TORN: "move the torn end aside, as the next entry does",
    Kind.RESTORED: "have the sweep wait for the DPO",
    Kind.MODE: "take the rights of others away",
    Kind.UNKNOWN: "move it to lost+found",
    Kind.TEMPORARY: "move it to lost+found",
}
"""What a repair does. Other kinds need a person: a backup, or a decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One inconsistency.

    Attributes:
        kind: Its kind.
        where: A path relative to the home, an id, or another name of the place.
        what: A sentence without a full stop.
        recording: Id of the recording, or "".
    """

    kind: Kind
    where: str
    what: str
    recording: str = ""

    @property
    def repair(self) -> str:
        """What a repair would do; "" if it needs a person."""
        return REPAIRS.get(self.kind, "")

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return {
            "kind": str(self.kind),
            "where": self.where,
            "what": self.what,
            "recording": self.recording,
            "repair": self.repair,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedContainer:
    """A finished container, read or only listed.

    Attributes:
        path: Relative to the recordings.
        bytes: Its size.
        row: Its own row, with ``path``, ``bytes`` and ``sha256`` of the file; None: it was not read, or is unreadable.
        expected_path: Where it belongs by its row, or if it was not read by the index; None: unknown.
        problem: Why it cannot be read; None if it can be, or was not read.
        is_ours: It is a container of this node.
    """

    path: str
    bytes: int
    row: RecordingRow | None = None
    expected_path: str | None = None
    problem: str | None = None
    is_ours: bool = True


_OWN_KINDS = {"sha256": Kind.DIGEST, "bytes": Kind.SIZE, "retention_due": Kind.DUE}
_NOT_COMPARED = frozenset({"holds", "peaks", "path"})
"""Holds have a table of their own, peaks are checked when they are drawn, and the path is compared separately."""


def compare_recording(
    recording: RecordingId,
    stored: StoredRow | None,
    containers: Sequence[ScannedContainer],
    *,
    is_filed_later: bool = False,
) -> Iterator[Finding]:
    """Compare the row and the finished files of one recording, and yield the findings.

    Args:
        recording: Its id.
        stored: Its row, or None.
        containers: Its finished files; more than one is a finding.
        is_filed_later: The file is so new that its row may not be stored yet.
    """
    row = stored.row if stored is not None else None
    for one in containers:
        if one.problem is not None:
            kind = Kind.DAMAGED if one.is_ours else Kind.STRANGE
            yield _found(kind, f"recordings/{one.path}", one.problem, recording)
    if stored is not None and stored.wrong_columns:
        names = ", ".join(stored.wrong_columns)
        what = f"the row's {names} cannot be read, or is not what its document says"
        yield _found(Kind.COLUMNS, recording, what, recording)
    if not containers:
        if row is not None and row.path is not None:
            what = f"the index says that it lies at {row.path}: it does not"
            yield _found(Kind.NO_CONTAINER, recording, what, recording)
        return
    known = next((one for one in containers if row is not None and row.path == one.path), containers[0])
    for one in containers:
        if one is not known:
            yield _found(Kind.TWICE, f"recordings/{one.path}", f"the recording lies at {known.path} too", recording)
    if known.is_ours:
        if stored is None and not is_filed_later:
            what = "the index does not know it, so nobody finds it"
            yield _found(Kind.NO_ROW, f"recordings/{known.path}", what, recording)
        yield from _compare_places(row, known, recording)
        if row is not None and row.path is not None:
            yield from _compare_row(row, known)


def _compare_places(row: RecordingRow | None, container: ScannedContainer, recording: RecordingId) -> Iterator[Finding]:
    if container.expected_path is not None and container.expected_path != container.path:
        what = f"it belongs at {container.expected_path}"
        yield _found(Kind.MISPLACED, f"recordings/{container.path}", what, recording)
    elif row is not None and row.path != container.path:
        said = "nothing was kept of it" if row.path is None else f"it lies at {row.path}"
        what = f"it lies at {container.path}, the index says that {said}"
        yield _found(Kind.ROW, recording, what, recording)


def _compare_row(row: RecordingRow, container: ScannedContainer) -> Iterator[Finding]:
    if container.problem is not None:
        return
    if container.row is None:
        if row.bytes != container.bytes:
            what = f"the index says {row.bytes} bytes, the file has {container.bytes}"
            yield _found(Kind.SIZE, row.id, what, row.id)
        return
    said = replace(container.row, holds=row.holds, peaks=row.peaks)
    wrong = [one.name for one in fields(row) if one.name not in _NOT_COMPARED]
    wrong = [name for name in wrong if getattr(row, name) != getattr(said, name)]
    for name in wrong:
        if name in _OWN_KINDS:
            what = f"the index says {name} {getattr(row, name)}, the file {getattr(said, name)}"
            yield _found(_OWN_KINDS[name], row.id, what, row.id)
    others = [name for name in wrong if name not in _OWN_KINDS]
    if others:
        yield _found(Kind.ROW, row.id, f"the index and the file differ in {', '.join(others)}", row.id)


def _found(kind: Kind, where: str, what: str, recording: RecordingId) -> Finding:
    return Finding(kind=kind, where=where, what=what, recording=recording)
