"""The file of people, opened while another transaction of the same process goes on."""

import contextlib
import gc
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

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


def teams(engine: Engine) -> set[str]:
    with engine.begin() as connection:
        return set(connection.exec_driver_sql("SELECT team FROM team_changes").scalars())


def add(path: Path, team: str) -> None:
    """Write a row as another program does."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO team_changes VALUES ('alice', ?, 0, 0, 0)", [team])


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Engine, list[object]]]:
    """The file of people with the team "first", and the connections that are made to it from now on."""
    path, made = tmp_path / "people.sqlite", list[object]()
    engine = open_people(path)
    add(path, "first")
    assert open_people(path) is engine
    event.listen(engine, "connect", lambda connection, _record: made.append(connection))
    yield engine, made
    engine.dispose()


def test_the_file_stays_open_while_nobody_else_writes(opened: tuple[Engine, list[object]], tmp_path: Path) -> None:
    engine, made = opened
    for _ in range(3):
        assert open_people(tmp_path / "people.sqlite") is engine
        assert teams(engine) == {"first"}
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE team_changes SET from_s = from_s + 1")
    assert not made
    engine.dispose()
    assert teams(engine) == {"first"}
    assert len(made) == 1


def write(path: Path) -> set[str]:
    add(path, "second")
    return {"first", "second"}


def replace(path: Path) -> set[str]:
    _copy(path).replace(path)
    return {"first", "restored"}


def overwrite(path: Path) -> set[str]:
    path.write_bytes(_copy(path).read_bytes())
    return {"first", "restored"}


def _copy(path: Path) -> Path:
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    add(copy, "restored")
    return copy


def change_mode(path: Path) -> set[str]:
    path.chmod(0o640)
    return {"first"}


@pytest.mark.parametrize("change", [write, replace, overwrite, change_mode])
def test_a_file_that_somebody_else_changed_is_opened_anew(
    opened: tuple[Engine, list[object]], tmp_path: Path, change: Callable[[Path], set[str]]
) -> None:
    engine, made = opened
    path, later = tmp_path / "people.sqlite", tmp_path / "later"
    while not later.exists() or later.stat().st_ctime_ns == path.stat().st_ctime_ns:
        later.touch()  # until the kernel's clock of files has gone on: some go by 4 ms
    expected = change(path)
    assert teams(engine) == expected
    assert len(made) == 1, "it went on with the connection of before"


def test_a_forked_process_opens_it_for_itself(opened: tuple[Engine, list[object]]) -> None:
    engine, made = opened
    pid = os.fork()
    if pid == 0:
        os._exit(teams(engine) != {"first"} or len(made) != 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert teams(engine) == {"first"}
    assert not made


def test_a_rule_that_was_removed_is_there_again_once_it_is_opened(
    opened: tuple[Engine, list[object]], tmp_path: Path
) -> None:
    engine, made = opened
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER deputies_are_kept")
    open_people(tmp_path / "people.sqlite")
    assert not made
    with engine.begin() as connection:
        found = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master WHERE name = 'deputies_are_kept'")
        assert found.scalar_one() == 1


def test_who_forgets_it_leaves_no_descriptor_open(tmp_path: Path) -> None:
    path = tmp_path / "people.sqlite"
    open_people(path)
    gc.collect()
    assert path not in {found.readlink() for found in Path("/proc/self/fd").iterdir() if found.is_symlink()}
