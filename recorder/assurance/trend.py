"""Has the share of badly recorded calls risen? Pure.

The rule: the last days, as many as it takes for `FEWEST_CALLS` calls but no more than `MOST_DAYS`, against the
`BEFORE_DAYS` days before them. It has risen if the two Wilson score intervals (z = `Z`, 99.7 %) do not overlap. Unlike
a test that takes shares as normally distributed, that holds with few calls, and with none that were bad.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from math import sqrt

Z = 3.0
FEWEST_CALLS = 50
FEWEST_BEFORE = 200
MOST_DAYS = 7
BEFORE_DAYS = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCount:
    """Calls of a day, and how many of them were bad."""

    calls: int
    bad: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """The last days against those before.

    Attributes:
        since: First of the last days.
        now: Their calls.
        before: Calls of the days before.
        has_risen: Whether the share has risen.
        is_enough: Whether there are enough calls to tell.
    """

    since: date
    now: DayCount
    before: DayCount
    has_risen: bool
    is_enough: bool


def trend_of(days: Mapping[date, DayCount], last: date) -> Trend:
    """Compare the days up to one with those before.

    Args:
        days: Days that were judged; others count as without calls.
        last: The last whole day.
    """
    since, now = last, _sum(days, last, 1)
    while now.calls < FEWEST_CALLS and (last - since).days + 1 < MOST_DAYS:
        since -= timedelta(days=1)
        now = _sum(days, since, (last - since).days + 1)
    before = _sum(days, since - timedelta(days=BEFORE_DAYS), BEFORE_DAYS)
    is_enough = now.calls >= FEWEST_CALLS and before.calls >= FEWEST_BEFORE
    has_risen = is_enough and wilson(now.bad, now.calls)[0] > wilson(before.bad, before.calls)[1]
    return Trend(since=since, now=now, before=before, has_risen=has_risen, is_enough=is_enough)


def wilson(bad: int, calls: int) -> tuple[float, float]:
    """Return the Wilson score interval of a share.

    Args:
        bad: How many, in [0, calls].
        calls: Of how many, over 0.
    """
    share = bad / calls
    middle = (share + Z * Z / (2 * calls)) / (1 + Z * Z / calls)
    half = Z / (1 + Z * Z / calls) * sqrt(share * (1 - share) / calls + Z * Z / (4 * calls * calls))
    return max(0.0, middle - half), min(1.0, middle + half)


def _sum(days: Mapping[date, DayCount], first: date, number: int) -> DayCount:
    found = [days[day] for one in range(number) if (day := first + timedelta(days=one)) in days]
    return DayCount(calls=sum(one.calls for one in found), bad=sum(one.bad for one in found))
