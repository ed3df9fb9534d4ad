"""The roles of a site on a PostgreSQL server and their rights, as SQL that its administrator reviews and runs. Pure.

The daemon's role has no right on the accounts: it can neither read accounts, sessions and requests nor write a grant.
Neither it nor the console's role can change a table, or drop or disable a rule of the accounts.
"""

from recorder.access.schema import VERSION_TABLE

OWNER, DAEMON, CONSOLE = "recorder_owner", "recorder_daemon", "recorder_console"
ROLES = (OWNER, DAEMON, CONSOLE)
ACCOUNTS = "accounts"
"""Schema of the accounts; the index is in `INDEX`."""
INDEX = "public"
_ROWS = "SELECT, INSERT, UPDATE, DELETE"
_ONLY_READ = (VERSION_TABLE, "schema_version")
"""Tables that only the owner writes: which revision the others are of."""
_OF_CONSOLE = ("pins", "key_lists")
"""Tables of the index that the daemon only reads."""
_ONLY_ADDED_TO = ("audit_entries", "audit_logs")
"""Tables whose rows nobody but the owner changes or deletes: copies of audit logs."""
_SEEN_BY_DAEMON = "node, number, hash"
"""Columns of ``audit_entries`` that tell a daemon how far its copy is; it reads no entries of other machines."""


def roles_sql() -> str:
    """Return the statements that create the roles, for a superuser in the site's database; they may be run again."""
    created = "\n".join(
        f"  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role} LOGIN; END IF;"
        for role in ROLES
    )
    quiet = "\n".join(
        f"ALTER ROLE {role} SET {setting};"
        for role in ROLES
        for setting in ("log_parameter_max_length = 0", "log_parameter_max_length_on_error = 0",
                        "log_error_verbosity = 'terse'")
    )  # fmt: skip
    return f"""\
-- Roles of a call recorder. Review this, then run it as a superuser in the site's database: psql -d recorder -f FILE
-- Afterwards give each role a password (\\password {OWNER}), and let it in by hostssl lines in pg_hba.conf.
BEGIN;
DO $do$ BEGIN
{created}
END $do$;
-- No values of rows in the server's log: neither parameters, nor the row that broke a rule.
{quiet}
DO $do$ BEGIN
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO {", ".join(ROLES)}', current_database());
END $do$;
REVOKE ALL ON SCHEMA {INDEX} FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA {INDEX} TO {OWNER};
GRANT USAGE ON SCHEMA {INDEX} TO {DAEMON}, {CONSOLE};
CREATE SCHEMA IF NOT EXISTS {ACCOUNTS};
ALTER SCHEMA {ACCOUNTS} OWNER TO {OWNER};
-- Tables that another role made, such as the one user of a site from before.
DO $do$ DECLARE one record; BEGIN
  FOR one IN SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname IN ('{INDEX}', '{ACCOUNTS}') AND c.relkind IN ('r', 'p') LOOP
    EXECUTE format('ALTER TABLE %s OWNER TO {OWNER}', one.name);
  END LOOP;
  FOR one IN SELECT p.oid::regprocedure AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE n.nspname = '{ACCOUNTS}' LOOP
    EXECUTE format('ALTER FUNCTION %s OWNER TO {OWNER}', one.name);
  END LOOP;
END $do$;
SET LOCAL ROLE {OWNER};
{rights_sql()}
COMMIT;
"""  # noqa: S608 - of constants


def rights_sql() -> str:
    """Return the statements that give the roles their rights on the owner's tables; they may be run again.

    Tables that are made later get them too, but for those of the revision: `recorder database upgrade` runs this.
    """
    only_read = ", ".join(f"'{name}'" for name in _ONLY_READ)
    of_console = ", ".join(f"'{name}'" for name in _OF_CONSOLE)
    only_added_to = ", ".join(f"'{name}'" for name in _ONLY_ADDED_TO)
    return f"""\
-- The index: daemon and console write rows. The accounts: the console alone. Nobody but the owner says which revision
-- the tables are of, or changes an entry of an audit log; and the daemon does not read those of other machines.
DO $do$ DECLARE one record; who text; what text; BEGIN
  FOR one IN SELECT c.oid::regclass AS name, n.nspname AS place, c.relkind = 'S' AS is_sequence,
      c.relname IN ({only_read}) AS is_read, c.relname IN ({only_added_to}) AS is_added_to,
      c.relname IN ({of_console}) AS is_of_console
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname IN ('{INDEX}', '{ACCOUNTS}') AND c.relkind IN ('r', 'p', 'S')
      AND c.relowner = current_user::text::regrole LOOP
    who := CASE one.place WHEN '{ACCOUNTS}' THEN '{CONSOLE}' ELSE '{DAEMON}, {CONSOLE}' END;
    what := CASE WHEN one.is_sequence THEN 'USAGE' WHEN one.is_read THEN 'SELECT'
      WHEN one.is_added_to THEN 'SELECT, INSERT' ELSE '{_ROWS}' END;
    EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, {DAEMON}, {CONSOLE}', one.name);
    EXECUTE format('GRANT %s ON %s %s TO %s', what, CASE WHEN one.is_sequence THEN 'SEQUENCE' ELSE 'TABLE' END,
      one.name, who);
    IF one.place = '{INDEX}' AND one.is_of_console THEN
      EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON %s FROM {DAEMON}', one.name);
    END IF;
    IF one.place = '{INDEX}' AND one.name = to_regclass('{INDEX}.audit_entries') THEN
      EXECUTE format('REVOKE SELECT ON TABLE %s FROM {DAEMON}', one.name);
      EXECUTE format('GRANT SELECT ({_SEEN_BY_DAEMON}) ON TABLE %s TO {DAEMON}', one.name);
    END IF;
    IF one.place = '{INDEX}' AND NOT one.is_sequence AND current_setting('server_version_num')::int >= 170000 THEN
      EXECUTE format('GRANT MAINTAIN ON %s TO %s', one.name, who);  -- lets others than the owner vacuum
    END IF;
  END LOOP;
END $do$;
REVOKE ALL ON SCHEMA {ACCOUNTS} FROM PUBLIC, {DAEMON}, {CONSOLE};
GRANT USAGE ON SCHEMA {ACCOUNTS} TO {CONSOLE};
ALTER DEFAULT PRIVILEGES IN SCHEMA {INDEX} GRANT {_ROWS} ON TABLES TO {DAEMON}, {CONSOLE};
ALTER DEFAULT PRIVILEGES IN SCHEMA {INDEX} GRANT USAGE ON SEQUENCES TO {DAEMON}, {CONSOLE};
ALTER DEFAULT PRIVILEGES IN SCHEMA {ACCOUNTS} GRANT {_ROWS} ON TABLES TO {CONSOLE};"""  # noqa: S608 - of constants
