"""Letters to requesters of cases: plain text for the council's paper."""

import enum
from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType

from recorder.rules.cases import Case, CaseEvent, Decision
from recorder.rules.times import day

ROUTES = """If you are not happy with this answer, you can ask our data protection officer to look at it again.

You can also complain to the Information Commissioner's Office (ICO). Their website is ico.org.uk, their telephone
number is 0303 123 1113, and their address is Wycliffe House, Water Lane, Wilmslow, Cheshire, SK9 5AF.

You can also ask a court to decide."""


class Letter(enum.StrEnum):
    """Kinds of letter."""

    ACKNOWLEDGEMENT = "acknowledgement"
    EXTENSION = "extension"
    REFUSAL = "refusal"
    DISCLOSURE = "disclosure"


class NotYetError(Exception):
    """The case is not in the state for this letter; the message is a sentence."""


def letter(which: Letter, case: Case, *, site: str, today: date, due: date | None) -> str:
    """Return the text of a letter.

    Args:
        which: Kind of letter.
        case: The case.
        site: Name of the council.
        today: Today in the council's time zone.
        due: The day the case is due; None before its time has begun.

    Raises:
        NotYetError: The case is not in the state for this letter.
    """
    return written(_BODIES[which](case, due), site=site, today=today, reference=case.id, to=case.requester)


def written(body: str, *, site: str, today: date, reference: str, to: str) -> str:
    """Return a letter from its paragraphs; without a name it is to "Sir or Madam"."""
    sign_off = "Yours sincerely" if to else "Yours faithfully"
    return (
        f"{site}\n{day(today)}\nOur reference: {reference}\n\nDear {to or 'Sir or Madam'}\n\n{body}\n\n{sign_off}\n\n"
        f"{site}\n"
    )


def _acknowledged(case: Case, due: date | None) -> str:
    received = f"We received your request for recordings of your calls on {day(case.course.received_on)}."
    if due is None:
        return (
            f"{received}\n\nBefore we can start, we need {_asked(case)}. "
            "The time that we have to answer begins when we get it."
        )
    awaited = [wait for wait in case.course.clarifications if wait.came_on is None]
    if awaited:
        return (
            f"{received}\n\nWe need to know more before we can go on: {_words(case, CaseEvent.CLARIFICATION_ASKED)}\n\n"
            "The time that we have to answer stops until you tell us."
        )
    return (
        f"{received}\n\nWe will answer by {day(due)}.\n\n"
        "We will keep the recordings until then, and for 3 months after we close your case."
    )


def _asked(case: Case) -> str:
    identity, fee = case.course.identity, case.course.fee
    asked = [
        "information that shows who you are" if identity is not None and identity.came_on is None else "",
        "the fee" if fee is not None and fee.came_on is None else "",
    ]
    return " and ".join(filter(None, asked))


def _extended(case: Case, due: date | None) -> str:
    if not case.course.is_extended or due is None:
        raise NotYetError(f"{case.id} was not extended.")
    told = f"We need more time to answer your request. We will answer by {day(due)}."
    return f"{told}\n\nThe reasons are: {_words(case, CaseEvent.EXTENDED)}\n\n{ROUTES}"


def _refused(case: Case, _due: date | None) -> str:
    if case.decision is not Decision.REFUSE:
        raise NotYetError(f"{case.id} was not refused.")
    reasons = _words(case, CaseEvent.DECIDED)
    told = "We have decided not to give you the recordings that you asked for."
    return f"{told}\n\nThe reasons are: {reasons}\n\n{ROUTES}"


def _disclosed(case: Case, _due: date | None) -> str:
    if case.decision in (None, Decision.REFUSE):
        raise NotYetError(f"{case.id} was not decided in the requester's favour.")
    count = len(case.recordings)
    what = "We looked for recordings of your calls and found none."
    if count:
        copies = "a copy of a recorded call" if count == 1 else f"copies of {count} recorded calls"
        what = f"You asked for recordings of your calls. We are sending you {copies} with this letter."
        what += "\n\nThe cover sheet says what you can hear, what we left out and how to listen."
    reasons = _words(case, CaseEvent.DECIDED)
    partly = f"\n\nWe have left some of it out. The reasons are: {reasons}" if case.decision is Decision.PARTLY else ""
    return f"{what}{partly}\n\n{ROUTES}"


_BODIES: Mapping[Letter, Callable[[Case, date | None], str]] = MappingProxyType(
    {
        Letter.ACKNOWLEDGEMENT: _acknowledged,
        Letter.EXTENSION: _extended,
        Letter.REFUSAL: _refused,
        Letter.DISCLOSURE: _disclosed,
    }
)


def _words(case: Case, step: CaseEvent) -> str:
    return next((entry.text for entry in reversed(case.entries) if entry.step is step), "")
