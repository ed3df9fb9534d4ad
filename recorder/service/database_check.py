"""What `recorder site-check` says of the databases on a server: whether they answer, and the rights of the role."""

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from recorder.config.settings import Config
from recorder.service.database_roles import ACCOUNTS, CONSOLE, OWNER
from recorder.service.findings import SiteFinding, error, ok, warning
from storage.database import POSTGRESQL, parse_url, server_name
from storage.database_problems import database_problem

_ROLE = f"""
SELECT current_user AS role, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
  coalesce(bool_or(has_schema_privilege(n.oid, 'USAGE') AND (has_table_privilege(c.oid, 'SELECT')
    OR has_table_privilege(c.oid, 'INSERT') OR has_table_privilege(c.oid, 'UPDATE')
    OR has_table_privilege(c.oid, 'DELETE'))) OR bool_or(pg_has_role(c.relowner, 'MEMBER'))
    OR EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{CONSOLE}' AND pg_has_role(oid, 'MEMBER')), false)
    AS opens_accounts,
  coalesce(bool_or(pg_has_role(c.relowner, 'MEMBER')), false) AS owns_accounts,
  current_setting('log_parameter_max_length') = '0' AND current_setting('log_parameter_max_length_on_error') = '0'
    AND current_setting('log_error_verbosity') = 'terse' AS is_quiet
FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p') WHERE n.nspname = '{ACCOUNTS}'
"""  # noqa: S608 - of constants


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRole:
    """The role that a process has on a server, and what it may do there.

    Attributes:
        opens_accounts: It may read or write a table of the accounts, or become a role that may.
        owns_accounts: It may change or remove their tables and rules.
        is_quiet: The server's log gets no values of rows from it.
    """

    role: str
    is_superuser: bool
    opens_accounts: bool
    owns_accounts: bool
    is_quiet: bool


def check_databases(config: Config) -> Iterator[SiteFinding]:
    """Check the roles of the configured databases that are on a server; nothing for SQLite."""
    for what, text in (("index", config.storage.index_url), ("accounts", config.storage.accounts_url)):
        url = None if text is None else parse_url(text)
        if url is None or url.get_backend_name() != POSTGRESQL:
            continue
        try:
            role = _role_on(url)
        except sa.exc.SQLAlchemyError as problem:
            do = "start the server, or correct the URL or the file of passwords"
            words = str(database_problem(server_name(url), problem))
            yield error(f"{what} on a server", words, why=f"the {what} cannot be used", do=do)
        else:
            is_daemons = what == "index" and (url.username is not None or config.storage.accounts_url is None)
            yield from findings_of(what, role, is_daemons=is_daemons)


def findings_of(what: str, role: ServerRole, *, is_daemons: bool) -> Iterator[SiteFinding]:
    """Yield what is to be said of a role. Pure.

    Args:
        what: ``index`` or ``accounts``.
        role: The role that this process has there.
        is_daemons: Whether the daemon has this role: the URL names it, or this machine has no console.
    """
    name, found = f"{what} on a server", False
    do = f"have the server's administrator run what `recorder database roles` prints, and use {CONSOLE} or the daemon's"
    if role.is_superuser:
        found = True
        why = "it may read and change everything on the server, and no rule of the accounts binds it"
        yield error(name, f"the role {role.role} is a superuser", why=why, do=do)
    elif what == "index" and role.opens_accounts and is_daemons:
        found = True
        yield error(
            name, f"the daemon has the role {role.role}, which may read or write the accounts",
            why="the daemon must neither read accounts nor write a grant",
            do="leave the user out of index_url, and set PGUSER in the unit of each process; " + do,
        )  # fmt: skip
    elif what == "accounts" and role.owns_accounts:
        found = True
        why = "the console could remove the rules of the accounts, such as that two people name the deputy"
        do = f"{do}; {OWNER} only upgrades tables, by `recorder database upgrade`"
        yield warning(name, f"the role {role.role} owns the tables", why=why, do=do)
    if what == "accounts" and not role.is_quiet:
        found = True
        yield warning(
            name, f"the server may log values of rows for the role {role.role}",
            why="names, hashes and reasons would stay in its log",
            do="set log_parameter_max_length = 0 and log_error_verbosity = terse for it, as `recorder database roles` "
            "prints",
        )  # fmt: skip
    if not found:
        may = "may use" if role.opens_accounts else "has no right on"
        yield ok(name, f"the role {role.role} {may} the accounts")


def _role_on(url: sa.URL) -> ServerRole:
    from storage.postgresql import make_server_engine  # noqa: PLC0415 - the driver takes long to import

    engine = make_server_engine(url)
    try:
        with engine.connect() as connection:
            return ServerRole(**connection.exec_driver_sql(_ROLE).mappings().one())
    finally:
        engine.dispose()
