"""Dates and times of day are understood as people type them."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis.strategies import datetimes, just

from recorder.rules.typed_dates import (
    DatePart,
    TypedDateError,
    date_of,
    date_typed,
    moment_in,
    moment_typed,
    readings,
    time_typed,
)

THE_DAY = date(2026, 11, 28)


@pytest.mark.parametrize(
    "typed",
    [
        "28/11/2026", "28 11 26", "28 November 2026", "2026-11-28", " 28.11.2026 ", "28-11-26", "28 Nov 2026",
        "28nov26", "28th november, 2026", "Saturday 28 November 2026", "Sat, 28 Nov 26", "2026/11/28", "28/Nov/2026",
        "28  11  2026",
    ],
)  # fmt: skip
def test_a_day_is_understood_in_every_usual_form(typed: str) -> None:
    assert date_typed(typed) == THE_DAY


@pytest.mark.parametrize(
    ("typed", "part", "sentence"),
    [
        ("31/11/2026", DatePart.DAY, "The day must be between 1 and 30 in November"),
        ("29 2 2026", DatePart.DAY, "The day must be between 1 and 28 in February 2026"),
        ("0/1/2026", DatePart.DAY, "The day must be between 1 and 31 in January"),
        ("28/13/2026", DatePart.MONTH, "The month must be between 1 and 12"),
        ("2026-00-28", DatePart.MONTH, "The month must be between 1 and 12"),
        ("28 Nonember 2026", DatePart.MONTH, "There is no month called Nonember"),
        ("28 ju 2026", DatePart.MONTH, "There is no month called ju"),
        ("28/11/202", DatePart.YEAR, "The year must be 2 or 4 numbers, like 2026"),
        ("28/11/1066", DatePart.YEAR, "The year must be between 1970 and 2999"),
        ("28 November", DatePart.YEAR, "The date must include a year"),
        ("28/11", DatePart.YEAR, "The date must include a year"),
        ("281126", DatePart.ALL, "Enter a date like 28 11 2026"),
        ("tomorrow", DatePart.ALL, "Enter a date like 28 11 2026"),
        ("", DatePart.ALL, "Enter a date like 28 11 2026"),
        ("٢٨/11/2026", DatePart.ALL, "Enter a date like 28 11 2026"),
    ],
)
def test_an_impossible_day_says_which_part_is_wrong(typed: str, part: DatePart, sentence: str) -> None:
    with pytest.raises(TypedDateError) as caught:
        date_typed(typed)
    assert (caught.value.part, str(caught.value)) == (part, sentence)


def test_the_three_fields_of_a_date_input_are_a_day() -> None:
    assert date_of("28", "11", "26") == date_of(" 28 ", "November", "2026") == date_of("28", "nov", "2026") == THE_DAY


@pytest.mark.parametrize(
    ("fields", "part", "sentence"),
    [
        (("", "", ""), DatePart.ALL, "Enter a date like 28 11 2026"),
        (("28", "", "2026"), DatePart.MONTH, "The date must include a month"),
        (("28", "", " "), DatePart.MONTH, "The date must include a month and a year"),
        (("x", "11", "2026"), DatePart.DAY, "The day must be between 1 and 30 in November"),
    ],
)
def test_a_missing_field_is_named(fields: tuple[str, str, str], part: DatePart, sentence: str) -> None:
    with pytest.raises(TypedDateError) as caught:
        date_of(*fields)
    assert (caught.value.part, str(caught.value)) == (part, sentence)


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("09:30", time(9, 30)), ("9.30am", time(9, 30)), ("9:30 AM", time(9, 30)), ("14:30:05", time(14, 30, 5)),
        ("5pm", time(17)), ("12am", time(0)), ("12:05pm", time(12, 5)), ("midday", time(12)), ("midnight", time(0)),
    ],
)  # fmt: skip
def test_a_time_of_day_is_understood(typed: str, wanted: time) -> None:
    assert time_typed(typed) == wanted


@pytest.mark.parametrize("typed", ["", "9", "24:00", "9:60", "13pm", "0am", "half nine", "9:3"])
def test_what_is_no_time_of_day_is_refused(typed: str) -> None:
    with pytest.raises(TypedDateError, match="nter a time like"):
        time_typed(typed)


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("28/11/2026", "2026-11-28"), ("28 November 2026", "2026-11-28"), ("2026-11-28", "2026-11-28"),
        ("28/11/2026 14:30", "2026-11-28T14:30:00"), ("28 11 26 5pm", "2026-11-28T17:00:00"),
        ("28 November 2026, 5:46am", "2026-11-28T05:46:00"), ("2026-11-28T14:30", "2026-11-28T14:30:00"),
        ("2026-11-28 14:30", "2026-11-28T14:30:00"), ("2026-11-28T14:30:05Z", "2026-11-28T14:30:05+00:00"),
    ],
)  # fmt: skip
def test_a_day_with_a_time_is_understood(typed: str, wanted: str) -> None:
    assert moment_typed(typed).isoformat() == wanted


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [("2026-11-31T14:30", "The day must be"), ("28/11/2026 25:00", "There is no time 25:00"), ("soon", "Enter a date")],
)
def test_an_impossible_day_or_time_says_what_is_wrong(typed: str, sentence: str) -> None:
    with pytest.raises(TypedDateError, match=sentence):
        moment_typed(typed)


# --- the days on which the clocks change

LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("typed", "start", "end"),
    [
        # 25 October 2026: at 2am summer time the clocks go back to 1am
        ("25/10/2026 00:59:59", "2026-10-24T23:59:59", "2026-10-24T23:59:59"),
        ("25/10/2026 01:00", "2026-10-25T00:00:00", "2026-10-25T01:00:00"),
        ("25/10/2026 01:25", "2026-10-25T00:25:00", "2026-10-25T01:25:00"),
        ("25/10/2026 01:59:59", "2026-10-25T00:59:59", "2026-10-25T01:59:59"),
        ("25/10/2026 02:00", "2026-10-25T02:00:00", "2026-10-25T02:00:00"),
        ("25/10/2026", "2026-10-24T23:00:00", "2026-10-26T00:00:00"),
        ("2026-10-25T01:25+01:00", "2026-10-25T00:25:00", "2026-10-25T00:25:00"),
        ("2026-10-25T01:25Z", "2026-10-25T01:25:00", "2026-10-25T01:25:00"),
        # 29 March 2026: at 1am the clocks go forward to 2am
        ("29/3/2026 00:59:59", "2026-03-29T00:59:59", "2026-03-29T00:59:59"),
        ("29/3/2026 2am", "2026-03-29T01:00:00", "2026-03-29T01:00:00"),
        ("29/3/2026", "2026-03-29T00:00:00", "2026-03-29T23:00:00"),
        ("2026-03-29T01:30Z", "2026-03-29T01:30:00", "2026-03-29T01:30:00"),
    ],
)
def test_a_range_has_both_readings_of_a_time_that_comes_twice(typed: str, start: str, end: str) -> None:
    found = [moment_in(moment_typed(typed), LONDON, is_end=is_end) for is_end in (False, True)]
    assert [f"{moment:%Y-%m-%dT%H:%M:%S}" for moment in found] == [start, end]
    assert [moment.tzinfo for moment in found] == [UTC, UTC]


@pytest.mark.parametrize(
    ("typed", "clock"), [("01:00", "1am"), ("1:30am", "1:30am"), ("01:59:59", "1:59:59am"), ("01:30:00", "1:30am")]
)
@pytest.mark.parametrize("is_end", [False, True])
def test_a_time_that_the_clocks_pass_over_is_refused(typed: str, clock: str, *, is_end: bool) -> None:
    with pytest.raises(TypedDateError) as caught:
        moment_in(moment_typed(f"29/3/2026 {typed}"), LONDON, is_end=is_end)
    sentence = f"There is no {clock} on 29 March 2026, because the clocks go forward: enter an earlier or later time"
    assert str(caught.value) == sentence


def test_a_day_whose_midnight_the_clocks_pass_over_is_a_day() -> None:
    cairo = ZoneInfo("Africa/Cairo")  # 24 April 2026 begins at 1am
    assert moment_in(date(2026, 4, 24), cairo, is_end=False) == datetime(2026, 4, 23, 22, tzinfo=UTC)
    assert moment_in(date(2026, 4, 23), cairo, is_end=True) == datetime(2026, 4, 23, 22, tzinfo=UTC)


@pytest.mark.parametrize("typed", ["9999-12-31T23:30-01:00", "0001-01-01T00:30+01:00"])
def test_a_moment_outside_the_years_is_refused(typed: str) -> None:
    with pytest.raises(TypedDateError, match="The year must be between 1970 and 2999"):
        moment_in(moment_typed(typed), LONDON, is_end=False)


@given(at=datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2999, 1, 1), timezones=just(UTC)))  # noqa: DTZ001
def test_every_moment_is_among_the_readings_of_its_time(at: datetime) -> None:
    found = readings(at.astimezone(LONDON).replace(tzinfo=None), LONDON)
    assert at in found
    assert list(found) == sorted(found)
    assert len(found) <= 2
