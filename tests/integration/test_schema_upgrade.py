"""An upgrade that takes long says how far it is, and Ctrl-C ends it in the middle of a statement or between two."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from storage import migrations
from storage.database import make_engine, sqlite_url
from storage.schema_upgrade import Schema, UpgradeProgress

SLOW = '''"""Adds a table, {title}."""
import sqlalchemy as sa
from alembic import op
from storage.schema_upgrade import progress_of

revision, down_revision = {revisions}

def upgrade():
    op.create_table("t{number}", sa.Column("x", sa.Integer))
    progress_of(op.get_context()).note("5 of 7 rows")
    for _ in range({times}):  # each takes about 0.1 s
        op.execute(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 500000)"
            " SELECT count(*) FROM n" + {more!r})
'''
PROGRAM = """
import sys, pathlib, sqlalchemy as sa
from storage import schema_upgrade
from storage.schema_upgrade import Schema
schema_upgrade.REPORT_EVERY_S = 0.1
path, scripts = map(pathlib.Path, sys.argv[1:])
schema = Schema(name="the trial", metadata=sa.MetaData(), revision="0002", version_table="v", scripts=scripts)
engine = sa.create_engine(f"sqlite:///{path}")
sa.event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
with engine.begin() as connection:
    schema.migrate(connection)
"""
FOREVER = " CROSS JOIN n AS m"
"""Makes the statement longer than a test waits."""
SHORT = '''"""Adds two tables."""
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None

def upgrade():
    op.create_table("t1", sa.Column("x", sa.Integer))
    op.execute("INSERT INTO t1 VALUES (interrupted())")
    op.create_table("t2", sa.Column("x", sa.Integer))
'''


def put_scripts(folder: Path, texts: dict[str, str]) -> Path:
    """Make a folder of scripts."""
    scripts = folder / "scripts"
    (scripts / "versions").mkdir(parents=True)
    (scripts / "env.py").write_text((Path(migrations.__file__).parent / "env.py").read_text())
    for name, text in texts.items():
        (scripts / "versions" / name).write_text(text)
    return scripts


def started(folder: Path, second: str) -> subprocess.Popen[str]:
    """Start an upgrade of two steps; the second is as long as told."""
    texts = {}
    for number, title, revisions, more in (
        (1, "the first", '"0001", None', ""),
        (2, "the second", '"0002", "0001"', second),
    ):
        texts[f"v000{number}.py"] = SLOW.format(number=number, title=title, revisions=revisions, times=3, more=more)
    scripts = put_scripts(folder, texts)
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder / "a.sqlite"), str(scripts)], stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_long_upgrade_says_how_far_it_is(tmp_path: Path) -> None:
    with started(tmp_path, "") as process:
        assert process.stderr is not None
        lines = process.stderr.read().splitlines()
    assert process.returncode == 0, lines
    assert lines[0].startswith(
        "the trial: upgrading its tables, step 1 of 2 (Adds a table, the first), 5 of 7 rows, 0 s"
    )
    assert any("step 2 of 2 (Adds a table, the second), 5 of 7 rows" in line for line in lines)
    assert lines[-1].startswith("the trial: the upgrade took ")
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as database:
        assert database.execute("SELECT version_num FROM v").fetchall() == [("0002",)]


def test_ctrl_c_ends_it_in_the_middle_of_a_statement_and_nothing_has_changed(tmp_path: Path) -> None:
    with started(tmp_path, FOREVER) as process:
        assert process.stderr is not None
        said = ""
        while "step 2 of 2" not in said:
            said = process.stderr.readline()
            assert said, "it ended"
        process.send_signal(signal.SIGINT)
        try:
            _, rest = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode == -signal.SIGINT, rest
    assert rest.rstrip().endswith("KeyboardInterrupt")
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == []


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    made = make_engine(sqlite_url(tmp_path / "a.sqlite"))
    yield made
    made.dispose()


@pytest.mark.parametrize("step", ["before_cursor_execute", "in the statement", "after_cursor_execute", "the last"])
def test_ctrl_c_at_any_step_of_a_statement_ends_it_cleanly(tmp_path: Path, engine: sa.Engine, step: str) -> None:
    """A KeyboardInterrupt between two steps of SQLAlchemy made it close the connection under the upgrade."""
    sent: list[str] = []

    def send(*given: Any) -> None:
        is_here = given[2].strip().startswith("CREATE TABLE t2" if step == "the last" else "INSERT INTO t1")
        if not sent and is_here:
            sent.append(step)
            signal.raise_signal(signal.SIGINT)

    def in_the_statement() -> int:
        if step == "in the statement":
            sent.append(step)
            signal.raise_signal(signal.SIGINT)
        return 1

    with engine.execution_options(is_writing=True).connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.create_function("interrupted", 0, in_the_statement)
        if step != "in the statement":
            sa.event.listen(engine, "after_cursor_execute" if step == "the last" else step, send)
        scripts = put_scripts(tmp_path, {"v0001.py": SHORT})
        schema = Schema(
            name="the trial", metadata=sa.MetaData(), revision="0001", version_table="v", scripts=scripts
        )  # fmt: skip
        with pytest.raises(KeyboardInterrupt), connection.begin():
            schema.migrate(connection)
    assert sent == [step]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == []


def test_a_short_upgrade_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    progress = UpgradeProgress("the trial", ["Adds a table"])
    with progress.reporting():
        progress.step_done()
    assert caplog.records == []
    assert progress.sentence().startswith("the trial: upgrading its tables, step 1 of 1 (Adds a table), 0 s")
