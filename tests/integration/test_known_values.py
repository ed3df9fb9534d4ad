"""What there is in the index is found without reading every call, on both engines."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from storage.database import Database
from storage.index import Index
from storage.known_values import KnownValues, Tally
from storage.rows import row_from_json
from storage.tables import microseconds
from storage.types import Officer, Outcome, RecordingId, RecordingRow, Segment, SegmentKind
from tests.helpers.storage_home import row

START = datetime(2026, 11, 24, 9, 15, tzinfo=UTC)
ROW = row_from_json(row())


def call(number: int, **changes: object) -> RecordingRow:
    fields = {"id": RecordingId(f"20261124T091500Z-2001-{number:06x}"), "started_at": START, **changes}
    return replace(ROW, **fields)  # type: ignore[arg-type]


def test_names_services_and_teams_are_known_once(database: Database) -> None:
    dice = random.Random(3)
    rows = [
        call(
            number, operator=dice.choice(("Ann Smith", "Bob Jones", "")), service=dice.choice(("Benefits", "Housing")),
            team=dice.choice(("North", "")),
        )
        for number in range(60)
    ]  # fmt: skip
    part = Segment(
        start_s=0.0, end_s=9.0, kind=SegmentKind.RECORDING,
        officers=(Officer(extension="2009", operator="Zoe Last", team="South"),),
    )  # fmt: skip
    handed = call(
        99, operator="Ann Smith", operators=("Ann Smith", "Zoe Last"), extensions=("2001", "2009"), team="North",
        service="Housing", segments=(part,),
    )  # fmt: skip
    Index(database).save_many([*rows, handed])
    known = KnownValues(database)
    assert known.operators() == ["Ann Smith", "Bob Jones", "Zoe Last"]
    assert known.operators(["South"]) == ["Zoe Last"]
    assert known.operators(["North"]) == ["Ann Smith", "Bob Jones"]
    assert known.operators([]) == []
    assert known.services() == ["Benefits", "Housing"]
    assert known.teams() == ["North", "South"]


def test_numbers_are_found_by_their_last_digits(database: Database) -> None:
    Index(database).save_many([
        call(1, caller="020 7946 0123", called="2123"), call(2, caller="0161 496 0123", called="2001"),
        call(3, caller="2001", called="01632 960 999", numbers=("07700 900123",)), call(4, caller="020 7946 0123"),
    ])  # fmt: skip
    known = KnownValues(database)
    assert known.numbers_ending("0123", 5) == ["+441614960123", "+442079460123", "+447700900123"]
    assert known.numbers_ending("123", 5) == ["+441614960123", "+442079460123", "+447700900123", "2123"]
    assert known.numbers_ending("123", 3) is None
    assert known.numbers_ending("79460123", 3) == ["+442079460123"]
    assert known.numbers_ending("5555", 3) == []


def test_calls_are_counted_by_hour_and_outcome(database: Database) -> None:
    paused = Segment(start_s=0.0, end_s=1.0, kind=SegmentKind.PAUSED)
    later = START + timedelta(hours=1)
    Index(database).save_many([
        call(1, segments=(paused, replace(paused, kind=SegmentKind.RECORDING), paused)), call(2, opted_out=True),
        call(3, started_at=later, outcome=Outcome.BLOCKED), call(4, started_at=START + timedelta(days=1)),
    ])  # fmt: skip
    hour_us = microseconds(START.replace(minute=0))
    found = KnownValues(database).tallies(START, START + timedelta(days=1))
    assert sorted(found, key=lambda one: one.hour_us) == [
        Tally(hour_us=hour_us, outcome="recorded", calls=2, pauses=2, opted_out=1),
        Tally(hour_us=hour_us + 3_600_000_000, outcome="blocked", calls=1, pauses=0, opted_out=0),
    ]
