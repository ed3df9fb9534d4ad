"""The opt-out workflow: the states of a request, and who may decide it (P7). Pure.

An officer raises a request for one call; a manager of that call's team grants or declines it. A grant ends the
recording for the rest of the call. Console, command line and the manager's keys on the phone all use this table.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from recorder.permissions import Act, DeniedError, Fault, Person, Refusal
from recorder.rules.authorisation import may
from recorder.rules.live_access import NOTHING_KNOWN, Around, Permit, decide, require
from recorder.rules.live_facts import CallFacts, was_on


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """What the person who grants an opt-out states."""

    caller_asked: bool
    distress_judged: bool


class OptOutState(enum.StrEnum):
    """The states of a request."""

    RAISED = "raised"
    GRANTED = "granted"
    DECLINED = "declined"
    LAPSED = "lapsed"


class OptOutEvent(enum.StrEnum):
    """The events of a request."""

    GRANT = "grant"
    DECLINE = "decline"
    LAPSE = "lapse"
    """The call ended before a decision."""


TRANSITIONS: Mapping[tuple[OptOutState, OptOutEvent], OptOutState] = MappingProxyType(
    {
        (OptOutState.RAISED, OptOutEvent.GRANT): OptOutState.GRANTED,
        (OptOutState.RAISED, OptOutEvent.DECLINE): OptOutState.DECLINED,
        (OptOutState.RAISED, OptOutEvent.LAPSE): OptOutState.LAPSED,
    }
)
"""The state table of a request; a pair that is not listed is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutRequest:
    """A request to stop recording one call.

    Attributes:
        id: 8 hexadecimal digits.
        facts: The call.
        raised_by: Who raised it, as the audit log names them.
        raised_at: When, UTC.
        reason: What they said about it; free text.
        decided_at: When it left ``raised``, UTC.
    """

    id: str
    facts: CallFacts
    raised_by: str
    raised_at: datetime
    reason: str = ""
    state: OptOutState = OptOutState.RAISED
    decided_by: str | None = None
    decided_at: datetime | None = None

    def after(self, event: OptOutEvent, *, at: datetime, by: str | None = None) -> "OptOutRequest":
        """Return the request after an event.

        Raises:
            DeniedError: The table has no such event in this state.
        """
        state = TRANSITIONS.get((self.state, event))
        if state is None:
            who = f" by {self.decided_by}" if self.decided_by else ""
            raise DeniedError(Fault.TOO_LATE, f"This request was already {self.state.value}{who}.")
        return replace(self, state=state, decided_by=by, decided_at=at)

    def as_json(self) -> dict[str, Any]:
        """Return the request as JSON values, free text included."""
        return {
            "id": self.id,
            "call": self.facts.call,
            "state": self.state.value,
            "team": self.facts.team,
            "extensions": sorted(self.facts.extensions),
            "operators": sorted(self.facts.operators),
            **self.facts.now.as_json(),
            "raised_by": self.raised_by,
            "raised_at": _iso(self.raised_at),
            "reason": self.reason,
            "decided_by": self.decided_by,
            "decided_at": None if self.decided_at is None else _iso(self.decided_at),
            "erase_on_opt_out": self.facts.erase_on_opt_out,
        }


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def check_raise(person: Person, facts: CallFacts, around: Around = NOTHING_KNOWN) -> None:
    """Check that a person may raise a request.

    Raises:
        DeniedError: Their role does not allow it, or it is not their call; HiddenError if they may not know of it.
    """
    _check_role(person, Act.RAISE_OPT_OUT)
    require(person, Act.RAISE_OPT_OUT, facts, around)


def check_grant(
    person: Person, facts: CallFacts, statements: Statements, reason: str, around: Around = NOTHING_KNOWN
) -> None:
    """Check that a person may grant an opt-out.

    Raises:
        DeniedError: They may not, or something is missing; HiddenError if they may not know of the call.
    """
    _check_decision(person, Act.OPT_OUT, facts, reason, around)
    if not (statements.caller_asked and statements.distress_judged):
        raise DeniedError(
            Fault.INCOMPLETE,
            "An opt-out is granted only where the caller asked not to be recorded and you judge that recording "
            "distresses them: state both, or decline.",
        )


def check_decline(person: Person, facts: CallFacts, reason: str, around: Around = NOTHING_KNOWN) -> None:
    """Check that a person may decline a request.

    Raises:
        DeniedError: They may not, or the reason is missing; HiddenError if they may not know of the call.
    """
    _check_decision(person, Act.DECLINE_OPT_OUT, facts, reason, around)


def may_decide(person: Person, facts: CallFacts, around: Around = NOTHING_KNOWN) -> bool:
    """Tell whether a person could grant an opt-out of this call, statements and reason aside."""
    return isinstance(decide(person, Act.OPT_OUT, facts, around), Permit)


def may_see(person: Person, facts: CallFacts, around: Around = NOTHING_KNOWN) -> bool:
    """Tell whether a person may see a call's requests: people who are or were on it, or may see its numbers."""
    return was_on(person, facts) or isinstance(decide(person, Act.SEE_NUMBERS, facts, around), Permit)


def _check_decision(person: Person, act: Act, facts: CallFacts, reason: str, around: Around) -> None:
    _check_role(person, act)
    require(person, act, facts, around)
    decision = may(person, act, reason=reason)
    if isinstance(decision, Refusal):
        raise DeniedError(Fault.INCOMPLETE, decision.reason, decision.field)


def _check_role(person: Person, act: Act) -> None:
    decision = may(person, act, reason="not looked at yet")
    if isinstance(decision, Refusal):
        raise DeniedError(Fault.NOT_ALLOWED, decision.reason)
