"""Accounts in a file and on a PostgreSQL server behave the same: rules against tampering, transactions, tokens."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from benchmarks.postgres import PostgresServer
from recorder.access import accounts_server, server_schema
from recorder.access.account_key import key_of
from recorder.access.account_rows import PeopleError
from recorder.access.accounts import People, SignedIn
from recorder.access.attempts import MAX_FAILURES, SignInRefusal, SignInRefused
from recorder.access.database import open_accounts, open_people
from recorder.access.reachability import AccountsAwayError
from recorder.access.second_factor import Proven, SecondFactors
from recorder.access.sessions import Sessions
from recorder.access.tables import REVISION, metadata
from recorder.access.tokens import TokenRefused, Tokens
from recorder.access.totp import code_of, new_secret, step_of
from recorder.access.triggers import RULES
from recorder.backups.rules import BackupClass
from recorder.backups.sources import Sources
from recorder.common.home import Home
from recorder.config.settings import Config, Storage
from recorder.permissions import Application, Role, Scope
from storage.answer_time import answer_within
from storage.audit import AuditLog
from storage.database import Database, parse_url, sqlite_url
from storage.errors import DatabaseError
from tests.helpers.accounts import CHEAP, PASSWORD, add_token
from tests.helpers.starvation import stopwatch

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def server_url(postgres: PostgresServer) -> str:
    """A database with the tables of accounts, which the tests of this module share."""
    return postgres.new_database()


@pytest.fixture
def on_server(server_url: str, tmp_path: Path) -> Iterator[Engine]:
    """Accounts on a server, empty."""
    engine = open_accounts(Home(tmp_path), server_url)
    with engine.begin() as connection:
        connection.execute(sa.text("; ".join(f'DELETE FROM "{table}"' for table in metadata.tables)))
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Accounts on each engine, empty."""
    if request.param == "postgresql":
        yield request.getfixturevalue("on_server")
        return
    engine = open_accounts(Home(tmp_path), None)
    yield engine
    engine.dispose()


def now() -> datetime:
    return NOW


