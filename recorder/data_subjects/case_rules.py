"""Who may do what in a case of subject access or disclosure, and in which order (P20, P22). Pure."""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

from recorder.permissions import MAX_REASON_CHARACTERS, DeniedError, Fault, Person, Role
from recorder.rules.cases import Case, CaseEntry, CaseEvent, CaseKind, CaseState, Decision

_AFTERWARDS = frozenset({CaseEvent.PASSPHRASE_TOLD, CaseEvent.RECEIVED, CaseEvent.RETURNED, CaseEvent.DESTROYED})
"""What becomes of what was handed over."""
_WORK = frozenset(CaseEvent) - {CaseEvent.OPENED, CaseEvent.HANDED_OVER, CaseEvent.CLOSED} - _AFTERWARDS
STEPS: Mapping[CaseState, frozenset[CaseEvent]] = MappingProxyType(
    {
        CaseState.OPEN: _WORK,
        CaseState.DECIDED: frozenset(
            {CaseEvent.TRANSCRIBED, CaseEvent.HANDED_OVER, CaseEvent.NOTED, CaseEvent.DISMISSED, CaseEvent.CLOSED}
        )
        | _AFTERWARDS,
        CaseState.CLOSED: frozenset({CaseEvent.NOTED}) | _AFTERWARDS,
    }
)
"""What can happen in which state."""

_SAR_ONLY = frozenset(
    {
        CaseEvent.IDENTITY_ASKED, CaseEvent.FEE_ASKED, CaseEvent.FEE_PAID, CaseEvent.CLARIFICATION_ASKED,
        CaseEvent.CLARIFIED, CaseEvent.EXTENDED, CaseEvent.IDENTITY_DOUBTED,
    }
)  # fmt: skip
WORKERS = frozenset({Role.TEAM_LEADER, Role.DPO})
"""Who opens cases and works on them."""


def check_opening(person: Person, details: Mapping[str, Any], text: str, on: date, today: date) -> None:
    """Decide whether a person may open this case.

    Raises:
        DeniedError: They may not, or something is missing.
    """
    _check_worker(person)
    kind = CaseKind(details["kind"])
    if not str(details["requester"]).strip():
        raise DeniedError(Fault.INCOMPLETE, "Say who asks.")
    if kind is CaseKind.DISCLOSURE and not details.get("ground"):
        raise DeniedError(Fault.INCOMPLETE, "A disclosure takes its legal ground.")
    if kind is CaseKind.DISCLOSURE and not text.strip():
        raise DeniedError(Fault.INCOMPLETE, "Say what for: a disclosure has to be necessary.")
    _check_words(text, on, today)


def check_step(case: Case, person: Person, entry: CaseEntry, today: date) -> None:
    """Decide whether a person may let this happen in a case now.

    Args:
        case: As it stands.
        person: Who.
        entry: What.
        today: The council's day.

    Raises:
        DeniedError: They may not, something is missing, or it is too late or too early.
    """
    _check_worker(person)
    if entry.step not in STEPS[case.state]:
        raise DeniedError(Fault.TOO_LATE, f"Case {case.id} is {case.state}: that is no longer for it.")
    if case.kind is CaseKind.DISCLOSURE and entry.step in _SAR_ONLY:
        raise DeniedError(Fault.INCOMPLETE, "That belongs to subject access requests only.")
    _check_words(entry.text, entry.on, today)
    if entry.step in _NEEDS_WORDS and not entry.text.strip():
        raise DeniedError(Fault.INCOMPLETE, _NEEDS_WORDS[entry.step])
    problem = _ORDER.get(entry.step, _anything)(case, entry)
    if problem is not None:
        raise DeniedError(Fault.TOO_LATE, problem)
    if entry.step is CaseEvent.DECIDED:
        _check_decision(case, person, entry)


_NEEDS_WORDS: Mapping[CaseEvent, str] = MappingProxyType(
    {
        CaseEvent.IDENTITY_CHECKED: "Say what was checked - not its number, and no copy of it.",
        CaseEvent.IDENTITY_DOUBTED: "Say what is in doubt.",
        CaseEvent.CLARIFICATION_ASKED: "Say what was asked.",
        CaseEvent.EXTENDED: "Say why: the requester is told the reasons.",
        CaseEvent.NOTED: "Say what is to be noted.",
        CaseEvent.DISMISSED: "Say why they are not asked for.",
        CaseEvent.NARROWED: "Say why that is enough.",
        CaseEvent.SCOPE_CONFIRMED: "Say why so much has to be held.",
        CaseEvent.HANDED_OVER: "Say how it was handed over, and to whom.",
        CaseEvent.PASSPHRASE_TOLD: "Say by which way they were told the passphrase - never the passphrase.",
        CaseEvent.RECEIVED: "Say who acknowledged it, and how.",
        CaseEvent.RETURNED: "Say what came back, and from whom.",
        CaseEvent.DESTROYED: "Say what was destroyed, and who says so.",
    }
)


