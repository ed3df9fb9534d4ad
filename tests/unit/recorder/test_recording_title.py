"""The title of a recording's page."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from recorder.web.call_names import name_of_id
from recorder.web.recording_title import spaced, title_of
from storage.rows import row_from_json
from tests.helpers.storage_home import row

LONDON = ZoneInfo("Europe/London")
CALL = replace(row_from_json(row()), operator="Olive Officer")


def test_a_recording_is_called_by_officer_other_party_and_time() -> None:
    assert title_of(CALL, LONDON) == "Olive Officer with 020 7946 0000, 24 November 2026, 9:30am"
    outbound = replace(CALL, direction="outbound", caller="2001", called="01632960123")
    assert title_of(outbound, LONDON) == "Olive Officer with 01632 960123, 24 November 2026, 9:30am"
    assert title_of(replace(CALL, caller="", operator=""), LONDON) == "extension 2001, 24 November 2026, 9:30am"
    assert title_of(CALL, LONDON, has_number=False) == "Olive Officer, 24 November 2026, 9:30am"


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("01614960000", "0161 496 0000"), ("07700900123", "07700 900123"), ("08081570000", "0808 157 0000"),
        ("0207946****", "0207946****"), ("+442079460000", "+442079460000"), ("2001", "2001"), ("<b>", "<b>"),
    ],
)  # fmt: skip
def test_a_number_is_written_as_people_write_it_and_a_masked_one_stays(number: str, shown: str) -> None:
    assert spaced(number) == shown


def test_a_recording_that_somebody_may_not_know_is_named_by_what_its_id_says() -> None:
    assert name_of_id("20260701T083000Z-2001-0a1b2c", LONDON) == "Call at extension 2001, 1 July 2026, 9:30am"
    assert name_of_id("<b>", LONDON) == "<b>"
