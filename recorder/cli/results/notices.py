"""Results about the messages that callers hear."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticePeriod:
    """From when to when a version of a message was, is or will be in force; ``service`` is empty for all."""

    service: str
    state: str
    starts_at: str
    ends_at: str | None
    set_at: str
    set_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A version of a message."""

    name: str
    version: int
    language: str
    sha256: str
    file: str
    duration_s: float
    speech_dbfs: float | None
    is_placeholder: bool
    text: str
    set_at: str
    set_by: str
    periods: list[NoticePeriod]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeFinding:
    """Something that is wrong with a sound file."""

    level: str
    says: str
    do: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNotice:
    """A new version of a message, or with ``dry_run`` the one that would be stored."""

    name: str
    version: int
    language: str
    service: str
    starts_at: str
    duration_s: float
    sha256: str
    has_text: bool
    warnings: list[NoticeFinding]
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedNotice:
    """A version of a message whose date was changed; ``starts_at`` is null if its date was given up."""

    name: str
    version: int
    language: str
    service: str
    starts_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedNotice:
    """What was played, or written to ``path``, as callers hear it."""

    ids: list[str]
    text: str
    duration_s: float
    path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedNotice:
    """What a sound file is like; the measures are null if it cannot be loaded."""

    path: str
    is_usable: bool
    duration_s: float | None
    rate_hz: int | None
    spoken_s: float | None
    speech_dbfs: float | None
    peak_dbfs: float | None
    clipped_share: float | None
    before_s: float | None
    after_s: float | None
    findings: list[NoticeFinding]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedNotice:
    """A sound file that was recorded."""

    path: str
    device: str
    duration_s: float
    findings: list[NoticeFinding]


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedNotice:
    """A sound file that a computer speaks, and the file with its text."""

    path: str
    voice: str
    text_path: str
    is_placeholder: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeText:
    """Wording for a message."""

    name: str
    language: str
    service: str
    text: str
