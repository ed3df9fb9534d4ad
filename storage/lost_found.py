"""Moves files aside instead of deleting them: ``lost+found/<time>-<hex>/``, with a note of where each lay, and why."""

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
    """One folder of what was moved aside together; made when it is needed.

    Args:
        home: The recorder's home; what is moved lies below it, on the same file system.
        now: When, aware.
    """

    def __init__(self, home: Path, now: datetime) -> None:
        self._home = home
        self._now = now
        self._folder = home / FOLDER / f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        self._count = 0

    def take(self, path: Path, why: str) -> str:
        """Move a file, or a link itself, aside; returns where it lies now, relative to the home.

        The note is durable first: killed in between, there is a note of a file that has not moved.

        Raises:
            OSError: As the system says; the file is where it was.
        """
        where = path.relative_to(self._home).as_posix()
        target = self._next(path.name.lstrip("."))
        self._note(target, {"was_at": where, "why": why})
        path.rename(target)
        sync_folder(target.parent)
        sync_folder(path.parent)
        return target.relative_to(self._home).as_posix()

    def keep(self, name: str, content: Mapping[str, Any], why: str) -> str:
        """Write down what is about to be replaced, a row for one; returns where, relative to the home."""
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
