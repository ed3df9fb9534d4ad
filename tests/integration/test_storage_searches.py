"""Searches of every kind together find what looking at every row would, in the same order, on both engines."""

import random
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage import searches
from storage.database import Database, sqlite_url
from storage.index import COUNTED, Index
from storage.phone_numbers import normalise_number
from storage.tables import identities, officers
from storage.types import Outcome, Participant, RecordingId, RecordingRow, Search, Visibility
from tests.helpers.extent import examples

START = datetime(2026, 11, 24, tzinfo=UTC)
NUMBERS = ("020 7946 0000", "0161 496 0001", "2001", "2002")
OTHER_NUMBERS = ("+44 7700 900123", "4000")
ROWS = 150
RECORDED = (Outcome.RECORDED, Outcome.PARTIAL)


def made(dice: random.Random, number: int) -> RecordingRow:
    started_at = START + timedelta(seconds=dice.randrange(ROWS // 3))  # several in each second
    operators = tuple(dice.sample(("anna", "bob", "carl"), dice.choice((1, 1, 2, 3))))
    extensions = tuple(dice.sample(("2001", "2002", "2003"), 3))[: dice.choice((len(operators), 3))]
    operator = dice.choice(operators)  # a call that was handed over before it was joined is filed under who answered
    return RecordingRow(
        id=RecordingId(f"{started_at:%Y%m%dT%H%M%SZ}-2001-{number:06x}"), started_at=started_at, ended_at=started_at,
        direction="inbound", extension=extensions[0], operator=operator, operators=operators, extensions=extensions,
        service=dice.choice(("housing", "benefits")), team=dice.choice(("north", "south", "")),
        caller=dice.choice(NUMBERS), called=dice.choice(NUMBERS),
        outcome=dice.choice(list(Outcome)), reason="ended",
        numbers=tuple(dice.sample((*NUMBERS, *OTHER_NUMBERS), dice.choice((0, 0, 1, 3)))),
    )  # fmt: skip


def asked(dice: random.Random) -> Search:
    def maybe(value: object) -> object:
        return value if dice.random() < 0.5 else None

    start = START + timedelta(seconds=dice.randrange(ROWS // 3))
    fields = {
        "started_from": maybe(start), "started_to": maybe(start + timedelta(seconds=dice.randrange(60))),
        "operator": maybe(dice.choice(("anna", "bob", "nobody"))), "extension": maybe(dice.choice(("2001", "2002"))),
        "number": maybe(dice.choice((*NUMBERS, *OTHER_NUMBERS, "+442079460000"))),
        "outcome": maybe(dice.choice(list(Outcome))),
        **some_of(dice),
    }  # fmt: skip
    return Search(**fields, limit=dice.choice((1, 7, 500)), offset=dice.choice((0, 0, 5)))  # type: ignore[arg-type]


def some_of(dice: random.Random) -> dict[str, object]:
    """Return criteria that are seldom asked for, one or two of them."""
    numbers = [normalise_number(number) for number in (*NUMBERS, *OTHER_NUMBERS)]
    found: dict[str, object] = {
        "service": dice.choice(("housing", "benefits", "none")),
        "team": dice.choice(("north", "south")),
        "operators": tuple(dice.sample(("anna", "bob", "carl", "nobody"), 2)),
        "numbers": tuple(dice.sample(numbers, 3)),
        "outcomes": RECORDED,
        "within": Visibility(
            teams=dice.choice(((), ("north",), ("north", "south"))), operator=dice.choice((None, "bob"))
        ),
    }
    return {name: found[name] for name in dice.sample(list(found), dice.choice((0, 0, 1, 2)))}


def matches(search: Search, row: RecordingRow) -> bool:
    number = None if search.number is None else normalise_number(search.number)
    numbers = {normalise_number(number) for number in (row.caller, row.called, *row.numbers)}
    within = search.within
    if within is not None and row.team not in within.teams and within.operator not in row.operators:
        return False
    if search.operators and not {*search.operators} & {*row.operators}:
        return False
    if (search.numbers and not {*search.numbers} & numbers) or (search.outcomes and row.outcome not in search.outcomes):
        return False
    if search.service not in (None, row.service) or search.team not in (None, row.team):
        return False
    return (
        (search.started_from is None or row.started_at >= search.started_from)
        and (search.started_to is None or row.started_at < search.started_to)
        and search.operator in (None, *row.operators)
        and search.extension in (None, *row.extensions)
        and number in (None, *numbers)
        and search.outcome in (None, row.outcome)
    )


@pytest.mark.parametrize("probed", [3, 1000], ids=["all are many", "one is few"])
def test_what_is_found_is_what_looking_at_every_row_finds(
    database: Database, monkeypatch: pytest.MonkeyPatch, probed: int
) -> None:
    monkeypatch.setattr(searches, "_PROBED", probed)
    monkeypatch.setattr("storage.index._PAGE", 50)
    dice = random.Random(probed)
    rows = [made(dice, number) for number in range(ROWS)]
    index = Index(database)
    index.save_many(rows)
    newest_first = sorted(rows, key=lambda row: (row.started_at, row.id), reverse=True)
    for _ in range(examples(quick=14, full=40)):
        search = asked(dice)
        expected = [row.id for row in newest_first if matches(search, row)]
        found, counted = index.page(search)
        assert [row.id for row in found] == expected[search.offset :][: search.limit], search
        assert counted == len(expected), search
        assert [row.id for row in index.each(search)] == expected, search
        kept = sum(row.outcome in RECORDED for row in rows if matches(search, row))
        assert index.page_of_recordings(search, RECORDED) == (found, counted, kept), search


def test_more_than_is_counted_is_said_on_every_page(index_of_many: Index) -> None:
    for offset, length in ((0, 50), (950, 50), (1000, 5), (2000, 0)):
        found, counted = index_of_many.page(Search(operator="anna", limit=50, offset=offset))
        assert (len(found), counted) == (length, COUNTED + 1)
    assert index_of_many.page(Search(operator="bob")) == ([], 0)


@pytest.fixture
def index_of_many(database: Database) -> Index:
    """1,005 calls of one officer."""
    first = made(random.Random(1), 0)
    index = Index(database)
    index.save_many(
        replace(first, id=RecordingId(f"20261124T000000Z-2001-{number:06x}"), operator="anna", operators=())
        for number in range(1005)
    )
    return index


def test_only_the_times_asked_for_are_looked_at_of_calls_that_were_handed_over(tmp_path: Path) -> None:
    with closing(Database(sqlite_url(tmp_path / "index.sqlite"))) as database, database.connect() as connection:
        search = Search(operator="anna", started_from=START, started_to=START + timedelta(days=1))
        for before in (None, (1, "x")):
            query = searches.Plan(connection, search, before=before).ids(limit=50)
            text = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
            plan = [line[3] for line in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
            (led,) = [line for line in plan if "officers" in line]
            assert "INDEX officers_by_operator (operator=? AND started_us>? AND started_us<?)" in led, plan


def test_only_the_times_asked_for_are_looked_at_of_numbers_beside_a_call(tmp_path: Path) -> None:
    with closing(Database(sqlite_url(tmp_path / "index.sqlite"))) as database, database.connect() as connection:
        search = Search(number="4000", started_from=START, started_to=START + timedelta(days=1))
        query = searches.Plan(connection, search).ids(limit=50)
        text = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
        plan = [line[3] for line in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
        (led,) = [line for line in plan if "identities" in line]
        assert "INDEX identities_by_number (number=? AND started_us>? AND started_us<?)" in led, plan


def test_numbers_come_and_go_with_their_recording(database: Database) -> None:
    index = Index(database)
    someone = Participant(name="", address="sip:5000@pbx", number="5000", role="other")
    row = replace(
        made(random.Random(1), 1), caller="0161 496 0001", called="2001", numbers=("2001", "07700 900123", "x" * 81),
        participants=(someone,),
    )  # fmt: skip
    index.save(row)
    for number in ("+447700900123", "5000", "2001", "+441614960001"):
        assert [one.id for one in index.find(Search(number=number))] == [row.id], number
    assert index.find(Search(number="07700 900123"))[0] == row
    assert index.find(Search(number="x" * 81)) == [], "that is no number"
    index.save(replace(row, numbers=()))
    assert index.find(Search(number="+447700900123")) == []
    index.save(row)
    index.remove(row.id)
    with database.connect() as connection:
        assert connection.execute(sa.select(identities.c.recording)).all() == [], "nothing of them is left"


def test_officers_come_and_go_with_their_recording(database: Database) -> None:
    index = Index(database)
    row = replace(
        made(random.Random(1), 1), operator="anna", operators=("anna", "bob"), extension="2001",
        extensions=("2001", "2002", "2003"),
    )  # fmt: skip
    index.save(row)
    for search in (Search(operator="bob"), Search(extension="2002"), Search(extension="2003", operator="bob")):
        assert [one.id for one in index.find(search)] == [row.id]
    assert index.find(Search(operator="bob"))[0].operators == ("anna", "bob")
    index.save(replace(row, operators=("anna",), extensions=("2001",)))
    assert index.find(Search(operator="bob")) == []
    index.save(row)
    index.remove(row.id)
    with database.connect() as connection:
        assert connection.execute(sa.select(officers.c.recording)).all() == [], "nothing of them is left"
