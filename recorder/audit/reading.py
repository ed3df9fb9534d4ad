"""Searches the audit log, formats entries and verification results, and stores the last verification."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from recorder.audit.anchoring import NODE_CHARACTERS
from recorder.common.home import Home
from storage.anchors import Anchors
from storage.audit import AuditLog
from storage.audit_chain import AuditState, BadEntry
from storage.audit_entry import AuditEntry
from storage.audit_reading import newest_first
from storage.durable import make_folder, save_atomically
from storage.errors import StorageError
from storage.heads import Head
from storage.keys import NodeKeys
from storage.rows import time_from_json, time_to_json

VERIFIED = "audit_verified.json"
"""In the home's folder of states: the last verification."""
EXPORT = "audit.export"
"""Act of the audit log: a copy of it was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """A search for entries; None matches all.

    Attributes:
        act: One act, ``call.pause``, or all of a noun, ``call``.
        actor: Who did it.
        subject: The beginning of the subject.
        start: From this moment on.
        end: Before this moment.
        node: Name of a log, where those of several machines are read.
    """

    act: str | None = None
    actor: str | None = None
    subject: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    node: str | None = None

    def fits(self, entry: AuditEntry) -> bool:
        """Tell whether an entry matches."""
        if self.act is not None and entry.act != self.act and not entry.act.startswith(f"{self.act}."):
            return False
        if self.actor is not None and entry.actor != self.actor:
            return False
        if self.subject is not None and not entry.subject.startswith(self.subject):
            return False
        if self.start is None and self.end is None:
            return True
        at = time_from_json(entry.at)
        assert at is not None
        return (self.start is None or at >= self.start) and (self.end is None or at < self.end)

    def describe(self, *, with_texts: bool) -> dict[str, Any]:
        """Return what the audit log keeps permanently of a search in it: nothing that was typed."""
        return {
            "act": self.act if self.act is None or self.act.replace(".", "").replace("_", "").isalnum() else "other",
            "from": time_to_json(self.start),
            "to": time_to_json(self.end),
            "by": [name for name in ("actor", "subject") if getattr(self, name) is not None],
            "texts": with_texts,
            **({} if self.node is None else {"node": self.node}),
        }

    @property
    def typed(self) -> str:
        """Return what was typed, as free text of the entry, which may expire."""
        return "; ".join(f"{name}: {getattr(self, name)}" for name in ("actor", "subject") if getattr(self, name))


def entries_found(
    log: AuditLog, query: AuditQuery, *, before: int | None = None, look_at: int | None = None
) -> Iterator[AuditEntry]:
    """Yield matching entries, newest first.

    Args:
        log: The audit log.
        query: The search.
        before: Only entries with a lower number.
        look_at: Most entries to look at; None for all.

    Raises:
        AuditUnavailableError: The log cannot be read, or a line is not an entry; entries yielded before are valid.
    """
    looked_at = 0
    for entry in newest_first(log.path):
        if before is not None and entry.number >= before:
            continue
        if look_at is not None and looked_at >= look_at:
            return
        looked_at += 1
        if query.fits(entry):
            yield entry


def entry_to_json(entry: AuditEntry, log: AuditLog, *, with_text: bool) -> dict[str, Any]:
    """Return an entry as in the file; ``text`` stays the hash, ``free_text`` is the text."""
    fields = entry.to_json()
    return {**fields, "free_text": log.text(entry)} if with_text else fields


def own_heads(heads: list[Head], home: Home) -> tuple[list[Head], list[Head]]:
    """Return the heads that may be of this home's log, and the others."""
    try:
        node = NodeKeys.load(home.root).fingerprint[:NODE_CHARACTERS]
    except StorageError:
        return heads, []  # a copy of the log without keys: the caller knows the node
    own = [head for head in heads if head.node in ("", node)]
    return own, [head for head in heads if head not in own]


def noted_heads(anchors: Anchors) -> list[Head]:
    """Return the heads that the database lists as anchored, each once.

    Raises:
        DatabaseError, OSError: The database cannot be used.
    """
    return list({(head.number, head.hash): head for head in anchors.heads()}.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The result of the last verification."""

    at: datetime
    entries: int
    head: str
    heads: int
    problems: tuple[str, ...]


def problems_of(state: AuditState) -> list[str]:
    """Return what is wrong; that includes a log without entries, because it begins with a recorder's first act."""
    if state.entries == 0 and not state.problems:
        return ["there are no entries: the log is missing, or was emptied"]
    return state.problems


def state_to_json(state: AuditState) -> dict[str, Any]:
    """Return the result of a verification as JSON values."""
    return {
        "ok": not problems_of(state),
        "entries": state.entries,
        "head": state.head,
        "bytes": state.bytes,
        "heads": state.heads,
        "texts": state.texts,
        "gone_texts": state.gone_texts,
        "stray_texts": state.stray_texts,
        "bad": _bad_to_json(state.bad),
        "bad_texts": [_bad_to_json(one) for one in state.bad_texts],
        "problems": problems_of(state),
        "moved_aside": [{"n": one.number, "at": one.at, **one.details} for one in state.moved_aside],
    }


def _bad_to_json(bad: BadEntry | None) -> dict[str, Any] | None:
    if bad is None:
        return None
    return {"n": bad.number, "line": bad.line, "offset": bad.offset, "problem": bad.problem}


def note_verified(folder: Path, state: AuditState, at: datetime, problems: Sequence[str] = ()) -> None:
    """Store the result of a verification, for the console's page.

    Args:
        folder: The home's folder of states.
        state: The result.
        at: When.
        problems: What is wrong with copies in the database.

    Raises:
        OSError: It cannot be stored.
    """
    make_folder(folder)
    found = {
        "at": time_to_json(at),
        "entries": state.entries,
        "head": state.head,
        "heads": state.heads,
        "problems": [*problems_of(state), *problems],
    }
    save_atomically(folder / VERIFIED, json.dumps(found).encode())


def last_verified(folder: Path) -> Verified | None:
    """Return the result of the last verification; None if there is none, or it cannot be read."""
    try:
        found = json.loads((folder / VERIFIED).read_bytes())
        at = time_from_json(found.pop("at"))
        assert at is not None
        return Verified(**{**found, "at": at, "problems": tuple(found["problems"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None
