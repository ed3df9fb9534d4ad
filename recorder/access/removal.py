"""Removes an account that is closed, with what stands beside it. The audit log still names the person."""

from datetime import datetime

from sqlalchemy import Connection, Engine, Table, delete, select

from recorder.access.account_rows import PeopleError, confirmed_lately, is_deputy, is_usable, one
from recorder.access.database import AuditNote
from recorder.access.granting import ProposalState
from recorder.access.seals import REMOVED
from recorder.access.tables import accounts, break_glass, metadata, proposals, requests

_OF_THEIR_OWN = (requests, break_glass, proposals)
"""Tables of a person's requests and acts, which have their own periods."""
BESIDE: tuple[Table, ...] = tuple(
    table for table in metadata.sorted_tables if "account" in table.c and table not in _OF_THEIR_OWN
)
"""Other tables about a person; their rows are deleted with the account."""


def check_removable(engine: Engine, name: str, now: datetime) -> AuditNote:
    """Return the audit entry of removing an account, which comes first.

    Raises:
        PeopleError: There is no such account, or it may not be removed yet.
    """
    with engine.begin() as connection:
        row = one(connection, name)
        if is_usable(row, now):
            raise PeopleError(f"The account {name} is in use: disable it first.")
        if is_deputy(connection, name):
            raise PeopleError(f"{name} is the data protection officer's deputy: remove the deputy first.")
        if name in confirmed_lately(connection, (), now):  # who else could confirm counts for a while
            raise PeopleError(f"{name} could confirm changes until lately: remove the account in a few days.")
    return AuditNote(act=REMOVED, subject=name, details={"display_name": row["display_name"]})


def remove_account(engine: Engine, name: str) -> None:
    """Delete an account, after its removal was checked and logged. Its calls are still found by the person's name."""
    with engine.begin() as connection:
        for table in BESIDE:
            connection.execute(delete(table).where(table.c.account == name))
        connection.execute(delete(accounts).where(accounts.c.name == name))


def is_still_named(connection: Connection, name: str, now: datetime) -> bool:
    """Tell whether requests, acts or a waiting proposal name an account that was removed.

    They would be those of the next person with this name: grants to listen, roles, and what the first one asked for.
    """
    waits = (proposals.c.state == str(ProposalState.WAITING)) & (proposals.c.until_s > now.timestamp())
    queries = (
        select(requests.c.id).where(requests.c.account == name),
        select(break_glass.c.id).where(break_glass.c.account == name),
        select(proposals.c.id).where(proposals.c.account == name, waits),
    )
    return any(connection.execute(query.limit(1)).first() is not None for query in queries)
