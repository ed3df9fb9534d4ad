"""How long does a search take with so many calls in the index, and how fast are rows deleted?

Metric: milliseconds of a page as the console asks for it - its rows and how many there are - p50 p95 max over varied
searches, none asked twice; rows saved and deleted a second; bytes a row; memory of this process before and after.
Command: ``python -m benchmarks.index --rows 5000000 [--engine sqlite|postgresql|both] [--json]``; needs about 3 kB of
disk for a row, and for PostgreSQL Debian's package (a server of its own is started). ``--database URL`` fills that one,
unless it has calls already, and leaves it there.
"""

import argparse
import json
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from benchmarks.index_rows import (
    DAYS,
    FIRST,
    HANDED_OVER,
    LINES,
    NOBODY,
    OFFICERS,
    PEAKS_BYTES,
    QUEUE,
    QUIET,
    columns,
    extension,
    identities,
    line,
    made,
    new_row,
    officers,
    operator,
    service,
    team,
)
from benchmarks.machine import measured_here, peak_kib
from benchmarks.postgres import PostgresServer
from storage import tables
from storage.database import POSTGRESQL, SQLITE, Database, parse_url, sqlite_url
from storage.index import COUNTED, Index
from storage.known_values import KnownValues
from storage.phone_numbers import normalise_number
from storage.searches import MOST_VALUES
from storage.types import Outcome, Search, Visibility

PAGE = 50
FAR_BACK = 50_000
"""Rows before the last page that console and API show."""
QUERIES = 400
REMOVED, AT_ONCE = 100_000, 1000
SAVED_ALONE, SAVED_TOGETHER = 500, 1000
LIMIT_MS = 50.0
_SERVER = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "shared_buffers": "1GB",
           "maintenance_work_mem": "1GB", "max_wal_size": "8GB"}  # fmt: skip


