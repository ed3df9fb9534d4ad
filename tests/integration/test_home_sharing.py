"""`recorder share` moves the index as a whole, and never over another one."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.index_rows import new_row
from recorder.common.home import Home
from recorder.service.home_sharing import SharingError, share
from storage.database import sqlite_url
from storage.index import Index
from storage.types import Search

_HOLD_OPEN = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("SELECT count(*) FROM recordings").fetchone()
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    index = Index(sqlite_url(made.index))
    index.save(new_row(1, 10))
    index.close()
    return made


def ids(home: Home) -> list[str]:
    index = Index(sqlite_url(home.index))
    try:
        return [row.id for row in index.find(Search(limit=10))]
    finally:
        index.close()


def test_what_only_the_log_of_the_index_has_moves_too(home: Home) -> None:
    code = (
        "import sqlite3, sys, os\n"
        "database = sqlite3.connect(sys.argv[1])\n"
        "database.execute('DELETE FROM recordings')\n"
        "database.commit()\n"
        "os._exit(0)"  # as if killed: nobody closed it
    )
    subprocess.run([sys.executable, "-c", code, str(home.index)], check=True, timeout=60)
    former = home.index
    assert former.with_name("index.sqlite-wal").stat().st_size > 0
    share(home, os.getegid())
    assert home.index == home.common / "index.sqlite"
    assert sorted(path.name for path in former.parent.glob("index.sqlite*")) == []
    assert ids(home) == []


def test_the_events_for_webhooks_move_with_what_only_their_log_has(home: Home) -> None:
    code = (
        "import sqlite3, sys, os\n"
        "database = sqlite3.connect(sys.argv[1])\n"
        "database.execute('PRAGMA journal_mode = WAL')\n"
        "database.execute('CREATE TABLE t AS SELECT 7 AS x')\n"
        "database.commit()\n"
        "os._exit(0)"
    )
    former = home.webhooks
    subprocess.run([sys.executable, "-c", code, str(former)], check=True, timeout=60)
    share(home, os.getegid())
    assert (home.webhooks, [*former.parent.glob("webhooks*")]) == (home.common / former.name, [])
    with closing(sqlite3.connect(home.webhooks)) as database:
        assert database.execute("SELECT x FROM t").fetchall() == [(7,)]
    former.touch()
    with pytest.raises(SharingError, match=r"two webhooks\.sqlite"):
        share(home, os.getegid())


def test_an_index_that_a_console_has_open_is_not_moved(home: Home) -> None:
    command = [sys.executable, "-c", _HOLD_OPEN, str(home.index)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as console:
        assert console.stdout is not None
        assert console.stdout.readline() == "open\n"
        with pytest.raises(SharingError, match="stop daemon and console"):
            share(home, os.getegid())
        assert home.index == home.root / "index.sqlite"
    share(home, os.getegid())
    assert len(ids(home)) == 1


def test_an_index_at_the_former_place_replaces_nothing(home: Home) -> None:
    share(home, os.getegid())
    before = ids(home)
    sqlite3.connect(home.root / "index.sqlite").close()  # as the sqlite3 program does, told the former place
    (home.root / "index.sqlite").touch()
    with pytest.raises(SharingError, match="two indexes"):
        share(home, os.getegid())
    assert ids(home) == before
    (home.root / "index.sqlite").unlink()
    share(home, os.getegid())
    assert ids(home) == before


def test_a_damaged_index_is_told_from_one_in_use(home: Home) -> None:
    home.index.write_bytes(b"no database at all, and long enough to be looked at" * 100)
    with pytest.raises(SharingError, match="recorder index check"):
        share(home, os.getegid())
    assert home.index == home.root / "index.sqlite"
