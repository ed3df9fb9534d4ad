"""When each version of a message to callers is in force, by service and language. Pure.

A use says from when a version is in force. Uses for one service are apart from those for all services, and go before
them. Nothing ends a use but the next one of the same message, language and service.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

ALL_SERVICES = ""
DEFAULT_LANGUAGE = "en"
_LANGUAGE_TAG = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


class NoticeState(StrEnum):
    """Whether a use of a version is in force."""

    IN_FORCE = "in_force"
    COMING = "coming"
    PAST = "past"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeUse:
    """From when a version of a message is in force.

    Attributes:
        name: The message.
        version: Its version.
        language: Tag of its language, such as ``cy``.
        service: Name of the service, or `ALL_SERVICES`.
        starts_at: From when, UTC.
        set_at: When somebody decided that, UTC.
        set_by: Who did.
    """

    name: str
    version: int
    language: str
    service: str
    starts_at: datetime
    set_at: datetime
    set_by: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what only one version at a time is in force for: message, language and service."""
        return self.name, self.language, self.service


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticePeriod:
    """A use with its end.

    Attributes:
        use: The use.
        ends_at: When the next use replaces it, UTC; None if none does.
        state: Whether it is in force.
    """

    use: NoticeUse
    ends_at: datetime | None
    state: NoticeState


def is_language(tag: str) -> bool:
    """Tell whether a text is a language tag: ``en``, ``cy``, ``zh-Hant``."""
    return _LANGUAGE_TAG.fullmatch(tag) is not None


def language_problem(languages: Sequence[str]) -> str | None:
    """Return a sentence on what is wrong with a list of languages, or None."""
    for i, tag in enumerate(languages):
        if not is_language(tag):
            return f'languages has {tag!r}: write language tags, "en" for English, "cy" for Welsh'
        if tag in languages[:i]:
            return f"languages has {tag!r} twice"
    return None


def periods(uses: Iterable[NoticeUse], at: datetime) -> list[NoticePeriod]:
    """Return the uses with their ends and states, by start; a use that another replaced before it began is left out."""
    found = []
    by_start = _by_start(uses)
    for i, use in enumerate(by_start):
        ends_at = next((later.starts_at for later in by_start[i + 1 :] if later.key == use.key), None)
        if ends_at != use.starts_at:
            found.append(NoticePeriod(use=use, ends_at=ends_at, state=_state(use, ends_at, at)))
    return found


def in_force(uses: Iterable[NoticeUse], name: str, language: str, service: str, at: datetime) -> NoticeUse | None:
    """Return the use that decides what a service's callers hear in a language, or None if there is none.

    A clock that was set back must not leave callers untold: if no use has begun yet, it is the first of those that were
    set to begin at once.
    """
    by_start = _by_start(use for use in uses if (use.name, use.language) == (name, language))
    for one in dict.fromkeys((service, ALL_SERVICES)):
        begun = [use for use in by_start if use.service == one and use.starts_at <= at]
        if begun:
            return begun[-1]
    return next(
        (use for use in by_start if use.service in (service, ALL_SERVICES) and use.starts_at <= use.set_at), None
    )


def _by_start(uses: Iterable[NoticeUse]) -> Sequence[NoticeUse]:
    """Return the uses by start; of two with the same start, the one that was set last is last."""
    return sorted(uses, key=lambda use: (use.starts_at, use.set_at))


def _state(use: NoticeUse, ends_at: datetime | None, at: datetime) -> NoticeState:
    if use.starts_at > at:
        return NoticeState.COMING
    return NoticeState.IN_FORCE if ends_at is None or ends_at > at else NoticeState.PAST
