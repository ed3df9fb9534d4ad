"""The messages that callers hear, stored by name and version.

No version is ever deleted: a call's row has the hash of the message that was played, and its file can be found by that.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio.prompts import LoadedPrompt, PromptError, load_prompt
from audio.types import Prompt
from recorder.common.clock import utc_now
from storage.durable import save_atomically
from storage.group_modes import file_mode, is_shared

SHIPPED = Path(__file__).parent / "notices"
NAMES = ("first", "second")


class NoticeError(Exception):
    """A message cannot be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One version of a message, loaded."""

    name: str
    version: int
    sha256: str
    prompt: Prompt

    def as_json(self) -> dict[str, Any]:
        """Return name, version and hash, as JSON-serialisable values."""
        return {"name": self.name, "version": self.version, "sha256": self.sha256}


class NoticeStore:
    """The folder of messages; the newest version of each name is in use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def _catalogue(self) -> Path:
        return self._folder / "catalogue.json"

    def versions(self) -> list[dict[str, Any]]:
        """Return the catalogue's entries, one for each version of each message, oldest first.

        Raises:
            NoticeError: The catalogue cannot be read.
        """
        if not self._catalogue.exists():
            return []
        try:
            listed: list[dict[str, Any]] = json.loads(self._catalogue.read_text())
        except (OSError, ValueError) as error:
            raise NoticeError(f"{self._catalogue} cannot be read: {error}") from error
        return listed

    def put(self, name: str, source: Path, *, by: str) -> Message:
        """Store a WAV, FLAC or OGG file as the newest version of a message.

        Raises:
            NoticeError: The file is not a usable sound file; nothing was changed.
        """
        loaded = self._load(name, source)
        prompt, sha256 = loaded.prompt, loaded.sha256
        versions = self.versions()
        number = 1 + max((v["version"] for v in versions if v["name"] == name), default=0)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        stored = self._folder / f"{sha256}{source.suffix.lower()}"
        if not stored.exists():
            shutil.copyfile(source, stored)
            if is_shared(self._folder):
                stored.chmod(file_mode(self._folder))  # the daemon may run as another OS user
        entry = {
            "name": name,
            "version": number,
            "sha256": sha256,
            "file": stored.name,
            "duration_s": round(prompt.duration_s, 2),
            "set_at": utc_now().isoformat(timespec="seconds").replace("+00:00", "Z"),
            "set_by": by,
        }
        save_atomically(self._catalogue, json.dumps([*versions, entry], indent=1).encode())
        return Message(name=name, version=number, sha256=sha256, prompt=prompt)

    def load(self, name: str) -> Message:
        """Load the newest version of a message.

        Raises:
            NoticeError: There is none, or its file is missing, altered or unreadable.
        """
        newest = max((v for v in self.versions() if v["name"] == name), key=lambda v: v["version"], default=None)
        if newest is None:
            raise NoticeError(f"there is no message {name!r}; set one with `recorder notices add {name} FILE`")
        path = self._folder / newest["file"]
        loaded = self._load(name, path)
        if loaded.sha256 != newest["sha256"]:
            raise NoticeError(f"message {name!r}: {path} was altered since it was set; set it again")
        return Message(name=name, version=newest["version"], sha256=loaded.sha256, prompt=loaded.prompt)

    def _load(self, name: str, path: Path) -> LoadedPrompt:
        try:
            return load_prompt(path, name=name)
        except PromptError as error:
            raise NoticeError(f"message {name!r}: {error}") from error


def install_shipped(store: NoticeStore) -> None:
    """Store the messages that come with the recorder."""
    for name in NAMES:
        store.put(name, SHIPPED / f"{name}.en.flac", by="shipped")
