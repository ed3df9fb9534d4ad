"""The roles of a site on a real PostgreSQL server: what each may do, and what the others are told."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError
from typer.testing import CliRunner

from benchmarks.postgres import PostgresServer, database_name
from recorder.access.account_rows import PeopleError
from recorder.access.accounts import People, SignedIn
from recorder.access.database import open_accounts
from recorder.access.second_factor import Proven, SecondFactors
from recorder.access.tables import metadata
from recorder.access.totp import code_of, new_secret, step_of
from recorder.cli.cli import app
from recorder.common.home import Home
from recorder.config.settings import Config, Storage
from recorder.permissions import Role
from recorder.service.accounts_move import MOVED
from recorder.service.database_check import check_databases
from recorder.service.database_roles import CONSOLE, DAEMON, OWNER, ROLES, roles_sql
from recorder.service.findings import Level
from storage.agreement import Agreement
from storage.audit import AuditLog
from storage.audit_copies import AuditCopies
from storage.database import Database
from storage.errors import DatabaseError
from storage.file_removals import FileRemovals, order_removals
from storage.index import Index
from storage.key_list_rows import NodeReport, StoredList, newest_list, replace_list, report, reports
from storage.leases import Leases
from storage.rows import row_from_json
from storage.shared_sign_ons import SharedPins
from storage.tables import METADATA, REVISION
from storage.types import RecordingId
from tests.helpers.accounts import CHEAP, PASSWORD
from tests.helpers.storage_home import ID, row

SECRET = "a-password-of-a-role"
UPGRADE = r"may not change it: run `recorder database upgrade --user recorder_owner`, then try again"


class Site:
    """A database whose superuser has run what `recorder database roles` prints."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.superuser = server.new_database()
        self._name = database_name(self.superuser)
        self.run(CliRunner().invoke(app, ["database", "roles"]).stdout)
        self.run(roles_sql())
        for role in ROLES:
            self.run(f"ALTER ROLE {role} PASSWORD '{SECRET}'")

    def run(self, statements: str) -> None:
        with psycopg.connect(self.superuser, autocommit=True) as connection:
            connection.execute(statements.encode())

    def url(self, role: str) -> str:
        return self._server.url(self._name, user=role, password=SECRET)

    def configured(self, home: Path, *, index: str = DAEMON, accounts: str = CONSOLE) -> None:
        """Write a configuration without passwords, and the files of them."""
        lines = []
        for key, role in (("index_url", index), ("accounts_url", accounts)):
            (home / f"{role}.pgpass").write_text(f"*:*:*:{role}:{SECRET}\n")
            (home / f"{role}.pgpass").chmod(0o600)
            url = f"postgresql://{role}@127.0.0.1:{self._server.port}/{self._name}?passfile={home / role}.pgpass"
            lines.append(f'{key} = "{url}"')
        (home / "owner.pgpass").write_text(f"*:*:*:{OWNER}:{SECRET}\n")
        (home / "owner.pgpass").chmod(0o600)
        (home / "recorder.toml").write_text("[storage]\n" + "\n".join(lines) + "\n")


