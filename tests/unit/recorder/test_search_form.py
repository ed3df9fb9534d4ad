"""The search form as it is sent and as it is shown again."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from recorder.web.filters import read_form
from recorder.web.forms import TypedForm
from recorder.web.search_form import fields_of, page_links, shown_again

LONDON = ZoneInfo("Europe/London")
NOW = datetime(2026, 11, 29, 22, 0, tzinfo=UTC)


def sent(**values: str) -> TypedForm:
    return TypedForm(values={name.replace("__", "-"): (value,) for name, value in values.items()}, is_sent=True)


def test_a_period_fills_the_dates_and_leaves_the_rest() -> None:
    form = read_form(
        fields_of(sent(preset="last_7_days", from_date__day="1", to_time="10:00", operator="smith"), NOW, LONDON),
        "Europe/London",
    )
    assert form.search.started_from == datetime(2026, 11, 23, tzinfo=UTC)
    assert form.search.started_to == datetime(2026, 11, 30, tzinfo=UTC)
    again = shown_again(form)
    assert [again[f"{side}_date-{part}"] for side in ("from", "to") for part in ("day", "month", "year")] == [
        "23", "11", "2026", "29", "11", "2026",
    ]  # fmt: skip
    assert again["operator"] == "smith"


def test_three_fields_are_one_date_and_say_which_part_is_missing() -> None:
    form = read_form(
        fields_of(sent(from_date__day="28", from_date__month="nov", from_date__year="26"), NOW, LONDON), "UTC"
    )
    assert form.search.started_from == datetime(2026, 11, 28, tzinfo=UTC)
    wrong = shown_again(read_form(fields_of(sent(to_date__day="28", to_date__year="2026"), NOW, LONDON), "UTC"))
    assert wrong.errors == {"to_date": "The date must include a month."}
    assert (wrong["to_date-day"], wrong["to_date-month"], wrong["to_date-year"]) == ("28", "", "2026")


def test_a_date_that_cannot_be_read_stays_in_sight() -> None:
    assert shown_again(read_form({"from_date": "tomorrow"}, "UTC"))["from_date-day"] == "tomorrow"


@pytest.mark.parametrize(
    ("page", "pages", "has_next", "previous", "following", "numbers"),
    [
        (1, 1, False, None, None, [1]),
        (1, 3, True, None, 2, [1, 2, 3]),
        (5, 9, True, 4, 6, [1, None, 4, 5, 6, None, 9]),
        (9, 9, False, 8, None, [1, None, 8, 9]),
        (3, None, True, 2, 4, [1, 2, 3, 4]),
        (21, None, False, 20, None, [1, None, 20, 21]),
    ],
)
def test_pages_have_a_button_near_the_present_one_and_at_the_ends(
    page: int, pages: int | None, has_next: bool, previous: int | None, following: int | None, numbers: list[int | None]
) -> None:
    links = page_links(page, pages, has_next=has_next)
    assert links == {"previous": previous, "next": following, "numbers": numbers}
