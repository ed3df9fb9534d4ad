"""Times, days, lengths and positions in words, in GOV.UK style, in the site's time zone. Pure.

``28 November 2026, 5:46am``; ``midday`` and ``midnight`` for 12:00 and 0:00. Spaces are ordinary ones: a page or a
letter that must not break a time over two lines does that with `unbroken` or with CSS.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, tzinfo

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"


def moment(at: datetime, zone: tzinfo, *, with_seconds: bool = False) -> str:
    """Return a moment: ``28 November 2026, 5:46am``; an hour that comes twice names its zone, ``1:30am BST``."""
    return f"{day(at.astimezone(zone))}, {clock(at, zone, with_seconds=with_seconds)}"


def short_moment(at: datetime, zone: tzinfo) -> str:
    """Return a moment for narrow tables: ``28 Nov 2026, 5:46am``."""
    return f"{short_day(at.astimezone(zone))}, {clock(at, zone)}"


def moment_utc(at: datetime) -> str:
    """Return a moment where the site's zone is not known: ``28 November 2026, 5:46am UTC``."""
    return f"{moment(at, UTC)} UTC"


def clock(at: datetime, zone: tzinfo, *, with_seconds: bool = False) -> str:
    """Return a moment's time of day: ``5:46am``, ``5am``, ``midday``, or ``5:46:09am``."""
    local = at.astimezone(zone)
    is_twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    words = time_of_day(local.time(), with_seconds=with_seconds)
    return f"{words} {local.tzname()}" if is_twice else words


def time_of_day(at: time, *, with_seconds: bool = False) -> str:
    """Return a time of day: ``5:46am``, ``5am``, ``midday`` or ``midnight``; with its seconds, ``5:46:09am``."""
    seconds = at.second if with_seconds else 0
    if at.minute == 0 and seconds == 0 and at.hour in (0, 12):
        return "midday" if at.hour else "midnight"
    hour, half = at.hour % 12 or 12, "pm" if at.hour >= 12 else "am"
    if with_seconds:
        return f"{hour}:{at.minute:02}:{at.second:02}{half}"
    return f"{hour}:{at.minute:02}{half}" if at.minute else f"{hour}{half}"


def day(on: date) -> str:
    """Return a day: ``28 November 2026``."""
    return f"{on.day} {MONTHS[on.month - 1]} {on.year}"


def short_day(on: date) -> str:
    """Return a day for narrow tables: ``28 Nov 2026``."""
    return f"{on.day} {MONTHS[on.month - 1][:3]} {on.year}"


def weekday(on: date) -> str:
    """Return a day with its weekday: ``Saturday 28 November 2026``."""
    return f"{_WEEKDAYS[on.weekday()]} {day(on)}"


def month(on: date) -> str:
    """Return a month: ``November 2026``."""
    return f"{MONTHS[on.month - 1]} {on.year}"


def duration(seconds: float) -> str:
    """Return a length of time: ``3 minutes 20 seconds``, ``1 hour 5 minutes``, ``0 seconds``.

    Seconds are rounded, and left out from an hour on; hours are the largest unit.
    """
    whole = round(seconds)
    if not whole and seconds > 0:
        return "less than 1 second"
    if whole >= 3600:
        hours, minutes = divmod(round(whole / 60), 60)
        return _joined((hours, "hour"), (minutes, "minute"))
    minutes, rest = divmod(whole, 60)
    return _joined((minutes, "minute"), (rest, "second"))


def days(count: int) -> str:
    """Return a number of days: ``1 day``, ``28 days``."""
    return _counted(count, "day")


def position(seconds: float, *, exact: bool = False) -> str:
    """Return a position in a recording: ``1:05``, ``1:02:03``; with ``exact``, tenths where there are: ``1:05.3``.

    Without ``exact`` it is the second that the position is in, as a player shows it.
    """
    tenths = round(max(seconds, 0.0) * 10) if exact else int(max(seconds, 0.0)) * 10
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    shown = f"{rest // 10:02}.{rest % 10}" if rest % 10 else f"{rest // 10:02}"
    return f"{hours}:{minutes:02}:{shown}" if hours else f"{minutes}:{shown}"


def span(start_s: float, end_s: float | None, *, exact: bool = False) -> str:
    """Return a span of a recording: ``0:12 to 1:05``, or ``0:12 to the end``."""
    return f"{position(start_s, exact=exact)} to {'the end' if end_s is None else position(end_s, exact=exact)}"


def spans(parts: Iterable[tuple[float, float | None]], *, exact: bool = False) -> str:
    """Return spans of a recording, separated by commas."""
    return ", ".join(span(start_s, end_s, exact=exact) for start_s, end_s in parts)


def unbroken(text: str) -> str:
    """Return a text with no-break spaces, so that it stays on one line."""
    return text.replace(" ", _NO_BREAK_SPACE)


def _joined(*parts: tuple[int, str]) -> str:
    shown = [_counted(count, unit) for count, unit in parts if count]
    return " ".join(shown) or f"0 {parts[-1][1]}s"


def _counted(count: int, unit: str) -> str:
    return f"{count:,} {unit}" if count == 1 else f"{count:,} {unit}s"
