"""Rows of accounts, and their conversion to people."""

import re
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from recorder.access.granting import CONFIRMING, STANDS_FOR, combination_problem
from recorder.access.tables import accounts, deputies, mail_addresses, sessions
from recorder.common.plain_text import comparable, name_problem
from recorder.permissions import Person, Role

MAIL_CHANGED = "people.mail_address"
"""Act of the audit log; the entry does not hold the address."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,39}")


class PeopleError(Exception):
    """A change to an account was refused; the message is a sentence. Nothing changed."""


def row_of(connection: Connection, name: str) -> Any:  # noqa: ANN401 - a RowMapping or None
    """Return the row of an account, or None."""
    return connection.execute(select(accounts).where(accounts.c.name == name)).mappings().first()


def one(connection: Connection, name: str) -> Any:  # noqa: ANN401 - a RowMapping
    """Return the row of an account.

    Raises:
        PeopleError: There is none.
    """
    row = row_of(connection, name)
    if row is None:
        raise PeopleError(f"There is no account {name!r}: see `recorder users list`.")
    return row


def is_usable(row: Any, now: datetime) -> bool:  # noqa: ANN401 - a RowMapping
    """Tell whether an account is active. It may be set to close at a later moment."""
    return row["disabled_s"] is None or bool(row["disabled_s"] > now.timestamp())


def check_other_admin(connection: Connection, name: str) -> None:
    """Check that another account can change accounts and is not set to close either.

    Raises:
        PeopleError: There is none.
    """
    rows = connection.execute(
        select(accounts.c.roles).where(accounts.c.name != name, accounts.c.disabled_s.is_(None))
    ).scalars()
    if not any(Role.ADMIN in roles.split(",") for roles in rows):
        raise PeopleError(f"{name} is the last admin: add another one first.")


def check_combination(account: str, roles: frozenset[Role], more: frozenset[Role]) -> None:
    """Refuse roles that exclude each other; so does the database (`recorder.access.triggers`).

    Raises:
        PeopleError: The account would change accounts and hear recordings.
    """
    problem = combination_problem(account, roles, more)
    if problem is not None:
        raise PeopleError(problem)


def is_deputy(connection: Connection, name: str) -> bool:
    """Tell whether an account is the deputy of the data protection officer, whatever its roles."""
    return connection.execute(select(deputies.c.account).where(deputies.c.account == name)).first() is not None


def power_lost(taken: frozenset[Role], now: datetime) -> dict[str, Any]:
    """Return the column to set when an account loses roles: when it lost the power to confirm proposals."""
    return {"power_lost_s": now.timestamp()} if taken & CONFIRMING else {}


def confirmed_lately(connection: Connection, besides: Collection[str], now: datetime) -> frozenset[str]:
    """Return the accounts that could confirm proposals until lately, and cannot any more."""
    since_s, rows = (now - STANDS_FOR).timestamp(), connection.execute(select(accounts)).mappings().all()
    disabled = {row["name"] for row in rows if not is_usable(row, now) and person_of(row).roles & CONFIRMING}
    return frozenset(
        row["name"]
        for row in rows
        if row["name"] not in besides
        and ((row["power_lost_s"] or 0.0) > since_s or (row["name"] in disabled and row["disabled_s"] > since_s))
    )


def renew_password(connection: Connection, name: str, password_hash: str, *, by: str, now: datetime) -> None:
    """Set a new password, unlock the account and end its sessions."""
    values = {
        "password_hash": password_hash, "failures": 0, "locked_until_s": None, "locks": 0,
        "password_set_s": now.timestamp(), "password_set_by": by,
    }  # fmt: skip
    connection.execute(update(accounts).where(accounts.c.name == name).values(**values))
    connection.execute(delete(sessions).where(sessions.c.account == name))


def address_of(connection: Connection, account: str) -> str | None:
    """Return the email address of an account, or None."""
    query = select(mail_addresses.c.address).where(mail_addresses.c.account == account)
    return connection.execute(query).scalar()


def keep_address(connection: Connection, account: str, address: str | None) -> None:
    """Replace the email address of an account; None removes it."""
    connection.execute(delete(mail_addresses).where(mail_addresses.c.account == account))
    if address is not None:
        connection.execute(insert(mail_addresses).values(account=account, address=address))


def columns_of(person: Person) -> dict[str, Any]:
    """Return a person as columns of the table."""
    return {
        "name": person.name,
        "display_name": person.display_name,
        "roles": ",".join(sorted(person.roles)),
        "teams": ",".join(person.teams),
        "extension": person.extension,
    }


def person_of(row: Any) -> Person:  # noqa: ANN401 - a RowMapping
    """Return the person of a row."""
    return Person(
        name=row["name"],
        display_name=row["display_name"],
        roles=frozenset(Role(role) for role in row["roles"].split(",") if role),
        teams=tuple(team for team in row["teams"].split(",") if team),
        extension=row["extension"],
    )


def details_of(person: Person) -> dict[str, Any]:
    """Return a person as details of an audit entry."""
    return {
        "display_name": person.display_name,
        "roles": sorted(person.roles),
        "teams": [*person.teams],
        "extension": person.extension,
    }


def check_person(person: Person) -> None:
    """Refuse values that no account may have; raises PeopleError."""
    if not _NAME.fullmatch(person.name):
        raise PeopleError(
            "An account name is 2 to 40 of a-z, 0-9, dot, dash and underscore, and begins with a letter or digit."
        )
    texts = (person.display_name, person.extension or "", *person.teams)
    if any(len(text) > 100 for text in texts):
        raise PeopleError("A name, team or extension has at most 100 characters and no control characters.")
    for text in texts:
        if (problem := name_problem(text, "A name, team or extension")) is not None:
            raise PeopleError(problem)
    if not comparable(person.display_name):
        raise PeopleError("A display name must not be empty.")
    if any("," in team for team in person.teams):
        raise PeopleError("A team name must not contain a comma.")


def check_team_spelling(connection: Connection, teams: Iterable[str]) -> None:
    """Refuse a team that differs from one that somebody has by case, blanks or characters that are not seen.

    Raises:
        PeopleError: There is such a team; the message has its spelling.
    """
    rows = connection.execute(select(accounts.c.teams)).scalars()
    known = {team for row in rows for team in row.split(",") if team}
    spelled = {comparable(team): team for team in sorted(known)}
    for team in teams:
        other = spelled.get(comparable(team))
        if other is not None and team not in known:
            raise PeopleError(f"There is a team {other!r} already: write {team!r} as that, or give it another name.")
