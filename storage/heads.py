"""Heads of the audit log, as they are noted elsewhere: what is said of one, and how it is read back.

Whoever can write to the log can write a new one that follows from itself. What they cannot do is change what another
machine was told: so the number and hash of the newest entry are told to one, again and again.
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
    """A file of anchors cannot be read, or there is none in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest entry of a log at some moment.

    Attributes:
        number: Of the entry; None where only its hash is known.
        hash: Of the entry.
        at: When it was noted, aware; None where nobody said.
        node: Whose log: the first 16 hex digits of the SHA-256 of the node's public key; "" where nobody said.
    """

    number: int | None
    hash: str
    at: datetime | None = None
    node: str = ""

    @property
    def words(self) -> str:
        """Return it for people."""
        number = "a head" if self.number is None else f"head {self.number}"
        return f"{number}, {self.hash[:16]}…{'' if self.at is None else f', on {time_to_json(self.at)}'}"

    def to_line(self) -> str:
        """Return it as one line of JSON, without a line feed: what every anchor holds."""
        fields = {"at": time_to_json(self.at), "hash": self.hash, "n": self.number, "node": self.node}
        return _BEGINNING + json.dumps(fields, separators=(",", ":"))[1:]


def parse_head(text: str) -> Head:
    """Read ``HASH`` or ``NUMBER:HASH``, as a person notes it.

    Raises:
        ValueError: It is neither; a sentence.
    """
    number, colon, digest = text.strip().rpartition(":")
    digest = digest.lower()
    is_number = number.isascii() and number.isdigit() and int(number) > 0
    if len(digest) != _HASH_CHARACTERS or not _HEX.issuperset(digest) or (colon and not is_number):
        raise ValueError(f"{text!r} is no head: write the 64 hex digits of its hash, or NUMBER:HASH")
    return Head(number=int(number) if colon else None, hash=digest)


def heads_in(text: str) -> Iterator[Head]:
    """Yield the heads in a text of any kind: syslog, mails, files of anchors; what is not one is passed over."""
    at = text.find(_BEGINNING)
    while at >= 0:
        try:
            fields, _ = _DECODER.raw_decode(text, at)
            yield _head(fields)
        except (ValueError, KeyError, TypeError):
            pass  # a line that was cut; what it said is not known
        at = text.find(_BEGINNING, at + 1)


def read_heads(path: Path) -> list[Head]:
    """Return the heads in a file, or in all files of a folder.

    Raises:
        AnchorsUnreadableError: It cannot be read, or there is none in it.
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
