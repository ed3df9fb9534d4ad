"""Findings of `recorder site-check`: what was checked, why it matters, and what to do.

An *error* keeps the recorder from working; a *warning* is anything else that needs attention.
"""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """Severity of a finding; only an error makes `recorder site-check` fail."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFinding:
    """Result of one check. ``why`` and ``do`` are empty if it passed."""

    level: Level
    what: str
    says: str
    why: str = ""
    do: str = ""


def ok(what: str, says: str) -> SiteFinding:
    """Return the finding of a check that passed."""
    return SiteFinding(level=Level.OK, what=what, says=says)


def warning(what: str, says: str, *, why: str, do: str) -> SiteFinding:
    """Return a finding that needs attention."""
    return SiteFinding(level=Level.WARNING, what=what, says=says, why=why, do=do)


def error(what: str, says: str, *, why: str, do: str) -> SiteFinding:
    """Return a finding that keeps the recorder from working."""
    return SiteFinding(level=Level.ERROR, what=what, says=says, why=why, do=do)
