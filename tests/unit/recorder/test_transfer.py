"""What follows when a party is replaced: every pair of who stays and who comes; who may ask; who has the keys."""

import pytest

from recorder.calls.rules.call_events import After, CallState, Side
from recorder.calls.rules.transfer import (
    TABLE,
    Party,
    PartyStatus,
    is_same_line,
    is_same_number,
    officer_after,
    parties_of,
    who_answered,
    why_refused,
)
from recorder.rules.policy import Direction, Extension, Nomination

ALICE = Extension(number="2001", operator="alice", service="Revenues")
BOB = Extension(number="2002", operator="bob", service="Revenues")
N, T, U, E = PartyStatus.NOMINATED, PartyStatus.TOLD, PartyStatus.UNTOLD, PartyStatus.EXEMPT
RECORD, ANNOUNCE, OUT = After.RECORD, After.ANNOUNCE, After.OUT_OF_SCOPE


@pytest.mark.parametrize(
    ("stays", "comes", "after"),
    [
        (T, N, RECORD), (U, N, ANNOUNCE), (N, N, RECORD), (E, N, OUT),
        (T, T, OUT), (U, T, OUT), (N, T, RECORD), (E, T, OUT),
        (T, U, OUT), (U, U, OUT), (N, U, ANNOUNCE), (E, U, OUT),
        (T, E, OUT), (U, E, OUT), (N, E, OUT), (E, E, OUT),
    ],
)  # fmt: skip
def test_the_table(stays: PartyStatus, comes: PartyStatus, after: After) -> None:
    assert TABLE[stays, comes] is after


def test_every_pair_is_decided() -> None:
    assert set(TABLE) == {(stays, comes) for stays in PartyStatus for comes in PartyStatus}


@pytest.mark.parametrize(("stays", "comes"), list(TABLE))
def test_nobody_is_recorded_who_was_not_told_and_nobody_elses_calls_are(stays: PartyStatus, comes: PartyStatus) -> None:
    after, both = TABLE[stays, comes], {stays, comes}
    if after is RECORD:
        assert N in both
        assert not both & {U, E}
    if after is ANNOUNCE:
        assert both == {N, U}


@pytest.mark.parametrize(("stays", "comes"), list(TABLE))
@pytest.mark.parametrize("target", Side)
@pytest.mark.parametrize("officer", Side)
def test_the_keys_are_on_a_nominated_side(stays: PartyStatus, comes: PartyStatus, target: Side, officer: Side) -> None:
    found = officer_after(stays, comes, target=target, officer=officer)
    if (stays is N) is (comes is N):
        assert found is officer
    else:
        assert (comes if found is target else stays) is N


@pytest.mark.parametrize("state", CallState)
def test_only_our_side_may_ask_and_only_when_the_sides_are_joined(state: CallState) -> None:
    assert why_refused(is_inside=False, state=state) == 603
    is_joined = state in (CallState.JOINED, CallState.THROUGH_JOINED)
    assert why_refused(is_inside=True, state=state) == (None if is_joined else 491)


@pytest.mark.parametrize(
    ("known", "named", "is_same"),
    [
        ("2001", "2001", True),
        ("2001", "+441632962001", True),
        ("+441632962001", "2001", True),
        ("01632962001", "+441632962001", True),
        ("00441632962001", "01632962001", True),
        ("01632962001", "01632962002", False),
        ("2001", "2002", False),
        ("2001", "12001999", False),
        ("0", "00", False),
        ("01", "2001", False),
        ("anonymous", "2001", False),
        ("", "2001", False),
        ("0123", "5123", False),
        ("600", "2600", False),
        ("500", "8500", False),
        ("2001", "0162001", False),
        ("1632962001", "+441632962001", True),
        ("1632962001", "01632962001", True),
    ],
)
def test_one_line_by_two_numbers(known: str, named: str, is_same: bool) -> None:
    assert is_same_line(known, named) is is_same


@pytest.mark.parametrize(
    ("named", "is_same"),
    [
        ("01632962001", True),
        ("+441632962001", True),
        ("00441632962001", True),
        ("1632962001", True),
        ("2001", False),
        ("07700902001", False),
    ],
)
def test_a_name_that_changes_in_a_call_is_one_number_in_full_only(named: str, is_same: bool) -> None:
    assert is_same_number("01632962001", named) is is_same
    assert is_same_number(named, "01632962001") is is_same
    assert not is_same_number("2001", "07700902001")


@pytest.mark.parametrize(
    ("early", "answering", "expected"),
    [
        (None, None, "2001"),
        ("2002", None, "2002"),
        (None, "2002", "2002"),
        ("2002", "4000", "4000"),
        ("2002", "2001", "2001"),
        ("2002", "Anonymous", "2002"),
        (None, "anonymous", "2001"),
        (None, "", "2001"),
        (None, "+441632962001", "2001"),
        (None, "ann", "2001"),
        ("ann", None, "2001"),
        ("2002", "ann", "2002"),
        (None, "desk-7", "desk-7"),
        (None, "01632002001", "01632002001"),
    ],
)
def test_whoever_was_named_last_answered(early: str | None, answering: str | None, expected: str) -> None:
    known = {"2001", "2002", "desk-7", "01632002001"}
    assert who_answered("2001", early=early, answering=answering, is_known=known.__contains__) == expected


def test_standings() -> None:
    assert Party(number="2001", extension=ALICE, is_told=True).status is N
    assert Party(number="1", is_told=True).status is T
    assert Party(number="1").status is U
    assert Party(number="999", extension=ALICE, is_emergency=True).status is E
    assert Party(number="5000", is_told=True, is_mailbox=True).status is E


def test_who_is_on_a_call_that_begins() -> None:
    inbound = parties_of(Nomination(direction=Direction.INBOUND, extension=ALICE), calling="1", called="2001")
    assert (inbound[Side.A].extension, inbound[Side.B].extension) == (None, ALICE)
    outbound = parties_of(Nomination(direction=Direction.OUTBOUND, extension=ALICE), calling="2001", called="1")
    assert (outbound[Side.A].extension, outbound[Side.B].extension) == (ALICE, None)
    internal = Nomination(direction=Direction.INTERNAL, extension=ALICE, second=BOB)
    both = parties_of(internal, calling="2002", called="2001")
    assert (both[Side.A].extension, both[Side.B].extension) == (BOB, ALICE)
    assert {one.extension for one in parties_of(None, calling="1", called="2").values()} == {None}
