"""What was deleted or replaced is gone from the bytes of a SQLite file and of everything beside it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.postgres import PostgresServer
from storage.database import Database, sqlite_url
from storage.index import Index
from storage.types import Outcome, RecordingId, RecordingRow, Segment, SegmentKind

START = datetime(2026, 11, 24, tzinfo=UTC)
ROWS = 600


def row(number: int, *, mark: str = "kept") -> RecordingRow:
    """A row whose every text and peak tells that it is this one; some are longer than a page."""
    said = f"{mark}{number:06d}"
    return RecordingRow(
        id=RecordingId(f"20261124T000000Z-2001-{number:06x}"), started_at=START + timedelta(seconds=number),
        ended_at=START, direction="inbound", extension=f"x{said}", operator=f"o{said}", service="housing",
        caller=f"c{said}", called=f"d{said}", outcome=Outcome.RECORDED, reason=f"r{said}",
        segments=(Segment(start_s=0.0, end_s=1.0, kind=SegmentKind.RECORDING, by=f"s{said}"),),
        peaks=(f"l{said}".encode() * (1 + number % 7 * 100), f"p{said}".encode()),
    )  # fmt: skip


def traces(folder: Path, mark: str) -> dict[str, int]:
    """Return in which files a mark stands, and how often."""
    counts = {path.name: path.read_bytes().count(mark.encode()) for path in folder.iterdir()}
    return {name: count for name, count in counts.items() if count}


@pytest.fixture
def index(tmp_path: Path) -> Index:
    """600 calls, of which every third is to be deleted and every third replaced."""
    made = Index(sqlite_url(tmp_path / "index.sqlite"))
    marks = ("kept", "doomed", "former")
    made.save_many(row(number, mark=marks[number % 3]) for number in range(ROWS))
    return made


def test_no_byte_of_what_was_deleted_or_replaced_is_left(index: Index, tmp_path: Path) -> None:
    # Both by many and one by one: pages are merged, and cells moved within them, in other ways.
    doomed = [row(number).id for number in range(1, ROWS, 3)]
    index.remove_many(doomed[:150])
    for one in doomed[150:]:
        index.remove(one)
    for number in range(2, ROWS, 3):
        index.save(replace(row(number), peaks=(b"", b"")))
    assert traces(tmp_path, "doomed"), "a trace would not be found"
    index.database.vacuum()
    assert traces(tmp_path, "doomed") == traces(tmp_path, "former") == {}
    assert traces(tmp_path, "kept")["index.sqlite"] > 4 * ROWS // 3
    assert index.get(row(2).id).operator == row(2).operator
    index.close()


def test_folding_waits_for_readers_and_says_when_it_was_in_vain(index: Index, tmp_path: Path) -> None:
    reader = Database(sqlite_url(tmp_path / "index.sqlite"))
    with reader.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM recordings").scalar() == ROWS
        index.remove(row(1).id)
        with index.database.connect() as own:
            own.exec_driver_sql("PRAGMA busy_timeout = 10")
        assert not index.database.truncate_log()
    assert traces(tmp_path, "doomed000001")
    assert index.database.truncate_log()
    assert not traces(tmp_path, "doomed000001")
    assert (tmp_path / "index.sqlite-wal").stat().st_size == 0
    reader.close()
    index.close()


def test_a_server_is_vacuumed(postgres: PostgresServer) -> None:
    index = Index(postgres.new_database())
    index.save_many(row(number) for number in range(10))
    index.remove_many([row(number).id for number in range(9)])
    assert index.database.truncate_log()
    index.database.vacuum()
    with index.database.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT reltuples, relallvisible = relpages FROM pg_class WHERE relname = 'recordings'"
        ).one()
    assert tuple(found) == (1.0, True)
    index.close()
