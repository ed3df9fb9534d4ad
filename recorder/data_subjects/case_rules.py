"""Who may do what in a case of subject access or disclosure, and in which order (P20, P22). Pure."""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

from recorder.permissions import MAX_REASON_CHARACTERS, DeniedError, Fault, Person, Role
from recorder.rules.cases import Case, CaseEntry, CaseEvent, CaseKind, CaseState, Decision
from recorder.rules.vouching import NOBODY, Vouched

_AFTERWARDS = frozenset({CaseEvent.PASSPHRASE_TOLD, CaseEvent.RECEIVED, CaseEvent.RETURNED, CaseEvent.DESTROYED})
"""Events after something was handed over."""
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
"""Events that are possible in each state."""

_SAR_ONLY = frozenset(
    {
        CaseEvent.IDENTITY_ASKED, CaseEvent.FEE_ASKED, CaseEvent.FEE_PAID, CaseEvent.CLARIFICATION_ASKED,
        CaseEvent.CLARIFIED, CaseEvent.EXTENDED, CaseEvent.IDENTITY_DOUBTED,
    }
)  # fmt: skip
WORKERS = frozenset({Role.TEAM_LEADER, Role.DPO})
"""Roles that open cases and work on them."""


def check_opening(person: Person, details: Mapping[str, Any], text: str, on: date, today: date) -> None:
    """Check that a person may open this case.

    Raises:
        DeniedError: They may not, or something is missing.
    """
    _check_worker(person)
    kind = CaseKind(details["kind"])
    if not str(details["requester"]).strip():
        raise DeniedError(Fault.INCOMPLETE, "Enter who is asking.", "requester")
    if kind is CaseKind.DISCLOSURE and not details.get("ground"):
        raise DeniedError(Fault.INCOMPLETE, "Enter the legal ground of the disclosure.", "ground")
    if kind is CaseKind.DISCLOSURE and not text.strip():
        raise DeniedError(Fault.INCOMPLETE, "Enter what the disclosure is for. It has to be necessary.", "text")
    _check_words(text, on, today)


def check_step(case: Case, person: Person, entry: CaseEntry, today: date, vouched: Vouched = NOBODY) -> None:
    """Check that a person may write an entry into a case now.

    Args:
        case: The case so far.
        person: Who writes the entry.
        entry: The new entry.
        today: Today in the council's time zone.
        vouched: Who vouched for each account.

    Raises:
        DeniedError: They may not, something is missing, or it is too late or too early.
    """
    _check_worker(person)
    if entry.step not in STEPS[case.state]:
        raise DeniedError(Fault.TOO_LATE, f"Case {case.id} is {case.state}: this is no longer possible.")
    if case.kind is CaseKind.DISCLOSURE and entry.step in _SAR_ONLY:
        raise DeniedError(Fault.INCOMPLETE, "This is for subject access requests only.")
    _check_words(entry.text, entry.on, today)
    if entry.step in _NEEDS_WORDS and not entry.text.strip():
        raise DeniedError(Fault.INCOMPLETE, _NEEDS_WORDS[entry.step], "text")
    problem = _ORDER.get(entry.step, _anything)(case, entry)
    if problem is not None:
        raise DeniedError(Fault.TOO_LATE, problem)
    if entry.step is CaseEvent.IDENTITY_CHECKED:
        _check_doubt(case, person, vouched)
    if entry.step is CaseEvent.DECIDED:
        vouched.check({case.opened_by} - {person.name}, person.name)
        _check_decision(case, person, entry)


_NEEDS_WORDS: Mapping[CaseEvent, str] = MappingProxyType(
    {
        CaseEvent.IDENTITY_CHECKED: "Enter which document you checked. Do not enter its number or keep a copy of it.",
        CaseEvent.IDENTITY_DOUBTED: "Enter what is in doubt.",
        CaseEvent.CLARIFICATION_ASKED: "Enter what you asked for.",
        CaseEvent.EXTENDED: "Enter the reasons. The requester is told them.",
        CaseEvent.NOTED: "Enter the note.",
        CaseEvent.DISMISSED: "Enter why the request does not cover them.",
        CaseEvent.NARROWED: "Enter why the narrower search is enough.",
        CaseEvent.SCOPE_CONFIRMED: "Enter why so much has to be held.",
        CaseEvent.HANDED_OVER: "Enter how you handed it over, and to whom.",
        CaseEvent.PASSPHRASE_TOLD: "Enter how you told them the passphrase. Never enter the passphrase itself.",
        CaseEvent.RECEIVED: "Enter who confirmed it, and how.",
        CaseEvent.RETURNED: "Enter what came back, and from whom.",
        CaseEvent.DESTROYED: "Enter what was destroyed, and who told you.",
    }
)


