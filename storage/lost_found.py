"""Moves files to ``lost+found/<time>-<hex>/`` instead of deleting them, with a note of old path and reason."""

import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from storage.durable import make_folder, save_atomically, sync_folder
from storage.rows import time_to_json

FOLDER = "lost+found"
_NOTE = ".note.json"


class LostFound:
    """One folder of lost+found, for one run; made when it is needed.

    Args:
        home: The recorder's home; files are moved within it, on the same file system.
        now: The time, aware.
    """

    def __init__(self, home: Path, now: datetime) -> None:
        self._home = home
        self._now = now
        self._folder = home / FOLDER / f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        self._count = 0

    def take(self, path: Path, why: str) -> str:
        """Move a file or link; returns its new path, relative to the home.

        The note is durable first, so a kill may leave a note of a file that was not moved.

        Raises:
            OSError: From the system; the file was not moved.
        """
        where = path.relative_to(self._home).as_posix()
        target = self._next(path.name.lstrip("."))
        self._note(target, {"was_at": where, "why": why})
        path.rename(target)
        sync_folder(target.parent)
        sync_folder(path.parent)
        return target.relative_to(self._home).as_posix()

    def keep(self, name: str, content: Mapping[str, Any], why: str) -> str:
        """Store data that is about to be replaced, such as a row; returns the note's path, relative to the home."""
        target = self._next(name)
        self._note(target, {"was": dict(content), "why": why})
        return f"{target.relative_to(self._home).as_posix()}{_NOTE}"

    def _next(self, name: str) -> Path:
        make_folder(self._folder)
        self._count += 1
        return self._folder / f"{self._count:05d}-{name}"

    def _note(self, target: Path, content: Mapping[str, Any]) -> None:
        note = {**content, "at": time_to_json(self._now)}
        save_atomically(target.with_name(target.name + _NOTE), json.dumps(note, indent=1).encode() + b"\n")