def searches(kind: str, rows: int, dice: random.Random) -> Search:
    """Return a search of a kind, another one each time; see `KINDS`."""
    officer = operator(int(OFFICERS * dice.random() ** 1.5))
    start = FIRST + timedelta(days=DAYS * dice.random() * 0.98)
    end = start + timedelta(days=dice.choice((1, 7, 30, 365)), seconds=dice.randrange(86_400))
    call = made(dice.randrange(rows), rows)
    resident = next((number for number in (call.caller, call.called) if number.startswith("01")), call.caller)
    outcome = dice.choice(list(Outcome))
    rare = dice.choice((Outcome.FAILED, Outcome.BLOCKED))
    found: dict[str, dict[str, Any]] = {
        "range_and_operator": {"started_from": start, "started_to": end, "operator": officer},
        "number": {"number": dice.choice((call.caller, call.called))},
        "first_page": {"started_to": end},
        "range": {"started_from": start, "started_to": end},
        "outcome": {"outcome": outcome, "started_to": end},
        "extension": {"extension": extension(dice.randrange(OFFICERS)), "started_from": start},
        "operator_and_outcome": {"operator": officer, "outcome": outcome, "started_to": end},
        "range_operator_number_outcome": {
            "started_from": call.started_at - (end - start), "started_to": call.started_at + (end - start),
            "operator": call.operator, "number": call.called, "outcome": call.outcome,
        },
        "colleague_and_number": {"operator": next(iter(call.others.values()), call.operator), "number": call.caller},
        "quiet_operator": {"operator": operator(dice.choice(QUIET)), "started_to": end},
        "busy_number": {"number": line(dice.choice((0, dice.randrange(LINES)))), "started_to": end},
        "busy_number_and_operator": {"number": line(0), "operator": officer, "started_to": end},
        "busy_number_and_rare_outcome": {"number": line(0), "outcome": rare, "started_to": end},
        "queue_and_resident": {"extension": QUEUE, "number": resident},
        "queue_and_rare_outcome": {"extension": QUEUE, "outcome": rare, "started_to": end},
        "queue_and_number_that_is_never_on_it": {"extension": QUEUE, "number": line(dice.randrange(1, LINES))},
        "operator_and_outcome_that_never_meet": {"operator": NOBODY, "outcome": Outcome.RECORDED, "started_to": end},
        "nobody_in_range": {
            "started_from": start - timedelta(days=DAYS), "started_to": min(end - timedelta(days=DAYS), FIRST),
            "operator": officer, "number": resident,
        },
        "further_number": {"number": next(iter(call.numbers), call.caller), "started_to": end},
        "further_number_and_operator": {"number": next(iter(call.numbers), call.caller), "operator": call.operator},
        "unknown_number": {"number": f"01632 {dice.randrange(1_000_000):06d}", "started_to": end},
        "managers_newest": {"within": Visibility(teams=(team(officer),)), "started_to": end},
        "manager_and_number": {
            "within": Visibility(teams=(team(officer),)), "number": dice.choice((call.caller, line(0))),
        },
        "manager_of_four_teams_and_operator": {
            "within": Visibility(teams=(team(officer), *(f"Team {dice.randrange(10)}" for _ in range(3)))),
            "operator": officer,
        },
        "manager_with_calls_of_their_own_and_rare_outcome": {
            "within": Visibility(teams=(team(officer),), operator=operator(dice.randrange(OFFICERS))), "outcome": rare,
        },
        "manager_and_officer_of_another_team": {"within": Visibility(teams=("Team t",)), "operator": officer},
        "manager_and_queue": {"within": Visibility(teams=(team(officer),)), "extension": QUEUE, "started_to": end},
        "service_in_range": {"service": service(dice.randrange(rows)), "started_from": start, "started_to": end},
        "team_and_service": {"team": team(officer), "service": "parking", "started_to": end},
        "part_of_a_name_in_range": {
            "operators": tuple(operator(dice.randrange(OFFICERS)) for _ in range(MOST_VALUES)), "started_from": start,
            "started_to": end,
        },
        "end_of_a_number_in_range": {
            "numbers": tuple(_numbers(rows, dice)), "started_from": start, "started_to": end,
        },
        "end_of_a_number_and_part_of_a_name": {
            "numbers": tuple(_numbers(rows, dice)),
            "operators": tuple(operator(number) for number in range(1990, 2000)),
        },
        "recordings_in_range": {
            "outcomes": (Outcome.RECORDED, Outcome.PARTIAL), "started_from": start, "started_to": end,
        },
        "later_page": {"started_to": end, "offset": PAGE * dice.randrange(COUNTED // PAGE)},
        "page_far_back": {"number": line(0), "offset": FAR_BACK - dice.randrange(1000)},
    }  # fmt: skip
    return Search(limit=PAGE, **found[kind])


def _numbers(rows: int, dice: random.Random) -> Iterator[str]:
    """Yield as many numbers as an end of a number may stand for: of the busiest line, and of residents."""
    yield normalise_number(line(0))
    for _ in range(MOST_VALUES - 1):
        yield normalise_number(made(dice.randrange(rows), rows).caller)


KINDS = (
    "range_and_operator", "number", "first_page", "range", "outcome", "extension", "operator_and_outcome",
    "range_operator_number_outcome", "colleague_and_number", "quiet_operator", "busy_number",
    "busy_number_and_operator", "busy_number_and_rare_outcome", "queue_and_resident", "queue_and_rare_outcome",
    "queue_and_number_that_is_never_on_it", "operator_and_outcome_that_never_meet", "nobody_in_range", "further_number",
    "further_number_and_operator", "unknown_number", "managers_newest", "manager_and_number",
    "manager_of_four_teams_and_operator",
    "manager_with_calls_of_their_own_and_rare_outcome", "manager_and_queue",
    "manager_and_officer_of_another_team", "later_page", "page_far_back", "service_in_range", "team_and_service",
    "part_of_a_name_in_range", "end_of_a_number_in_range", "end_of_a_number_and_part_of_a_name", "recordings_in_range",
)  # fmt: skip
"""Of searches: ordinary ones, worst cases (the busiest number and queue have a third of all calls), what is not there,
and pages far back."""
FRUITLESS = {
    "manager_and_officer_of_another_team",
    "queue_and_number_that_is_never_on_it", "operator_and_outcome_that_never_meet", "nobody_in_range", "unknown_number",
}  # fmt: skip
"""Of these: those that find nothing."""


def fill(url: str, rows: int, say: Callable[[str], None]) -> None:
    """Make the tables and fill them, the indices last."""
    database = Database(url)
    indices = [index for table in (tables.recordings, tables.officers, tables.identities) for index in table.indexes]
    with database.begin() as connection:
        for index in indices:
            index.drop(connection)
    database.close()
    copy = _copy_sqlite if database.dialect == SQLITE else _copy_postgresql
    copy(url, tables.recordings, _told(columns(rows), rows, say))
    say("further officers")
    copy(url, tables.officers, officers(rows))
    say("further numbers")
    copy(url, tables.identities, identities(rows))
    for index in sorted(indices, key=lambda index: str(index.name)):
        say(f"index {index.name}")
        with database.begin() as connection:
            index.create(connection)
    say("statistics")
    database.vacuum()
    database.close()
    if database.dialect == POSTGRESQL:
        _vacuum(url, "recordings")
        _vacuum(url, "officers")
        _vacuum(url, "identities")


def _vacuum(url: str, table: str) -> None:
    """Vacuum until all rows are known to be visible to everybody: one is in vain while another process looks."""
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(10):
            connection.execute(f"VACUUM (ANALYZE) {table}".encode())
            known = connection.execute("SELECT relallvisible, relpages FROM pg_class WHERE relname = %s", [table])
            visible, pages = known.fetchall()[0]
            if visible >= pages:
                return


def _copy_sqlite(url: str, table: sa.Table, values: Iterator[tuple[Any, ...]]) -> None:
    connection = sqlite3.connect(str(sa.make_url(url).database), isolation_level=None)
    for journal in ("DELETE", "OFF"):  # out of write-ahead logging first; whoever opens it next goes back to it
        connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -500000")
    connection.execute("BEGIN")
    names, marks = ", ".join(table.c.keys()), ", ".join("?" * len(table.c))
    connection.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", values)  # noqa: S608 - constants
    connection.execute("COMMIT")
    connection.close()


def _copy_postgresql(url: str, table: sa.Table, values: Iterator[tuple[Any, ...]]) -> None:
    statement = f"COPY {table.name} ({', '.join(table.c.keys())}) FROM STDIN".encode()
    with psycopg.connect(url) as connection, connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in values:
            copy.write_row(row)


def _told(values: Iterator[tuple[Any, ...]], rows: int, say: Callable[[str], None]) -> Iterator[tuple[Any, ...]]:
    began, told = time.monotonic(), 0.0
    for number, value in enumerate(values, 1):
        yield value
        if number % 1000 == 0 and (now := time.monotonic()) > told + 1:
            told = now
            left_s = (now - began) / number * (rows - number)
            say(f"{number:,} of {rows:,} rows, {left_s:.0f} s to go")


def measure_searches(index: Index, rows: int, queries: int) -> dict[str, Any]:
    """Time every kind of search."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        dice = random.Random(f"{kind} {rows}")
        pages: list[int] = []
        times_ms = [_timed(_page, index, searches(kind, rows, dice), pages) for _ in range(queries)]
        found[kind] = {**_quantiles(times_ms), "rows_of_a_page": round(sum(pages) / len(pages), 1)}
    dice = random.Random(f"id {rows}")
    # A database that stays has lost its oldest rows to an earlier run.
    asked = [made(dice.randrange(min(REMOVED, rows // 2), rows), rows).id for _ in range(queries)]
    found["id"] = _quantiles([_timed(index.get, id_) for id_ in asked])
    found["id_without_its_last_two"] = _quantiles([_timed(index.get, id_[:-2]) for id_ in asked])
    return found


def measure_known(index: Index, rows: int, queries: int) -> dict[str, Any]:
    """Time what the console asks beside searches: names for pickers, ends of numbers, and the figures of a week."""
    known, dice = KnownValues(index.database), random.Random(f"known {rows}")
    ends = [normalise_number(made(dice.randrange(rows), rows).caller)[-6:] for _ in range(queries)]
    weeks = [FIRST + timedelta(days=dice.randrange(DAYS - 7)) for _ in range(min(queries, 50))]
    return {
        "operators": _quantiles([_timed(known.operators) for _ in range(5)]),
        "operators_of_a_team": _quantiles([_timed(known.operators, [team(str(number))]) for number in range(5)]),
        "services": _quantiles([_timed(known.services) for _ in range(5)]),
        "numbers_ending_in_six_digits": _quantiles([_timed(known.numbers_ending, end, MOST_VALUES) for end in ends]),
        "figures_of_a_week": _quantiles([_timed(known.tallies, week, week + timedelta(days=7)) for week in weeks]),
    }


def measure_saving(index: Index, rows: int) -> dict[str, Any]:
    """Save calls that are newer than all others: one by one, each durable before the next, and many at once."""
    newer = [new_row(rows + number, rows) for number in range(SAVED_ALONE + SAVED_TOGETHER)]
    times_ms = [_timed(index.save, row) for row in newer[:SAVED_ALONE]]
    together_ms = _timed(index.save_many, newer[SAVED_ALONE:])
    return {
        "one_by_one_ms": _quantiles(times_ms),
        "one_by_one_rows_per_second": round(1000 * SAVED_ALONE / sum(times_ms)),
        "together_rows_per_second": round(1000 * SAVED_TOGETHER / together_ms),
    }


def measure_removal(index: Index, rows: int) -> dict[str, Any]:
    """Delete the oldest rows, in steps of one transaction each."""
    doomed = [made(number, rows).id for number in range(min(REMOVED, rows // 2))]
    before_kb = peak_kib()
    began = time.perf_counter()
    steps_ms = [_timed(index.remove_many, doomed[at : at + AT_ONCE]) for at in range(0, len(doomed), AT_ONCE)]
    took_s = time.perf_counter() - began
    grown_kb = peak_kib() - before_kb
    return {
        "rows": len(doomed), "rows_in_a_transaction": AT_ONCE, "rows_per_second": round(len(doomed) / took_s),
        "transaction_ms": _quantiles(steps_ms), "memory_grown_kb": grown_kb,
    }  # fmt: skip


def _page(index: Index, search: Search, pages: list[int]) -> None:
    rows, _ = index.page(search)
    pages.append(len(rows))


def _timed(work: Callable[..., object], *arguments: object) -> float:
    before = time.perf_counter_ns()
    work(*arguments)
    return (time.perf_counter_ns() - before) / 1e6


def _quantiles(times_ms: Sequence[float]) -> dict[str, float]:
    ordered = sorted(times_ms)
    p50, p95 = (ordered[-(-len(ordered) * percent // 100) - 1] for percent in (50, 95))
    return {"p50_ms": round(p50, 2), "p95_ms": round(p95, 2), "max_ms": round(ordered[-1], 2)}


@contextmanager
def empty(engine: str, folder: Path) -> Iterator[str]:
    """Give the URL of an empty database, removed at the end."""
    if engine == SQLITE:
        yield sqlite_url(folder / "index.sqlite")
        return
    server = PostgresServer(folder=folder, settings=_SERVER)
    try:
        yield server.new_database()
    finally:
        server.close()


def run(url: str, rows: int, queries: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Fill a database that has no calls yet, and measure it."""
    filled_s = None
    with closing(Index(url)) as index:
        is_empty = index.count(Search(), at_most=1) == 0
    if is_empty:
        began = time.monotonic()
        fill(url, rows, say)
        filled_s = round(time.monotonic() - began, 1)
    with closing(Index(url)) as index:
        size, version = _size(index.database)
        loads = [os.getloadavg()[0]]
        say("searches")
        found = measure_searches(index, rows, queries)
        loads.append(os.getloadavg()[0])
        known = measure_known(index, rows, queries)
        say("saving")
        saving = measure_saving(index, rows)
        say("removal")
        removal = measure_removal(index, rows)
    return {
        "version": version, "bytes": size, "bytes_per_row": round(size / rows), "filled_s": filled_s,
        "load_before_and_after_searches": loads, "searches": found, "known": known,
        "saving": saving, "removal": removal,
    }  # fmt: skip


def _size(database: Database) -> tuple[int, str]:
    with database.connect() as connection:
        if database.dialect == SQLITE:
            return Path(database.name).stat().st_size, sqlite3.sqlite_version
        version = str(connection.execute(sa.text("SHOW server_version")).scalar_one()).partition(" ")[0]
        return int(connection.execute(sa.text("SELECT pg_database_size(current_database())")).scalar_one()), version


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 1 no room on the disk, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.index", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000, help="calls in the index")
    parser.add_argument("--queries", type=int, default=QUERIES, help="searches of each kind")
    parser.add_argument("--engine", choices=(SQLITE, POSTGRESQL, "both"), default="both")
    parser.add_argument("--folder", type=Path, help="where there is room; default the folder for temporary files")
    parser.add_argument("--database", metavar="URL", help="of one that is filled if it is empty, and stays")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    if options.rows < 1000 or options.queries < 1:
        parser.error("rows must be at least 1000, queries at least 1")
    engines = [SQLITE, POSTGRESQL] if options.engine == "both" else [options.engine]
    is_shown = sys.stderr.isatty()

    def say(what: str) -> None:
        if is_shown:
            print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)

    document: dict[str, Any] = {
        "rows": options.rows, "queries": options.queries, "page": PAGE, "counted_up_to": COUNTED, "days": DAYS,
        "officers": OFFICERS, "handed_over": HANDED_OVER, "peaks_bytes": 2 * PEAKS_BYTES, "server": _SERVER,
        **measured_here(), "engines": {},
    }  # fmt: skip
    if options.database is not None:
        engine = parse_url(options.database).get_backend_name()
        document["engines"][engine] = run(options.database, options.rows, options.queries, say)
        engines = []
    for engine in engines:
        folder = Path(tempfile.mkdtemp(prefix="recorder-index-", dir=options.folder))
        try:
            if shutil.disk_usage(folder).free < 4000 * options.rows:
                print(f"{folder} has no room for {options.rows} rows; name another one by --folder", file=sys.stderr)
                return 1
            with empty(engine, folder) as url:
                document["engines"][engine] = run(url, options.rows, options.queries, say)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    if is_shown:
        print("\r\x1b[K", end="", file=sys.stderr)
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        _print_table(document)
    return 0


def _print_table(document: dict[str, Any]) -> None:
    for engine, found in document["engines"].items():
        print(f"{engine} {found['version']}: {document['rows']:,} rows, {found['bytes'] / 1e9:.1f} GB")
        for kind, times in found["searches"].items():
            end = f" p95 above {LIMIT_MS:.0f}" if times["p95_ms"] > LIMIT_MS else ""
            said = ", ".join(f"{name.removesuffix('_ms')} {times[name]:.2f}" for name in ("p50_ms", "p95_ms", "max_ms"))
            print(f"  {kind:37} {said} ms{end}")
        saving = found["saving"]
        print(f"  saved {saving['one_by_one_rows_per_second']:,} rows a second one by one", end="")
        print(f", {saving['together_rows_per_second']:,} together; {found['bytes_per_row']:,} bytes a row")
        print(f"  deleted {found['removal']['rows_per_second']:,} rows a second")


if __name__ == "__main__":
    sys.exit(main())
