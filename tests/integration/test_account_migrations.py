"""Accounts databases of every earlier form become ones of this program, whole, or stay as they were."""

import json
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import typer
from alembic.script import ScriptDirectory

import recorder.access.migrations
from recorder.access import schema
from recorder.access.account_key import AccountKeyError
from recorder.access.accounts import People
from recorder.access.database import open_people
from recorder.access.sealed_secrets import SealedSecrets
from recorder.access.second_factor import Proven, SecondFactors
from recorder.access.tables import REVISION, metadata
from recorder.access.totp import code_of, new_secret, step_of
from recorder.access.triggers import TRIGGERS
from recorder.cli import identity
from recorder.common.home import Home
from recorder.permissions import Role
from storage.errors import DatabaseError
from tests.crash.counted import Steps
from tests.crash.zygote import Zygote
from tests.helpers.accounts import CHEAP, PASSWORD

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
OLD = json.loads((Path(__file__).parents[1] / "data" / "accounts-before-alembic" / "forms.json").read_text())
SECRET, CODE = "ZTN34H37Z4FAVGRMYM7FHDFLG3TMXNCY", "aaaa-bbbb-cccc-dddd"
CODE_HASH = "147eb9dcde0e090429c01dbf634fd9b69a7f141f005c387a9c00498908499dde"
SAID = (
    "SELECT m.name, c.name, c.type FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'",
    "SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL",
    f"SELECT version_num FROM {schema.VERSION_TABLE}",
)
"""What a database says of its tables, in words that do not depend on how they came to be."""
CONSTRAINTS = (
    'SELECT m.name, c.name, c."notnull", c.dflt_value, c.pk FROM sqlite_master m'
    " JOIN pragma_table_info(m.name) c WHERE m.type = 'table'",
    'SELECT m.name, i."unique", i.origin FROM sqlite_master m JOIN pragma_index_list(m.name) i'
    " WHERE m.type = 'table'",
)


