"""Every cell of who may do what to which hold is decided here, by hand, apart from the tables that it checks."""

from datetime import UTC, date, datetime, timedelta

import pytest

from recorder.permissions import Allowed, Person, Refusal, Role
from recorder.rules.holds import (
    GRACE,
    REVIEW_AFTER,
    HoldFacts,
    HoldWish,
    OrderVerdict,
    may_place,
    may_reinstate,
    may_release,
    may_review,
    may_see,
    problem_with,
    problem_with_owner,
    review_day,
    verdict_on,
)
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState, Hold, HoldKind, HoldState
from storage.types import RecordingId

WHY = "complaint 17"
TODAY = date(2026, 11, 25)
NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
CALL = HoldFacts(
    operators=frozenset({"Olive Officer", "Oscar Officer"}), extensions=frozenset({"2001", "2002"}), team="Revenues"
)

# p: place, r: release, k: review and take back, -: refused. A manager is one of the call's team.
EXPECTED = {
    #                    admin officer manager leader dpo ict member
    HoldKind.COMPLAINT: "-   - prk prk prk - -",
    HoldKind.TRAINING: "-   - prk prk rk  - -",
    HoldKind.EVIDENCE: "-   - prk prk prk - -",
    HoldKind.SAR: "-   - -   pk  prk - -",
    HoldKind.DISCLOSURE: "-   - -   pk  prk - -",
    HoldKind.RESTRICTION: "-   - -   -   rk  - -",
}
CELLS = [(role, kind, marks) for kind, line in EXPECTED.items() for role, marks in zip(Role, line.split(), strict=True)]


def person(*roles: Role, teams: tuple[str, ...] = ("Revenues",), extension: str | None = None) -> Person:
    return Person(name="pat", display_name="Pat Example", roles=frozenset(roles), teams=teams, extension=extension)


def hold(
    kind: HoldKind = HoldKind.COMPLAINT, *, against: tuple[str, ...] = (), grace_until: datetime | None = None
) -> Hold:
    return Hold(
        id="0a1b2c3d", recording=RecordingId("20261124T093000Z-2001-0a1b2c"), kind=kind, reason=WHY,
        case_reference="C-17", owner="pat", placed_by="pat", placed_at=NOW, review_on=TODAY + timedelta(days=90),
        against=against, grace_until=grace_until,
    )  # fmt: skip


def is_allowed(decision: Allowed | Refusal) -> bool:
    if isinstance(decision, Refusal):
        assert decision.reason.endswith(".")
    return isinstance(decision, Allowed)


def test_every_cell_is_decided() -> None:
    assert set(EXPECTED) == set(HoldKind)
    assert len(CELLS) == len(Role) * len(HoldKind)


@pytest.mark.parametrize(("role", "kind", "marks"), CELLS)
def test_role_and_kind(role: Role, kind: HoldKind, marks: str) -> None:
    who, held = person(role), hold(kind)
    assert is_allowed(may_place(who, kind, CALL, reason=WHY)) == ("p" in marks)
    assert is_allowed(may_release(who, held, CALL, reason=WHY)) == ("r" in marks)
    assert is_allowed(may_review(who, held, CALL, reason=WHY)) == ("k" in marks)
    assert is_allowed(may_reinstate(who, held, CALL, reason=WHY)) == ("k" in marks)
    assert may_see(who, held, CALL) == ("k" in marks)
    assert (problem_with_owner(who, held, CALL) is None) == ("k" in marks)


@pytest.mark.parametrize(("role", "kind", "marks"), CELLS)
def test_a_manager_of_another_team_does_nothing(role: Role, kind: HoldKind, marks: str) -> None:
    who, held = person(role, teams=("Benefits",)), hold(kind)
    marks = "-" if role is Role.MANAGER else marks
    assert is_allowed(may_place(who, kind, CALL, reason=WHY)) == ("p" in marks)
    assert is_allowed(may_release(who, held, CALL, reason=WHY)) == ("r" in marks)
    assert is_allowed(may_review(who, held, CALL, reason=WHY)) == ("k" in marks)
    assert is_allowed(may_reinstate(who, held, CALL, reason=WHY)) == ("k" in marks)
    assert may_see(who, held, CALL) == ("k" in marks)


def test_a_call_of_no_known_team_is_no_managers() -> None:
    nowhere = HoldFacts(operators=frozenset(), extensions=frozenset(), team="")
    assert not is_allowed(may_place(person(Role.MANAGER, teams=()), HoldKind.COMPLAINT, nowhere, reason=WHY))
    assert is_allowed(may_place(person(Role.DPO, teams=()), HoldKind.COMPLAINT, nowhere, reason=WHY))


def test_roles_add_up() -> None:
    both = person(Role.MANAGER, Role.TEAM_LEADER, teams=("Benefits",))
    assert is_allowed(may_place(both, HoldKind.COMPLAINT, CALL, reason=WHY))
    assert is_allowed(may_release(person(Role.MANAGER, Role.DPO), hold(HoldKind.SAR), CALL, reason=WHY))


@pytest.mark.parametrize("role", [Role.MANAGER, Role.TEAM_LEADER, Role.DPO])
@pytest.mark.parametrize("name", ["pat", "PAT", "Pat Example", "pat example"])
def test_whoever_a_complaint_is_about_has_no_say(role: Role, name: str) -> None:
    who, held = person(role), hold(against=("somebody", name))
    for decision in (may_release(who, held, CALL, reason=WHY), may_review(who, held, CALL, reason=WHY)):
        assert isinstance(decision, Refusal)
        assert "about you" in decision.reason
    assert not may_see(who, held, CALL)
    assert problem_with_owner(who, held, CALL) is not None
    assert is_allowed(may_reinstate(who, held, CALL, reason=WHY)), "to keep it harms nobody"
    assert is_allowed(may_release(who, hold(against=("somebody",)), CALL, reason=WHY))