def upgrade(home: Path, *words: str) -> dict[str, object]:
    given = ["database", "upgrade", "-C", str(home), "--user", OWNER, "--passfile", str(home / "owner.pgpass")]
    done = CliRunner().invoke(app, [*given, *words, "--json"])
    assert done.exit_code == 0, done.output
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def site(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with its tables."""
    made, home = Site(postgres), tmp_path_factory.mktemp("owner")
    made.configured(home)
    assert upgrade(home)["roles_have_rights"] is True
    yield made
    made.run(f"ALTER ROLE {CONSOLE} RESET ALL")


def people_of(site: Site, home: Path, role: str = CONSOLE) -> People:
    return People(open_accounts(Home(home), site.url(role)), now=lambda: datetime.now(UTC), hasher=CHEAP)


def test_before_the_owner_has_made_the_tables_the_others_say_what_to_run(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    site = Site(postgres)
    site.configured(tmp_path)
    for role in (DAEMON, CONSOLE):
        with pytest.raises(DatabaseError, match=f"no tables yet; .* role {role} {UPGRADE}"):
            Database(site.url(role))
    with pytest.raises(DatabaseError, match=f"no tables yet; .* role {CONSOLE} {UPGRADE}"):
        open_accounts(Home(tmp_path), site.url(CONSOLE))
    dry = upgrade(tmp_path, "--dry-run")
    assert dry["databases"] == upgrade(tmp_path)["databases"], "a dry run made tables"
    assert all(one["before"] is None for one in dry["databases"])  # type: ignore[attr-defined]
    Database(site.url(DAEMON)).close()
    open_accounts(Home(tmp_path), site.url(CONSOLE)).dispose()
    assert [one["before"] for one in upgrade(tmp_path)["databases"]] == [REVISION, "0004"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("role", [DAEMON, CONSOLE])
def test_after_an_upgrade_of_the_program_the_others_say_what_to_run(site: Site, role: str) -> None:
    for revision, said in (("0010", f"has schema 0010, .* role {role} {UPGRADE}"), ("9999", "a newer program made it")):
        site.run(f"UPDATE schema_revision SET version_num = '{revision}'")
        try:
            with pytest.raises(DatabaseError, match=said):
                Database(site.url(role))
        finally:
            site.run(f"UPDATE schema_revision SET version_num = '{REVISION}'")


def test_the_daemons_role_writes_the_index_and_has_no_right_on_the_accounts(site: Site, tmp_path: Path) -> None:
    index = Index(site.url(DAEMON))
    index.save(row_from_json(row()))
    assert index.get(ID).id == ID
    assert index.remove(index.get(ID).id)
    index.close()
    with pytest.raises(DatabaseError, match=f"role {DAEMON} has no right on the accounts"):
        open_accounts(Home(tmp_path), site.url(DAEMON))
    with psycopg.connect(site.url(DAEMON), autocommit=True) as connection:
        for table in metadata.tables:
            for statement in (
                f'SELECT * FROM accounts."{table}"', f'INSERT INTO accounts."{table}" DEFAULT VALUES',
                f'DELETE FROM accounts."{table}"', f'TRUNCATE accounts."{table}"',
            ):  # fmt: skip
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement.encode())
        for statement in (
            "UPDATE accounts.requests SET state = 'granted'", "SET ROLE recorder_console", "SET ROLE recorder_owner",
            "CREATE TABLE public.mine (x int)", "CREATE SCHEMA mine", "CREATE TEMP TABLE accounts (x int)",
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_the_daemons_role_reads_pins_and_cannot_set_one(site: Site, tmp_path: Path) -> None:
    at = datetime.now(UTC)
    console, daemon = Database(site.url(CONSOLE)), Database(site.url(DAEMON))
    SharedPins(console).put("hashes", at)
    assert SharedPins(daemon).get() == ("hashes", at)
    with pytest.raises(DatabaseError, match="this user may not do that there"):
        SharedPins(daemon).put("mine", at + timedelta(days=1))
    console.close()
    daemon.close()


def test_the_daemons_role_reads_the_key_list_and_cannot_write_one(site: Site) -> None:
    console, daemon = Database(site.url(CONSOLE)), Database(site.url(DAEMON))
    for number in (1, 2):
        replace_list(console, StoredList(number=number, text="{}", signature="00"))
    found = newest_list(daemon)
    assert found is not None
    assert found.number == 2
    with pytest.raises(DatabaseError, match="this user may not do that there"):
        replace_list(daemon, StoredList(number=3, text="{}", signature="00"))
    said = NodeReport(
        fingerprint="ab", list_number=2, current="2026-11", sealed=frozenset(), reported_at=datetime.now(UTC)
    )
    for _ in range(2):
        report(daemon, said)
    assert reports(console)["ab"] == said
    console.close()
    daemon.close()


@pytest.mark.parametrize("role", [DAEMON, CONSOLE])
def test_both_take_leases_and_keep_the_number_of_their_home(site: Site, role: str) -> None:
    database = Database(site.url(role))
    leases = Leases(database)
    lease = leases.take(f"work of {role}", role, for_s=60.0)
    assert lease is not None
    with leases.fenced(lease).begin() as connection:
        order_removals(connection, {RecordingId(ID): "south"})
    assert [one.node for one in FileRemovals(database).waiting()] == ["south"]
    number = Agreement(database, role)
    number.set(3)
    number.set(4)
    assert number.count() == 4
    database.close()


@pytest.mark.parametrize("role", [DAEMON, CONSOLE])
def test_neither_changes_tables_nor_says_which_revision_they_are_of(site: Site, role: str) -> None:
    with psycopg.connect(site.url(role), autocommit=True) as connection:
        for table in METADATA.tables:
            connection.execute(f"SELECT count(*) FROM {table}".encode())
        for statement in (
            "UPDATE schema_revision SET version_num = '0001'", "DELETE FROM schema_version",
            "ALTER TABLE recordings ADD COLUMN mine int", "DROP TABLE holds", "TRUNCATE recordings",
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


@pytest.mark.parametrize("role", [DAEMON, CONSOLE])
def test_entries_of_audit_logs_are_only_added(site: Site, role: str, tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    log.append("call.pause", "olive", "x")
    entries, database = list(log.entries()), Database(site.url(role))
    copies = AuditCopies(database)
    for _ in range(2):
        copies.register(role[:20], "a" * 64, datetime.now(UTC))
        copies.add(role[:20], entries)
    assert copies.newest(role[:20]) == (1, entries[0].hash)
    assert copies.is_readable() is (role == CONSOLE)
    if role == CONSOLE:
        assert [one.entry() for one in copies.walk(role[:20])] == entries
    database.close()
    denied = ["UPDATE audit_entries SET actor = 'x'", "DELETE FROM audit_entries", "UPDATE audit_logs SET name = 'x'",
              "DELETE FROM audit_logs", *(["SELECT line FROM audit_entries"] if role == DAEMON else [])]  # fmt: skip
    with psycopg.connect(site.url(role), autocommit=True) as connection:
        for statement in denied:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_the_consoles_role_uses_the_accounts_and_cannot_remove_their_rules(site: Site, tmp_path: Path) -> None:
    people = people_of(site, tmp_path)
    people.add("ann", PASSWORD, roles=[Role.ADMIN])
    assert people.find("ann") is not None
    with psycopg.connect(site.url(CONSOLE), autocommit=True) as connection:
        for statement in (
            "DROP TRIGGER deputies_are_kept ON accounts.deputies",
            "ALTER TABLE accounts.deputies DISABLE TRIGGER ALL",
            "CREATE OR REPLACE FUNCTION accounts.deputies_are_kept() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
            "SET session_replication_role = replica", "CREATE TABLE accounts.mine (x int)",
            "UPDATE accounts.schema_revision SET version_num = '1'",
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
    site.run("ALTER TABLE accounts.deputies DISABLE TRIGGER deputies_are_kept")
    try:
        with pytest.raises(DatabaseError, match=f"rules of another version; .* role {CONSOLE} {UPGRADE}"):
            open_accounts(Home(tmp_path), site.url(CONSOLE))
        open_accounts(Home(tmp_path), site.url(OWNER)).dispose()
        open_accounts(Home(tmp_path), site.url(CONSOLE)).dispose()
    finally:
        site.run("ALTER TABLE accounts.deputies ENABLE TRIGGER deputies_are_kept")


def test_no_value_of_a_row_is_in_the_servers_log(site: Site, postgres: PostgresServer, tmp_path: Path) -> None:
    site.run(f"ALTER ROLE {CONSOLE} SET log_statement = 'all'; ALTER ROLE {CONSOLE} SET log_min_duration_statement = 0")
    people = people_of(site, tmp_path)
    people.add("zz-marker", PASSWORD, roles=[Role.ADMIN])
    with pytest.raises(PeopleError):
        people.add("zz-marker", PASSWORD, roles=[Role.ADMIN])
    engine = open_accounts(Home(tmp_path), site.url(CONSOLE))
    for statement in (
        metadata.tables["accounts"].insert().values(name="zz-marker", display_name="zz-other"),
        metadata.tables["deputies"].insert().values(account="zz-marker", since_s=0, named_by="zz", confirmed_by="zz"),
    ):
        with pytest.raises(IntegrityError) as found, engine.begin() as connection:
            connection.execute(statement)
        assert "zz-" not in str(found.value)
    assert "INSERT INTO accounts" in postgres.log
    assert "zz-" not in postgres.log


@pytest.mark.parametrize(
    ("index", "accounts", "said"),
    [
        (DAEMON, CONSOLE, []),
        (CONSOLE, CONSOLE, [(Level.ERROR, "the daemon has the role recorder_console, which may read")]),
        (OWNER, None, [(Level.ERROR, "the daemon has the role recorder_owner, which may read")]),
        (None, OWNER, [(Level.WARNING, "the role recorder_owner owns the tables")]),
        (None, "recorder", [(Level.ERROR, "superuser"), (Level.WARNING, "may log values of rows")]),
    ],
)
def test_site_check_says_which_role_has_too_many_rights(
    site: Site, index: str | None, accounts: str | None, said: list[tuple[Level, str]]
) -> None:
    site.run(f"ALTER ROLE {OWNER} RESET ALL")
    site.run(roles_sql())
    urls = [site.superuser if role == "recorder" else role and site.url(role) for role in (index, accounts)]
    found = check_databases(replace(Config(), storage=Storage(index_url=urls[0], accounts_url=urls[1])))
    bad = [one for one in found if one.level is not Level.OK]
    assert [one.level for one in bad] == [level for level, _ in said]
    assert all(words in one.says for one, (_, words) in zip(bad, said, strict=True)), bad


def test_site_check_says_that_a_server_does_not_answer() -> None:
    config = replace(Config(), storage=Storage(accounts_url="postgresql://x:hunter2@127.0.0.1:1/x"))
    (found,) = check_databases(config)
    assert (found.level, found.what) == (Level.ERROR, "accounts on a server")
    assert "hunter2" not in f"{found} {config}"


def test_accounts_move_to_the_server_and_back_with_every_row(postgres: PostgresServer, tmp_path: Path) -> None:
    site, home = Site(postgres), Home(tmp_path)
    site.configured(tmp_path)
    upgrade(tmp_path)
    file = open_accounts(home, None)
    secret, now = new_secret(), datetime.now(UTC)
    people = People(file, now=lambda: now, hasher=CHEAP)
    people.add("ann", PASSWORD, roles=[Role.ADMIN])
    SecondFactors(file, now=lambda: now).enrol("ann", secret, code_of(secret, step_of(now) - 1))
    with closing(sqlite3.connect(home.people)) as database, database:
        database.execute("DROP TRIGGER deputies_take_two")
        database.execute("INSERT INTO deputies VALUES ('ann', 1.5, 'bob', NULL)")  # of a version before the rule
    file.dispose()
    before = home.people.read_bytes()
    owner = ["--user", OWNER, "--passfile", str(tmp_path / "owner.pgpass"), "-C", str(tmp_path), "--json"]
    wrong = CliRunner().invoke(app, ["database", "move-accounts", "-C", str(tmp_path)])
    assert (wrong.exit_code, "this user may not do that there" in wrong.stderr) == (1, True), wrong.output
    dry = CliRunner().invoke(app, ["database", "move-accounts", "--dry-run", *owner])
    assert (dry.exit_code, home.people.exists()) == (0, True), dry.output
    moved = CliRunner().invoke(app, ["database", "move-accounts", *owner])
    assert moved.exit_code == 0, moved.output
    assert json.loads(moved.stdout)["rows"] == {"accounts": 1, "second_factors": 1, "recovery_codes": 8, "deputies": 1}
    assert (home.people.exists(), (tmp_path / "people.sqlite-moved").exists()) == (False, True)
    factors = SecondFactors(open_accounts(home, site.url(CONSOLE)), now=lambda: now)
    assert isinstance(factors.check("ann", code_of(secret, step_of(now))), Proven)
    again = CliRunner().invoke(app, ["database", "move-accounts", *owner])
    assert (again.exit_code, "there are no accounts to move" in again.stderr) == (1, True)
    home.people.write_bytes(before)
    again = CliRunner().invoke(app, ["database", "move-accounts", *owner])
    assert (again.exit_code, "has accounts already (accounts, " in again.stderr) == (1, True), again.output
    assert "is there: move it away" in CliRunner().invoke(app, ["database", "move-accounts", "--back", *owner]).stderr
    home.people.unlink()
    back = CliRunner().invoke(app, ["database", "move-accounts", "--back", *owner])
    assert back.exit_code == 0, back.output
    assert home.people.stat().st_mode & 0o777 == 0o600
    restored = People(open_accounts(home, None), now=lambda: now, hasher=CHEAP)
    assert isinstance(restored.verify("ann", PASSWORD), SignedIn)
    acts = [(one.act, one.details["to"]) for one in AuditLog(home.audit).entries() if one.act == MOVED]
    assert acts == [(MOVED, "server"), (MOVED, "file")]
