"""Case entries: check the person, write the audit entry, then store the entry."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from recorder.access.listening.repositories import AccessRepositories
from recorder.common.problems import ProblemError
from recorder.data_subjects.case_repository import CaseRepository, ChangedError
from recorder.data_subjects.case_rules import check_step
from recorder.permissions import Act, Actor, DeniedError, Person
from recorder.retention.hold_repositories import HoldRepositories
from recorder.rules.cases import Case, CaseEntry, CaseEvent, after


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRepositories:
    """What work on cases reads and writes.

    Attributes:
        cases: Cases.
        hearing: Access requests, accounts, the index and the audit log.
        holds: Legal holds.
        timezone: IANA name of the council's time zone, which decides what day it is.
    """

    cases: CaseRepository
    hearing: AccessRepositories
    holds: HoldRepositories
    timezone: str

    @property
    def today(self) -> date:
        """Today in the council's time zone."""
        return self.cases.now().astimezone(ZoneInfo(self.timezone)).date()


def require_worker(repos: CaseRepositories, actor: Actor, case_id: str) -> tuple[Person, Case]:
    """Return the person and the case, if the person may work on cases.

    Raises:
        ProblemError: Not allowed, or no such case.
    """
    person = repos.hearing.audit_service.require(actor, Act.WORK_ON_CASES, case_id)
    case = repos.cases.get(case_id)
    if case is None:
        raise ProblemError(404, f"There is no case {case_id!r}: see `recorder cases list`.")
    return person, case


def write_event(
    repos: CaseRepositories, person: Person, case: Case, step: CaseEvent, details: Mapping[str, Any], *, text: str = ""
) -> Case:
    """Write an entry whose details the caller made, and return the case with it.

    Raises:
        ProblemError: Refused; the message is a sentence. Nothing was stored.
    """
    entry = CaseEntry(
        step=step, at=repos.cases.now(), by=person.name, on=repos.today, text=text.strip(), details=dict(details)
    )
    check_entry(repos, person, case, entry)
    write_entry(repos, person, case.id, len(case.entries), entry)
    return after(case, entry)


def check_entry(repos: CaseRepositories, person: Person, case: Case, entry: CaseEntry) -> None:
    """Check that a person may write an entry into a case now.

    Raises:
        ProblemError: Refused; the message is a sentence.
    """
    try:
        check_step(case, person, entry, repos.today, repos.hearing.people.vouched())
    except DeniedError as error:
        raise repos.hearing.audit_service.denied(person, Act.WORK_ON_CASES, case.id, error) from error


def is_possible(repos: CaseRepositories, person: Person, case: Case, step: CaseEvent) -> bool:
    """Tell whether a person may write an event with a reason into a case now; nothing is written."""
    entry = CaseEntry(step=step, at=repos.cases.now(), by=person.name, on=repos.today, text="reason")
    try:
        check_step(case, person, entry, repos.today, repos.hearing.people.vouched())
    except DeniedError:
        return False
    return True


def write_entry(repos: CaseRepositories, person: Person, case_id: str, number: int, entry: CaseEntry) -> None:
    """Write an entry as `keep_entry` does, and answer a conflict with a ProblemError.

    Raises:
        ProblemError: 409, somebody else wrote into the case meanwhile; nothing was stored.
    """
    try:
        keep_entry(repos, person, case_id, number, entry)
    except ChangedError as error:
        raise ProblemError(409, f"Somebody else has just written into {case_id}. Look at it and try again.") from error


def keep_entry(repos: CaseRepositories, person: Person, case_id: str, number: int, entry: CaseEntry) -> None:
    """Write an entry to the audit log, then store it.

    Raises:
        ChangedError: Somebody else wrote into the case meanwhile; the audit log says that nothing was stored.
    """
    # Only the text of an audit entry can expire, so the requester's name and words go there.
    details = {key: value for key, value in entry.details.items() if key not in ("requester", "balance")}
    words = [entry.details.get("requester"), entry.text, entry.details.get("balance")]
    repos.hearing.audit_service.note(
        f"case.{entry.step}", person.actor, case_id, {**details, "on": entry.on.isoformat()},
        text="; ".join(str(word) for word in words if word),
    )  # fmt: skip
    try:
        repos.cases.append(case_id, number, entry)
    except ChangedError:
        repos.hearing.audit_service.note(f"case.{entry.step}.not_stored", person.actor, case_id, {})
        raise
