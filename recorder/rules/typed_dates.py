"""Reads dates and times of day as people type them. Pure.

``28/11/2026``, ``28 11 26``, ``28 November 2026``, ``28 Nov 26`` and ``2026-11-28`` are the same day. A year of two
digits is one of this century.

People type times of the site's clocks. `moment_in` makes each a moment: an hour comes twice on the day on which the
clocks go back, and one is missing on the day on which they go forward.
"""

import calendar
import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum

from recorder.rules import times
from recorder.rules.times import MONTHS

EXAMPLE = "28 11 2026"
_EARLIEST, _LATEST = 1970, 2999
_SIGNS = re.compile(r"[\da-z/.,\s-]+", re.ASCII | re.IGNORECASE)
_PIECE = re.compile(r"\d+(?=st\b|nd\b|rd\b|th\b)|\d+|[a-z]+", re.ASCII | re.IGNORECASE)
_PASSED_OVER = re.compile(
    r"st|nd|rd|th|of|the|mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day",
    re.IGNORECASE,
)
_ISO_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*", re.ASCII)
_CLOCK_SIGNS = re.compile(r":|am$|pm$|midday|noon|midnight", re.IGNORECASE)
_CLOCK = re.compile(r"(\d{1,2})(?:[:.](\d\d)(?:[:.](\d\d))?)? ?(am|pm)?", re.ASCII)