ACCOUNT = (
    "INSERT INTO accounts (name, display_name, roles, teams, password_hash, created_s, failures) "
    "VALUES ('{0}', '{0}', '{1}', '', '', 0, 0)"
)
PEOPLE = tuple(ACCOUNT.format(*one) for one in (("dora", "dpo"), ("ida", "ict"), ("tom", "officer"), ("ann", "admin")))
GLASS = (
    "INSERT INTO break_glass (id, account, recording, reason, at_s, acknowledged_by, acknowledged_s) "
    "VALUES ('{0}', 'ida', 'r', 'w', {1}, {2})"
)
OLD_GLASS = GLASS.format("a", 0, "'dora', 1")
DEPUTY = "INSERT INTO deputies VALUES ('{0}', 0, '{1}', {2})"
APPROVAL = "INSERT INTO erasure_approvals (erasure, ordered_by, third) VALUES ('e', 'ann', 'tom')"
CONSENT = "INSERT INTO sweep_consents (id, what, due, first_by, first_s{1}) VALUES ('c', 'w', 1, '{0}', 0{2})"
REQUEST = (
    "INSERT INTO requests (id, account, category, reason, leave, reference, asked_s, state, words) "
    "VALUES ('q', 'tom', '{0}', '', '', '', 0, '', '')"
)
TRANSCRIPT = {"case": "c", "recording": "r", "number": 1, "form": "text", "sealed": b"\x00\xff"}
PART = "INSERT INTO requested VALUES ('r', 'q', 0, '[[0, 1]]')"
TAMPERING: dict[str, list[tuple[tuple[str, ...], str]]] = {
    "accounts_admin_alone_insert": [((), ACCOUNT.format("eve", "admin,dpo"))],
    "accounts_admin_alone_update": [(PEOPLE, "UPDATE accounts SET roles = 'admin,officer,ict' WHERE name = 'ann'")],
    "break_glass_one_at_a_time": [((GLASS.format("a", 0, "NULL, NULL"),), GLASS.format("b", 90000, "NULL, NULL"))],
    "break_glass_a_day": [
        (tuple(GLASS.format(n, 2000 * n, "'dora', 1") for n in range(3)), GLASS.format("b", 7000, "NULL, NULL"))
    ],
    "break_glass_is_kept": [
        ((OLD_GLASS,), "UPDATE break_glass SET reason = 'another'"),
        ((GLASS.format("a", 0, "NULL, NULL"),), "UPDATE break_glass SET until_s = 5"),
        ((GLASS.format("a", 0, "NULL, NULL"),), "UPDATE break_glass SET at_s = 5"),
        ((GLASS.format("a", 0, "NULL, NULL"),), "UPDATE break_glass SET acknowledged_by = 'ida'"),
    ],
    "deputies_take_two": [
        (PEOPLE, DEPUTY.format("tom", "ann", "NULL")),
        (PEOPLE, DEPUTY.format("tom", "ann", "'ann'")),
        (PEOPLE, DEPUTY.format("tom", "ann", "'tom'")),
        (PEOPLE, DEPUTY.format("tom", "ann", "'dora'")),
    ],
    "deputies_are_kept": [
        ((*PEOPLE, DEPUTY.format("tom", "ann", "'ida'")), "UPDATE deputies SET account = 'ida'"),
    ],
    "erasure_approvals_dpo": [
        ((*PEOPLE, APPROVAL), "UPDATE erasure_approvals SET dpo_by = 'ida'"),
        ((*PEOPLE, APPROVAL), "UPDATE erasure_approvals SET third = 'ida'"),
    ],
    "erasure_approvals_heard": [
        (
            (*PEOPLE, APPROVAL, "UPDATE erasure_approvals SET dpo_by = 'dora', heard_by = 'ida', heard_s = 1"),
            "UPDATE erasure_approvals SET third_s = 1, dpo_s = 1",
        ),
    ],
    "requested_is_not_widened": [((REQUEST.format("training"), PART), "UPDATE requested SET spans = NULL")],
    "sweep_consents_first": [
        (PEOPLE, CONSENT.format("ida", "", "")),
        (PEOPLE, CONSENT.format("dora", ", second_by", ", 'tom'")),
    ],
    "sweep_consents_second": [
        ((*PEOPLE, CONSENT.format("dora", "", "")), "UPDATE sweep_consents SET second_by = 'ida'"),
        ((*PEOPLE, CONSENT.format("dora", "", "")), "UPDATE sweep_consents SET due = 9"),
    ],
    "sweep_consents_protector": [
        ((*PEOPLE, CONSENT.format("tom", "", "")), "UPDATE sweep_consents SET second_by = 'ann'"),
    ],
}
ALLOWED = [
    (PEOPLE, "UPDATE accounts SET roles = 'officer,manager' WHERE name = 'tom'"),
    ((OLD_GLASS,), GLASS.format("b", 90000, "NULL, NULL")),
    ((GLASS.format("a", 0, "NULL, NULL"),), "UPDATE break_glass SET acknowledged_by = 'dora', acknowledged_s = 1"),
    ((*PEOPLE, APPROVAL), "UPDATE erasure_approvals SET dpo_by = 'dora', heard_by = 'tom', heard_s = 1, dpo_s = 1"),
    ((REQUEST.format("complaint"), PART), "UPDATE requested SET spans = NULL"),
    ((*PEOPLE, CONSENT.format("dora", "", "")), "UPDATE sweep_consents SET second_by = 'ann'"),
    (
        (*PEOPLE, DEPUTY.format("tom", "ann", "'ida'"), CONSENT.format("tom", "", "")),
        "UPDATE sweep_consents SET second_by = 'ann', second_s = 1",
    ),
]


def tamper(engine: Engine, before: tuple[str, ...], statement: str) -> None:
    """Change rows by plain SQL, as with the engine's shell; nothing is kept."""
    driver = psycopg.Connection.connect if engine.dialect.name == "postgresql" else None
    if driver is None:
        with closing(engine.raw_connection()) as connection:
            _run(connection.cursor().execute, ("BEGIN", *before), statement)
            connection.cursor().execute("ROLLBACK")
        return
    with driver(engine.url.set(drivername="postgresql").render_as_string(hide_password=False)) as other:
        other.execute("SET search_path = accounts")
        _run(other.execute, before, statement)
        other.rollback()


def _run(execute: Callable[[str], object], before: tuple[str, ...], statement: str) -> None:
    for one in before:
        execute(one)
    execute(statement)


@pytest.mark.parametrize("rule", RULES)
def test_rows_that_break_a_rule_are_refused_whoever_writes_them(engine: Engine, rule: str) -> None:
    for before, statement in TAMPERING[rule]:
        with pytest.raises(Exception, match=re.escape(RULES[rule].says)) as found:
            tamper(engine, before, statement)
        assert type(found.value).__name__ in ("IntegrityError", "IntegrityConstraintViolation"), statement
        engine.dispose()


def test_rows_that_break_no_rule_are_taken(engine: Engine) -> None:
    for before, statement in ALLOWED:
        tamper(engine, before, statement)


def test_every_rule_is_tampered_with() -> None:
    assert set(TAMPERING) == set(RULES)


