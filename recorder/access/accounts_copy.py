"""Copies the accounts of a server into a file, for backups; a restored home can use it, or move it to a server."""

from pathlib import Path

import sqlalchemy as sa

from recorder.access.database import make_file
from recorder.access.schema import accounts_schema
from recorder.access.tables import metadata
from recorder.access.triggers import keep_rules

_AT_ONCE = 1000


def copy_to_file(accounts: sa.Engine, target: Path) -> None:
    """Copy all rows of the accounts into a new SQLite file (0600), as of one moment, without delaying anybody.

    Args:
        accounts: Accounts on a server, from ``open_accounts``.
        target: The file; one that is there is replaced.

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
        for table in metadata.sorted_tables:
            found = read.execution_options(yield_per=_AT_ONCE).execute(table.select())
            for rows in found.mappings().partitions():
                write.execute(table.insert(), [dict(row) for row in rows])
        keep_rules(write)  # last: rows of older versions need not satisfy them