class DatePart(StrEnum):
    """The part of a typed date that is wrong, and the field of a date input to mark."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"
    ALL = "all"


class TypedDateError(ValueError):
    """A typed date or time is not one; the message is a sentence for the person who typed it."""

    def __init__(self, sentence: str, part: DatePart = DatePart.ALL) -> None:
        super().__init__(sentence)
        self.part = part


def date_typed(text: str) -> date:
    """Return the day that somebody typed.

    Raises:
        TypedDateError: It is no date, or there is no such day; its ``part`` says which part is wrong.
    """
    pieces = _PIECE.findall(text) if _SIGNS.fullmatch(text) else []
    match [piece for piece in pieces if not _PASSED_OVER.fullmatch(piece)]:
        case [year, month, day] if len(year) == 4:
            return date_of(day, month, year)
        case [day, month, year]:
            return date_of(day, month, year)
        case [day, _] if len(day) <= 2:
            raise TypedDateError("The date must include a year", DatePart.YEAR)
    raise TypedDateError(f"Enter a date like {EXAMPLE}")


def date_of(day: str, month: str, year: str) -> date:
    """Return the day of the three fields of a date input; a month may be a number or a name.

    Raises:
        TypedDateError: As in `date_typed`.
    """
    fields = {DatePart.DAY: day.strip(), DatePart.MONTH: month.strip(), DatePart.YEAR: year.strip()}
    missing = [part for part, typed in fields.items() if not typed]
    if len(missing) == len(fields):
        raise TypedDateError(f"Enter a date like {EXAMPLE}")
    if missing:
        raise TypedDateError(f"The date must include a {' and a '.join(missing)}", missing[0])
    in_year, in_month = _year(fields[DatePart.YEAR]), _month(fields[DatePart.MONTH])
    return date(in_year, in_month, _day(fields[DatePart.DAY], in_month, in_year))


def moment_typed(text: str) -> date | datetime:
    """Return the day, or the day and time of day, that somebody typed: ``28/11/2026 14:30``, or ISO 8601.

    A time is aware only if it was typed with its zone.

    Raises:
        TypedDateError: As in `date_typed` and `time_typed`.
    """
    plain = text.strip()
    if _ISO_MOMENT.fullmatch(plain):
        try:
            return datetime.fromisoformat(plain)
        except ValueError:
            pass  # the parts are read below, to say what is wrong
    on, comma, at = plain.rpartition(",")
    if not comma or not _CLOCK_SIGNS.search(at):
        on, _, at = plain.replace("T", " ").rpartition(" ")
    if on and _CLOCK_SIGNS.search(at):
        return datetime.combine(date_typed(on), time_typed(at))
    return date_typed(plain)


def time_typed(text: str) -> time:
    """Return the time of day that somebody typed: ``09:30``, ``9.30am``, ``5pm``, ``midday``.

    Raises:
        TypedDateError: It is no time of day.
    """
    plain = text.strip().lower()
    if plain in ("midday", "noon", "midnight"):
        return time(0 if plain == "midnight" else 12)
    found = _CLOCK.fullmatch(plain)
    if found is None or (found[2] is None and found[4] is None):
        raise TypedDateError("Enter a time like 9:30am or 14:30")
    hour, minute, second = int(found[1]), int(found[2] or 0), int(found[3] or 0)
    is_hour = 1 <= hour <= 12 if found[4] else hour < 24
    if not is_hour or minute > 59 or second > 59:
        raise TypedDateError(f"There is no time {text.strip()}: enter a time like 9:30am or 14:30")
    if found[4]:
        hour = hour % 12 + (12 if found[4] == "pm" else 0)
    return time(hour, minute, second)


def readings(local: datetime, zone: tzinfo) -> tuple[datetime, ...]:
    """Return the moments, UTC and in order, at which the clocks of a zone show a time: one, two, or none.

    Args:
        local: The time on the clock, without zone.
        zone: The zone.

    Raises:
        OverflowError: A moment lies outside the years that there are.
    """
    each = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return tuple(dict.fromkeys(moment for moment in each if moment.astimezone(zone).replace(tzinfo=None) == local))


def moment_in(typed: date | datetime, zone: tzinfo, *, is_end: bool) -> datetime:
    """Return the moment, UTC, at which a range begins or ends that somebody typed.

    A time that comes twice begins a range at its first reading and ends one at its second, so that the range has both.
    A day begins a range at its midnight and ends one at the next, so that the range has all of it.

    Args:
        typed: From `moment_typed`, or put together of `date_typed` and `time_typed`.
        zone: The site's, for what was typed without a zone.
        is_end: Whether the range ends there.

    Raises:
        TypedDateError: The clocks go forward over that time, or the year is impossible.
    """
    try:
        if not isinstance(typed, datetime):
            midnight = datetime.combine(typed + timedelta(days=is_end), time(), zone)
            return midnight.astimezone(UTC)
        if typed.tzinfo is not None:
            return typed.astimezone(UTC)
        found = readings(typed, zone)
    except OverflowError as error:
        raise TypedDateError(f"The year must be between {_EARLIEST} and {_LATEST}", DatePart.YEAR) from error
    if not found:
        clock = times.time_of_day(typed.time(), with_seconds=typed.second > 0)
        raise TypedDateError(
            f"There is no {clock} on {times.day(typed)}, because the clocks go forward: enter an earlier or later time"
        )
    return found[-1 if is_end else 0]


def _year(typed: str) -> int:
    if not typed.isascii() or not typed.isdigit() or len(typed) not in (2, 4):
        raise TypedDateError("The year must be 2 or 4 numbers, like 2026", DatePart.YEAR)
    year = int(typed) + (2000 if len(typed) == 2 else 0)
    if not _EARLIEST <= year <= _LATEST:
        raise TypedDateError(f"The year must be between {_EARLIEST} and {_LATEST}", DatePart.YEAR)
    return year


def _month(typed: str) -> int:
    if typed.isascii() and typed.isdigit():
        if 1 <= int(typed) <= 12:
            return int(typed)
        raise TypedDateError("The month must be between 1 and 12", DatePart.MONTH)
    name = typed.lower()
    named = [number for number, month in enumerate(MONTHS, 1) if len(name) >= 3 and month.lower().startswith(name)]
    if name == "sept":
        return 9
    if len(named) != 1:
        raise TypedDateError(f"There is no month called {typed}", DatePart.MONTH)
    return named[0]


def _day(typed: str, month: int, year: int) -> int:
    last = calendar.monthrange(year, month)[1]
    if typed.isascii() and typed.isdigit() and 1 <= int(typed) <= last:
        return int(typed)
    where = f"{MONTHS[month - 1]} {year}" if month == 2 else MONTHS[month - 1]
    raise TypedDateError(f"The day must be between 1 and {last} in {where}", DatePart.DAY)
