"""The opt-out workflow: the life of a request, and who may decide it. Pure (P7).

An officer raises a request for one call; a manager of that call's team grants or declines it. A grant ends the
recording for the rest of the call. Console, command line and the manager's keys on the phone all go by this table.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from recorder.domain.access import Act, DeniedError, Fault, Person, Refused, Role, may
from storage.types import RecordingId

EVERY_TEAM = frozenset({Role.TEAM_LEADER, Role.DPO})
"""Roles that answer for every team."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What the rules need to know of a call.

    Attributes:
        call: Its id.
        team: Team of its extension; empty where the extension has none.
        extensions: Its nominated extensions: two for an internal call.
        operators: Who sits at them.
        erase_on_opt_out: The rule of its service.
    """

    call: RecordingId
    team: str
    extensions: frozenset[str]
    operators: frozenset[str]
    erase_on_opt_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """What whoever grants an opt-out puts their name to.

    Attributes:
        caller_asked: The caller asked not to be recorded.
        distress_judged: The manager judged that being recorded distresses the caller.
    """

    caller_asked: bool
    distress_judged: bool


class OptOutState(enum.StrEnum):
    """Where a request stands."""

    RAISED = "raised"
    GRANTED = "granted"
    DECLINED = "declined"
    LAPSED = "lapsed"


class Step(enum.StrEnum):
    """What can befall a request."""

    GRANT = "grant"
    DECLINE = "decline"
    LAPSE = "lapse"
    """The call ended first."""


STEPS: Mapping[tuple[OptOutState, Step], OptOutState] = MappingProxyType(
    {
        (OptOutState.RAISED, Step.GRANT): OptOutState.GRANTED,
        (OptOutState.RAISED, Step.DECLINE): OptOutState.DECLINED,
        (OptOutState.RAISED, Step.LAPSE): OptOutState.LAPSED,
    }
)
"""The life of a request; a step that is not here is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutRequest:
    """A request that one call be recorded no longer.

    Attributes:
        id: 8 hex.
        facts: The call.
        raised_by: Who raised it, as the audit log names them.
        raised_at: When, UTC.
        reason: What they said of it; free text.
        state: Where it stands.
        decided_by: Who granted or declined it.
        decided_at: When it left ``raised``.
    """

    id: str
    facts: CallFacts
    raised_by: str
    raised_at: datetime
    reason: str = ""
    state: OptOutState = OptOutState.RAISED
    decided_by: str | None = None
    decided_at: datetime | None = None

    def after(self, step: Step, *, at: datetime, by: str | None = None) -> "OptOutRequest":
        """Return the request after a step.

        Raises:
            DeniedError: The table has no such step in this state.
        """
        state = STEPS.get((self.state, step))
        if state is None:
            who = f" by {self.decided_by}" if self.decided_by else ""
            raise DeniedError(Fault.TOO_LATE, f"This request was {self.state.value}{who} already.")
        return replace(self, state=state, decided_by=by, decided_at=at)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-able values, the free text included."""
        return {
            "id": self.id,
            "call": self.facts.call,
            "state": self.state.value,
            "team": self.facts.team,
            "extensions": sorted(self.facts.extensions),
            "operators": sorted(self.facts.operators),
            "raised_by": self.raised_by,
            "raised_at": _iso(self.raised_at),
            "reason": self.reason,
            "decided_by": self.decided_by,
            "decided_at": None if self.decided_at is None else _iso(self.decided_at),
            "erase_on_opt_out": self.facts.erase_on_opt_out,
        }


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def check_raise(person: Person) -> None:
    """Make sure that somebody may raise a request.

    Raises:
        DeniedError: Their role does not allow it.
    """
    _check_role(person, Act.RAISE_OPT_OUT, "")


def check_grant(person: Person, facts: CallFacts, statements: Statements, reason: str) -> None:
    """Make sure that somebody may grant an opt-out: it is theirs to judge, so the audit log marks it as no emergency.

    Raises:
        DeniedError: They may not, or something is missing.
    """
    _check_role(person, Act.OPT_OUT, reason)
    _check_call(person, facts)
    if not (statements.caller_asked and statements.distress_judged):
        raise DeniedError(
            Fault.INCOMPLETE,
            "An opt-out is granted only where the caller asked not to be recorded and you judge that recording "
            "distresses them: state both, or decline.",
        )


def check_decline(person: Person, facts: CallFacts, reason: str) -> None:
    """Make sure that somebody may decline a request.

    Raises:
        DeniedError: They may not, or the reason is missing.
    """
    _check_role(person, Act.DECLINE_OPT_OUT, reason)
    _check_call(person, facts)


def check_theirs(person: Person, act: Act, facts: CallFacts) -> None:
    """Make sure that somebody may do an act that is for officers in their own calls and managers in their team's.

    Raises:
        DeniedError: They may not.
    """
    operator = person.display_name if person.display_name in facts.operators else min(facts.operators, default="")
    decision = may(person, act, operator=operator)
    if isinstance(decision, Refused):
        raise DeniedError(Fault.NOT_ALLOWED, decision.reason)
    if person.display_name not in facts.operators and not answers_for(person, facts.team):
        raise DeniedError(Fault.NOT_ALLOWED, "This is a call of a team that is not yours.")


def may_decide(person: Person, facts: CallFacts) -> bool:
    """Tell whether a person is one who could grant an opt-out of this call, its statements and reason apart."""
    try:
        check_grant(person, facts, Statements(caller_asked=True, distress_judged=True), "asked in advance")
    except DeniedError:
        return False
    return True


def may_see(person: Person, facts: CallFacts) -> bool:
    """Tell whether a person sees a call's requests: who is on the call, and who answers for its team."""
    return _is_on_call(person, facts) or answers_for(person, facts.team)


def answers_for(person: Person, team: str) -> bool:
    """Tell whether a person answers for a team; one without a name is every manager's."""
    if person.roles & EVERY_TEAM:
        return True
    return Role.MANAGER in person.roles and (not team or team in person.teams)


def _check_role(person: Person, act: Act, reason: str) -> None:
    nothing_wrong = may(person, act, reason="not looked at yet")
    if isinstance(nothing_wrong, Refused):
        raise DeniedError(Fault.NOT_ALLOWED, nothing_wrong.reason)
    decision = may(person, act, reason=reason)
    if isinstance(decision, Refused):
        raise DeniedError(Fault.INCOMPLETE, decision.reason)


def _check_call(person: Person, facts: CallFacts) -> None:
    if _is_on_call(person, facts):
        raise DeniedError(Fault.NOT_ALLOWED, "You are on this call yourself: another manager decides on its opt-out.")
    if not answers_for(person, facts.team):
        raise DeniedError(
            Fault.NOT_ALLOWED,
            f"This call is of the team {facts.team!r}: a manager of that team decides on its opt-out.",
        )


def _is_on_call(person: Person, facts: CallFacts) -> bool:
    return person.extension in facts.extensions or person.display_name in facts.operators
