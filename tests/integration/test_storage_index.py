"""A real SQLite file: saved, found, counted, by several connections."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage.database import Database, sqlite_url
from storage.errors import NotFoundError
from storage.index import Index
from storage.rows import row_from_json, row_to_json
from storage.types import HeardNotice, NoticeProof, Outcome, RecordingId, RecordingRow, Search, Segment, SegmentKind

START = datetime(2026, 11, 24, 9, 30, 0, 250000, tzinfo=UTC)


def row(number: int = 0, **changes: object) -> RecordingRow:
    made = RecordingRow(
        id=RecordingId(f"20261124T0930{number:02d}Z-2001-0a1b{number:02x}"),
        started_at=START + timedelta(seconds=number),
        ended_at=START + timedelta(seconds=number + 60),
        direction="inbound",
        extension="2001",
        operator="a.officer",
        service="housing",
        caller="020 7946 0000",
        called="2001",
        outcome=Outcome.RECORDED,
        reason="ended",
        codecs=("PCMA", "G722"),
        notice=NoticeProof(
            messages=(HeardNotice(id="first/3", sha256="ab" * 32, language="cy", service="Benefits"),),
            id="first",
            sha256="ab" * 32,
            started_at=START,
            ended_at=START,
            complete=True,
            proof="heard",
        ),
        segments=(Segment(start_s=0.0, end_s=60.0, kind=SegmentKind.RECORDING),),
        peaks=(b"\x01\xff", b"\x00"),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def index(database: Database) -> Index:
    return Index(database)


def test_a_row_comes_back_as_it_was(index: Index) -> None:
    index.save(row())
    assert index.get(row().id) == row()
    index.save(row(reason="changed"))
    assert index.get(row().id).reason == "changed"
    assert index.count(Search()) == 1


def test_json_is_as_design_section_7_says() -> None:
    fields = row_to_json(row())
    assert {
        "id", "started_at", "ended_at", "direction", "extension", "operator", "service", "caller", "called", "outcome",
        "reason", "duration_s", "recorded_s", "paused_s", "codecs", "notice", "segments", "opted_out", "card_payment",
        "path", "bytes", "sha256", "retention_due", "holds", "related",
    } <= set(fields)  # fmt: skip
    assert fields["started_at"] == "2026-11-24T09:30:00.250000Z"
    assert fields["segments"] == [
        {
            "start_s": 0.0,
            "end_s": 60.0,
            "kind": "recording",
            "reason": "",
            "by": "",
            "operator": "",
            "extension": "",
            "officers": [],
        }
    ]
    assert set(fields["notice"]) == {
        "id", "sha256", "started_at", "ended_at", "complete", "proof", "second_message", "messages"
    }  # fmt: skip
    assert row_from_json(row_to_json(row(), with_peaks=True)) == row()


def test_prefixes(index: Index) -> None:
    index.save(row(1))
    index.save(row(11))
    assert index.get("20261124T093001") == row(1)
    for prefix, words in (("20261124T0930", "more than one"), ("2027", "no recording"), ("%", "no recording")):
        with pytest.raises(NotFoundError, match=words):
            index.get(prefix)


@pytest.mark.parametrize("asked", ["020 7946 0000", "02079460000", "+442079460000", "00442079460000"])
def test_a_number_is_found_raw_and_normalised(index: Index, asked: str) -> None:
    index.save(row(1))
    index.save(row(2, caller="+442079460000", called="3001"))
    index.save(row(3, caller="02079460001"))
    index.save(row(4, direction="outbound", caller="2001", called="00442079460000"))
    assert [found.id for found in index.find(Search(number=asked))] == [row(n).id for n in (4, 2, 1)]


def test_search_by_everything_else(index: Index) -> None:
    index.save(row(1))
    index.save(row(2, operator="b.officer", extension="2002"))
    index.save(row(3, outcome=Outcome.BLOCKED, reason="notice_not_heard", ended_at=None))
    assert [r.id for r in index.find(Search())] == [row(n).id for n in (3, 2, 1)]
    assert [r.id for r in index.find(Search(limit=1, offset=1))] == [row(2).id]
    assert [r.id for r in index.find(Search(operator="b.officer"))] == [row(2).id]
    assert [r.id for r in index.find(Search(extension="2002"))] == [row(2).id]
    assert [r.id for r in index.find(Search(outcome=Outcome.BLOCKED))] == [row(3).id]
    between = Search(started_from=START + timedelta(seconds=1), started_to=START + timedelta(seconds=3))
    assert [r.id for r in index.find(between)] == [row(2).id, row(1).id]
    assert index.count(between) == 2
    assert index.remove(row(2).id)
    assert not index.remove(row(2).id)
    assert index.count(between) == 1


def test_two_processes_share_it(index: Index, ready_url: str) -> None:
    other = Index(ready_url)
    other.save(row(5))
    assert index.get(row(5).id) == row(5)
    other.close()
    index.close()
    assert index.get(row(5).id) == row(5), "closed what was not its own"


def test_a_deferred_index_waits_for_its_database(tmp_path: Path) -> None:
    in_the_way = tmp_path / "database"
    in_the_way.write_text("no folder")
    path = in_the_way / "index.sqlite"
    with pytest.raises(OSError, match="database"):
        Index(sqlite_url(path))
    index = Index(sqlite_url(path), is_deferred=True)
    with pytest.raises(OSError, match="database"):
        index.save(row(1))
    in_the_way.unlink()
    index.save(row(1))
    assert index.get(row(1).id) == row(1)
    index.close()
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("prefix", ["\U0010ffff", "2026\ud7ff", "2026\x7f"])
def test_a_prefix_that_no_id_has_is_not_found(index: Index, prefix: str) -> None:
    index.save(row(1))
    with pytest.raises(NotFoundError):
        index.get(prefix)