def _anything(_case: Case, _entry: CaseEntry) -> str | None:
    return None


def _fee(case: Case, _entry: CaseEntry) -> str | None:
    fee = case.course.fee
    return None if fee is not None and fee.came_on is None else "No fee is awaited."


def _clarified(case: Case, _entry: CaseEntry) -> str | None:
    awaited = [wait for wait in case.course.clarifications if wait.came_on is None]
    return None if awaited else "No clarification is awaited."


def _one_question(case: Case, _entry: CaseEntry) -> str | None:
    awaited = [wait for wait in case.course.clarifications if wait.came_on is None]
    return "A clarification is awaited already." if awaited else None


def _once_asked(case: Case, _entry: CaseEntry) -> str | None:
    return "Identity information was asked for already." if case.course.identity is not None else None


def _once_extended(case: Case, _entry: CaseEntry) -> str | None:
    return "It was extended already." if case.course.is_extended else None


def _new_match(case: Case, entry: CaseEntry) -> str | None:
    return "It is in the case already." if entry.details["recording"] in case.recordings else None


def _handed(case: Case, _entry: CaseEntry) -> str | None:
    return "Nothing is to be handed over: it was refused." if case.decision is Decision.REFUSE else None


def _afterwards(case: Case, _entry: CaseEntry) -> str | None:
    return None if case.handed_over else "Nothing was handed over yet."


def _closed(case: Case, entry: CaseEntry) -> str | None:
    if case.decision is not Decision.REFUSE and case.recordings and not case.handed_over:
        return "Hand it over first, and say how."
    without = entry.details.get("without_copy")
    if without and not entry.text.strip():
        return f"No copy was made of {', '.join(without)} since the decision: make one, or say why there is none."
    return None


_ORDER = MappingProxyType(
    {
        CaseEvent.FEE_PAID: _fee,
        CaseEvent.CLARIFIED: _clarified,
        CaseEvent.CLARIFICATION_ASKED: _one_question,
        CaseEvent.IDENTITY_ASKED: _once_asked,
        CaseEvent.EXTENDED: _once_extended,
        CaseEvent.MATCHED: _new_match,
        CaseEvent.HANDED_OVER: _handed,
        CaseEvent.CLOSED: _closed,
        **dict.fromkeys(_AFTERWARDS, _afterwards),
    }
)


def _check_worker(person: Person) -> None:
    if not person.roles & WORKERS:
        raise DeniedError(Fault.NOT_ALLOWED, "Cases are worked on by the team leader and the data protection officer.")


def _check_decision(case: Case, person: Person, entry: CaseEntry) -> None:
    decision = Decision(entry.details["decision"])
    gives = decision is not Decision.REFUSE
    if person.name == case.opened_by:
        raise DeniedError(Fault.NOT_ALLOWED, "Whoever opened a case does not decide it.")
    if Role.DPO not in person.roles and (case.is_in_doubt or case.kind is CaseKind.DISCLOSURE):
        raise DeniedError(Fault.NOT_ALLOWED, "The data protection officer decides this case.")
    if gives and case.kind is CaseKind.SUBJECT_ACCESS and not (case.is_identified or case.is_in_doubt):
        raise DeniedError(Fault.TOO_LATE, "Check who the requester is first.")
    if gives and case.is_in_doubt and not str(entry.details.get("balance", "")).strip():
        raise DeniedError(
            Fault.INCOMPLETE, "Say how the privacy of caller, operator and requester was balanced (--balance)."
        )
    if not gives and not entry.text.strip():
        raise DeniedError(Fault.INCOMPLETE, "A refusal takes its reasons: the requester is told them.")
    if not case.searches:
        raise DeniedError(Fault.TOO_LATE, "Search first, and let it be written down.")


def _check_words(text: str, on: date, today: date) -> None:
    if len(text) > MAX_REASON_CHARACTERS:
        raise DeniedError(Fault.INCOMPLETE, f"No text may be longer than {MAX_REASON_CHARACTERS} characters.")
    if on > today:
        raise DeniedError(Fault.INCOMPLETE, "The day it happened lies in the future.")
