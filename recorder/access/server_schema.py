"""Creates or upgrades the tables and rules of accounts on a PostgreSQL server, if this role may.

A role that may not, such as the console's, says who can.
"""

from collections.abc import Mapping

import sqlalchemy as sa

from recorder.access.accounts_server import LOCK, SCHEMA, look
from recorder.access.schema import VERSION_TABLE, accounts_schema
from recorder.access.tables import REVISION
from recorder.access.triggers import RULES
from storage.database import server_name
from storage.errors import DatabaseError
from storage.schema_upgrade import HEAD

_BEFORE_ROW = {"INSERT": 7, "UPDATE": 19}
"""``pg_trigger.tgtype`` of triggers before each row, by event."""
_ROLE = f"""
SELECT current_user, n.oid IS NOT NULL, coalesce(has_schema_privilege(n.oid, 'USAGE'), false),
  coalesce(pg_has_role(n.nspowner, 'USAGE'), has_database_privilege(current_database(), 'CREATE')),
  EXISTS (SELECT 1 FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = '{VERSION_TABLE}')
FROM (SELECT 1) one LEFT JOIN pg_namespace n ON n.nspname = '{SCHEMA}'
"""  # noqa: S608 - of constants
_TRIGGERS = f"""
SELECT t.tgname, c.relname, t.tgtype, t.tgenabled::text, p.prosrc, array_to_string(p.proconfig, ';')
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_proc p ON p.oid = t.tgfoid WHERE n.nspname = '{SCHEMA}' AND NOT t.tgisinternal
"""  # noqa: S608 - of constants
_PATH = f"{SCHEMA}, pg_temp"
_CURRENT: Mapping[str, tuple[object, ...]] = {
    name: (rule.table, _BEFORE_ROW[rule.event], "O", rule.body(LOCK), f"search_path={_PATH}")
    for name, rule in RULES.items()
}


def bring_up_to_date(engine: sa.Engine) -> None:
    """Create or upgrade the tables, and restore rules that are missing or of another version.

    Args:
        engine: From `recorder.access.accounts_server.make_engine`.

    Raises:
        AccountsAwayError: The server does not answer.
        DatabaseError: A newer program made the tables, or this role has not the right to use or to change them.
    """
    name = server_name(engine.url)
    ((role, has_schema, may_use, may_change, has_revision),) = look(engine, _ROLE)
    if has_schema and not may_use:
        raise DatabaseError(
            f"the role {role} has no right on the accounts in {name}: only the console and its commands open them, "
            "as the role that accounts_url in [storage] names",
            is_passing=False,
        )
    if has_revision and _is_current(engine):
        return
    if not may_change:
        accounts_schema(_named(engine)).refuse_role(str(role), revision_of(engine))
    with engine.begin() as connection:
        upgrade(connection)


def revision_of(engine: sa.Engine) -> str | None:
    """Return the revision of the tables now; None if there are none.

    Raises:
        AccountsAwayError: The server does not answer.
        DatabaseError: It refuses.
    """
    ((*_, has_revision),) = look(engine, _ROLE)
    if not has_revision:
        return None
    found = look(engine, f"SELECT version_num FROM {SCHEMA}.{VERSION_TABLE}")  # noqa: S608 - of constants
    return str(found[0][0]) if found else None


def _named(engine: sa.Engine) -> str:
    return f"the database of the accounts, {server_name(engine.url)},"


def _is_current(engine: sa.Engine) -> bool:
    if look(engine, f"SELECT version_num FROM {SCHEMA}.{VERSION_TABLE}") != [(REVISION,)]:  # noqa: S608 - of constants
        return False
    return {name: tuple(rest) for name, *rest in look(engine, _TRIGGERS)} == _CURRENT


def upgrade(connection: sa.Connection, revision: str = HEAD) -> None:
    """Migrate the tables to a revision, in the caller's transaction.

    Raises:
        DatabaseError: A newer program made them.
    """
    schema = accounts_schema(_named(connection.engine))
    if not sa.inspect(connection).has_schema(SCHEMA):  # to create a schema takes a right on the database
        connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
    if revision == HEAD and not sa.inspect(connection).get_table_names(SCHEMA):
        schema.create(connection)
    elif schema.found(connection) != revision:
        schema.migrate(connection, revision)
    connection.execute(sa.text("; ".join(_statements())))


def _statements() -> list[str]:
    made = []
    for name, rule in RULES.items():
        made += [
            f"CREATE OR REPLACE FUNCTION {SCHEMA}.{name}() RETURNS trigger LANGUAGE plpgsql SET search_path = {_PATH} "
            f"AS $rule${rule.body(LOCK)}$rule$",
            f"DROP TRIGGER IF EXISTS {name} ON {SCHEMA}.{rule.table}",
            f"CREATE TRIGGER {name} BEFORE {rule.event} ON {SCHEMA}.{rule.table} "
            f"FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.{name}()",
        ]
    return made
