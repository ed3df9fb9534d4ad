"""Verifies the copies of audit logs in the database: each chain, its columns, noted heads, and the log of this home."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from recorder.audit.anchoring import NODE_CHARACTERS
from storage.audit import AuditLog
from storage.audit_chain import NotedHeads
from storage.audit_copies import AuditCopies, CopiedEntry, CopiedLog
from storage.audit_entry import GENESIS, AuditEntry, break_between
from storage.heads import Head
from storage.rows import time_from_json

BEHIND_AFTER = timedelta(minutes=5)
"""Entries are copied within a second; one that is older and is not there is missing."""


@dataclass(slots=True, kw_only=True)
class CopyState:
    """The result of verifying the copy of one log.

    Attributes:
        name: Name of the log.
        entries: Number of good entries before the first bad one.
        head: Hash of the last good entry.
        heads: Number of heads noted elsewhere that are in it.
        waiting: Entries of this home's log that are not copied yet.
        problems: Sentences; empty if the copy is as it was written.
    """

    name: str
    entries: int = 0
    head: str = GENESIS
    heads: int = 0
    waiting: int = 0
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {
            "name": self.name, "ok": not self.problems, "entries": self.entries, "head": self.head,
            "heads": self.heads, "waiting": self.waiting, "problems": list(self.problems),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiesCheck:
    """Verifies all copies in a database; constant memory.

    Attributes:
        copies: The copies.
        log: The log of this home, and its name and fingerprint among them.
        heads: Heads that were noted elsewhere, of any log.
        now: When this is, UTC.
    """

    copies: AuditCopies
    log: AuditLog
    name: str
    fingerprint: str
    heads: Sequence[Head]
    now: datetime

    def run(self) -> Iterator[CopyState]:
        """Yield the state of each copy, by name; then one for each log of which heads were noted, and that has no copy.

        Raises:
            DatabaseError, OSError: The database cannot be read.
            AuditUnavailableError: The log of this home cannot be read.
        """
        logs = self.copies.logs()
        for copied in logs:
            yield self._state(copied)
        for name in sorted(self.copies.names() - {one.name for one in logs}):
            problem = f"the audit log {name!r} has entries in the database, but is not in its list: somebody changed it"
            yield CopyState(name=name, problems=[problem])
        known = {one.fingerprint[:NODE_CHARACTERS] for one in logs} | {self.fingerprint[:NODE_CHARACTERS]}
        for node in sorted({head.node for head in self._due_heads()} - known - {""}):
            problem = f"heads of the audit log of node {node} were noted, but the database has no copy of it"
            yield CopyState(name=node, problems=[problem])

    def _due_heads(self) -> Iterator[Head]:
        """Yield the heads that were noted long enough ago for their entry to be copied."""
        return (head for head in self.heads if head.at is None or self.now - head.at >= BEHIND_AFTER)

    def _state(self, copied: CopiedLog) -> CopyState:
        state = CopyState(name=copied.name)
        noted = NotedHeads.of(h for h in self._due_heads() if h.node == copied.fingerprint[:NODE_CHARACTERS])
        own: Iterator[AuditEntry] = iter(())
        is_own = copied.name == self.name
        if is_own and copied.fingerprint == self.fingerprint:
            own = self.log.entries()
        elif is_own:
            state.problems.append(
                f"the copy {copied.name!r} is of another machine, with the key {copied.fingerprint[:NODE_CHARACTERS]}: "
                "give one of the two another name"
            )
            is_own = False
        with closing(self.copies.walk(copied.name)) as rows:
            problem = _walk(rows, noted, own if is_own else None, state)
        problem = problem or noted.problem_behind(state.entries)
        if problem is not None:
            state.problems.append(f"copy of {copied.name}, entry {state.entries + 1}: {problem}")
        elif is_own:
            self._count_waiting(own, state)
        state.heads = noted.found
        return state

    def _count_waiting(self, own: Iterator[AuditEntry], state: CopyState) -> None:
        oldest = next(own, None)
        if oldest is None:
            return
        state.waiting = 1 + sum(1 for _ in own)
        at = time_from_json(oldest.at)
        if at is not None and self.now - at >= BEHIND_AFTER:
            state.problems.append(
                f"copy of {state.name}: it is behind the log here, whose entries {oldest.number} to "
                f"{oldest.number + state.waiting - 1} are not in it: its end was cut off, or nothing has been copied "
                f"since {oldest.at}"
            )


def _walk(
    rows: Iterable[CopiedEntry], noted: NotedHeads, own: Iterator[AuditEntry] | None, state: CopyState
) -> str | None:
    """Follow a copy to its first bad entry; return what is wrong with that, or None."""
    last: AuditEntry | None = None
    for row in rows:
        try:
            entry = row.entry()
        except ValueError as error:
            return str(error)
        problem = break_between(last, entry) or noted.problem_at(entry)
        if problem is None and not row.is_derived_from(entry):
            problem = "its columns, by which it is found, are not those of its line: they were changed"
        if problem is None and own is not None:
            problem = _difference(entry, own)
        if problem is not None:
            return problem
        last = entry
        state.entries, state.head = entry.number, entry.hash
    return None


def _difference(entry: AuditEntry, own: Iterator[AuditEntry]) -> str | None:
    ours = next(own, None)
    if ours is None:
        return "the log here ends before it, or is damaged there"
    return None if ours.hash == entry.hash else "it differs from the entry in the log here"
