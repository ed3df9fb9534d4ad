"""What the pages of the messages to callers show: what is in force, what comes, what was. Pure."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from recorder.calls.notice_catalogue import NoticeVersion
from recorder.rules import wording
from recorder.rules.notice_schedule import NoticePeriod, NoticeState


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownNotice:
    """A version of a message with one period of it.

    Attributes:
        version: The version.
        period: The period; None if the version was never used.
        text: Its words, or empty.
        is_played: Whether the daemon plays it; None if that is not known, or not asked.
    """

    version: NoticeVersion
    period: NoticePeriod | None
    text: str
    is_played: bool | None = None

    @property
    def title(self) -> str:
        """Return what it is called on a page: ``First message, version 3``."""
        return f"{wording.capital(wording.message_name(self.version.name))}, version {self.version.version}"

    @property
    def language(self) -> str:
        """Return the name of its language."""
        return wording.capital(wording.language(self.version.language))

    @property
    def whom(self) -> str:
        """Return whose callers hear it."""
        return (self.period.use.service if self.period is not None else "") or "All services"

    @property
    def path(self) -> str:
        """Return the path of its page."""
        return f"/notices/{self.version.name}/{self.version.version}"

    @property
    def made_by(self) -> str:
        """Return who speaks, if that is known and worth telling."""
        if self.version.is_shipped:
            return "Supplied with the recorder: it names a council that does not exist."
        return "Spoken by a computer, until a person records it." if self.version.is_placeholder else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMessage:
    """A message with the versions that are in force."""

    name: str
    in_force: Sequence[ShownNotice]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeBoard:
    """All messages: what is in force by message, what comes, and what was or was never used, newest first."""

    messages: Sequence[ShownMessage]
    coming: Sequence[ShownNotice]
    past: Sequence[ShownNotice]
    unused: Sequence[ShownNotice]


def board_of(shown: Iterable[ShownNotice]) -> NoticeBoard:
    """Sort versions with their periods into what is in force, comes, and was."""
    everything = sorted(shown, key=lambda one: (one.version.name, one.language, one.whom))
    names = dict.fromkeys(one.version.name for one in everything)

    def of(state: NoticeState) -> list[ShownNotice]:
        found = [one for one in everything if one.period is not None and one.period.state is state]
        return sorted(found, key=lambda one: one.period.use.starts_at if one.period is not None else one.version.set_at)

    current = of(NoticeState.IN_FORCE)
    by_name = {name: [one for one in current if one.version.name == name] for name in names}
    return NoticeBoard(
        messages=[ShownMessage(name=name, in_force=some) for name, some in by_name.items()],
        coming=of(NoticeState.COMING),
        past=of(NoticeState.PAST)[::-1],
        unused=[one for one in everything if one.period is None],
    )


def shown_notices(
    versions: Iterable[NoticeVersion],
    periods: Sequence[NoticePeriod],
    texts: dict[tuple[str, int], str],
    played: Collection[tuple[str, int]] | None,
) -> list[ShownNotice]:
    """Return each version once for each of its periods, and once if it has none.

    Args:
        versions: All versions.
        periods: Their periods.
        texts: Their words, by name and version.
        played: Name and version of what the daemon plays; None if that is not known.
    """
    found = []
    for version in versions:
        key = (version.name, version.version)
        of = [period for period in periods if (period.use.name, period.use.version) == key]
        is_played = None if played is None else key in played
        one = ShownNotice(version=version, period=None, text=texts[key], is_played=is_played)
        found += [replace(one, period=period) for period in of] or [one]
    return found
