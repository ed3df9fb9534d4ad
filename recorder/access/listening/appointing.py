"""Who is absent, who stands in, and what was heard without approval: said by people, audited first, then kept."""

from collections.abc import Callable

from recorder.access.listening.books import HearingBooks
from recorder.access.listening.emergencies import Emergency
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Actor, DeniedError, Person
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


def end_deputy(books: HearingBooks, actor: Actor) -> None:
    """Have nobody stand in for the data protection officer; who does is named by two (`Proposals.name_deputy`).

    Raises:
        ProblemError: Not allowed, or nobody does.
    """
    person = books.ledger.require(actor, Act.NAME_DEPUTY, "")
    if books.appointments.deputy() is None and books.appointments.unexplained(books.people) is None:
        raise ProblemError(409, "Nobody stands in for the data protection officer.")
    books.appointments.end_deputy(lambda: books.ledger.note(str(Act.NAME_DEPUTY), person.actor, "", {}))


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
        raise books.ledger.denied(person, Act.PLAY, recording, error) from error


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
