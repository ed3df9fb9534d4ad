"""Mail addresses of accounts: stored beside the accounts, and changed by the people who manage accounts."""

from dataclasses import dataclass

from sqlalchemy import Engine, delete, insert, select

from recorder.access.accounts import People
from recorder.access.tables import mail_addresses
from recorder.audit.audit_service import AuditService
from recorder.common.problems import ProblemError
from recorder.common.smtp_options import is_mail_address
from recorder.permissions import Act, Actor

CHANGED = "people.mail_address"
"""Act of the audit log; the entry does not hold the address."""


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
            connection.execute(delete(mail_addresses).where(mail_addresses.c.account == account))
            if address is not None:
                connection.execute(insert(mail_addresses).values(account=account, address=address))


def change_address(
    addresses: Addresses,
    people: People,
    audit_service: AuditService,
    actor: Actor,
    *,
    account: str,
    address: str | None,
) -> None:
    """Set or remove (None) the mail address of an account.

    Raises:
        ProblemError: Not allowed, no such account, or not a mail address.
    """
    person = audit_service.require(actor, Act.MANAGE_PEOPLE, account)
    if people.find(account) is None:
        raise ProblemError(404, f"There is no account {account!r} in use: see `recorder users list`.")
    if address is not None and not is_mail_address(address):
        raise ProblemError(422, "That is not an email address. Write name@council.example and nothing else.")
    audit_service.note(CHANGED, person.actor, account, {"has_address": address is not None})
    addresses.save(account, address)
