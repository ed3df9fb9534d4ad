"""Which calls are recorded, and under which id."""

import re
from datetime import UTC, datetime

import pytest

from recorder.rules.policy import Direction, Extension, nominate, recording_id

ALICE = Extension(number="2001", operator="alice", service="Revenues")
BOB = Extension(number="2002", operator="bob", service="Benefits")
NOMINATED = {"2001": ALICE, "2002": BOB}


def test_inbound() -> None:
    found = nominate(NOMINATED, calling="01632960123", called="2001")
    assert found is not None
    assert (found.direction, found.extension, found.second) == (Direction.INBOUND, ALICE, None)


def test_outbound() -> None:
    found = nominate(NOMINATED, calling="2002", called="01632960123")
    assert found is not None
    assert (found.direction, found.extension, found.second) == (Direction.OUTBOUND, BOB, None)


def test_internal_belongs_to_the_one_called_and_names_both() -> None:
    found = nominate(NOMINATED, calling="2002", called="2001")
    assert found is not None
    assert (found.direction, found.extension, found.second) == (Direction.INTERNAL, ALICE, BOB)


@pytest.mark.parametrize(
    ("calling", "called"), [("01632960123", "2003"), ("2003", "2004"), ("", ""), ("20-011", "20011")]
)
def test_other_calls_are_not_touched(calling: str, called: str) -> None:
    assert nominate(NOMINATED, calling=calling, called=called) is None


@pytest.mark.parametrize("written", ["20-01", " 2001", "2001 ", "(20)01", "2.0.0.1", "2001\t"])
def test_separators_count_for_nothing_on_either_side(written: str) -> None:
    for calling, called in ((written, "01632960123"), ("01632960123", written)):
        found = nominate(NOMINATED, calling=calling, called=called)
        assert found is not None
        assert found.extension is ALICE


def test_what_a_route_that_leads_inside_makes_of_a_number_counts() -> None:
    found = nominate(NOMINATED, calling="", called="01632962001", rung="2001")
    assert found is not None
    assert (found.direction, found.extension) == (Direction.INBOUND, ALICE)
    assert nominate(NOMINATED, calling="", called="01632962001", rung=None) is None


@pytest.mark.parametrize(
    ("extension", "kept"),
    [("2001", "2001"), ("+44 1632 960123", "441632960123"), ("../../etc/passwd", "etcpasswd"), ("", "0"), ("☎", "0"),
     ("a" * 50, "a" * 20)],
)  # fmt: skip
def test_an_id_is_a_safe_file_name(extension: str, kept: str) -> None:
    made = recording_id(datetime(2026, 11, 25, 9, 30, 1, tzinfo=UTC), extension, "0a1b2c")
    assert made == f"20261125T093001Z-{kept}-0a1b2c"
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9A-Za-z]{1,20}-[0-9a-f]{6}", made)
