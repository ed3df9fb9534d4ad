"""One database on both engines: opened, shared, refused with a sentence, gone and back."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks.postgres import PASSWORD, PostgresServer
from storage import tables
from storage.database import Database, sqlite_url
from storage.errors import DatabaseError


def tombstone(connection: sa.Connection, name: str = "one") -> None:
    connection.execute(tables.deletions.insert().values(id=name, deleted_us=1, rule="period"))


def tombstones(database: Database) -> set[str]:
    with database.connect() as connection:
        return set(connection.execute(sa.select(tables.deletions.c.id)).scalars())


def test_what_is_begun_is_kept_or_undone_as_one(database: Database, ready_url: str) -> None:
    assert database.dialect == ready_url.partition(":")[0]
    with database.begin() as connection:
        tombstone(connection, "one")
    with pytest.raises(ZeroDivisionError), database.begin() as connection:
        tombstone(connection, "two")
        _ = 1 / 0
    other = Database(ready_url)
    assert tombstones(other) == {"one"}
    other.close()


def test_two_who_read_and_then_write_do_not_cross(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "index.sqlite"))
    start = threading.Barrier(4)

    def count_up() -> None:
        start.wait()
        for _ in range(10):
            with database.begin() as connection:
                known = connection.execute(sa.select(sa.func.count()).select_from(tables.deletions)).scalar_one()
                tombstone(connection, f"{known:03d}")

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tombstones(database) == {f"{n:03d}" for n in range(40)}
    database.close()


OPENS = """
import os, sys
from storage import tables
from storage.database import Database
waited_for, held = os.pipe()
opening = []
for name in sys.argv[2:]:
    opening.append(os.fork())
    if not opening[-1]:
        os.close(held)
        os.read(waited_for, 1)  # until nobody holds the other end
        database = Database(sys.argv[1])
        with database.begin() as connection:
            connection.execute(tables.deletions.insert().values(id=name, deleted_us=1, rule="period"))
        os._exit(0)
os.close(held)
print([os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in opening])
"""
"""Several processes that are forked from one, which has loaded everything, and open the database at once."""


def test_daemon_and_console_may_make_it_at_once(database_url: str) -> None:
    names = [f"p{number}" for number in range(4)]
    command = [sys.executable, "-c", OPENS, database_url, *names]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    assert done.stdout.strip() == str([0] * len(names))
    database = Database(database_url)
    assert tombstones(database) == set(names)
    database.close()


def test_files_of_sqlite_are_for_their_owner_only(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "index.sqlite"))
    with database.begin() as connection:
        tombstone(connection)
    files = list(tmp_path.iterdir())
    assert {file.name for file in files} >= {"index.sqlite", "index.sqlite-wal", "index.sqlite-lock"}
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)
    with database.connect() as connection:
        for pragma, value in (("journal_mode", "wal"), ("secure_delete", 1), ("synchronous", 2), ("temp_store", 2)):
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value, pragma
    database.close()


def test_a_server_that_was_started_anew_is_used_again_without_a_word(postgres: PostgresServer) -> None:
    database = Database(postgres.new_database())
    with database.begin() as connection:
        tombstone(connection)
    postgres.stop()
    try:
        with pytest.raises(DatabaseError, match="does not answer") as caught:
            tombstones(database)
        assert caught.value.is_passing
    finally:
        postgres.start()
    assert tombstones(database) == {"one"}
    database.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://root:hunter2@localhost/recorder", "only sqlite and postgresql"),
        ("postgresql+psycopg2://root:hunter2@localhost/x", "only sqlite and postgresql"),
        ("hunter2", "cannot be read"),
        ("postgresql://root:hunter2@localhost:port/x", "cannot be read"),
        ("postgresql://root:hunter2@127.0.0.1:1/x", "does not answer.*not reached"),
        ("postgresql://root:hunter2@no-such-host.invalid/x", "does not answer.*not reached"),
        ("postgresql://root@127.0.0.1:1/x?password=hunter2", "does not answer.*not reached"),
    ],
)
def test_a_url_that_cannot_be_used_is_a_sentence_without_its_password(url: str, words: str) -> None:
    with pytest.raises(DatabaseError, match=words) as caught:
        Database(url)
    assert "hunter2" not in f"{caught.value!r} {caught.value}"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "nowhere"}, "no such database"),
        ({"password": "hunter2"}, "the password, or the user, is wrong"),
        ({"user": "nobody", "password": "hunter2"}, "the password, or the user, is wrong"),
    ],
)
def test_what_a_server_refuses_is_said(postgres: PostgresServer, changes: dict[str, str], words: str) -> None:
    with pytest.raises(DatabaseError, match=words) as caught:
        Database(postgres.url(**{"name": "postgres", **changes}))
    assert f"127.0.0.1:{postgres.port}" in str(caught.value)
    shown = f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__cause__}"
    assert PASSWORD not in shown
    assert "hunter2" not in shown


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "index.sqlite").write_bytes(b"something else" * 100)
    with pytest.raises(DatabaseError, match=r"index\.sqlite.*no database") as caught:
        Database(sqlite_url(tmp_path / "index.sqlite"))
    assert not caught.value.is_passing