@pytest.mark.parametrize("kind", list(HoldKind))
@pytest.mark.parametrize(
    "own", [("Pat Example", "2001", None), ("PAT EXAMPLE", "2001", None), ("Olive", "2001", "2001")]
)
def test_nobody_releases_a_hold_of_their_own_call(kind: HoldKind, own: tuple[str, str, str | None]) -> None:
    operator, extension, own_extension = own
    call = HoldFacts(operators=frozenset({operator}), extensions=frozenset({extension}), team="Revenues")
    who = person(Role.TEAM_LEADER, Role.DPO, extension=own_extension)
    for decision in (may_release(who, hold(kind), call, reason=WHY), may_review(who, hold(kind), call, reason=WHY)):
        assert isinstance(decision, Refusal)
        assert "own call" in decision.reason
    assert not may_see(who, hold(kind), call)
    assert is_allowed(may_place(who, kind, call, reason=WHY)) == (kind is not HoldKind.RESTRICTION)
    assert is_allowed(may_reinstate(who, hold(kind), call, reason=WHY))


@pytest.mark.parametrize("reason", ["", "  ", "ab", "x" * 1001])
def test_a_reason_is_demanded(reason: str) -> None:
    who = person(Role.DPO)
    for decision in (
        may_place(who, HoldKind.SAR, CALL, reason=reason),
        may_release(who, hold(), CALL, reason=reason),
        may_review(who, hold(), CALL, reason=reason),
        may_reinstate(who, hold(), CALL, reason=reason),
    ):
        assert isinstance(decision, Refusal)
        assert "reason" in decision.reason


@pytest.mark.parametrize("kind", list(HoldKind))
def test_the_day_of_the_review(kind: HoldKind) -> None:
    assert review_day(kind, None, today=TODAY) == TODAY + REVIEW_AFTER[kind]
    assert review_day(kind, date(2026, 11, 26), today=TODAY) == date(2026, 11, 26)
    assert review_day(kind, date(2027, 11, 25), today=TODAY) == date(2027, 11, 25)
    for wrong in (TODAY, date(2026, 11, 24), date(2020, 1, 1)):
        assert "future" in str(review_day(kind, wrong, today=TODAY))
    assert "26 November 2027 or earlier" in str(review_day(kind, date(2027, 11, 27), today=TODAY))


@pytest.mark.parametrize(
    ("kind", "reference", "against", "match"),
    [
        (HoldKind.COMPLAINT, "C-17", (), None),
        (HoldKind.COMPLAINT, "C-17", ("mona",), None),
        (HoldKind.COMPLAINT, "", (), "reference"),
        (HoldKind.EVIDENCE, "", (), "reference"),
        (HoldKind.SAR, "", (), "reference"),
        (HoldKind.DISCLOSURE, "", (), "reference"),
        (HoldKind.TRAINING, "", (), None),
        (HoldKind.TRAINING, "T1", ("mona",), "complaint"),
        (HoldKind.SAR, "SAR 2026/17", ("mona",), "complaint"),
        (HoldKind.SAR, "SAR 2026/17", (), None),
        (HoldKind.SAR, "-1", (), "40 letters"),
        (HoldKind.SAR, "x" * 41, (), "40 letters"),
        (HoldKind.SAR, "the caller's mother, she said that ...", (), "40 letters"),
        (HoldKind.SAR, "a\nb", (), "40 letters"),
        (HoldKind.SAR, "a\n", (), "40 letters"),
    ],
)
def test_what_a_hold_must_say(kind: HoldKind, reference: str, against: tuple[str, ...], match: str | None) -> None:
    problem = problem_with(HoldWish(kind=kind, reason=WHY, case_reference=reference, against=against))
    if match is None:
        assert problem is None
    else:
        assert problem is not None
        assert match in problem[1]
        assert problem[0] == ("against" if match == "complaint" else "case_reference")


def test_where_a_hold_stands() -> None:
    until = NOW + timedelta(days=14)
    assert until == NOW + GRACE
    assert hold().state_at(NOW + timedelta(days=9999)) is HoldState.ACTIVE
    assert hold(grace_until=until).state_at(until - timedelta(microseconds=1)) is HoldState.GRACE
    assert hold(grace_until=until).state_at(until) is HoldState.OVER


@pytest.mark.parametrize(
    ("kind", "decided", "verdict"),
    [
        (ErasureKind.CARD_DATA, None, OrderVerdict.ASK_THE_DPO),
        (ErasureKind.CARD_DATA, NOW - timedelta(seconds=1), OrderVerdict.ASK_THE_DPO),
        (ErasureKind.CARD_DATA, NOW, OrderVerdict.CARRY_OUT),
        (ErasureKind.OTHER, NOW, OrderVerdict.NEVER),
        (ErasureKind.OPT_OUT, None, OrderVerdict.NEVER),
    ],
)
def test_an_order_to_erase_is_looked_at_again(
    kind: ErasureKind, decided: datetime | None, verdict: OrderVerdict
) -> None:
    order = ErasureOrder(
        id="1", recording=hold().recording, start_s=0, end_s=1, kind=kind, ordered_by="pat", ordered_at=NOW,
        state=ErasureState.CONFIRMED, decided_at=decided,
    )  # fmt: skip
    assert verdict_on(order, [hold()]) is verdict
    assert verdict_on(order, []) is OrderVerdict.CARRY_OUT
