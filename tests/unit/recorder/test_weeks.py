"""This week against the last: local days and hours, across the change of the clocks."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from recorder.reports.weeks import two_weeks
from storage.known_values import Tally
from storage.tables import microseconds
from storage.types import Outcome

LONDON = ZoneInfo("Europe/London")
NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
"""A Wednesday."""


def test_both_weeks_are_counted_by_outcome_and_local_hour() -> None:
    asked: list[tuple[datetime, datetime]] = []

    def count(start: datetime, end: datetime) -> Iterator[Tally]:
        asked.append((start, end))
        number = len(asked)
        for outcome, calls in ((Outcome.RECORDED, 5), (Outcome.PARTIAL, 2), (Outcome.BLOCKED, 1)):
            yield Tally(
                hour_us=microseconds(start + timedelta(hours=9)), outcome=str(outcome), calls=calls * number, pauses=1,
                opted_out=number,
            )  # fmt: skip

    weeks = two_weeks(count, NOW, LONDON)
    monday = datetime(2026, 11, 23, tzinfo=UTC)
    week = timedelta(days=7)
    assert asked == [(monday, NOW), (monday - week, monday), (monday - week, NOW - week)]
    this = weeks.this
    assert (this.calls, this.recorded, this.blocked, this.pauses, this.opt_outs) == (8, 7, 1, 3, 3)
    assert (this.by_hour[9], sum(this.by_hour), len(this.by_hour)) == (8, 8, 24)
    assert weeks.last.calls == 16
    assert list(this.outcomes) == list(Outcome), "every outcome has its place in a chart"
    assert this.as_json()["outcomes"]["failed"] == 0


def test_a_week_in_which_clocks_change_is_of_local_days() -> None:
    asked: list[tuple[datetime, datetime]] = []

    def count(start: datetime, end: datetime) -> list[Tally]:
        asked.append((start, end))
        return [
            Tally(hour_us=microseconds(end - timedelta(hours=1)), outcome="recorded", calls=1, pauses=0, opted_out=0)
        ]

    weeks = two_weeks(count, datetime(2026, 10, 28, 12, tzinfo=UTC), LONDON)
    assert asked[1] == (datetime(2026, 10, 18, 23, tzinfo=UTC), datetime(2026, 10, 26, tzinfo=UTC))
    assert weeks.last.by_hour[23] == 1
