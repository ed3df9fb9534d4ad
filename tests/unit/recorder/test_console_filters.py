"""The search form: local dates to UTC, across the change of the clocks."""

from datetime import UTC, datetime

import pytest

from recorder.recordings.searching import typed
from recorder.web.filters import PAGE_SIZE, read_form
from storage.types import Outcome, Search

LONDON = "Europe/London"


def test_empty() -> None:
    form = read_form({}, LONDON)
    assert form.search == Search(limit=PAGE_SIZE)
    assert (form.page, form.errors) == (1, {})


def test_days_are_local_and_the_last_is_included() -> None:
    form = read_form({"from_date": "2026-07-01", "to_date": "01/07/2026"}, LONDON)
    assert form.search.started_from == datetime(2026, 6, 30, 23, 0, tzinfo=UTC)
    assert form.search.started_to == datetime(2026, 7, 1, 23, 0, tzinfo=UTC)


def test_the_day_on_which_clocks_go_back_has_25_hours() -> None:
    search = read_form({"from_date": "2026-10-25", "to_date": "2026-10-25"}, LONDON).search
    assert search.started_from is not None
    assert search.started_to is not None
    assert (search.started_to - search.started_from).total_seconds() == 25 * 3600


def test_minutes_are_included() -> None:
    sent = {"from_date": "2026-11-25", "from_time": "09:30", "to_date": "2026-11-25", "to_time": "09:30"}
    search = read_form(sent, LONDON).search
    assert search.started_from == datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
    assert search.started_to == datetime(2026, 11, 25, 9, 31, tzinfo=UTC)


def test_the_rest() -> None:
    sent = {"operator": " Ann ", "extension": "2001", "number": "0161", "outcome": "partial", "page": "3"}
    search = read_form(sent, LONDON).search
    assert (search.operator, search.extension, search.number) == ("Ann", "2001", "0161")
    assert (search.outcome, search.offset) == (Outcome.PARTIAL, 2 * PAGE_SIZE)
    assert typed(search) == "operator: Ann; extension: 2001; number: 0161"


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"from_date": "tomorrow"}, "from_date"),
        ({"from_date": "2026-02-30"}, "from_date"),
        ({"from_date": "0001-01-01"}, "from_date"),
        ({"from_time": "09:30"}, "from_date"),
        ({"to_date": "2026-11-25", "to_time": "25:00"}, "to_time"),
        ({"from_date": "2026-11-25", "to_date": "2026-11-24"}, "to_date"),
        ({"outcome": "lost"}, "outcome"),
    ],
)
def test_errors(sent: dict[str, str], field: str) -> None:
    form = read_form(sent, LONDON)
    assert list(form.errors) == [field]
    assert form.typed[next(iter(sent))] == next(iter(sent.values()))


@pytest.mark.parametrize("page", ["0", "-1", "x", "", "²", "99999999999999"])
def test_bad_page_is_the_first(page: str) -> None:
    assert read_form({"page": page}, LONDON).page == 1
