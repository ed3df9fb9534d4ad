"""The benchmark of the index, tiny; and that no search looks at more of the index than its page needs.

Times would fail on a busy machine. What is judged is work: instructions of SQLite's virtual machine, and rows that
PostgreSQL's scans give or throw away.
"""

import functools
import itertools
import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from benchmarks import index_rows
from benchmarks.index import FRUITLESS, KINDS, PAGE, fill, main, searches
from benchmarks.index_rows import made
from benchmarks.postgres import PostgresServer
from storage.database import Database, sqlite_url
from storage.index import COUNTED, Index
from storage.stored_rows import StoredRows
from storage.tables import identities

ROWS = 20_000
SEARCHES = 10
MOST_STEPS = 100_000
"""Of SQLite, for a page and its count. Looking at every row once would take more than 200,000."""
MOST_ROWS = 4 * (COUNTED + 1) + 4 * PAGE
"""Of PostgreSQL: both sides of a number, counted and fetched."""

Statement = tuple[str, Any]


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of an index with 20,000 calls."""
    if request.param == "sqlite":
        url = sqlite_url(tmp_path_factory.mktemp("filled") / "index.sqlite")
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.new_database()
    with pytest.MonkeyPatch.context() as patch:  # each call is asked for three times: for its row and what is beside it
        patch.setattr(index_rows, "made", functools.cache(made))
        fill(url, ROWS, lambda _: None)
    return url


@pytest.fixture
def heard(filled: str) -> Iterator[tuple[Index, list[Statement]]]:
    """The index, and what is asked of its database."""
    index = Index(filled)
    said: list[Statement] = []

    def listen(*of: Any) -> None:
        said.append((of[2], of[3]))

    sa.event.listen(sa.Engine, "before_cursor_execute", listen)
    try:
        yield index, said
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", listen)
        index.close()


def steps_of(url: str, statements: list[Statement]) -> int:
    """Return how many instructions SQLite needs for statements."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 100
        return 0

    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    connection.set_progress_handler(step, 100)
    for statement, parameters in statements:
        connection.execute(statement, parameters).fetchall()
    connection.close()
    return steps


def rows_of(url: str, statements: list[Statement]) -> int:
    """Return how many rows PostgreSQL's scans of recordings and what stands beside them look at for statements."""

    def scanned(plan: dict[str, Any]) -> int:
        own = 0
        if plan.get("Relation Name") in ("recordings", "officers", "identities"):
            own = round((plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"])
        return own + sum(map(scanned, plan.get("Plans", [])))

    looked_at = 0
    with psycopg.connect(url) as connection:
        for statement, parameters in statements:
            explained = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}".encode(), parameters)
            looked_at += scanned(explained.fetchall()[0][0][0]["Plan"])
    return looked_at


def check_work(url: str, statements: list[Statement], *, times: int) -> None:
    if url.startswith("sqlite"):
        assert steps_of(url, statements) < times * MOST_STEPS, statements
    else:
        assert rows_of(url, statements) < times * MOST_ROWS, statements


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"page_far_back"}))
def test_a_page_and_its_count_look_at_no_more_than_they_show(
    heard: tuple[Index, list[Statement]], filled: str, kind: str
) -> None:
    index, said = heard
    dice = random.Random(kind)
    found = 0
    for search in [searches(kind, ROWS, dice) for _ in range(SEARCHES)]:
        said.clear()
        rows, _ = index.page(search)
        found += len(rows)
        # A team has a tenth of all calls, the busy line a third: of a thousand that have both, three thousand are read.
        # Calls that came to a team later on are found beside, and each is looked up among the queue's.
        times = 3 if kind.startswith("manager") else 1
        check_work(filled, [one for one in said if one[0].startswith("SELECT")], times=times)
    assert bool(found) == (kind not in FRUITLESS)


def test_what_is_filled_beside_the_rows_is_what_the_program_would_write(filled: str) -> None:
    with closing(Database(filled)) as database:
        stored = list(itertools.islice(StoredRows(database).each(), 500))
        assert not [one.id for one in stored if {"officers", "identities"}.intersection(one.wrong_columns)]
        with database.connect() as connection:
            further = connection.execute(sa.select(sa.func.count()).select_from(identities)).scalar_one()
    assert ROWS / 3 < further < ROWS


def test_an_id_is_found_by_itself(heard: tuple[Index, list[Statement]], filled: str) -> None:
    index, said = heard
    for number in range(0, ROWS, ROWS // SEARCHES):
        wanted = made(number, ROWS).id
        said.clear()
        assert index.get(wanted).id == index.get(wanted[:-2]).id == wanted
        check_work(filled, [one for one in said if one[0].startswith("SELECT")], times=1)


def test_a_bad_plan_would_be_seen(filled: str) -> None:
    statement = "SELECT id FROM recordings ORDER BY document LIMIT 1", ()
    with pytest.raises(AssertionError, match="document"):
        check_work(filled, [statement], times=1)


@pytest.mark.parametrize(
    ("rows", "engines"),
    [(1000, ("sqlite",)), pytest.param(2000, ("sqlite", "postgresql"), marks=pytest.mark.long)],
    ids=["tiny", "both"],
)
def test_the_benchmark_runs(
    capsys: pytest.CaptureFixture[str], open_folder: Path, rows: int, engines: tuple[str, ...]
) -> None:
    words = ["--rows", str(rows), "--folder", str(open_folder), "--queries", "5", "--json"]
    assert main([*words, *(["--engine", *engines] if len(engines) == 1 else [])]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["rows"] == rows
    assert set(document["engines"]) == set(engines)
    for engine in engines:
        found = document["engines"][engine]
        assert set(found["searches"]) == {*KINDS, "id", "id_without_its_last_two"}
        assert all(times["p95_ms"] > 0 for times in found["searches"].values())
        assert found["saving"]["one_by_one_rows_per_second"] > 0
        assert found["removal"]["rows"] == rows // 2
    assert list(open_folder.iterdir()) == [], "it left something behind"


def test_wrong_usage_and_no_room(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--rows", "7"])
    assert caught.value.code == 2
    assert main(["--rows", "1000000000", "--engine", "sqlite", "--folder", str(tmp_path)]) == 1
    assert "has no room" in capsys.readouterr().err
