"""Heads of the audit log: their form in anchors on other machines, and reading them back.

A person who can write to the log can forge a whole new chain, but cannot change an anchor on another machine. So number
and hash of the newest entry are regularly sent to other machines.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from storage.errors import StorageError
from storage.rows import time_from_json, time_to_json

KIND = "recorder-audit-head"
_BEGINNING = f'{{"anchor":"{KIND}",'
_HEX = frozenset("0123456789abcdef")
_HASH_CHARACTERS = 64
_DECODER = json.JSONDecoder()


class AnchorsUnreadableError(StorageError):
    """A file of anchors cannot be read, or has no anchor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest entry of a log at some moment.

    Attributes:
        number: Number of the entry; None if only its hash is known.
        hash: Hash of the entry.
        at: When it was noted, aware; None if unknown.
        node: Node of the log: the first 16 hex digits of the SHA-256 of its public key; "" if unknown.
    """

    number: int | None
    hash: str
    at: datetime | None = None
    node: str = ""

    @property
    def words(self) -> str:
        """The head in words, for people."""
        number = "a head" if self.number is None else f"head {self.number}"
        return f"{number}, {self.hash[:16]}…{'' if self.at is None else f', on {time_to_json(self.at)}'}"

    def to_line(self) -> str:
        """Return the head as one line of JSON without a line feed, as in every anchor."""
        fields = {"at": time_to_json(self.at), "hash": self.hash, "n": self.number, "node": self.node}
        return _BEGINNING + json.dumps(fields, separators=(",", ":"))[1:]


def parse_head(text: str) -> Head:
    """Parse ``HASH`` or ``NUMBER:HASH``, as a person types it.

    Raises:
        ValueError: It is neither; the message is a sentence.
    """
    number, colon, digest = text.strip().rpartition(":")
    digest = digest.lower()
    is_number = number.isascii() and number.isdigit() and int(number) > 0
    if len(digest) != _HASH_CHARACTERS or not _HEX.issuperset(digest) or (colon and not is_number):
        raise ValueError(f"{text!r} is no head: write the 64 hex digits of its hash, or NUMBER:HASH")
    return Head(number=int(number) if colon else None, hash=digest)


def heads_in(text: str) -> Iterator[Head]:
    """Yield the heads in any text (syslog, mail, files of anchors); other content is skipped."""
    at = text.find(_BEGINNING)
    while at >= 0:
        try:
            fields, _ = _DECODER.raw_decode(text, at)
            yield _head(fields)
        except (ValueError, KeyError, TypeError):
            pass  # a line that was cut
        at = text.find(_BEGINNING, at + 1)


def read_heads(path: Path) -> list[Head]:
    """Return the heads in a file, or in all files of a folder.

    Raises:
        AnchorsUnreadableError: It cannot be read, or has no head.
    """
    try:
        files = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
        found = [head for one in files for head in _heads_of(one)]
    except OSError as error:
        raise AnchorsUnreadableError(f"{path} cannot be read: {error.strerror}") from error
    if not found:
        raise AnchorsUnreadableError(f"{path} holds no anchor: a line that begins with {_BEGINNING}")
    return found


def _heads_of(path: Path) -> Iterator[Head]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            yield from heads_in(line)


def _head(fields: dict[str, Any]) -> Head:
    head = parse_head(f"{int(fields['n'])}:{fields['hash']}")
    return Head(number=head.number, hash=head.hash, at=time_from_json(fields["at"]), node=str(fields["node"]))
