"""Results about messages, mail and the home."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMail:
    """A test mail that the server accepted."""

    address: str
    server: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MailAddress:
    """The mail address of an account, or none."""

    account: str
    address: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNotice:
    """A new version of a message."""

    name: str
    version: int
    duration_s: float
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedHome:
    """How many files of a home have, or would have, other rights."""

    changed: int
    dry_run: bool
