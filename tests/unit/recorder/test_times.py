"""Times, days, lengths and positions read as GOV.UK writes them."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from recorder.rules import times

LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("at", "wanted"),
    [
        (datetime(2026, 11, 28, 5, 46, 9, tzinfo=UTC), "28 November 2026, 5:46am"),
        (datetime(2026, 7, 1, 23, 30, tzinfo=UTC), "2 July 2026, 12:30am"),
        (datetime(2026, 11, 28, 17, 0, tzinfo=UTC), "28 November 2026, 5pm"),
        (datetime(2026, 11, 28, 12, 0, 59, tzinfo=UTC), "28 November 2026, midday"),
        (datetime(2026, 11, 28, 0, 0, tzinfo=UTC), "28 November 2026, midnight"),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "25 October 2026, 1:30am BST"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "25 October 2026, 1:30am GMT"),
    ],
)
def test_a_moment_is_told_in_the_sites_zone(at: datetime, wanted: str) -> None:
    assert times.moment(at, LONDON) == wanted


def test_seconds_are_told_where_they_matter() -> None:
    at = datetime(2026, 11, 28, 12, 0, 5, tzinfo=UTC)
    assert times.moment(at, LONDON, with_seconds=True) == "28 November 2026, 12:00:05pm"
    assert times.clock(at.replace(second=0), LONDON, with_seconds=True) == "midday"
    assert times.short_moment(at.replace(minute=46), LONDON) == "28 Nov 2026, 12:46pm"
    assert times.time_of_day(time(0, 5)) == "12:05am"


def test_a_day_is_told_long_short_and_with_its_weekday() -> None:
    on = date(2026, 9, 5)
    assert (times.day(on), times.short_day(on), times.weekday(on), times.month(on)) == (
        "5 September 2026", "5 Sep 2026", "Saturday 5 September 2026", "September 2026",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [
        (200, "3 minutes 20 seconds"), (61, "1 minute 1 second"), (60, "1 minute"), (0, "0 seconds"),
        (0.4, "less than 1 second"),
        (59.6, "1 minute"), (3600, "1 hour"), (3900.4, "1 hour 5 minutes"), (7199, "2 hours"),
        (100 * 3600, "100 hours"),
    ],
)  # fmt: skip
def test_a_length_is_told_in_words(seconds: float, wanted: str) -> None:
    assert times.duration(seconds) == wanted


@pytest.mark.parametrize(
    ("seconds", "wanted", "exact"),
    [
        (65, "1:05", "1:05"), (65.96, "1:05", "1:06"), (3723.25, "1:02:03", "1:02:03.2"), (0, "0:00", "0:00"),
        (59.97, "0:59", "1:00"), (-1, "0:00", "0:00"),
    ],
)  # fmt: skip
def test_a_position_is_told_as_a_player_shows_it(seconds: float, wanted: str, exact: str) -> None:
    assert (times.position(seconds), times.position(seconds, exact=True)) == (wanted, exact)


def test_spans_are_told_in_order() -> None:
    assert times.spans([(12, 65), (70.5, None)]) == "0:12 to 1:05, 1:10 to the end"


def test_a_time_can_be_kept_on_one_line() -> None:
    assert " " not in times.unbroken("28 November 2026, 5:46am")
    assert times.days(1) == "1 day"
    assert times.days(28) == "28 days"