def _anything(_case: Case, _entry: CaseEntry) -> str | None:
    return None


def _fee(case: Case, _entry: CaseEntry) -> str | None:
    fee = case.course.fee
    return None if fee is not None and fee.came_on is None else "The case is not waiting for a fee."


def _clarified(case: Case, _entry: CaseEntry) -> str | None:
    awaited = [wait for wait in case.course.clarifications if wait.came_on is None]
    return None if awaited else "The case is not waiting for clarification."


def _one_question(case: Case, _entry: CaseEntry) -> str | None:
    awaited = [wait for wait in case.course.clarifications if wait.came_on is None]
    return "The case is already waiting for clarification." if awaited else None


def _once_asked(case: Case, _entry: CaseEntry) -> str | None:
    return "Proof of identity has already been asked for." if case.course.identity is not None else None


def _once_extended(case: Case, _entry: CaseEntry) -> str | None:
    return "The case has already been extended." if case.course.is_extended else None


def _new_match(case: Case, entry: CaseEntry) -> str | None:
    return "The recording is already in the case." if entry.details["recording"] in case.recordings else None


def _handed(case: Case, _entry: CaseEntry) -> str | None:
    return "Nothing may be handed over: the request was refused." if case.decision is Decision.REFUSE else None


def _afterwards(case: Case, _entry: CaseEntry) -> str | None:
    return None if case.handed_over else "Nothing has been handed over yet."


def _closed(case: Case, entry: CaseEntry) -> str | None:
    if case.decision is not Decision.REFUSE and case.recordings and not case.handed_over:
        return "Hand the copies over first, and say how."
    if entry.text.strip():
        return None
    undecided, without = entry.details.get("undecided"), entry.details.get("without_copy")
    if undecided:
        count = len(undecided)
        which = "1 recording found for this case was" if count == 1 else f"{count} recordings found for this case were"
        return f"{which} neither taken in nor dismissed: take them in, dismiss them, or enter why not."
    if without:
        return f"No copy was made of {', '.join(without)} since the decision: make one, or enter why there is none."
    return None


def why_not_decide(case: Case, person: Person) -> str | None:
    """Return why a person may not decide a case, or None if their role and their part in it allow it."""
    if person.name == case.opened_by:
        return "The person who opened a case may not decide it."
    if Role.DPO not in person.roles and needs_dpo(case):
        return "The data protection officer decides this case."
    return None


def needs_dpo(case: Case) -> bool:
    """Tell whether the data protection officer must decide a case."""
    return case.is_in_doubt or case.kind is CaseKind.DISCLOSURE


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
        raise DeniedError(Fault.NOT_ALLOWED, "Only the team leader and the data protection officer work on cases.")


def _check_doubt(case: Case, person: Person, vouched: Vouched) -> None:
    """Refuse to lift one's own doubt, by which somebody else than the data protection officer could decide the case."""
    if Role.DPO in person.roles:
        return
    if person.name in case.doubted_by:
        raise DeniedError(
            Fault.NOT_ALLOWED,
            "You raised the doubt about who is asking, so a colleague or the data protection officer checks it.",
        )
    vouched.check(sorted(case.doubted_by), person.name)


def _check_decision(case: Case, person: Person, entry: CaseEntry) -> None:
    decision = Decision(entry.details["decision"])
    gives = decision is not Decision.REFUSE
    if problem := why_not_decide(case, person):
        raise DeniedError(Fault.NOT_ALLOWED, problem)
    if gives and case.kind is CaseKind.SUBJECT_ACCESS and not (case.is_identified or case.is_in_doubt):
        raise DeniedError(Fault.TOO_LATE, "Check who the requester is first.")
    if gives and case.is_in_doubt and not str(entry.details.get("balance", "")).strip():
        raise DeniedError(
            Fault.INCOMPLETE,
            "Enter how you balanced the privacy of the caller, the officer and the requester.",
            "balance",
        )
    if not gives and not entry.text.strip():
        raise DeniedError(Fault.INCOMPLETE, "Enter the reasons for the refusal. The requester is told them.", "text")
    if not case.searches:
        raise DeniedError(Fault.TOO_LATE, "Search in the case first, so that the search is on record.")


def _check_words(text: str, on: date, today: date) -> None:
    if len(text) > MAX_REASON_CHARACTERS:
        raise DeniedError(Fault.INCOMPLETE, f"Text must be {MAX_REASON_CHARACTERS} characters or fewer.", "text")
    if on > today:
        raise DeniedError(Fault.INCOMPLETE, "The date must be today or in the past.", "on")
