"""Dates and times of day are understood as people type them."""

from datetime import date, time

import pytest

from recorder.rules.typed_dates import DatePart, TypedDateError, date_of, date_typed, moment_typed, time_typed

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
