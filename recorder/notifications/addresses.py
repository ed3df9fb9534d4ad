"""Mail addresses of accounts: stored beside the accounts, and changed by the people who manage accounts."""

from dataclasses import dataclass

from sqlalchemy import Engine, select

from recorder.access.account_rows import keep_address
from recorder.access.accounts import People
from recorder.access.database import AuditNote
from recorder.access.granting import Proposal
from recorder.access.proposals import Proposals
from recorder.access.tables import mail_addresses
from recorder.audit.audit_service import AuditService
from recorder.common.problems import ProblemError
from recorder.common.smtp_options import is_mail_address
from recorder.permissions import Act, Actor, DeniedError


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses in one accounts database; the caller keeps ``engine`` (from ``open_accounts``) open."""

    engine: Engine

    def all(self) -> dict[str, str]:
        """Return the addresses by account."""
        with self.engine.begin() as connection:
            return {row.account: row.address for row in connection.execute(select(mail_addresses))}

    def save(self, account: str, address: str | None) -> None:
        """Replace the address of an account; None removes it."""
        with self.engine.begin() as connection:
            keep_address(connection, account, address)


def change_address(
    proposals: Proposals,
    people: People,
    audit_service: AuditService,
    actor: Actor,
    *,
    account: str,
    address: str | None,
    reason: str = "",
) -> Proposal | None:
    """Set or remove (None) the mail address of an account, or propose it for somebody who decides.

    Returns:
        What a second person must confirm, or None if it is done.

    Raises:
        ProblemError: Not allowed, no such account, or not a mail address.
    """
    person = audit_service.require(actor, Act.MANAGE_PEOPLE, account)
    if people.find(account) is None:
        raise ProblemError(404, f"There is no account {account!r} in use: see `recorder users list`.")
    if address is not None and not is_mail_address(address):
        raise ProblemError(422, "That is not an email address. Write name@council.example and nothing else.")

    def enter(note: AuditNote) -> None:
        audit_service.note(note.act, person.actor, note.subject, dict(note.details), text=reason)

    try:
        return proposals.mail_address(person.name, account, address, reason=reason, enter=enter)[1]
    except DeniedError as error:
        raise audit_service.denied(person, Act.MANAGE_PEOPLE, account, error) from error
