"""Who is absent, who stands in, and what was heard without approval: said by people, audited first, then kept."""

from collections.abc import Callable

from recorder.access.listening.emergencies import Emergency
from recorder.access.listening.repositories import AccessRepositories
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Actor, DeniedError, Person
from storage.types import RecordingId

BACK = "people.back"
"""As the audit log has it."""
LOOKED = "break_glass.view"
"""As the audit log has it: somebody was shown what nobody has acknowledged."""


def mark_absent(repos: AccessRepositories, actor: Actor, account: str, *, is_absent: bool) -> None:
    """Mark a team leader absent, so that requests go to the data protection officer, or present again.

    Raises:
        ProblemError: Not allowed, or no team leader has this account.
    """
    person = repos.ledger.require(actor, Act.MARK_ABSENT, account)
    if account not in repos.approvers.leaders:
        raise ProblemError(404, f"No team leader has the account {account!r}.")
    repos.ledger.note(str(Act.MARK_ABSENT) if is_absent else BACK, person.actor, account, {})
    if is_absent:
        repos.appointments.mark_absent(account, by=person.name)
    else:
        repos.appointments.mark_back(account)


def end_deputy(repos: AccessRepositories, actor: Actor) -> None:
    """Have nobody stand in for the data protection officer; who does is named by two (`Proposals.name_deputy`).

    Raises:
        ProblemError: Not allowed, or nobody does.
    """
    person = repos.ledger.require(actor, Act.NAME_DEPUTY, "")
    if repos.appointments.deputy() is None and repos.appointments.unexplained(repos.people) is None:
        raise ProblemError(409, "Nobody stands in for the data protection officer.")
    repos.appointments.end_deputy(lambda: repos.ledger.note(str(Act.NAME_DEPUTY), person.actor, "", {}))


def break_glass(
    repos: AccessRepositories,
    person: Person,
    recording: RecordingId,
    reason: str,
    *,
    enter: Callable[[Emergency], None],
) -> Emergency:
    """Let ICT hear a recording without approval, which their role allows: one at a time, so many a day.

    Args:
        repos: Where it is kept.
        person: Who.
        recording: What.
        reason: Why.
        enter: Writes it to the audit log; when it raises, nothing is kept.

    Raises:
        ProblemError: 403: not now; that is in the audit log.
    """
    if not repos.approvers.protectors - {person.name}:
        raise repos.ledger.refusal(
            person.actor, Act.PLAY, recording, "There is no data protection officer or deputy who could be told of it."
        )
    if repos.contradicted:
        raise repos.ledger.refusal(
            person.actor, Act.PLAY, recording,
            "What was heard without approval before does not agree with the audit log: the data protection officer "
            "is told, and nothing more is heard so until that is settled.",
        )  # fmt: skip
    try:
        return repos.emergencies.begin(person.name, recording, reason, enter=enter)
    except DeniedError as error:
        raise repos.ledger.denied(person, Act.PLAY, recording, error) from error


def acknowledge(repos: AccessRepositories, actor: Actor, emergency_id: str) -> Emergency:
    """Take note of a recording that was heard without approval: the data protection officer, or the deputy.

    Raises:
        ProblemError: Not allowed, no such act, or it was acknowledged already.
    """
    person = _acknowledger(repos, actor, emergency_id)
    found = repos.emergencies.get(emergency_id)
    if found is None:
        raise ProblemError(404, f"There is no emergency {emergency_id!r}: see `recorder requests list`.")
    if found.account == person.name:
        raise repos.ledger.refusal(
            person.actor, Act.ACKNOWLEDGE, emergency_id, "Somebody else must acknowledge your own."
        )
    repos.ledger.note(str(Act.ACKNOWLEDGE), person.actor, emergency_id, {"account": found.account})
    if not repos.emergencies.acknowledge(emergency_id, by=person.name):
        raise ProblemError(409, f"{emergency_id} was acknowledged already.")
    return found


def to_acknowledge(repos: AccessRepositories, actor: Actor) -> list[Emergency]:
    """Return what was heard without approval and nobody has acknowledged; that they looked is written down.

    Raises:
        ProblemError: Not allowed.
    """
    person = _acknowledger(repos, actor, "")
    repos.ledger.note(LOOKED, person.actor, "", {})
    return repos.emergencies.open()


def _acknowledger(repos: AccessRepositories, actor: Actor, subject: str) -> Person:
    return repos.ledger.require_protector(actor, Act.ACKNOWLEDGE, subject, repos.approvers)
