"""Letters to requesters of cases: plain text for the council's paper."""

import enum
from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType

from recorder.rules.cases import Case, CaseEvent, Decision

ROUTES = """If you are not content with this, you can ask the council's data protection officer to look at it again.
You can complain to the Information Commissioner: Wycliffe House, Water Lane, Wilmslow, Cheshire SK9 5AF,
telephone 0303 123 1113, ico.org.uk. You can also go to court."""


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
    body = _BODIES[which](case, due)
    return f"{site}\n{in_words(today)}\nOur reference: {case.id}\n\nDear {case.requester},\n\n{body}\n"


def _acknowledged(case: Case, due: date | None) -> str:
    received = f"We received your request for recordings of your calls on {in_words(case.course.received_on)}."
    if due is None:
        return f"{received} Before the time for our answer begins we need what we asked you for: {_asked(case)}."
    awaited = [wait for wait in case.course.clarifications if wait.came_on is None]
    if awaited:
        return f"{received} We need to know more before we can go on: {_words(case, CaseEvent.CLARIFICATION_ASKED)}"
    return (
        f"{received} We will answer by {in_words(due)}. We keep the recordings until then and for three months after."
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
    told = f"We need more time for your request. We will answer by {in_words(due)}."
    return f"{told} The reasons: {_words(case, CaseEvent.EXTENDED)}\n\n{ROUTES}"


def _refused(case: Case, _due: date | None) -> str:
    if case.decision is not Decision.REFUSE:
        raise NotYetError(f"{case.id} was not refused.")
    reasons = _words(case, CaseEvent.DECIDED)
    return f"We have decided not to give you the recordings that you asked for. The reasons: {reasons}\n\n{ROUTES}"


def _disclosed(case: Case, _due: date | None) -> str:
    if case.decision in (None, Decision.REFUSE):
        raise NotYetError(f"{case.id} was not decided in the requester's favour.")
    count = len(case.recordings)
    what = "We found no recording of your calls."
    if count:
        copies = "a copy of a recorded call" if count == 1 else f"copies of {count} recorded calls"
        what = f"With this letter you get {copies}. The cover sheet says what is in them."
    partly = f" Some of it is left out: {_words(case, CaseEvent.DECIDED)}" if case.decision is Decision.PARTLY else ""
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


def in_words(day: date) -> str:
    """Return a day as letters have it: 5 November 2026."""
    return f"{day.day} {day:%B %Y}"
