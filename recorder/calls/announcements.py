"""The messages that each service's callers hear at a moment, loaded and ready to play.

Messages that come into force later are loaded too, so that they begin at their time without a reload.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from audio.prompts import joined
from audio.types import Prompt
from recorder.calls.notice_catalogue import Message, all_uses
from recorder.calls.notices import NoticeError, NoticeStore
from recorder.config.settings import Config
from recorder.rules import wording
from recorder.rules.notice_schedule import DEFAULT_LANGUAGE, NoticeState, NoticeUse, in_force, periods
from storage.types import HeardNotice


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What is played to one caller: a message in one language, or in several, one after the other."""

    service: str
    parts: tuple[Message, ...]
    prompt: Prompt

    @property
    def id(self) -> str:
        """Return the ids of its messages: ``first/3``, ``first/3+first/4``."""
        return "+".join(part.id for part in self.parts)

    @property
    def sha256(self) -> str:
        """Return the hashes of its messages, joined likewise."""
        return "+".join(part.sha256 for part in self.parts)

    @property
    def heard(self) -> tuple[HeardNotice, ...]:
        """Return its messages for the proof in a call's row."""
        return tuple(
            HeardNotice(id=part.id, sha256=part.sha256, language=part.language, service=self.service)
            for part in self.parts
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnnouncements:
    """The messages of one call: the notice, and the second message or None."""

    first: Announcement
    second: Announcement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageChoice:
    """The names of the messages, as configured, and each service's languages, in the order they are played."""

    first: str
    second: str | None
    languages: Mapping[str, tuple[str, ...]]
    default: tuple[str, ...]

    def languages_of(self, service: str) -> tuple[str, ...]:
        """Return the languages of a service's callers."""
        return self.languages.get(service, self.default)


@dataclass(slots=True)
class Announcements:
    """Finds what a service's callers hear.

    A language without a message in force is left out, as long as another has one: it may come into force later.
    """

    _choice: MessageChoice
    _uses: list[NoticeUse]
    _messages: Mapping[tuple[str, int], Message]
    _loaded_at: datetime
    _made: dict[tuple[str, ...], Announcement] = field(default_factory=dict)

    def of(self, service: str, at: datetime) -> CallAnnouncements:
        """Return what a service's callers hear at a moment. Call thread: reads no files."""
        first = self._announcement(self._choice.first, service, at)
        second = self._choice.second
        assert first is not None, "loading has found one for each service"
        return CallAnnouncements(
            first=first, second=self._announcement(second, service, at) if second is not None else None
        )

    def missing(self, service: str, at: datetime) -> list[tuple[str, str]]:
        """Return messages and languages of a service that have nothing in force."""
        return [
            (name, language)
            for name in self._names
            for language in self._choice.languages_of(service)
            if in_force(self._uses, name, language, service, at) is None
        ]

    def playing(self, at: datetime) -> list[Message]:
        """Return the messages that some service's callers hear at a moment."""
        parts = [part for service in self._services for name in self._names for part in self._parts(name, service, at)]
        return list({part.id: part for part in parts}.values())

    def require(self) -> None:
        """Check that each service has each message in one language at least.

        Raises:
            NoticeError: One has not.
        """
        for service in self._services:
            for name in self._names:
                if not self._parts(name, service, self._loaded_at):
                    raise NoticeError(_nothing(name, service, self._choice.languages_of(service)))

    @property
    def _names(self) -> Iterable[str]:
        return filter(None, (self._choice.first, self._choice.second))

    @property
    def _services(self) -> Iterable[str]:
        return self._choice.languages or ("",)

    def _announcement(self, name: str, service: str, at: datetime) -> Announcement | None:
        # A clock that was set back far must not leave a caller untold.
        parts = self._parts(name, service, at) or self._parts(name, service, self._loaded_at)
        if not parts:
            return None
        key = (service, *(part.id for part in parts))
        if key not in self._made:
            prompt = joined(name, [part.prompt for part in parts])
            self._made[key] = Announcement(service=service, parts=tuple(parts), prompt=prompt)
        return self._made[key]

    def _parts(self, name: str, service: str, at: datetime) -> list[Message]:
        uses = (in_force(self._uses, name, language, service, at) for language in self._choice.languages_of(service))
        return [self._messages[use.name, use.version] for use in uses if use is not None]


def load_announcements(store: NoticeStore, choice: MessageChoice, at: datetime) -> Announcements:
    """Load the messages that are in force, and those that come into force later.

    Raises:
        NoticeError: A file is missing, altered or unreadable, or a service has no message.
    """
    versions = store.versions()
    names = {choice.first, choice.second}
    uses = [use for use in all_uses(versions) if use.name in names]
    wanted = {(one.use.name, one.use.version) for one in periods(uses, at) if one.state is not NoticeState.PAST}
    messages = {(one.name, one.version): store.message(one) for one in versions if (one.name, one.version) in wanted}
    announcements = Announcements(choice, [use for use in uses if (use.name, use.version) in messages], messages, at)
    announcements.require()
    return announcements


def choice_of(config: Config) -> MessageChoice:
    """Return which messages are configured, and in which languages."""
    return MessageChoice(
        first=config.notice.first,
        second=config.notice.second,
        languages={service.name: config.languages_of(service.name) for service in config.service},
        default=config.notice.languages,
    )


def _nothing(name: str, service: str, languages: tuple[str, ...]) -> str:
    where = f" in {wording.listed(map(wording.language, languages))}" if languages != (DEFAULT_LANGUAGE,) else ""
    option = f" --language {languages[0]}" if where else ""
    whom = f" for {service}" if service and where else ""
    return f"there is no message {name!r}{where}{whom}; set one with `recorder notices import {name} FILE{option}`"
