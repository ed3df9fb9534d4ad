"""The messages that callers hear, stored by name and version.

No version is ever deleted: a call's row has the hash of the message that was played, and its file can be found by that.
Its text is a file beside the sound.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from audio.prompts import LoadedPrompt, PromptError, load_prompt
from recorder.calls.notice_catalogue import (
    SHIPPED_BY,
    Message,
    NewNotice,
    NoticeVersion,
    all_uses,
    moment_json,
)
from recorder.common.clock import utc_now
from recorder.common.file_lock import locked
from recorder.rules.notice_schedule import ALL_SERVICES, DEFAULT_LANGUAGE, NoticePeriod, NoticeUse, in_force, periods
from storage.durable import save_atomically

SHIPPED = Path(__file__).parent / "notices"
NAMES = ("first", "second")
_SECOND, _LEAST = timedelta(seconds=1), timedelta(microseconds=1)


class NoticeError(Exception):
    """A message cannot be used; the text says why and what to do."""


class NoticeStore:
    """The folder of messages."""

    def __init__(self, folder: Path, *, now: Callable[[], datetime] = utc_now) -> None:
        self._folder = folder
        self._now = now

    @property
    def _catalogue(self) -> Path:
        return self._folder / "catalogue.json"

    @property
    def fingerprint(self) -> tuple[int, int, int] | None:
        """Return what changes when the catalogue does; None if there is none."""
        try:
            found = self._catalogue.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def versions(self) -> list[NoticeVersion]:
        """Return all versions of all messages, oldest first.

        Raises:
            NoticeError: The catalogue cannot be read.
        """
        if not self._catalogue.exists():
            return []
        try:
            return [NoticeVersion.of(entry) for entry in json.loads(self._catalogue.read_text())]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise NoticeError(f"{self._catalogue} cannot be read: {error}") from error

    def version(self, name: str, number: int) -> NoticeVersion:
        """Return one version of a message.

        Raises:
            NoticeError: There is none.
        """
        for one in self.versions():
            if (one.name, one.version) == (name, number):
                return one
        raise NoticeError(f"there is no version {number} of message {name!r}; `recorder notices list` shows them")

    def periods(self, at: datetime) -> list[NoticePeriod]:
        """Return when each version was, is and will be in force, by start.

        Raises:
            NoticeError: As in `versions`.
        """
        return periods(all_uses(self.versions()), at)

    def text_of(self, version: NoticeVersion) -> str:
        """Return the words of a version, or empty if nobody gave them or their file is gone."""
        try:
            return (self._folder / version.text_file).read_text(encoding="utf-8") if version.text_file else ""
        except (OSError, ValueError):
            return ""

    def put(self, name: str, source: Path, *, by: str, of: NewNotice | None = None) -> Message:
        """Store a WAV, FLAC or OGG file as the newest version of a message.

        Raises:
            NoticeError: The file is not a usable sound file, or its start is past; nothing was changed.
        """
        new = of or NewNotice()
        loaded = self._load(name, source)
        now = self._now().replace(microsecond=0)
        starts_at = self.start_of(new.starts_at)
        with self._changing():
            versions = self.versions()
            number = _next(versions, name)
            stored = self._folder / f"{loaded.sha256}{source.suffix.lower()}"
            if not stored.exists():
                self._keep_sound(source, stored, loaded.sha256)
            version = NoticeVersion(
                name=name, version=number, sha256=loaded.sha256, file=stored.name,
                duration_s=round(loaded.prompt.duration_s, 2), set_at=now, set_by=by, language=new.language,
                text_file=self._keep_text(new.text), made_by=loaded.made_by, speech_dbfs=new.speech_dbfs,
            )  # fmt: skip
            use = version.use(service=new.service, starts_at=starts_at, set_at=_after_all(versions, now), set_by=by)
            self._save([*versions, replace(version, uses=(use,))])
        return _message(version, loaded)

    def use(self, name: str, number: int, *, service: str, starts_at: datetime | None, by: str) -> NoticeVersion:
        """Bring a version into force for a service, at once or from a moment on.

        Uses of that version for that service which have not begun are given up for this one.

        Raises:
            NoticeError: There is no such version, its file is missing or altered, or the start is past; nothing was
                changed.
        """
        now = self._now().replace(microsecond=0)
        begins = self.start_of(starts_at)
        self.usable(name, number, service=service)
        with self._changing():
            version = self.version(name, number)
            set_at = _after_all(self.versions(), now)
            use = version.use(service=service, starts_at=begins, set_at=set_at, set_by=by)
            return self._with_uses(version, (*_begun(version, service, now), use))

    def withdraw(self, name: str, number: int, *, service: str) -> NoticeVersion:
        """Give up the uses of a version for a service that have not begun.

        Raises:
            NoticeError: There is no such version, or no such use; nothing was changed.
        """
        with self._changing():
            version = self.version(name, number)
            self.usable(name, number, service=service, is_waiting=True)
            return self._with_uses(version, _begun(version, service, self._now()))

    def usable(self, name: str, number: int, *, service: str, is_waiting: bool = False) -> NoticeVersion:
        """Return a version that can be brought into force; with ``is_waiting`` one whose date can be given up.

        Raises:
            NoticeError: There is no such version, its file is missing or altered, or it waits for no date.
        """
        version = self.version(name, number)
        if not is_waiting:
            self.message(version)
        elif len(_begun(version, service, self._now())) == len(version.uses):
            raise NoticeError(
                f"version {number} of message {name!r} does not wait for a date; to end it, use another version"
            )
        return version

    def load(
        self,
        name: str,
        *,
        language: str = DEFAULT_LANGUAGE,
        service: str = ALL_SERVICES,
        at: datetime | None = None,
    ) -> Message:
        """Load the version of a message that is in force.

        Raises:
            NoticeError: There is none, or its file is missing, altered or unreadable.
        """
        versions = self.versions()
        use = in_force(all_uses(versions), name, language, service, at or self._now())
        if use is None:
            raise NoticeError(f"there is no message {name!r}; set one with `recorder notices import {name} FILE`")
        return self.message(next(one for one in versions if (one.name, one.version) == (use.name, use.version)))

    def message(self, version: NoticeVersion) -> Message:
        """Load one version.

        Raises:
            NoticeError: Its file is missing, altered or unreadable.
        """
        path = self.path_of(version)
        loaded = self._load(version.name, path)
        if loaded.sha256 != version.sha256:
            raise NoticeError(f"message {version.name!r}: {path} was altered since it was set; set it again")
        return _message(version, loaded)

    def path_of(self, version: NoticeVersion) -> Path:
        """Return the path of a version's sound file."""
        return self._folder / version.file

    def next_version(self, name: str) -> int:
        """Return the number that the next version of a message will have.

        Raises:
            NoticeError: The catalogue cannot be read.
        """
        return _next(self.versions(), name)

    def start_of(self, starts_at: datetime | None) -> datetime:
        """Return when a use begins that is set now, UTC.

        Args:
            starts_at: As it was given; None for at once.

        Raises:
            NoticeError: It is past.
        """
        now = self._now().replace(microsecond=0)
        if starts_at is not None and starts_at < now - _SECOND:
            raise NoticeError(
                f"{moment_json(starts_at)} is past: what callers heard until now stays as it was; give a later time"
            )
        return starts_at or now

    def _changing(self) -> AbstractContextManager[object]:
        """Hold the lock against another change of the catalogue; the folder is made if it is missing."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return locked(self._folder / "catalogue.lock", wait=True)

    def _with_uses(self, version: NoticeVersion, uses: Iterable[NoticeUse]) -> NoticeVersion:
        changed = replace(version, uses=tuple(uses))
        self._save([changed if one == version else one for one in self.versions()])
        return changed

    def _keep_text(self, text: str) -> str:
        words = text.strip()
        if not words:
            return ""
        content = f"{words}\n".encode()
        name = f"{hashlib.sha256(content).hexdigest()}.txt"
        save_atomically(self._folder / name, content)
        return name

    def _keep_sound(self, source: Path, stored: Path, sha256: str) -> None:
        content = source.read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise NoticeError(f"{source} was changed while it was read; try again")
        save_atomically(stored, content)

    def _save(self, versions: list[NoticeVersion]) -> None:
        save_atomically(self._catalogue, json.dumps([one.as_json() for one in versions], indent=1).encode())

    def _load(self, name: str, path: Path) -> LoadedPrompt:
        try:
            return load_prompt(path, name=name)
        except PromptError as error:
            raise NoticeError(f"message {name!r}: {error}") from error


def _next(versions: Iterable[NoticeVersion], name: str) -> int:
    return 1 + max((one.version for one in versions if one.name == name), default=0)


def _after_all(versions: Iterable[NoticeVersion], now: datetime) -> datetime:
    """Return the time, or one after every use that was set: of two that begin together the later counts."""
    return max([now, *(use.set_at + _LEAST for use in all_uses(versions))])


def _begun(version: NoticeVersion, service: str, now: datetime) -> list[NoticeUse]:
    """Return the uses of a version but those for a service that have not begun."""
    return [use for use in version.uses if use.service != service or use.starts_at <= now]


def _message(version: NoticeVersion, loaded: LoadedPrompt) -> Message:
    return Message(
        name=version.name, version=version.version, sha256=version.sha256, prompt=loaded.prompt,
        language=version.language,
    )  # fmt: skip


def install_shipped(store: NoticeStore) -> None:
    """Store the messages that come with the recorder."""
    for name in NAMES:
        text = (SHIPPED / f"{name}.en.txt").read_text(encoding="utf-8")
        store.put(name, SHIPPED / f"{name}.en.flac", by=SHIPPED_BY, of=NewNotice(text=text))
