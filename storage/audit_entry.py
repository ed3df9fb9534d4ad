"""One entry of the audit log: how it becomes a line, how a line is read, what must hold between two. Pure.

A line is JSON with sorted keys, ``,`` and ``:`` without blanks, ASCII, and a line feed. ``hash`` is the SHA-256 of the
line without its ``"hash":"...",`` and without the line feed: of bytes, so that nothing in a line can change unseen.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RECORDER = "recorder"
"""Actor of what the recorder does itself, when no person acts."""
GENESIS = "0" * 64
"""``prev`` of the first entry."""
LONGEST_BYTES = 1 << 26
"""No line that we write is longer; one that is read and is, is no entry, and is not read into memory."""

_HASH, _AFTER_HASH = b',"hash":"', b'","n":'
_HEX = 64
_NAMES = frozenset({"n", "at", "act", "actor", "subject", "details", "text", "prev", "hash"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One act.

    Attributes:
        number: Counts from 1 without a gap.
        at: When, UTC.
        act: What, ``noun.verb``.
        actor: Who.
        subject: On what, or "".
        details: JSON-able facts; no free text.
        text_commitment: SHA-256 of salt and free text, or None; `AuditLog.text` has the text until it expires.
        previous: Hash of the entry before.
        hash: SHA-256 of the entry's line without it, ``previous`` included.
    """

    number: int
    at: str
    act: str
    actor: str
    subject: str
    details: dict[str, Any] = field(default_factory=dict)
    text_commitment: str | None = None
    previous: str
    hash: str

    def to_json(self) -> dict[str, Any]:
        """Return the entry with the names that the file has."""
        return {
            "n": self.number,
            "at": self.at,
            "act": self.act,
            "actor": self.actor,
            "subject": self.subject,
            "details": self.details,
            "text": self.text_commitment,
            "prev": self.previous,
            "hash": self.hash,
        }


def line_of(fields: Mapping[str, Any]) -> bytes:
    """Return the line of an entry, its line feed included.

    Args:
        fields: What `AuditEntry.to_json` has, without ``hash``.

    Raises:
        ValueError, TypeError: They are no JSON.
    """
    digest = hashlib.sha256(_canonical(fields)).hexdigest()
    return _canonical({**fields, "hash": digest}) + b"\n"


def parse_line(line: bytes) -> AuditEntry:
    """Read a line, with its line feed or without.

    Raises:
        ValueError: It is not an entry, or its hash does not fit.
    """
    body = line.removesuffix(b"\n")
    at = body.rfind(_HASH)  # what follows it are plain values, and in those a quote is escaped
    end = at + len(_HASH) + _HEX
    if at < 0 or not body.startswith(_AFTER_HASH, end):
        raise ValueError("it is not an entry")
    stated = body[at + len(_HASH) : end]
    if hashlib.sha256(body[:at] + body[end + 1 :]).hexdigest().encode("ascii") != stated:
        raise ValueError("its hash does not fit: it was changed")
    try:
        fields = json.loads(body.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not an entry") from error
    if not isinstance(fields, dict) or fields.keys() != _NAMES or not isinstance(fields["n"], int):
        raise ValueError("it is not an entry")
    return AuditEntry(
        number=fields["n"],
        at=fields["at"],
        act=fields["act"],
        actor=fields["actor"],
        subject=fields["subject"],
        details=fields["details"],
        text_commitment=fields["text"],
        previous=fields["prev"],
        hash=fields["hash"],
    )


def break_between(last: AuditEntry | None, entry: AuditEntry) -> str | None:
    """Return why an entry cannot be the one after another, or None: it can."""
    number, previous = (last.number + 1, last.hash) if last else (1, GENESIS)
    if entry.number > number:
        missing = f"entry {number} is" if entry.number == number + 1 else f"entries {number} to {entry.number - 1} are"
        return f"{missing} missing before it: it has number {entry.number}"
    if entry.number < number:
        return f"it has number {entry.number}, expected {number}: it is there twice, or in the wrong place"
    if entry.previous != previous:
        return "it does not follow from the entry before"
    return None


def commitment_of(salt: bytes, text: str) -> str:
    """Return what an entry says of its free text: SHA-256 of the salt and the text in UTF-8."""
    return hashlib.sha256(salt + text.encode()).hexdigest()


def _canonical(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")