def said(path: Path, *queries: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return sorted((row for query in queries for row in database.execute(query)), key=repr)


def make_old(path: Path, form: str) -> None:
    """Make a database as an earlier program did, with an account and what there was of a second factor."""
    with closing(sqlite3.connect(path)) as database, database:
        for number in OLD["forms"][form]:
            database.execute(OLD["statements"][number])
        given = {
            "accounts": {"name": "ann", "display_name": "Ann", "roles": "dpo", "password_hash": "x"},
            "second_factors": {"account": "ann", "secret": SECRET},
            "recovery_codes": {"account": "ann", "code_hash": CODE_HASH},
        }
        for table, values in given.items():
            columns = database.execute(f"SELECT name, type, \"notnull\" FROM pragma_table_info('{table}')").fetchall()
            filled = {name: 0 if kind in ("FLOAT", "INTEGER") else "" for name, kind, is_needed in columns if is_needed}
            row = {**filled, **values}
            if columns:
                marks = ", ".join(f":{name}" for name in row)
                database.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", row)


def check_signs_in(path: Path) -> None:
    """The authenticator and the recovery code of before are good, and are not in the file."""
    now = datetime.now(UTC)
    engine = open_people(path)
    factors = SecondFactors(engine, now=lambda: now)
    assert isinstance(factors.check("ann", code_of(SECRET, step_of(now))), Proven)
    assert isinstance(factors.check("ann", CODE), Proven)
    engine.dispose()
    content = path.read_bytes()
    assert (SECRET.encode() in content, CODE_HASH.encode() in content) == (False, False)


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that this program made."""
    path = tmp_path_factory.mktemp("new") / "people.sqlite"
    open_people(path).dispose()
    return path


def test_the_programs_newest_revision_is_the_newest_script() -> None:
    scripts = ScriptDirectory(str(Path(recorder.access.migrations.__file__).parent))
    assert scripts.get_current_head() == REVISION


def test_a_new_database_is_what_the_scripts_make_of_an_empty_one(new: Path, tmp_path: Path) -> None:
    path = tmp_path / "people.sqlite"
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    with engine.begin() as connection:
        schema.upgrade(connection, REVISION)
    assert said(path, *SAID, *CONSTRAINTS) == said(new, *SAID, *CONSTRAINTS)
    assert len(said(new, *SAID)) > len(TRIGGERS) + len(metadata.tables) * 2


@pytest.mark.parametrize("form", OLD["forms"])
def test_a_database_of_any_earlier_form_goes_on(new: Path, tmp_path: Path, form: str) -> None:
    path = tmp_path / "people.sqlite"
    make_old(path, form)
    had_factor = bool(said(path, "SELECT 1 FROM sqlite_master WHERE name = 'second_factors'"))
    open_people(path).dispose()
    assert said(path, *SAID) == said(new, *SAID)
    assert said(path, "SELECT name, display_name, roles, locks FROM accounts") == [("ann", "Ann", "dpo", 0)]
    if had_factor:
        check_signs_in(path)


def test_a_secret_that_is_planted_under_an_earlier_revision_is_not_sealed(tmp_path: Path) -> None:
    """Who writes the file sets its revision back, so that the upgrade would seal what they put there."""
    path, secret = tmp_path / "people.sqlite", new_secret()
    make_old(path, max(OLD["forms"]))
    engine = open_people(path)
    People(engine, now=lambda: NOW, hasher=CHEAP).add("dora", PASSWORD, roles={Role.DPO})
    engine.dispose()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO second_factors VALUES ('dora', ?, 0, 0)", (secret,))
        database.execute(f"UPDATE {schema.VERSION_TABLE} SET version_num = '0001'")
    engine = open_people(path)
    now = datetime.now(UTC)
    factors = SecondFactors(engine, now=lambda: now)
    with pytest.raises(AccountKeyError, match="was not stored by the recorder"):
        factors.check("dora", code_of(secret, step_of(now)))
    assert SealedSecrets(engine).unopened() == {"dora"}
    engine.dispose()
    check_signs_in(path)


def test_a_current_database_is_recognised_without_a_transaction(new: Path) -> None:
    statements: list[str] = []

    def note(*given: Any) -> None:
        statements.append(given[2])

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    writer = sqlite3.connect(new, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        open_people(new).dispose()
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
        writer.execute("ROLLBACK")
        writer.close()
    assert statements == [], "what goes through SQLAlchemy would have a transaction of its own"


def test_a_trigger_that_somebody_dropped_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "people.sqlite"
    open_people(path).dispose()
    before = said(path, *SAID)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DROP TRIGGER deputies_are_kept")
    assert said(path, *SAID) != before
    open_people(path).dispose()
    assert said(path, *SAID) == before


def test_a_newer_database_is_refused_and_untouched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = Home(tmp_path)
    open_people(home.people).dispose()
    with closing(sqlite3.connect(home.people)) as database, database:
        database.execute(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'")
    before = home.people.read_bytes()
    with pytest.raises(DatabaseError, match=f"people.sqlite has schema 9999, .* up to {REVISION}: a newer program"):
        open_people(home.people)
    with pytest.raises(typer.Exit):
        identity.people_of(home)
    assert "install that version of the recorder again" in capsys.readouterr().err
    assert home.people.read_bytes() == before


def test_a_database_of_two_revisions_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "people.sqlite"
    open_people(path).dispose()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"INSERT INTO {schema.VERSION_TABLE} VALUES ('0001')")
    with pytest.raises(DatabaseError, match=f"has the schemas 0001 and {REVISION}: .* restore a backup"):
        open_people(path)


def test_sealed_values_are_not_sealed_again_after_the_revision_is_lost(tmp_path: Path) -> None:
    path, secret = tmp_path / "people.sqlite", new_secret()
    engine = open_people(path)
    People(engine, now=lambda: NOW, hasher=CHEAP).add("ann", PASSWORD, roles=[Role.DPO])
    SecondFactors(engine, now=lambda: NOW).enrol("ann", secret, code_of(secret, step_of(NOW) - 1))
    engine.dispose()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"DELETE FROM {schema.VERSION_TABLE}")
    factors = SecondFactors(open_people(path), now=lambda: NOW)
    assert isinstance(factors.check("ann", code_of(secret, step_of(NOW))), Proven)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "people.sqlite"
    path.write_bytes(b"no database, and longer than a header of one is" * 100)
    with pytest.raises(DatabaseError, match=r"people\.sqlite cannot be used: file is not a database"):
        open_people(path)


def migrate(steps: Steps, path: str) -> None:
    """Migrate; each statement is a step that is done when it is counted."""
    sa.event.listen(sa.Engine, "after_cursor_execute", lambda *_: steps.step())
    open_people(Path(path)).dispose()


@pytest.fixture(scope="module")
def statements(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many statements the migration takes."""
    path = tmp_path_factory.mktemp("counted") / "people.sqlite"
    make_old(path, max(OLD["forms"]))
    ended = zygote.run(migrate, 0, str(path))
    assert ended.steps is not None, ended.problem
    return ended.steps


@pytest.mark.parametrize("left", [1, 2, 20, 24, 26, 60])
def test_killed_anywhere_it_is_as_it_was_and_the_next_start_does_it_all(
    zygote: Zygote, tmp_path: Path, new: Path, statements: int, left: int
) -> None:
    path = tmp_path / "people.sqlite"
    make_old(path, max(OLD["forms"]))
    before = said(path, SAID[0], SAID[1], "SELECT secret FROM second_factors", "SELECT code_hash FROM recovery_codes")
    assert zygote.run(migrate, max(statements - left, 3), str(path)).code == -signal.SIGKILL
    assert (
        said(path, SAID[0], SAID[1], "SELECT secret FROM second_factors", "SELECT code_hash FROM recovery_codes")
        == before
    )
    check_signs_in(path)
    assert said(path, *SAID) == said(new, *SAID)
