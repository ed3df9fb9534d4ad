"""What the data protection officer compares after an index was rebuilt or restored, before the sweep goes on."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recorder.audit.anchoring import NODE_CHARACTERS
from recorder.common.home import Home
from recorder.permissions import MIN_REASON_CHARACTERS
from recorder.recordings.agreement import Mark, agree, look, read_mark
from recorder.recordings.fsck import Checker
from recorder.recordings.fsck_recordings import Progress
from recorder.recordings.replay import survey
from storage.anchors import Anchors
from storage.audit import AuditLog
from storage.database import Database
from storage.errors import StorageError
from storage.fsck import Kind
from storage.holds import Holds
from storage.rows import time_to_json
from storage.vault import Vault

RECONCILED = "index.reconciled"
"""Act of the audit log."""


class NothingToReconcileError(StorageError):
    """The sweep does not wait for a confirmation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The present state, and what a reindex found.

    Attributes:
        mark: Why the sweep waits, or None.
        holds: Held recordings.
        findings: Number of findings by kind, without reading containers.
        audit_entries: Readable entries of the audit log.
        audit_unreadable: Unreadable lines of it.
        unknown_acts: Acts of it that this version does not know, with their number.
        anchors: A sentence on the newest anchor by target; empty without anchors.
    """

    mark: Mark | None
    rows: int
    containers: int
    keys: int
    holds: int
    findings: dict[str, int]
    audit_entries: int
    audit_unreadable: int
    unknown_acts: dict[str, int]
    anchors: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        mark = self.mark
        return {
            "waits": mark is not None,
            "since": None if mark is None else time_to_json(mark.since),
            "why": [] if mark is None else list(mark.why),
            "reindex": {} if mark is None else dict(mark.facts),
            "rows": self.rows,
            "containers": self.containers,
            "keys": self.keys,
            "recordings_held": self.holds,
            "containers_without_row": self.findings.get(Kind.NO_ROW, 0),
            "rows_without_container": self.findings.get(Kind.NO_CONTAINER, 0),
            "holds_that_differ": self.findings.get(Kind.HOLD, 0),
            "findings": dict(self.findings),
            "audit_entries": self.audit_entries,
            "audit_unreadable": self.audit_unreadable,
            "audit_unknown_acts": dict(self.unknown_acts),
            "anchors": dict(self.anchors),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """Reports, and takes the data protection officer's confirmation.

    Attributes:
        now: The clock, UTC.
        is_live: A daemon is running.
    """

    home: Home
    vault: Vault
    database: Database
    audit: AuditLog
    now: Callable[[], datetime]
    is_live: bool

    def report(self, progress: Progress = lambda _done, _total: None, total: int = 0) -> Report:
        """Report the present state. Nothing is changed, except that a restore found now makes the sweep wait.

        Raises:
            StorageError, OSError: Database, audit log or disk cannot be read.
        """
        look(self.home.state, self.database, self.audit, self.now(), is_noted=False)
        checker = Checker(
            home=self.home, vault=self.vault, database=self.database, audit=self.audit, now=self.now,
            is_live=self.is_live, is_quick=True,
        )  # fmt: skip
        kinds = Counter(str(finding.kind) for finding in checker.findings(progress, total))
        log = survey(self.audit)
        return Report(
            mark=read_mark(self.home.state),
            rows=checker.counts["rows"],
            containers=checker.counts["containers"],
            keys=checker.counts["keys"],
            holds=sum(1 for _ in Holds(self.database).held_ids(self.now())),
            findings=dict(kinds),
            audit_entries=log.entries,
            audit_unreadable=log.unreadable,
            unknown_acts=dict(log.unknown),
            anchors=self._anchors(),
        )

    def _anchors(self) -> dict[str, str]:
        anchors = Anchors(self.database, self.vault.node.fingerprint[:NODE_CHARACTERS])
        bad = self.audit.verify(anchors.heads()).bad
        said = "the log still has it" if bad is None else bad.sentence
        return {
            name: f"entry {one.number} was noted on {time_to_json(one.at)}: {said}"
            for name, one in anchors.newest().items()
        }

    def confirm(self, by: str, reason: str, report: Report) -> None:
        """Let the sweep go on.

        Args:
            by: The data protection officer; the caller has checked that.
            reason: Why it may.
            report: What they saw, for the audit log.

        Raises:
            NothingToReconcileError: It does not wait.
            StorageError, OSError: Audit log, database or disk cannot be written; the sweep still waits.
        """
        if read_mark(self.home.state) is None:
            raise NothingToReconcileError("the sweep does not wait: there is nothing to confirm")
        if len(reason.strip()) < MIN_REASON_CHARACTERS:
            raise StorageError("a reason is needed: say what was compared, in words that can be checked later")
        seen = {name: value for name, value in report.as_json().items() if name not in ("reindex", "anchors")}
        self.audit.append(RECONCILED, by, "", {**seen, "at": time_to_json(self.now())}, reason)
        agree(self.home.state, self.database, self.audit)
