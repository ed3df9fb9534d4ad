"""What `recorder site-check` found: what it is, why it matters and what to do.

An *error* is what keeps the recorder from working; everything else that somebody should look at is a *warning*.
"""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is; only an error makes `recorder site-check` fail."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFinding:
    """One thing that was looked at. ``why`` and ``do`` are empty when all is well."""

    level: Level
    what: str
    says: str
    why: str = ""
    do: str = ""


def ok(what: str, says: str) -> SiteFinding:
    """Return that something is as it should be."""
    return SiteFinding(level=Level.OK, what=what, says=says)


def warning(what: str, says: str, *, why: str, do: str) -> SiteFinding:
    """Return a finding that somebody should look at."""
    return SiteFinding(level=Level.WARNING, what=what, says=says, why=why, do=do)


def error(what: str, says: str, *, why: str, do: str) -> SiteFinding:
    """Return a finding that keeps the recorder from working."""
    return SiteFinding(level=Level.ERROR, what=what, says=says, why=why, do=do)
