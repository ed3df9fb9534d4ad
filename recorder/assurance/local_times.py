"""Times as a PBX writes them: local, with an offset, or seconds since 1970. Pure."""

import enum
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from recorder.rules.typed_dates import readings

_USUAL = "%Y-%m-%d %H:%M:%S"
_IS_USUAL = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)


class Repeated(enum.StrEnum):
    """Which of two times is meant by a local time that the end of summer time repeats."""

    EARLIER = "earlier"
    LATER = "later"


class LocalTimeError(ValueError):
    """A time cannot be read, does not exist, or exists twice; the message is a clause that says so."""


class UnreadableTimeError(LocalTimeError):
    """A text is no time of the expected form."""


def zone_named(name: str) -> ZoneInfo:
    """Return a time zone.

    Raises:
        LocalTimeError: There is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise LocalTimeError(f"{name!r} is no time zone; write one such as Europe/London or UTC") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Reads the times of one file.

    Attributes:
        zone: The zone of local times.
        patterns: Patterns of `datetime.strptime`, tried in order; empty for seconds since 1970.
        repeated: What a repeated local time means; None refuses it.
        since: Before this a repeated time is taken as the earlier one, and one that does not exist is believed: such
            calls are too old to be compared. None: no time is.
    """

    zone: ZoneInfo
    patterns: Sequence[str]
    repeated: Repeated | None = None
    since: datetime | None = None

    def read(self, text: str) -> datetime:
        """Return a time in UTC.

        Raises:
            LocalTimeError: It cannot be read, does not exist, or exists twice.
        """
        written = _since_1970(text) if not self.patterns else _parsed(text, self.patterns)
        try:
            return self._utc(written, text)
        except OverflowError as error:
            raise LocalTimeError(f"{text!r} lies outside the years that there are") from error

    def _utc(self, written: datetime, text: str) -> datetime:
        if written.tzinfo is not None:
            return written.astimezone(UTC)
        found = readings(written, self.zone)
        if len(found) == 1:
            return found[0]
        earlier, later = found or (written.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if self.since is not None and later < self.since:
            return earlier
        if not found:
            raise LocalTimeError(
                f"{text!r} does not exist in {self.zone}: the clocks went forward over it; give the zone of the PBX"
            )
        if self.repeated is None:
            raise LocalTimeError(
                f"{text!r} exists twice in {self.zone}: the clocks went back; say which with --repeated-hour "
                "(repeated_hour in [[call_records]]), or have the PBX write UTC"
            )
        return earlier if self.repeated is Repeated.EARLIER else later


def _since_1970(text: str) -> datetime:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=float(text))
    except (ValueError, OverflowError) as error:
        raise UnreadableTimeError(f"{text!r} is no number of seconds since 1970") from error


def _parsed(text: str, patterns: Sequence[str]) -> datetime:
    if _USUAL in patterns and _IS_USUAL.fullmatch(text):  # ten times faster than strptime
        with suppress(ValueError):
            return datetime.fromisoformat(text)
    for pattern in patterns:
        try:
            return datetime.strptime(text, pattern)  # noqa: DTZ007 - without a zone it is local, as `read` has it
        except ValueError:
            continue
    raise UnreadableTimeError(f"{text!r} is no time as {' or '.join(patterns)}")
