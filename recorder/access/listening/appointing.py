"""Acts on absences, the deputy and break-glass: written to the audit log, then stored."""

from collections.abc import Callable

from recorder.access.listening.emergencies import Emergency
from recorder.access.listening.repositories import AccessRepositories
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Actor, DeniedError, Person
from storage.types import RecordingId

BACK = "people.back"
"""Act of the audit log."""
LOOKED = "break_glass.view"
"""Act of the audit log: a person was shown the break-glass acts that nobody has acknowledged."""


def mark_absent(repos: AccessRepositories, actor: Actor, account: str, *, is_absent: bool) -> None:
    """Mark a team leader absent, so that requests go to the data protection officer, or present again.

    Raises:
        ProblemError: Not allowed, or no team leader has this account.
    """
    person = repos.audit_service.require(actor, Act.MARK_ABSENT, account)
    if account not in repos.approvers.leaders:
        raise ProblemError(404, f"No team leader has the account {account!r}.")
    repos.audit_service.note(str(Act.MARK_ABSENT) if is_absent else BACK, person.actor, account, {})
    if is_absent:
        repos.appointments.mark_absent(account, by=person.name)
    else:
        repos.appointments.mark_back(account)


def end_deputy(repos: AccessRepositories, actor: Actor) -> None:
    """Remove the deputy of the data protection officer; appointing one takes two people (`Proposals.name_deputy`).

    Raises:
        ProblemError: Not allowed, or there is no deputy.
    """
    person = repos.audit_service.require(actor, Act.NAME_DEPUTY, "")
    if repos.appointments.deputy() is None and repos.appointments.unexplained(repos.people) is None:
        raise ProblemError(409, "The data protection officer has no deputy.")
    repos.appointments.end_deputy(lambda: repos.audit_service.note(str(Act.NAME_DEPUTY), person.actor, "", {}))


def break_glass(
    repos: AccessRepositories,
    person: Person,
    recording: RecordingId,
    reason: str,
    *,
    enter: Callable[[Emergency], None],
) -> Emergency:
    """Let ICT hear a recording without approval, if their role allows it: one at a time, a few a day.

    Args:
        repos: Where it is stored.
        person: Who.
        recording: What.
        reason: Why.
        enter: Writes the audit entry; if it raises, nothing is stored.

    Raises:
        ProblemError: 403: not now; the refusal is in the audit log.
    """
    if not repos.approvers.protectors - {person.name}:
        raise repos.audit_service.refusal(
            person.actor, Act.PLAY, recording, "There is no data protection officer or deputy to notify."
        )
    if repos.contradicted:
        raise repos.audit_service.refusal(
            person.actor, Act.PLAY, recording,
            "Earlier break-glass acts do not agree with the audit log. The data protection officer has been "
            "notified, and break-glass is refused until this is settled.",
        )  # fmt: skip
    try:
        return repos.emergencies.begin(person.name, recording, reason, enter=enter)
    except DeniedError as error:
        raise repos.audit_service.denied(person, Act.PLAY, recording, error) from error


def acknowledge(repos: AccessRepositories, actor: Actor, emergency_id: str) -> Emergency:
    """Acknowledge a recording heard by break-glass: the data protection officer, or the deputy.

    Raises:
        ProblemError: Not allowed, no such act, or it was acknowledged already.
    """
    person = _acknowledger(repos, actor, emergency_id)
    found = repos.emergencies.get(emergency_id)
    if found is None:
        raise ProblemError(404, f"There is no break-glass act {emergency_id!r}: see `recorder requests list`.")
    if found.account == person.name:
        raise repos.audit_service.refusal(
            person.actor, Act.ACKNOWLEDGE, emergency_id, "Somebody else must acknowledge your own."
        )
    if (problem := repos.approvers.vouched.problem(found.account, person.name)) is not None:
        raise repos.audit_service.refusal(person.actor, Act.ACKNOWLEDGE, emergency_id, problem)
    repos.audit_service.note(str(Act.ACKNOWLEDGE), person.actor, emergency_id, {"account": found.account})
    if not repos.emergencies.acknowledge(emergency_id, by=person.name):
        raise ProblemError(409, f"{emergency_id} was acknowledged already.")
    return found


def read_emergency(repos: AccessRepositories, actor: Actor, emergency_id: str) -> Emergency:
    """Return a break-glass act, acknowledged or not; the look is written to the audit log.

    Raises:
        ProblemError: Not allowed, or no such act.
    """
    person = _acknowledger(repos, actor, emergency_id)
    found = repos.emergencies.get(emergency_id)
    if found is None:
        raise ProblemError(404, "There is no such access without approval.")
    repos.audit_service.note(LOOKED, person.actor, emergency_id, {})
    return found


def to_acknowledge(repos: AccessRepositories, actor: Actor) -> list[Emergency]:
    """Return the break-glass acts that nobody has acknowledged; the look is written to the audit log.

    Raises:
        ProblemError: Not allowed.
    """
    person = _acknowledger(repos, actor, "")
    repos.audit_service.note(LOOKED, person.actor, "", {})
    return repos.emergencies.open()


def _acknowledger(repos: AccessRepositories, actor: Actor, subject: str) -> Person:
    return repos.audit_service.require_protector(actor, Act.ACKNOWLEDGE, subject, repos.approvers)
