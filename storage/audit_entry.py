"""One entry of the audit log: writing and parsing its line, and checking that one entry follows another. Pure.

A line is JSON with sorted keys, ``,`` and ``:`` without blanks, ASCII, and a line feed. ``hash`` is the SHA-256 of the
bytes of the line without ``"hash":"...",`` and without the line feed, so that every change of a line is noticed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RECORDER = "recorder"
"""Actor of acts of the recorder itself."""
GENESIS = "0" * 64
"""``prev`` of the first entry."""
LONGEST_BYTES = 1 << 26
"""Longest line of an entry; a longer line is not read into memory."""

_HASH, _AFTER_HASH = b',"hash":"', b'","n":'
_HEX = 64
_NAMES = frozenset({"n", "at", "act", "actor", "subject", "details", "text", "prev", "hash"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One entry: an act.

    Attributes:
        number: Counts from 1 without a gap.
        at: When, UTC.
        act: What was done, ``noun.verb``.
        actor: Who did it.
        subject: What it was done to, or "".
        details: JSON-able facts; no free text.
        text_commitment: SHA-256 of salt and free text, or None; `AuditLog.text` returns the text until it expires.
        previous: Hash of the entry before.
        hash: SHA-256 of the line without ``hash``; covers ``previous``.
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
        """Return the entry with the names of the file."""
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
    """Return the line of an entry, with its line feed.

    Args:
        fields: The fields of `AuditEntry.to_json`, without ``hash``.

    Raises:
        ValueError, TypeError: They cannot be JSON.
    """
    digest = hashlib.sha256(_canonical(fields)).hexdigest()
    return _canonical({**fields, "hash": digest}) + b"\n"


def parse_line(line: bytes) -> AuditEntry:
    """Parse a line, with or without its line feed.

    Raises:
        ValueError: It is not an entry, or its hash does not match.
    """
    body = line.removesuffix(b"\n")
    at = body.rfind(_HASH)  # quotes in the values after it are escaped
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


def stored_line(entry: AuditEntry) -> str:
    """Return the line of an entry, without its line feed, as it is in the log."""
    return _canonical(entry.to_json()).decode("ascii")


def break_between(last: AuditEntry | None, entry: AuditEntry) -> str | None:
    """Return why an entry cannot follow another, or None: it can."""
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
    """Return the commitment to a free text: SHA-256 of the salt and the text in UTF-8."""
    return hashlib.sha256(salt + text.encode()).hexdigest()


def _canonical(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")
