"""Who may have what erased, and who must confirm it: every cell."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from recorder.permissions import Act, Allowed, Person, Refusal, Role
from recorder.rules.erasing import (
    GRACE_S,
    HELD_ALONE_S,
    STATE_AT_ORDER,
    Confirmation,
    ErasureFacts,
    card_s,
    confirmation_for,
    may_decide,
    may_order,
    position_from,
)
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState
from storage.types import RecordingId

FORGOT_S = 300.0
CARD, OPT_OUT, OTHER = ErasureKind.CARD_DATA, ErasureKind.OPT_OUT, ErasureKind.OTHER


def about(*, is_held: bool = False, since_end_s: float | None = 60.0, team: str = "Revenues") -> ErasureFacts:
    operators, extensions = frozenset({"Olive Officer", "Oscar Officer"}), frozenset({"2001", "2002"})
    return ErasureFacts(operators=operators, extensions=extensions, team=team, is_held=is_held, since_end_s=since_end_s)


def person(
    name: str, *roles: Role, display: str = "", teams: tuple[str, ...] = (), extension: str | None = None
) -> Person:
    return Person(
        name=name, display_name=display or name.title(), roles=frozenset(roles), teams=teams, extension=extension
    )


OLIVE = person("olive", Role.OFFICER, display="Olive Officer", extension="2001")
OTTO = person("otto", Role.OFFICER)
MANAGER = person("mona", Role.MANAGER, teams=("Revenues",))
STRANGER = person("max", Role.MANAGER, teams=("Benefits",))
LEAD = person("lea", Role.TEAM_LEADER)
DPO = person("dora", Role.DPO)
ICT = person("ian", Role.ICT)
ADMIN = person("ada", Role.ADMIN)
MEMBER = person("mel", Role.MEMBER)
NOBODY = person("nil")
EVERYBODY = (OLIVE, OTTO, MANAGER, STRANGER, LEAD, DPO, ICT, ADMIN, MEMBER, NOBODY)

#               kind     at most forgot_s, fresh   longer, fresh   at most, stale   longer, stale     held
CONFIRMATIONS = {
    CARD:    ("none",          "second_person", "second_person", "second_person", "dpo"),
    OPT_OUT: ("second_person", "second_person", "second_person", "second_person", "never"),
    OTHER:   ("second_person", "second_person", "second_person", "second_person", "never"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ErasureKind)
@pytest.mark.parametrize("length_s", [0.1, FORGOT_S, FORGOT_S + 0.1, 90_000.0])
@pytest.mark.parametrize("since_end_s", [None, -1.0, 0.0, GRACE_S, GRACE_S + 1, 1e9])
@pytest.mark.parametrize("is_held", [False, True])
def test_what_an_order_needs(kind: ErasureKind, length_s: float, since_end_s: float | None, is_held: bool) -> None:
    is_long = length_s > FORGOT_S
    is_stale = since_end_s is not None and since_end_s > 900
    column = 4 if is_held else 2 * is_stale + is_long
    found = confirmation_for(
        kind, about(is_held=is_held, since_end_s=since_end_s), OLIVE, length_s=length_s, forgot_s=FORGOT_S
    )
    assert found == CONFIRMATIONS[kind][column]


def test_nobody_but_the_officer_at_their_own_phone_orders_alone() -> None:
    def needed(who: Person, of: ErasureFacts) -> Confirmation:
        return confirmation_for(CARD, of, who, length_s=1.0, forgot_s=FORGOT_S)

    for who in EVERYBODY:
        assert needed(who, about()) is (Confirmation.NONE if who is OLIVE else Confirmation.SECOND_PERSON), who.name
    assert needed(OLIVE, replace(about(), is_proven=False)) is Confirmation.SECOND_PERSON
    nameless = replace(about(), operators=frozenset({""}))
    assert needed(replace(NOBODY, display_name=""), nameless) is Confirmation.SECOND_PERSON


def test_the_state_an_order_begins_in() -> None:
    assert {str(k): str(v) for k, v in STATE_AT_ORDER.items()} == {
        "none": "confirmed", "second_person": "waiting", "dpo": "waiting", "three": "waiting",
    }  # fmt: skip
    assert Confirmation.NEVER not in STATE_AT_ORDER


@pytest.mark.parametrize("held_s", [0.0, HELD_ALONE_S, HELD_ALONE_S + 0.1, 9_000.0])
def test_much_card_data_of_a_held_recording_takes_three(held_s: float) -> None:
    for kind in ErasureKind:
        found = confirmation_for(kind, about(is_held=True), OLIVE, length_s=1.0, forgot_s=FORGOT_S, held_s=held_s)
        much = Confirmation.THREE if held_s > 60 else Confirmation.DPO
        assert found is (much if kind is CARD else Confirmation.NEVER)


def test_how_much_goes_as_card_data() -> None:
    orders = [
        replace(order(CARD), start_s=0.0, end_s=5.0, state=ErasureState.DONE),
        replace(order(CARD), start_s=4.0, end_s=8.0),
        replace(order(CARD), start_s=20.0, end_s=30.0, state=ErasureState.DECLINED),
        replace(order(OTHER), start_s=40.0, end_s=50.0),
    ]
    assert card_s(orders, duration_s=100.0) == 8.0
    assert card_s(orders, duration_s=100.0, span_s=(7.0, 10.0)) == 10.0
    assert card_s([replace(order(CARD), end_s=None)], duration_s=100.0) == 100.0


MAY_FORGET = {"olive", "mona", "lea", "dora"}
MAY_ERASE = {"mona", "lea", "dora"}


@pytest.mark.parametrize("who", EVERYBODY, ids=lambda p: p.name)
@pytest.mark.parametrize("kind", ErasureKind)
@pytest.mark.parametrize("act", [Act.RETROACTIVE_PAUSE, Act.ERASE])
@pytest.mark.parametrize("is_held", [False, True])
def test_who_may_order(who: Person, kind: ErasureKind, act: Act, is_held: bool) -> None:
    expected = who.name in (MAY_FORGET if act is Act.RETROACTIVE_PAUSE else MAY_ERASE)
    expected = expected and (kind is CARD or (act is Act.ERASE and not is_held))
    found = may_order(who, kind, about(is_held=is_held), act=act, reason="read out the card")
    assert isinstance(found, Allowed if expected else Refusal), found


def test_an_erasure_takes_a_reason_and_a_known_team() -> None:
    assert isinstance(may_order(LEAD, OTHER, about(), act=Act.ERASE, reason=" "), Refusal)
    assert isinstance(may_order(OLIVE, CARD, about(), act=Act.RETROACTIVE_PAUSE, reason=""), Allowed)
    assert isinstance(may_order(MANAGER, CARD, about(team=""), act=Act.ERASE, reason="card"), Refusal)
    assert isinstance(may_order(LEAD, CARD, about(team=""), act=Act.ERASE, reason="card"), Allowed)


def order(kind: ErasureKind, by: str = "olive") -> ErasureOrder:
    return ErasureOrder(
        id="0a1b2c3d", recording=RecordingId("20261124T093000Z-2001-0a1b2c"), start_s=0.0, end_s=5.0, kind=kind,
        ordered_by=by, ordered_at=datetime(2026, 11, 24, tzinfo=UTC), state=ErasureState.WAITING,
    )  # fmt: skip


@pytest.mark.parametrize("who", EVERYBODY, ids=lambda p: p.name)
@pytest.mark.parametrize(
    ("kind", "by", "is_held", "confirm"),
    [*itertools.product(ErasureKind, ("olive", "mona", "lea", "dora"), (False, True), (False, True))],
)
def test_who_may_decide(who: Person, kind: ErasureKind, by: str, is_held: bool, confirm: bool) -> None:
    of_held = who is DPO and (kind is CARD or not confirm)
    expected = of_held if is_held else who in (MANAGER, LEAD, DPO)
    expected = expected and who.name != by
    found = may_decide(who, order(kind, by), about(is_held=is_held), confirm=confirm)
    assert isinstance(found, Allowed if expected else Refusal), found


def test_nobody_decides_on_their_own_call() -> None:
    boss = person("olga", Role.TEAM_LEADER, display="Olive Officer")
    at_the_phone = person("petra", Role.DPO, extension="2001")
    for who in (boss, at_the_phone):
        assert "own call" in _reason(may_decide(who, order(CARD), about(), confirm=True))
    assert "yourself" in _reason(may_decide(DPO, order(CARD, "dora"), about(), confirm=True))
    assert "not yours" in _reason(may_decide(STRANGER, order(CARD), about(), confirm=True))
    assert "not yours" in _reason(may_decide(MANAGER, order(CARD), about(team=""), confirm=True))
    assert "data protection officer" in _reason(may_decide(LEAD, order(CARD), about(is_held=True), confirm=True))


def _reason(found: Allowed | Refusal) -> str:
    assert isinstance(found, Refusal)
    return found.reason


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("75.5", 75.5), ("1:15.5", 75.5), ("01:02:03", 3723), (" 9 ", 9), ("90:00", 5400), ("999999", 999_999)],
)
def test_positions(text: str, seconds: float) -> None:
    assert position_from(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "-1", "1:60", "1:-2", "1:2:3:4", "nan", "inf", "1e5", "x", "1:", ":1", "1;2", "١", "9" * 40, "0x1"]
)
def test_no_positions(text: str) -> None:
    with pytest.raises(ValueError, match="not a time in a recording"):
        position_from(text)
