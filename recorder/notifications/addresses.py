"""To which address somebody is written: kept beside the accounts, changed by who changes those."""

from dataclasses import dataclass

from sqlalchemy import Engine, delete, insert, select

from recorder.access.accounts import People
from recorder.access.tables import mail_addresses
from recorder.audit.audit_service import AuditService
from recorder.common.problems import ProblemError
from recorder.common.smtp_options import is_mail_address
from recorder.permissions import Act, Actor

CHANGED = "people.mail_address"
"""As the audit log has it, without the address."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of one file of people; ``engine`` is from ``open_people`` and stays the caller's."""

    engine: Engine

    def all(self) -> dict[str, str]:
        """Return addresses by account."""
        with self.engine.begin() as connection:
            return {row.account: row.address for row in connection.execute(select(mail_addresses))}

    def save(self, account: str, address: str | None) -> None:
        """Put an address in the place of whichever there was; None: none."""
        with self.engine.begin() as connection:
            connection.execute(delete(mail_addresses).where(mail_addresses.c.account == account))
            if address is not None:
                connection.execute(insert(mail_addresses).values(account=account, address=address))


def change_address(
    addresses: Addresses, people: People, ledger: AuditService, actor: Actor, *, account: str, address: str | None
) -> None:
    """Say to which address an account is written; None: to none.

    Raises:
        ProblemError: Not allowed, no such account, or that is no address.
    """
    person = ledger.require(actor, Act.MANAGE_PEOPLE, account)
    if people.find(account) is None:
        raise ProblemError(404, f"There is no account {account!r} in use: see `recorder users list`.")
    if address is not None and not is_mail_address(address):
        raise ProblemError(422, "That is no address of a mail: write name@council.example, and nothing around it.")
    ledger.note(CHANGED, person.actor, account, {"has_address": address is not None})
    addresses.save(account, address)
