"""The catalogue of messages to callers: every version with its language, its text, and from when it is in force."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from audio.prompts import SPOKEN_BY
from audio.types import Prompt
from recorder.rules.notice_schedule import ALL_SERVICES, DEFAULT_LANGUAGE, NoticeUse

SHIPPED_BY = "shipped"
"""Who set a message that came with the recorder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeVersion:
    """One version of a message.

    Attributes:
        name: The message, such as ``first``.
        version: Its number; counts up for each message, whatever the language.
        sha256: Hash of the sound file, hex.
        file: Name of the sound file in the store.
        duration_s: Length, seconds.
        set_at: When it was stored, UTC.
        set_by: Who stored it.
        language: Tag of its language.
        text_file: Name of the file with its words; empty if nobody gave them.
        made_by: Comment of the sound file on who made it, or empty.
        speech_dbfs: Level of the speech; None if it was not measured.
        uses: From when it is in force.
    """

    name: str
    version: int
    sha256: str
    file: str
    duration_s: float
    set_at: datetime
    set_by: str
    language: str = DEFAULT_LANGUAGE
    text_file: str = ""
    made_by: str = ""
    speech_dbfs: float | None = None
    uses: tuple[NoticeUse, ...] = ()

    @property
    def is_placeholder(self) -> bool:
        """Tell whether a computer speaks it, until a person records it."""
        return self.made_by.startswith(SPOKEN_BY) or self.is_shipped

    @property
    def is_shipped(self) -> bool:
        """Tell whether it came with the recorder, and names a council that does not exist."""
        return self.set_by == SHIPPED_BY

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "NoticeVersion":
        """Return a version of its JSON values; before 0.3 it had no language, and was in force once it was stored.

        Raises:
            KeyError, TypeError, ValueError: They are not those of a version.
        """
        set_at = _time(entry["set_at"])
        found = cls(
            name=entry["name"], version=entry["version"], sha256=entry["sha256"], file=entry["file"],
            duration_s=entry["duration_s"], set_at=set_at, set_by=entry["set_by"],
            language=entry.get("language", DEFAULT_LANGUAGE), text_file=entry.get("text_file", ""),
            made_by=entry.get("made_by", ""), speech_dbfs=entry.get("speech_dbfs"),
        )  # fmt: skip
        uses = entry.get("uses", [{"service": ALL_SERVICES, "starts_at": entry["set_at"], **_set(entry)}])
        return replace(found, uses=tuple(found.use(**_use(one)) for one in uses))

    def use(self, *, service: str, starts_at: datetime, set_at: datetime, set_by: str) -> NoticeUse:
        """Return a use of this version."""
        return NoticeUse(
            name=self.name, version=self.version, language=self.language, service=service, starts_at=starts_at,
            set_at=set_at, set_by=set_by,
        )  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        """Return the values as they are stored."""
        return {
            "name": self.name,
            "version": self.version,
            "sha256": self.sha256,
            "file": self.file,
            "duration_s": self.duration_s,
            "set_at": moment_json(self.set_at),
            "set_by": self.set_by,
            "language": self.language,
            "text_file": self.text_file,
            "made_by": self.made_by,
            "speech_dbfs": self.speech_dbfs,
            "uses": [
                {
                    "service": use.service,
                    "starts_at": moment_json(use.starts_at),
                    "set_at": moment_json(use.set_at),
                    "set_by": use.set_by,
                }
                for use in self.uses
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One version of a message, loaded."""

    name: str
    version: int
    sha256: str
    prompt: Prompt
    language: str = DEFAULT_LANGUAGE

    @property
    def id(self) -> str:
        """Return name and version: ``first/3``."""
        return f"{self.name}/{self.version}"

    def as_json(self) -> dict[str, Any]:
        """Return name, version, hash and language, as JSON-serialisable values."""
        return {"name": self.name, "version": self.version, "sha256": self.sha256, "language": self.language}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNotice:
    """What is said of a sound file that is stored as a version of a message.

    Attributes:
        language: Tag of its language.
        service: For which service, or `ALL_SERVICES`.
        starts_at: From when it is in force; None for at once.
        text: Its words, or empty.
        speech_dbfs: Level of the speech; None if it was not measured.
    """

    language: str = DEFAULT_LANGUAGE
    service: str = ALL_SERVICES
    starts_at: datetime | None = None
    text: str = ""
    speech_dbfs: float | None = None


def all_uses(versions: Iterable[NoticeVersion]) -> list[NoticeUse]:
    """Return the uses of all versions, in the order in which they were stored."""
    return [use for version in versions for use in version.uses]


def moment_json(at: datetime) -> str:
    """Return a moment as it is stored, in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _set(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"set_at": entry["set_at"], "set_by": entry["set_by"]}


def _use(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {**entry, "starts_at": _time(entry["starts_at"]), "set_at": _time(entry["set_at"])}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
