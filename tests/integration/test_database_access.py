"""How a database is reached, and what is said and kept when it cannot be: passwords, TLS, rights, locks, room."""

import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from benchmarks.postgres import PASSWORD, PostgresServer
from recorder.calls.filing import Filing
from storage import database, migrations
from storage.answer_time import answer_within
from storage.database import Database, sqlite_url
from storage.database_look import sessions_of
from storage.errors import DatabaseError
from storage.index import Index
from storage.migrations import VERSION_TABLE
from storage.rows import row_from_json
from tests.helpers.recorder_home import RecorderHome, recorder_home, run
from tests.helpers.starvation import stopwatch, with_children
from tests.helpers.storage_home import ID, row

ROW = row_from_json(row())
LONG = replace(ROW, peaks=(bytes(range(256)) * 200, b""))


def without_password(server: PostgresServer, name: str = "postgres") -> str:
    return f"postgresql://recorder@127.0.0.1:{server.port}/{name}"


def pass_file(folder: Path, *, mode: int = 0o600) -> Path:
    path = folder / "pgpass"
    path.write_text(f"127.0.0.1:*:*:recorder:{PASSWORD}\n")
    path.chmod(mode)
    return path


def test_a_password_may_be_in_a_file_that_only_its_owner_reads(postgres: PostgresServer, tmp_path: Path) -> None:
    url = f"{without_password(postgres)}?passfile={pass_file(tmp_path)}"
    Database(url).close()
    pass_file(tmp_path, mode=0o644)
    with pytest.raises(DatabaseError, match="left out if others may read it"):
        Database(url)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, cluster: Path) -> Iterator[tuple[PostgresServer, Path]]:
    """A server that speaks TLS, and its certificate."""
    folder = tmp_path_factory.mktemp("tls")
    server = PostgresServer(cluster=cluster)
    certificate(folder / "server")
    owner = server.folder.stat()
    for name in ("server.crt", "server.key"):  # the server is another user
        shutil.copy(folder / name, server.folder / name)
        (server.folder / name).chmod(0o600)
        os.chown(server.folder / name, owner.st_uid, owner.st_gid)
    server.stop()
    server.settings |= {
        "ssl": "on",
        "ssl_cert_file": str(server.folder / "server.crt"),
        "ssl_key_file": str(server.folder / "server.key"),
    }
    server.start()
    try:
        yield server, folder / "server.crt"
    finally:
        server.close()


def certificate(stem: Path) -> Path:
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", f"{stem}.key", "-out", f"{stem}.crt"]
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         *subject, *files], check=False, capture_output=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return Path(f"{stem}.crt")


def test_a_server_must_be_the_right_one_if_it_is_asked_for(
    secured: tuple[PostgresServer, Path], postgres: PostgresServer, tmp_path: Path
) -> None:
    server, trusted = secured
    ask = f"?passfile={pass_file(tmp_path)}&sslmode=verify-full&sslrootcert="
    connected = Database(f"{without_password(server)}{ask}{trusted}")
    with connected.connect() as connection:
        assert connection.exec_driver_sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").scalar(), (
            "in the clear"
        )
    connected.close()
    for root, words in ((certificate(tmp_path / "other"), "not one that is trusted"), (tmp_path / "no", "no file of")):
        with pytest.raises(DatabaseError, match=words):
            Database(f"{without_password(server)}{ask}{root}")
    with pytest.raises(DatabaseError, match="does not speak TLS"):
        Database(f"{without_password(postgres)}{ask}{trusted}")


