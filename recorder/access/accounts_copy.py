"""Copies accounts between a server and a file: for backups, and to move a site either way."""

from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from recorder.access.database import make_file, open_people
from recorder.access.schema import accounts_schema
from recorder.access.tables import metadata
from recorder.access.triggers import RULES, keep_rules
from storage.errors import DatabaseError

MOVED = "-moved"
"""End of the name of a file whose accounts are on a server now."""
_AT_ONCE = 1000


def copy_to_file(accounts: sa.Engine, target: Path) -> dict[str, int]:
    """Copy all rows of the accounts into a new SQLite file (0600), as of one moment, without delaying anybody.

    Args:
        accounts: Accounts on a server, from ``open_accounts``.
        target: The file; one that is there is replaced.

    Returns:
        The number of rows by table.

    Raises:
        AccountsAwayError: The server does not answer.
        OSError, DatabaseError: From the system, or the server refuses.
    """
    from recorder.access.accounts_server import snapshot  # noqa: PLC0415 - the driver takes long to import

    target.unlink(missing_ok=True)
    make_file(target)
    file = sa.create_engine(f"sqlite:///{target}", poolclass=sa.NullPool, hide_parameters=True)
    with snapshot(accounts) as read, file.begin() as write:
        accounts_schema(str(target)).create(write)
        counts = _copy_rows(read, write)
        keep_rules(write)  # last: rows of older versions need not satisfy them
    return counts


def copy_from_file(source: Path, accounts: sa.Engine, *, enter: Callable[[], None]) -> dict[str, int]:
    """Copy all rows of a file into empty accounts on a server, compare them, and set the file aside.

    It is one transaction on both sides. The file is renamed to ``people.sqlite-moved`` before others may write again,
    so that nobody opens it by mistake.

    Args:
        source: The file; nobody else uses it.
        accounts: Accounts on a server, from ``open_accounts`` as the owner of the tables.
        enter: Writes the audit entry; if it raises, nothing changes.

    Returns:
        The number of rows by table.

    Raises:
        AccountsAwayError: The server does not answer.
        OSError, DatabaseError: The server has accounts already, cannot store a row, or refuses; nothing was changed.
    """
    from recorder.access import server_schema  # noqa: PLC0415 - the driver takes long to import

    file = open_people(source)
    try:
        with file.begin() as read:
            with accounts.begin() as write:
                if filled := [table.name for table in metadata.sorted_tables if _has_rows(write, table)]:
                    raise DatabaseError(
                        f"the server has accounts already ({', '.join(filled)}): nothing was copied", is_passing=False
                    )
                for table in sorted({rule.table for rule in RULES.values()}):
                    write.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
                counts = _copy_rows(read, write)
                _compare(read, write)
                server_schema.upgrade(write)  # makes the rules again
                enter()
            source.rename(source.with_suffix(f"{source.suffix}{MOVED}"))
    finally:
        file.dispose()
    return counts


def _has_rows(connection: sa.Connection, table: sa.Table) -> bool:
    return connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is not None


def _copy_rows(read: sa.Connection, write: sa.Connection) -> dict[str, int]:
    counts = {}
    for table in metadata.sorted_tables:
        counts[table.name] = 0
        for rows in _rows(read, table).mappings().partitions():
            write.execute(table.insert(), [dict(row) for row in rows])
            counts[table.name] += len(rows)
    return counts


def _compare(one: sa.Connection, other: sa.Connection) -> None:
    for table in metadata.sorted_tables:
        key = tuple(column.name for column in table.primary_key)
        rows = {tuple(row._mapping[name] for name in key): tuple(row) for row in _rows(one, table)}
        found = {tuple(row._mapping[name] for name in key): tuple(row) for row in _rows(other, table)}
        if rows != found:
            raise DatabaseError(
                f"the rows of {table.name} differ after they were copied: nothing was changed", is_passing=False
            )


def _rows(connection: sa.Connection, table: sa.Table) -> sa.CursorResult[tuple[object, ...]]:
    return connection.execute(table.select(), execution_options={"yield_per": _AT_ONCE})
