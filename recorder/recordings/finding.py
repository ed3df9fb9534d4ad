"""How findings of fsck name what lies in a home."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from storage.fsck import Finding, Kind

REC, PART, ERASING = ".rec", ".part", ".erasing"
SETTLED_S = 24 * 3600.0
"""A key may be so old before there must be a file that it opens; a temporary file, before it is a left-over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The files of one home.

    Attributes:
        root: The home.
        now: The clock, UTC.
    """

    root: Path
    now: Callable[[], datetime]

    def finding(self, kind: Kind, path: Path, what: str, recording: str = "") -> Finding:
        """Return what is wrong with a file."""
        return Finding(kind=kind, where=self.where(path), what=what, recording=recording)

    def where(self, path: Path) -> str:
        """Return how a file of the home is named."""
        return path.relative_to(self.root).as_posix()

    def age_s(self, path: Path) -> float:
        """Return for how long a file has not been changed, seconds; 0 of one that is gone."""
        try:
            return self.now().timestamp() - path.lstat().st_mtime
        except FileNotFoundError:
            return 0.0


def deleted(recording: str, where: str, what: str) -> Finding:
    """Return that something of a recording is there which was deleted."""
    return Finding(kind=Kind.DELETED, where=where, what=what, recording=recording)
