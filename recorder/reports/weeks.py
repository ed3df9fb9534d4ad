"""The figures of this week and the last, side by side, from counts by hour. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from storage.known_values import Tally
from storage.tables import moment_of
from storage.types import Outcome

WEEK = timedelta(days=7)
_WITH_RECORDING = (Outcome.RECORDED, Outcome.PARTIAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekFigures:
    """The calls that began in a part of a week.

    Attributes:
        start: Beginning, of the site's zone.
        end: End, exclusive.
        outcomes: Number of calls by outcome, every outcome in its order.
        pauses: Number of pauses.
        opt_outs: Calls that were opted out.
        by_hour: Number of calls by local hour of the day, 24 numbers.
    """

    start: datetime
    end: datetime
    outcomes: Mapping[Outcome, int]
    pauses: int
    opt_outs: int
    by_hour: tuple[int, ...]

    @property
    def calls(self) -> int:
        """All calls."""
        return sum(self.outcomes.values())

    @property
    def recorded(self) -> int:
        """Calls of which something was recorded."""
        return sum(self.outcomes[one] for one in _WITH_RECORDING)

    @property
    def blocked(self) -> int:
        """Calls that were not to be recorded, or not any more."""
        return self.outcomes[Outcome.BLOCKED]

    def as_json(self) -> dict[str, Any]:
        """Return JSON-able values."""
        return {
            "from": self.start.isoformat(), "to": self.end.isoformat(), "calls": self.calls, "recorded": self.recorded,
            "pauses": self.pauses, "opt_outs": self.opt_outs, "blocked": self.blocked,
            "outcomes": {str(one): count for one, count in self.outcomes.items()}, "calls_by_hour": [*self.by_hour],
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoWeeks:
    """This week from Monday to now, the whole week before, and that week up to the same moment."""

    this: WeekFigures
    last: WeekFigures
    last_so_far: WeekFigures


def two_weeks(count: Callable[[datetime, datetime], Iterable[Tally]], now: datetime, zone: ZoneInfo) -> TwoWeeks:
    """Return the figures of this week and the last.

    Args:
        count: Returns the counts of a period, `storage.known_values.KnownValues.tallies`.
        now: The current time.
        zone: Time zone of the site.
    """
    local = now.astimezone(zone)
    monday = local.date() - timedelta(days=local.weekday())
    this, last = _midnight(monday, zone), _midnight(monday - WEEK, zone)
    same = datetime.combine(local.date() - WEEK, local.time(), zone)
    return TwoWeeks(
        this=_figures(count, this, local), last=_figures(count, last, this), last_so_far=_figures(count, last, same)
    )


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(0), zone)


def _figures(count: Callable[[datetime, datetime], Iterable[Tally]], start: datetime, end: datetime) -> WeekFigures:
    outcomes: Counter[str] = Counter()
    hours, pauses, opt_outs = [0] * 24, 0, 0
    for tally in count(start.astimezone(UTC), end.astimezone(UTC)):
        outcomes[tally.outcome] += tally.calls
        hours[moment_of(tally.hour_us).astimezone(start.tzinfo).hour] += tally.calls
        pauses, opt_outs = pauses + tally.pauses, opt_outs + tally.opted_out
    return WeekFigures(
        start=start, end=end, outcomes={one: outcomes[str(one)] for one in Outcome}, pauses=pauses, opt_outs=opt_outs,
        by_hour=tuple(hours),
    )  # fmt: skip
