"""The deputy of the data protection officer, in the file of people: named by two people (P14)."""

from datetime import datetime

from sqlalchemy import Connection, Engine, delete, insert, select

from recorder.access.identities import disconnect_unless_own
from recorder.access.tables import deputies


def appoint(connection: Connection, account: str, *, named_by: str, confirmed_by: str, now: datetime) -> bool:
    """Appoint the deputy of the data protection officer, replacing any other.

    Their account is disconnected from the OpenID provider unless they connected it themselves; tells whether it was.
    """
    connection.execute(delete(deputies))
    connection.execute(
        insert(deputies).values(account=account, since_s=now.timestamp(), named_by=named_by, confirmed_by=confirmed_by)
    )
    return disconnect_unless_own(connection, account)


def named_by_one(engine: Engine) -> str | None:
    """Return a deputy appointed before it took two people; None if there is none, or two people named them."""
    with engine.begin() as connection:
        query = select(deputies.c.account).where(deputies.c.confirmed_by.is_(None))
        return connection.execute(query).scalars().first()
