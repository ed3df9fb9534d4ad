"""The opt-out workflow's table: every step in every state, and who may take it."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from recorder.permissions import DeniedError, Fault, Person, Role
from recorder.rules.live_access import Around
from recorder.rules.live_facts import CallFacts
from recorder.rules.opt_out import (
    TRANSITIONS,
    OptOutEvent,
    OptOutRequest,
    OptOutState,
    Statements,
    check_decline,
    check_grant,
    check_raise,
    may_decide,
    may_see,
)
from storage.types import RecordingId

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
REASON = "caller is very upset"
FACTS = CallFacts(
    call=RecordingId("20261125T090000Z-2001-aaaaaa"),
    team="Revenues",
    extensions=frozenset({"2001", "2002"}),
    operators=frozenset({"Ann", "Bob"}),
)
BOTH = Statements(caller_asked=True, distress_judged=True)


def person(*roles: Role, teams: tuple[str, ...] = (), name: str = "Mary", extension: str | None = None) -> Person:
    return Person(name=name.lower(), display_name=name, roles=frozenset(roles), teams=teams, extension=extension)


MANAGER = person(Role.MANAGER, teams=("Revenues",))


def request(state: OptOutState = OptOutState.RAISED) -> OptOutRequest:
    return OptOutRequest(id="0a1b2c3d", facts=FACTS, raised_by="ann", raised_at=NOW, state=state, decided_by="mary")


@pytest.mark.parametrize(("state", "step"), list(itertools.product(OptOutState, OptOutEvent)))
def test_every_step_in_every_state(state: OptOutState, step: OptOutEvent) -> None:
    expected = {
        OptOutEvent.GRANT: OptOutState.GRANTED,
        OptOutEvent.DECLINE: OptOutState.DECLINED,
        OptOutEvent.LAPSE: OptOutState.LAPSED,
    }[step]
    before = request(state)
    if state is OptOutState.RAISED:
        after = before.after(step, at=NOW, by="zoe")
        assert (after.state, after.decided_by, after.decided_at) == (expected, "zoe", NOW)
        assert TRANSITIONS[state, step] is expected
    else:
        with pytest.raises(DeniedError, match=f"already {state.value} by mary") as denied:
            before.after(step, at=NOW, by="zoe")
        assert denied.value.fault is Fault.TOO_LATE
    assert before == request(state)


@pytest.mark.parametrize(
    ("who", "team", "is_theirs"),
    [
        (person(Role.MANAGER, teams=("Revenues",)), "Revenues", True),
        (person(Role.MANAGER, teams=("Housing", "Revenues")), "Revenues", True),
        (person(Role.MANAGER, teams=("Housing",)), "Revenues", False),
        (person(Role.MANAGER), "Revenues", False),
        (person(Role.MANAGER), "", True),
        (person(Role.MANAGER, teams=("Housing",)), "", True),
        (person(Role.TEAM_LEADER), "Revenues", False),
        (person(Role.TEAM_LEADER, teams=("Revenues",)), "Revenues", True),
        (person(Role.TEAM_LEADER), "", True),
        (person(Role.DPO), "Revenues", False),
        (person(Role.DPO, teams=("Revenues",)), "Revenues", True),
        (person(Role.OFFICER, teams=("Revenues",)), "Revenues", False),
        (person(Role.ADMIN, teams=("Revenues",)), "Revenues", False),
        (person(Role.ICT, teams=("Revenues",)), "Revenues", False),
        (person(Role.MEMBER, teams=("Revenues",)), "Revenues", False),
        (person(), "", False),
    ],
)
def test_who_decides_on_which_team(who: Person, team: str, is_theirs: bool) -> None:
    facts = replace(FACTS, team=team)
    assert may_decide(who, facts) is is_theirs
    if is_theirs:
        check_grant(who, facts, BOTH, REASON)
        check_decline(who, facts, REASON)
        return
    checks: list[Callable[[], None]] = [
        lambda: check_grant(who, facts, BOTH, REASON),
        lambda: check_decline(who, facts, REASON),
    ]
    for check in checks:
        with pytest.raises(DeniedError) as denied:
            check()
        assert denied.value.fault is Fault.NOT_ALLOWED


@pytest.mark.parametrize(
    "who",
    [
        person(Role.MANAGER, teams=("Revenues",), name="Ann"),
        person(Role.TEAM_LEADER, name="Bob"),
        person(Role.DPO, extension="2001"),
        person(Role.DPO, extension="2002"),
    ],
)
def test_nobody_decides_on_their_own_call(who: Person) -> None:
    assert not may_decide(who, FACTS)
    with pytest.raises(DeniedError, match="on this call yourself"):
        check_grant(who, FACTS, BOTH, REASON)
    with pytest.raises(DeniedError, match="on this call yourself"):
        check_decline(who, FACTS, REASON)
    assert may_see(who, FACTS)


@pytest.mark.parametrize(("asked", "judged"), [(False, False), (True, False), (False, True)])
def test_a_grant_takes_both_statements(asked: bool, judged: bool) -> None:
    with pytest.raises(DeniedError, match="state both") as denied:
        check_grant(MANAGER, FACTS, Statements(caller_asked=asked, distress_judged=judged), REASON)
    assert denied.value.fault is Fault.INCOMPLETE


@pytest.mark.parametrize("reason", ["", "  ", "ab", "x" * 1001])
def test_a_decision_takes_a_reason(reason: str) -> None:
    checks: list[Callable[[], None]] = [
        lambda: check_grant(MANAGER, FACTS, BOTH, reason),
        lambda: check_decline(MANAGER, FACTS, reason),
    ]
    for check in checks:
        with pytest.raises(DeniedError, match="reason") as denied:
            check()
        assert denied.value.fault is Fault.INCOMPLETE


def test_who_raises_one() -> None:
    for role in Role:
        if role in (Role.OFFICER, Role.MANAGER, Role.TEAM_LEADER, Role.DPO):
            check_raise(person(role, name="Ann"), FACTS)
            with pytest.raises(DeniedError, match="its officer"):
                check_raise(person(role, teams=("Revenues",)), FACTS)
        else:
            with pytest.raises(DeniedError, match="ask for an opt-out"):
                check_raise(person(role, name="Ann"), FACTS)


def test_a_team_leader_stands_in_for_managers_who_are_not_signed_in() -> None:
    leader = person(Role.TEAM_LEADER, teams=("Housing",))
    assert may_decide(leader, FACTS, Around(managed=frozenset({"Housing"})))
    assert not may_decide(leader, FACTS, Around(managed=frozenset({"Housing", "Revenues"})))
    assert not may_decide(leader, FACTS), "it is not known"
    assert not may_decide(person(Role.TEAM_LEADER, name="Ann"), FACTS, Around(managed=frozenset()))


def test_who_sees_requests() -> None:
    assert may_see(person(Role.OFFICER, name="Ann"), FACTS)
    assert may_see(person(Role.OFFICER, extension="2002"), FACTS)
    assert may_see(person(Role.MANAGER, teams=("Revenues",)), FACTS)
    assert not may_see(person(Role.OFFICER), FACTS)
    assert not may_see(person(Role.MANAGER, teams=("Housing",)), FACTS)
    assert not may_see(person(Role.ICT, Role.ADMIN), FACTS)