def test_a_temporary_table_does_not_stand_in_for_the_accounts(on_server: Engine) -> None:
    before = (
        *PEOPLE, "CREATE TEMP TABLE accounts AS SELECT * FROM accounts.accounts",
        "INSERT INTO pg_temp.accounts SELECT 'x', 'x', 'dpo', '', NULL, '', 0, NULL, 0, NULL, 0, NULL, NULL, NULL",
        "SET LOCAL search_path = pg_temp, accounts", CONSENT.format("tom", "", "").replace("INTO ", "INTO accounts."),
    )  # fmt: skip
    with pytest.raises(psycopg.IntegrityError, match="data protection officer or the deputy"):
        tamper(on_server, before, "UPDATE accounts.sweep_consents SET second_by = 'x'")


def test_a_rule_that_was_removed_or_switched_off_is_there_again_once_it_is_opened(
    on_server: Engine, server_url: str, tmp_path: Path
) -> None:
    broken = CONSENT.format("ida", "", "")
    for change in (
        "DROP TRIGGER sweep_consents_first ON sweep_consents",
        "ALTER TABLE sweep_consents DISABLE TRIGGER sweep_consents_first",
        "CREATE OR REPLACE FUNCTION sweep_consents_first() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    ):
        with on_server.begin() as connection:
            connection.exec_driver_sql(change)
        tamper(on_server, PEOPLE, broken)
        open_accounts(Home(tmp_path), server_url)
        with pytest.raises(psycopg.IntegrityError, match="ICT does not say"):
            tamper(on_server, PEOPLE, broken)


def test_simultaneous_guesses_of_two_processes_get_no_more_tries_than_one(on_server: Engine) -> None:
    People(on_server, now=now, hasher=CHEAP).add("ann", PASSWORD, roles=[Role.ADMIN])
    on_server.dispose()
    start, begun = os.pipe()
    children = [_guess(on_server, start, begun) for _ in range(2)]
    os.close(begun)  # both go on
    os.close(start)
    tried = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert sum(tried) == MAX_FAILURES, tried


def _guess(engine: Engine, start: int, begun: int) -> int:
    """Guess ten times in a process of its own; its exit code is how many guesses were compared with the password."""
    child = os.fork()
    if child:
        return child
    tried = 100
    try:
        people = People(engine, now=now, hasher=CHEAP)
        people.find("ann")
        os.close(begun)
        os.read(start, 1)
        results = [people.verify("ann", f"wrong guess {n}") for n in range(10)]
        tried = sum(isinstance(one, SignInRefused) and one.refusal is SignInRefusal.WRONG_PASSWORD for one in results)
    finally:
        os._exit(tried)


def test_a_token_that_was_revoked_elsewhere_is_refused_at_once(engine: Engine) -> None:
    tokens = Tokens(engine, now=now)
    new, other = add_token(tokens, "crm", scopes=[Scope.PAUSE]), add_token(tokens, "erp", scopes=[Scope.PAUSE])
    for _ in range(2):
        assert isinstance(tokens.identify(new.secret, "10.0.0.1"), Application)
    Tokens(engine, now=now).revoke("crm")
    assert tokens.identify(new.secret, "10.0.0.1") == TokenRefused("crm", "revoked")
    assert isinstance(tokens.identify(other.secret, "10.0.0.1"), Application)


def test_known_tokens_are_not_read_again(on_server: Engine) -> None:
    tokens = Tokens(on_server, now=now)
    new = add_token(tokens, "crm", scopes=[Scope.PAUSE])
    tokens.identify(new.secret, "10.0.0.1")
    statements: list[str] = []
    sa.event.listen(on_server, "before_cursor_execute", lambda *given: statements.append(given[2]))
    tokens.identify(new.secret, "10.0.0.1")
    assert len(statements) == 1
    assert "secret_hash" not in statements[0]


def test_people_sign_in_with_a_password_and_an_authenticator(engine: Engine) -> None:
    people, factors, secret = People(engine, now=now, hasher=CHEAP), SecondFactors(engine, now=now), new_secret()
    people.add("ann", PASSWORD, roles=[Role.ADMIN])
    factors.enrol("ann", secret, code_of(secret, step_of(NOW) - 1))
    found = people.verify("ann", PASSWORD)
    assert isinstance(found, SignedIn)
    assert found.takes_code
    assert isinstance(factors.check("ann", code_of(secret, step_of(NOW))), Proven)
    sessions = Sessions(engine, now=now)
    cookie = sessions.start("ann", is_proven=True)
    session = sessions.find(cookie)
    assert session is not None
    assert session.account == "ann"
    assert sessions.end_all("ann") == 1
    assert sessions.find(cookie) is None
    assert key_of(engine).path.parent.name == "private"
    with pytest.raises(PeopleError, match="is taken"):
        people.add("ann", PASSWORD, roles=[Role.DPO])


def test_a_second_row_of_one_key_says_nothing_of_its_values(on_server: Engine) -> None:
    with on_server.begin() as connection:
        connection.exec_driver_sql(ACCOUNT.format("s3cret-name", "dpo"))
    with pytest.raises(IntegrityError) as found, on_server.begin() as connection:
        connection.execute(sa.text(ACCOUNT.format("{0}", "dpo").replace("'{0}'", ":name")), {"name": "s3cret-name"})
    error: BaseException | None = found.value
    while error is not None:
        assert "s3cret-name" not in f"{error!r} {error}"
        error = error.__cause__ or error.__context__


def test_a_new_server_is_what_the_scripts_make_of_an_empty_one(
    on_server: Engine, postgres: PostgresServer, tmp_path: Path
) -> None:
    engine = accounts_server.make_engine(parse_url(postgres.new_database()), tmp_path / "people.sqlite")
    with engine.begin() as connection:
        server_schema.upgrade(connection, REVISION)
    assert _columns(engine) == _columns(on_server)
    assert len(_columns(engine)) > len(metadata.tables) * 3
    engine.dispose()


def _columns(engine: Engine) -> list[tuple[object, ...]]:
    query = (
        "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns "
        "WHERE table_schema = 'accounts' UNION ALL SELECT tablename, indexname, indexdef, '', '' FROM pg_indexes "
        "WHERE schemaname = 'accounts' UNION ALL SELECT 'revision', version_num, '', '', '' "
        "FROM accounts.schema_revision UNION ALL SELECT tgname, tgrelid::regclass::text, '', '', '' FROM pg_trigger "
        "WHERE NOT tgisinternal UNION ALL SELECT conrelid::regclass::text, pg_get_constraintdef(oid), '', '', '' "
        "FROM pg_constraint WHERE connamespace = 'accounts'::regnamespace"
    )
    return sorted(accounts_server.look(engine, query), key=repr)


def test_a_newer_database_is_refused(on_server: Engine, server_url: str, tmp_path: Path) -> None:
    with on_server.begin() as connection:
        connection.exec_driver_sql("UPDATE schema_revision SET version_num = '9999'")
    try:
        with pytest.raises(DatabaseError, match=f"has schema 9999, .* up to {REVISION}: a newer program"):
            open_accounts(Home(tmp_path), server_url)
    finally:
        with on_server.begin() as connection:
            connection.exec_driver_sql(f"UPDATE schema_revision SET version_num = '{REVISION}'")


def test_who_waits_for_a_transaction_that_does_not_end_is_told_in_time(on_server: Engine) -> None:
    with on_server.begin() as connection:
        connection.exec_driver_sql("SELECT 1")
        took_s = stopwatch(os.getpid())
        with pytest.raises(AccountsAwayError, match="cannot be checked"), answer_within(0.3):
            People(on_server, now=now, hasher=CHEAP).find("ann")
        assert took_s() < 2.0


def test_a_backup_has_the_accounts_of_a_server_as_a_file(on_server: Engine, server_url: str, tmp_path: Path) -> None:
    with on_server.begin() as connection:
        for one in (*PEOPLE, OLD_GLASS, GLASS.format("b", 90000, "'dora', 1"), REQUEST.format("training"), PART):
            connection.exec_driver_sql(one)
        connection.execute(metadata.tables["transcripts"].insert().values(TRANSCRIPT))
    sources = Sources(
        home=Home(tmp_path), config=replace(Config(), storage=Storage(accounts_url=server_url)),
        database=Database(sqlite_url(tmp_path / "index.sqlite")), audit=AuditLog(tmp_path / "audit"),
        staging=tmp_path / "staging",
    )  # fmt: skip
    (tmp_path / "staging").mkdir()
    with on_server.begin():  # a backup waits for nobody
        (copied,) = sources.of(BackupClass.ACCOUNTS)
    sources.database.close()
    assert copied.path == "people.sqlite"
    assert copied.file.stat().st_mode & 0o777 == 0o600
    before = copied.file.read_bytes()
    restored = open_people(copied.file)
    assert copied.file.read_bytes() == before, "it lacks a table or a rule"
    with restored.begin() as file, on_server.begin() as server:
        for table in metadata.sorted_tables:
            query = table.select().order_by(*table.primary_key)
            assert file.execute(query).all() == server.execute(query).all(), table
        assert file.execute(metadata.tables["transcripts"].select()).one().sealed == b"\x00\xff"
    restored.dispose()
