"""Who signs on at which phone from their page, and who has to key a code there; the codes."""

from datetime import UTC, datetime, timedelta

import pytest

from recorder.access.sign_on_codes import GOOD_FOR, MAX_WRONG, MOST_CODES, SignOnCodes
from recorder.permissions import Person, Role
from recorder.rules.policy import Extension
from recorder.rules.sign_on import SignOn, SignOnWay, displaced, route_to

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ALICES = Extension(number="2001", operator="Alice", service="Desk", team="Revenues")
SHARED = Extension(number="2003", operator="", service="Desk", team="Revenues")
OTHERS = Extension(number="3003", operator="", service="Desk", team="Housing")
TEAMLESS = Extension(number="4003", operator="", service="Desk")
BOB_ON = SignOn(operator="Bob", at=NOW, is_proven=False)


def officer(name: str = "Mallory", extension: str | None = None) -> Person:
    return Person(name=name.lower(), display_name=name, roles=frozenset({Role.OFFICER}), extension=extension)


def way(
    extension: Extension, *, who: Person | None = None, there: SignOn | None = None, is_anothers: bool = False
) -> SignOnWay:
    return route_to(who or officer(), extension, there, teams=("Revenues",), is_anothers=is_anothers)


def test_from_the_page_only_at_a_phone_of_ones_team_that_is_nobodys() -> None:
    assert way(SHARED) is SignOnWay.AT_ONCE
    assert way(TEAMLESS) is SignOnWay.AT_ONCE, "an extension without a team is of everybody's"
    assert way(ALICES) is SignOnWay.BY_CODE, "it is configured as hers"
    assert way(SHARED, is_anothers=True) is SignOnWay.BY_CODE, "it is the own one of another account"
    assert way(OTHERS) is SignOnWay.BY_CODE, "it is another team's"
    assert way(SHARED, there=BOB_ON) is SignOnWay.BY_CODE, "somebody is signed on"
    assert way(SHARED, who=officer("Bob"), there=BOB_ON) is SignOnWay.BY_CODE, "nobody makes it longer from elsewhere"


def test_at_ones_own_phone_at_once_unless_somebody_has_signed_on_there() -> None:
    alice = officer("Alice")
    assert way(ALICES, who=alice) is SignOnWay.AT_ONCE
    assert way(ALICES, who=alice, there=BOB_ON) is SignOnWay.BY_CODE
    own = officer("Mallory", extension="3003")
    assert way(OTHERS, who=own) is SignOnWay.AT_ONCE
    assert way(OTHERS, who=own, is_anothers=True) is SignOnWay.BY_CODE
    assert way(ALICES, who=officer("Mallory", extension="2001")) is SignOnWay.BY_CODE, (
        "the file says that it is Alice's"
    )


def test_from_whom_a_phone_is_taken_over() -> None:
    assert displaced("Mallory", ALICES, None) == "Alice"
    assert displaced("Alice", ALICES, None) is None
    assert displaced("Alice", ALICES, BOB_ON) == "Bob"
    assert displaced("Mallory", SHARED, None) is None


@pytest.mark.parametrize(
    ("later", "is_over"),
    [(timedelta(0), False), (timedelta(hours=11.9), False), (timedelta(hours=12), True), (timedelta(hours=-1), True)],
)
def test_a_sign_on_ends_after_a_working_day_and_when_the_clock_is_set_back(later: timedelta, is_over: bool) -> None:
    assert BOB_ON.is_over(NOW + later, timedelta(hours=12)) is is_over


# --- codes


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def issue(codes: SignOnCodes, extension: str = "2001", name: str = "mallory") -> str:
    return codes.issue(extension, account=name, operator=name.title()).digits


def test_a_code_is_good_once_at_its_phone_and_for_a_quarter_of_an_hour() -> None:
    clock = Clock()
    codes = SignOnCodes(clock)
    digits = issue(codes)
    assert len(digits) == 6
    assert codes.take("2002", digits) is None
    taken = codes.take("2001", digits)
    assert taken is not None
    assert (taken.account, taken.operator) == ("mallory", "Mallory")
    assert digits not in repr(taken)
    assert codes.take("2001", digits) is None, "it is used up"
    first, second = issue(codes), issue(codes)
    assert codes.take("2001", first) is None or first == second, "a new one replaces it"
    late = issue(codes)
    clock.now += GOOD_FOR
    assert codes.take("2001", late) is None


def test_three_wrong_entries_end_the_codes_of_that_phone() -> None:
    codes = SignOnCodes(Clock())
    digits, other = issue(codes), issue(codes, "2002", "bob")
    for _ in range(MAX_WRONG):
        assert codes.take("2001", "none") is None
    assert codes.take("2001", digits) is None
    assert codes.take("2002", other) is not None
    again = issue(codes)
    assert codes.take("2001", again) is not None


def test_codes_are_bounded() -> None:
    codes = SignOnCodes(Clock())
    first = issue(codes)
    for number in range(MOST_CODES):
        issue(codes, "2001", f"n{number}")
    assert codes.take("2001", first) is None
