"""Paths in the findings of fsck."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from storage.fsck import Finding, Kind

REC, PART, ERASING = ".rec", ".part", ".erasing"
SETTLED_S = 24 * 3600.0
"""Age up to which a key needs no file yet, and a temporary file is no left-over, seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeFiles:
    """Names and ages of the files of one home.

    Attributes:
        root: The home.
        now: The clock, UTC.
    """

    root: Path
    now: Callable[[], datetime]

    def finding(self, kind: Kind, path: Path, what: str, recording: str = "") -> Finding:
        """Return a finding about a file."""
        return Finding(kind=kind, where=self.where(path), what=what, recording=recording)

    def where(self, path: Path) -> str:
        """Return the path of a file relative to the home."""
        return path.relative_to(self.root).as_posix()

    def age_s(self, path: Path) -> float:
        """Return how long a file has been unchanged, seconds; 0 if it is gone."""
        try:
            return self.now().timestamp() - path.lstat().st_mtime
        except FileNotFoundError:
            return 0.0


def deleted(recording: str, where: str, what: str) -> Finding:
    """Return the finding that something of a deleted recording exists."""
    return Finding(kind=Kind.DELETED, where=where, what=what, recording=recording)