def test_a_user_without_rights_is_told_so(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    Database(url).close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS guest")
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    guest = Index(url.replace(url.partition("//")[2].partition("@")[0], "guest:guest"), is_deferred=True)
    with pytest.raises(DatabaseError, match="this user may not do that there"):
        guest.save(ROW)
    guest.close()


def filing(index: Index, folder: Path) -> tuple[Filing, list[str], list[float]]:
    alarms: list[str] = []
    now = [0.0]
    return Filing(index, folder / "rows", alarm=alarms.append, clock=lambda: now[0]), alarms, now


def test_while_a_file_is_locked_rows_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY_MS", 50)
    index = Index(sqlite_url(tmp_path / "index.sqlite"))
    other = sqlite3.connect(tmp_path / "index.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseError, match="another process has been writing for too long") as caught:
        index.save(ROW)
    assert caught.value.is_passing
    rows, alarms, now = filing(index, tmp_path)
    rows.save(ROW)
    assert (rows.waiting, alarms) == (1, ["index_unavailable"])
    other.execute("COMMIT")
    other.close()
    now[0] = 60.0
    rows.catch_up()
    assert rows.waiting == 0
    assert index.get(ID) == ROW
    index.close()


def test_while_its_disk_is_full_rows_wait(tmp_path: Path) -> None:
    index = Index(sqlite_url(tmp_path / "index.sqlite"))
    with index.database.connect() as connection:  # the one that is used again; SQLite says the same as for a full disk
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DatabaseError, match="the disk is full") as caught:
        index.save(LONG)
    assert caught.value.is_passing
    rows, alarms, now = filing(index, tmp_path)
    rows.save(LONG)
    assert (rows.waiting, alarms) == (1, ["index_unavailable"])
    with index.database.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    now[0] = 60.0
    rows.catch_up()
    assert rows.waiting == 0
    assert index.get(ID) == LONG
    index.close()


def ruin_by_version(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    connection.close()
    return "a newer program made it"


def ruin_by_junk(path: Path) -> str:
    path.write_bytes(b"junk" * 1000)
    return "the file is no database"


@pytest.mark.parametrize("ruin", [ruin_by_version, ruin_by_junk])
def test_a_command_says_what_is_wrong_with_the_database(tmp_path: Path, ruin: Callable[[Path], str]) -> None:
    home = RecorderHome(tmp_path, next_hop="127.0.0.1:5090")
    words = ruin(home.root / "index.sqlite")
    for command in (("find", "--json"), ("find",), ("show", ID)):
        done = run(*command, "-C", str(home.root))
        assert done.returncode == 1, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


def test_no_command_shows_the_password_of_the_database(tmp_path: Path, postgres: PostgresServer) -> None:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5090", is_started=False) as home:
        home.edit('index_url = "off"', f'index_url = "{postgres.url("nowhere", password="hunter2-%40")}"')
        for command in (("find", "--json"), ("site-check", "--json"), ("retention", "--json"), ("recover",)):
            done = run(*command, "-C", str(home.root))
            assert done.returncode in (0, 1), (command, done.stderr)
            assert "hunter2" not in done.stdout + done.stderr
            if command[0] == "find":
                assert "the password, or the user, is wrong" in done.stderr
        home.start()
        home.stop()
        assert "hunter2" not in home.said
        files = [path for path in tmp_path.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
        assert files == [home.config]


def test_a_statement_of_who_serves_people_has_a_limit_and_an_upgrade_has_none(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SELECT pg_sleep(0.5)")
        migrations.upgrade(connection)

    monkeypatch.setattr(database, "upgrade", slow)
    opened = Database(postgres.new_database(), longest_s=0.3)
    for seconds, block in ((0.0, nullcontext()), (60.0, nullcontext()), (0.2, answer_within(0.1))):
        took_s = stopwatch(os.getpid(), *with_children(postgres.pid))
        is_refused = pytest.raises(DatabaseError, match="does not answer") if seconds else nullcontext()
        with is_refused, block, opened.connect() as connection:
            connection.exec_driver_sql(f"SELECT pg_sleep({seconds})")
        assert took_s() < 1.5
    opened.close()


def test_a_session_that_ends_is_waited_for_in_the_transaction_that_locks(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    with closing(Database(url)) as opened, opened.begin() as connection, psycopg.connect(url) as other:
        connection.exec_driver_sql("LOCK TABLE recordings IN SHARE ROW EXCLUSIVE MODE NOWAIT")
        assert sessions_of(connection) == ("recorder from 127.0.0.1",)
        ending = threading.Timer(0.25, other.close)
        ending.start()
        assert sessions_of(connection) == ()
        ending.join()
        held = "SELECT relation::regclass::text FROM pg_locks WHERE pid = pg_backend_pid() AND mode = "
        assert connection.exec_driver_sql(f"{held}'ShareRowExclusiveLock'").scalars().all() == ["recordings"]
