"""Who is absent, who stands in, and what was heard without approval: said by people, audited first, then kept."""

from collections.abc import Callable

from recorder.domain.access import Act, Actor, DeniedError, Person, Refused, may
from recorder.domain.requesting import may_be_deputy
from recorder.hearing.books import HearingBooks
from recorder.hearing.emergencies import Emergency
from recorder.problems import ProblemError
from storage.types import RecordingId

BACK = "people.back"
"""As the audit log has it."""
LOOKED = "break_glass.view"
"""As the audit log has it: somebody was shown what nobody has acknowledged."""


def mark_absent(books: HearingBooks, actor: Actor, account: str, *, is_absent: bool) -> None:
    """Mark a team leader absent, so that requests go to the data protection officer, or present again.

    Raises:
        ProblemError: Not allowed, or no team leader has this account.
    """
    person = books.ledger.require(actor, Act.MARK_ABSENT, account)
    if account not in books.bench.leaders:
        raise ProblemError(404, f"No team leader has the account {account!r}.")
    books.ledger.note(str(Act.MARK_ABSENT) if is_absent else BACK, person.actor, account, {})
    if is_absent:
        books.appointments.mark_absent(account, by=person.name)
    else:
        books.appointments.mark_back(account)


def name_deputy(books: HearingBooks, actor: Actor, account: str | None) -> None:
    """Name the officer who stands in for the data protection officer, in the place of whoever did; None: nobody.

    Raises:
        ProblemError: Not allowed, or there is no such account.
    """
    person = books.ledger.require(actor, Act.NAME_DEPUTY, account or "")
    deputy = books.people.find(account) if account is not None else None
    if account is not None and deputy is None:
        raise ProblemError(404, f"There is no account {account!r} in use: see `recorder users list`.")
    if deputy is not None and not may_be_deputy(deputy.roles):
        raise ProblemError(
            422, f"{account} is an administrator or ICT, whom the data protection officer watches over: choose another."
        )
    if deputy is not None and isinstance(may(deputy, Act.ASK), Refused):
        raise ProblemError(422, f"{account} has no role that has to do with requests: choose an officer or a manager.")
    if account == person.name:
        raise ProblemError(422, "Name somebody else: nobody decides their own requests.")
    books.ledger.note(str(Act.NAME_DEPUTY), person.actor, account or "", {})
    if books.appointments.name_deputy(account, by=person.name):
        books.ledger.note("people.disconnected", person.actor, account or "", {"why": "deputy"})


def break_glass(
    books: HearingBooks, person: Person, recording: RecordingId, reason: str, *, enter: Callable[[Emergency], None]
) -> Emergency:
    """Let ICT hear a recording without approval, which their role allows: one at a time, so many a day.

    Args:
        books: Where it is kept.
        person: Who.
        recording: What.
        reason: Why.
        enter: Writes it to the audit log; when it raises, nothing is kept.

    Raises:
        ProblemError: 403: not now; that is in the audit log.
    """
    if not books.bench.protectors - {person.name}:
        raise books.ledger.refusal(
            person, Act.PLAY, recording, "There is no data protection officer or deputy who could be told of it."
        )
    if books.contradicted:
        raise books.ledger.refusal(
            person, Act.PLAY, recording,
            "What was heard without approval before does not agree with the audit log: the data protection officer "
            "is told, and nothing more is heard so until that is settled.",
        )  # fmt: skip
    try:
        return books.emergencies.begin(person.name, recording, reason, enter=enter)
    except DeniedError as error:
        raise books.ledger.refusal(person, Act.PLAY, recording, str(error)) from error


def acknowledge(books: HearingBooks, actor: Actor, emergency_id: str) -> Emergency:
    """Take note of a recording that was heard without approval: the data protection officer, or the deputy.

    Raises:
        ProblemError: Not allowed, no such act, or it was acknowledged already.
    """
    person = _acknowledger(books, actor, emergency_id)
    found = books.emergencies.get(emergency_id)
    if found is None:
        raise ProblemError(404, f"There is no emergency {emergency_id!r}: see `recorder requests list`.")
    if found.account == person.name:
        raise books.ledger.refusal(person, Act.ACKNOWLEDGE, emergency_id, "Somebody else must acknowledge your own.")
    books.ledger.note(str(Act.ACKNOWLEDGE), person.actor, emergency_id, {"account": found.account})
    if not books.emergencies.acknowledge(emergency_id, by=person.name):
        raise ProblemError(409, f"{emergency_id} was acknowledged already.")
    return found


def to_acknowledge(books: HearingBooks, actor: Actor) -> list[Emergency]:
    """Return what was heard without approval and nobody has acknowledged; that they looked is written down.

    Raises:
        ProblemError: Not allowed.
    """
    person = _acknowledger(books, actor, "")
    books.ledger.note(LOOKED, person.actor, "", {})
    return books.emergencies.open()


def _acknowledger(books: HearingBooks, actor: Actor, subject: str) -> Person:
    return books.ledger.require_protector(actor, Act.ACKNOWLEDGE, subject, books.bench)
