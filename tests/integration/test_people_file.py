"""The file of people, opened while another transaction of the same process goes on."""

import subprocess
import sys
from pathlib import Path

import pytest

from recorder.access.database import make_file, open_people

ANOTHER_PROCESS = """
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    print(error)
"""


def said_by_another_process(path: Path) -> str:
    """Return what a process hears that wants to write."""
    command = [sys.executable, "-c", ANOTHER_PROCESS, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def test_opening_it_again_takes_no_lock_away(tmp_path: Path) -> None:
    path = tmp_path / "people.sqlite"
    engine = open_people(path)
    with engine.begin():
        assert said_by_another_process(path) == "database is locked"
        make_file(path)
        assert said_by_another_process(path) == "database is locked"
    assert not said_by_another_process(path)
    engine.dispose()


def test_one_that_cannot_be_made_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        open_people(tmp_path / "missing" / "people.sqlite")
