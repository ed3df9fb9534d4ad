"""A search within what somebody may know of finds exactly that: compared with a search in memory, for every pair."""

import itertools
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from storage.database import Database
from storage.index import Index
from storage.migrations import upgrade
from storage.phone_numbers import normalise_number
from storage.rows import row_from_json
from storage.types import Officer, Outcome, RecordingId, RecordingRow, Search, Segment, SegmentKind, Visibility
from tests.helpers.storage_home import row
from tests.integration.test_storage_migrations import fill, plain_engine

TEAMS, OFFICERS = ("North", "South", "", "O'Neill \" team"), ("ann", "bob", "cem")
NUMBERS = ("020 7946 0000", "01632 960001", "2001")
START = datetime(2026, 11, 25, 9, tzinfo=UTC)


def calls() -> list[RecordingRow]:
    """A hundred and fifty calls; some were handed over, also to somebody of another team."""
    dice = random.Random(7)
    found = []
    for number in range(150):
        first, *others = dice.sample(OFFICERS, dice.choice((1, 1, 2, 3)))
        extensions = tuple(str(2001 + OFFICERS.index(name)) for name in (first, *others))
        found.append(
            replace(
                row_from_json(row()),
                id=RecordingId(f"20261125T090000Z-{extensions[0]}-{number:06x}"),
                started_at=START + timedelta(minutes=number),
                operator=first,
                operators=(first, *others),
                extension=extensions[0],
                extensions=extensions,
                team=dice.choice(TEAMS),
                caller=dice.choice(NUMBERS),
                called=dice.choice(NUMBERS),
                outcome=dice.choice((Outcome.RECORDED, Outcome.FAILED)),
                holds=(),
            )
        )
    return [replace(call, segments=parts_of(dice, call)) for call in found]


def parts_of(dice: random.Random, call: RecordingRow) -> tuple[Segment, ...]:
    """A part for each officer; those who came later may be of another team."""
    parts = []
    for number, (operator, extension) in enumerate(zip(call.operators, call.extensions, strict=True)):
        team = dice.choice((*TEAMS, "Late")) if number else call.team
        officer = Officer(extension=extension, operator=operator, team=team)
        parts.append(Segment(start_s=number, end_s=number + 1, kind=SegmentKind.RECORDING, officers=(officer,)))
    return tuple(parts)


CALLS = calls()
PARTS = [
    Visibility(), Visibility(teams=("North",)), Visibility(teams=("North", "South", "North")),
    Visibility(operator="ann"), Visibility(teams=("North",), operator="ann"), Visibility(teams=TEAMS, operator="bob"),
    Visibility(teams=("Nowhere",), operator="cem"),
    Visibility(teams=("Late",)),
    Visibility(teams=("O'Neill \" team",)), Visibility(operator="nobody"),
]  # fmt: skip
ASKED: list[dict[str, object]] = [
    {}, {"operator": "ann"}, {"operator": "bob", "extension": "2001"}, {"number": "020 7946 0000"},
    {"number": "2001", "outcome": Outcome.FAILED}, {"outcome": Outcome.RECORDED}, {"extension": "2003"},
    {"started_from": START + timedelta(minutes=40), "started_to": START + timedelta(minutes=90)},
]  # fmt: skip


def is_found(call: RecordingRow, search: Search) -> bool:
    part = search.within
    assert part is not None
    later = {officer.team for segment in call.segments[1:] for officer in segment.officers} - {""}
    return (
        (
            not {call.team, *later}.isdisjoint(part.teams)
            or (part.operator is not None and part.operator in call.operators)
        )
        and (search.operator is None or search.operator in call.operators)
        and (search.extension is None or search.extension in call.extensions)
        and (search.number is None or search.number in (call.caller, call.called))
        and (search.outcome is None or search.outcome is call.outcome)
        and (search.started_from is None or search.started_from <= call.started_at)
        and (search.started_to is None or call.started_at < search.started_to)
    )


@pytest.fixture
def index(database: Database) -> Index:
    index = Index(database)
    index.save_many(CALLS)
    return index


def test_everything_that_may_be_known_and_nothing_else_each_once(index: Index) -> None:
    for number, (part, asked) in enumerate(itertools.product(PARTS, ASKED)):
        search = Search(within=part, limit=1000, **asked)  # type: ignore[arg-type]
        expected = [call.id for call in reversed(CALLS) if is_found(call, search)]
        assert [call.id for call in index.find(search)] == expected, (part, asked)
        if number % 7:
            continue  # what is counted, and found in pages, is the same query
        assert index.count(search) == len(expected)
        assert [call.id for call in index.each(search)] == expected
        middle = replace(search, limit=5, offset=3)
        assert [call.id for call in index.find(middle)] == expected[3:8], (part, asked)


def test_parts_of_name_and_number_are_found_in_many_teams(index: Index) -> None:
    part = Visibility(teams=("North", *(f"Team {number}" for number in range(20))), operator="ann")
    names, numbers = [f"name {number}" for number in range(7)], [f"+4420794600{number}" for number in range(7)]
    search = Search(
        within=part, limit=1000, operators=("ann", *names), numbers=(normalise_number("020 7946 0000"), *numbers)
    )
    alike = Search(within=part, operator="ann", number="020 7946 0000")
    expected = [call.id for call in reversed(CALLS) if is_found(call, alike)]
    assert expected
    assert [call.id for call in index.find(search)] == expected


def test_a_call_that_changes_its_team_is_found_by_the_new_one_only(index: Index) -> None:
    moved = replace(CALLS[0], team="Moved", segments=())
    index.save(moved)
    assert [call.id for call in index.find(Search(within=Visibility(teams=("Moved",))))] == [moved.id]
    old = Search(within=Visibility(teams=(CALLS[0].team,)), limit=1000)
    assert moved.id not in {call.id for call in index.find(old)}


def test_teams_of_before_0007_are_taken_from_the_rows(database_url: str) -> None:
    with plain_engine(database_url).begin() as connection:
        upgrade(connection, "0006")
        fill(connection)
        for mark, document in (("d", "no JSON at all"), ("e", '{"id": 1, "team": 7}'), ("f", "[" * 3000)):
            connection.execute(
                sa.text(
                    "INSERT INTO recordings (id, started_us, operator, extension, caller, called, caller_e164,"
                    " called_e164, outcome, document, peaks_left, peaks_right) SELECT :id, started_us, operator,"
                    " extension, caller, called, caller_e164, called_e164, outcome, :document, peaks_left, peaks_right"
                    " FROM recordings LIMIT 1"
                ),
                {"id": f"20261124T093000Z-2001-00000{mark}", "document": document},
            )
        connection.execute(
            sa.text('UPDATE recordings SET document = REPLACE(document, \'"team": ""\', \'"team": "North"\')')
        )
        officer = {
            "recording": row()["id"], "extension": "2002", "operator": "bob", "started_us": 1, "outcome": "recorded",
            "first_extension": "2001", "first_operator": "a.officer", "caller_e164": "", "called_e164": "",
        }  # fmt: skip
        names, marks = ", ".join(officer), ", ".join(f":{name}" for name in officer)
        connection.execute(sa.text(f"INSERT INTO officers ({names}) VALUES ({marks})"), officer)
    index = Index(database_url)
    found = index.find(Search(within=Visibility(teams=("North",))))
    assert [call.id for call in found] == [row()["id"]]
    assert [call.id for call in index.find(Search(operator="bob", within=Visibility(teams=("North",))))] == [
        row()["id"]
    ]
    assert index.count(Search(within=Visibility(teams=("",)))) == 3
    index.close()
