"""Parses positions and spans of a call, given as time from its beginning or as time of day. Pure."""

import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from recorder.rules.erasing import position_from
from recorder.rules.typed_dates import moment_in
from storage.types import Channels, Redaction

OVERHANG_S = 1.0
"""How far a span may reach past the end: people read the length off a page that rounds it."""
_CLOCK = re.compile(r"T(\d\d):(\d\d)(?::(\d\d(?:\.\d{1,6})?))?", re.ASCII)
_BETWEEN = re.compile(r"\s*-\s*|\s+to\s+")
_SIDES = {
    "left": Channels.LEFT,
    "caller": Channels.LEFT,
    "right": Channels.RIGHT,
    "officer": Channels.RIGHT,
    "both": Channels.BOTH,
}


def position_in(text: str, started_at: datetime, zone: ZoneInfo, *, since_s: float = 0.0) -> float:
    """Parse a position in a call, seconds from its beginning.

    A time of day that comes twice, as the clocks go back, is the first one at or after ``since_s``.

    Args:
        text: Seconds, ``mm:ss``, ``h:mm:ss``, or the time of day after a T, ``T14:30:05``.
        started_at: When the call began.
        zone: Time zone of times of day.
        since_s: Where the span begins that the position ends, seconds.

    Raises:
        ValueError: Not a position, before the call, or the clocks go forward over it; the message is a sentence.
    """
    text = text.strip()
    if not text.startswith("T"):
        return position_from(text)
    found = _CLOCK.fullmatch(text)
    if found is None or int(found[1]) > 23 or int(found[2]) > 59 or float(found[3] or 0) >= 60:
        raise ValueError(f"{text!r} is not a time of day; write T14:30:05")
    local = started_at.astimezone(zone)
    wanted = datetime.combine(local.date(), time(), tzinfo=None) + timedelta(
        hours=int(found[1]), minutes=int(found[2]), seconds=float(found[3] or 0)
    )
    if wanted - local.replace(tzinfo=None) < -timedelta(hours=12):  # the call went on past midnight
        wanted += timedelta(days=1)
    first, last = (moment_in(wanted, zone, is_end=is_end) for is_end in (False, True))
    moment = first if first >= started_at + timedelta(seconds=since_s) else last
    if moment < started_at:
        raise ValueError(f"{text[1:]} is before the call: it began at {local:%H:%M:%S}")
    return (moment - started_at).total_seconds()


def redaction_from(text: str, started_at: datetime, zone: ZoneInfo, *, reason: str) -> Redaction:
    """Parse a span to silence: ``[left:|right:|both:]FROM to TO``, or with a hyphen.

    The caller is ``left`` or ``caller``, the officer ``right`` or ``officer``.

    Raises:
        ValueError: Not a span; the message is a sentence.
    """
    word, colon, span = text.strip().partition(":")
    if not colon or word.lower() not in _SIDES:
        word, span = "both", text.strip()
    begin, *ends = _BETWEEN.split(span.strip(), maxsplit=1)
    if not begin or not ends or not ends[0]:
        raise ValueError(
            f"{text!r} is not a span to silence; write 1:05 to 1:20, caller:1:05 to 1:20 or T14:30:05 to T14:30:09"
        )
    end = ends[0]
    start_s = position_in(begin, started_at, zone)
    end_s = position_in(end, started_at, zone, since_s=start_s)
    if not start_s < end_s:
        raise ValueError(f"{text!r} ends before it begins")
    return Redaction(start_s=start_s, end_s=end_s, channels=_SIDES[word.lower()], reason=reason)
