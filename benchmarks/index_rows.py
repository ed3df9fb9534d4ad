"""Made-up calls of a council, for `benchmarks.index`: the same for the same number, and spread as real ones are.

2,000 officers, some busy, some not and ten who hardly ever telephone; residents of whom a few call often; 20 lines that
most calls come in on, half of them on one, whose queue is an extension: a third of all calls has that number and that
extension. One call in seven has a second officer: internal ones, and those that were handed over.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from storage.phone_numbers import normalise_number
from storage.rows import row_from_json, row_to_json
from storage.tables import microseconds
from storage.types import NoticeProof, Outcome, RecordingId, RecordingRow, Segment, SegmentKind

OFFICERS, LINES = 2000, 20
QUIET = range(OFFICERS, OFFICERS + 10)
"""Officers of whom there is one call in 100,000 each."""
QUEUE = "1000"
"""Extension that the calls of the busiest line come in at."""
NOBODY = "Contact centre"
"""Who stands for calls of the queue that nobody took."""
PEAKS_BYTES = 200
"""Per channel: 20 s. Real ones are some thousand bytes; no search reads them."""
DAYS = 730
FIRST = datetime(2024, 11, 25, tzinfo=UTC)
KNOWN_BY_MORE = 0.3
"""Of all calls, in which somebody has a number beside the one that calls and the one that was called."""
HANDED_OVER = 0.1
"""Of all calls, to an officer beside the one who had it first."""
_OUTCOMES = [*["recorded"] * 176, *["partial"] * 10, *["no_conversation"] * 10, *["blocked"] * 3, "failed"]
_MARK = "\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One call, as the columns that it is searched by.

    ``others`` are officers beside the first, by extension; ``numbers`` are further ones that somebody on it had.
    """

    id: RecordingId
    started_at: datetime
    operator: str
    extension: str
    caller: str
    called: str
    outcome: Outcome
    others: dict[str, str]
    numbers: tuple[str, ...]


def operator(number: int) -> str:
    """Return an officer's name."""
    return f"Officer {number:04d}"


def extension(number: int) -> str:
    """Return an officer's extension."""
    return str(2000 + number)


def team(name: str) -> str:
    """Return the team of an officer, one of ten; calls of the queue that nobody took have one of their own."""
    return f"Team {name[-1:]}"


def service(number: int) -> str:
    """Return the service of a call: most calls are of one of three, one in a hundred is of a fourth."""
    return "parking" if number % 100 == 7 else ("housing", "revenues", "benefits")[number % 3]


def line(number: int) -> str:
    """Return the number that a service is called on."""
    return f"020 7946 {number:04d}"


def made(number: int, rows: int) -> Made:
    """Return the call of a number in [0, rows)."""
    dice = random.Random(number)
    place = number % 100_000
    officer = QUIET[place] if place < len(QUIET) else int(OFFICERS * dice.random() ** 1.5)
    resident = f"0{1100000000 + int(rows / 3 * dice.random() ** 2):010d}"
    way = dice.random()
    came_in_on = 0 if dice.random() < 0.5 else dice.randrange(1, LINES)
    is_queue = way < 0.7 and came_in_on == 0
    outcome = Outcome(dice.choice(_OUTCOMES))
    caller, called = (
        (resident, line(came_in_on))
        if way < 0.7
        else (extension(officer), resident)
        if way < 0.95
        else (extension(calling := dice.randrange(OFFICERS)), extension(officer))
    )
    of_call = QUEUE if is_queue else extension(officer)
    came_to = [calling] if way >= 0.95 else []
    if dice.random() < HANDED_OVER:
        came_to.append(int(OFFICERS * dice.random() ** 1.5))
    started_at = FIRST + timedelta(microseconds=number * (DAYS * 86_400_000_000 // rows))
    return Made(
        id=RecordingId(f"{started_at:%Y%m%dT%H%M%SZ}-{of_call}-{number & 0xFFFFFF:06x}"),
        started_at=started_at,
        operator=NOBODY if is_queue and outcome is Outcome.NO_CONVERSATION else operator(officer),
        extension=of_call,
        caller=caller,
        called=called,
        outcome=outcome,
        others={extension(other): operator(other) for other in came_to if other != officer},
        numbers=_numbers(dice, [extension(other) for other in came_to], {caller, called}),
    )


def _numbers(dice: random.Random, came_to: list[str], known: set[str]) -> tuple[str, ...]:
    """Return further numbers of a call: of those whom it came to, of diversions, and of a mobile telephone."""
    more = [*came_to, f"0161 496 {dice.randrange(1000):04d}", f"07700 {900000 + dice.randrange(1000)}"]
    chosen = more if dice.random() < KNOWN_BY_MORE else came_to
    return tuple(number for number in dict.fromkeys(chosen) if number not in known)


def new_row(number: int, rows: int) -> RecordingRow:
    """Return a call as the daemon would save it; a number of ``rows`` or more comes after all others."""
    call = next(columns(number + 1, start=number, of=rows))
    return replace(row_from_json(json.loads(call[10])), peaks=(call[11], call[12]))


def columns(rows: int, *, start: int = 0, of: int | None = None) -> Iterator[tuple[Any, ...]]:
    """Yield what the table holds of each call, in the order of its columns.

    Most of the document is the same for all calls, and made once: `storage.rows` would take the longest of it all.
    """
    parts = _template()
    peaks = bytes(i % 251 for i in range(PEAKS_BYTES))
    for number in range(start, rows):
        call = made(number, of or rows)
        started_us = microseconds(call.started_at)
        due_us = started_us + 90 * 86_400_000_000
        values = {
            "id": call.id,
            "started_at": call.started_at.isoformat().replace("+00:00", "Z"),
            "operator": call.operator,
            "extension": call.extension,
            "caller": call.caller,
            "called": call.called,
            "outcome": str(call.outcome),
            "team": team(call.operator),
            "service": service(number),
            "operators": json.dumps([call.operator, *call.others.values()]),
            "extensions": json.dumps([call.extension, *call.others]),
            "numbers": json.dumps(call.numbers),
            "officers": json.dumps(
                [{"extension": other, "operator": name, "team": team(name)} for other, name in call.others.items()]
            ),
        }
        document = "".join(values.get(part, part) for part in parts)
        yield (
            call.id, started_us, call.operator, call.extension, call.caller, call.called,
            normalise_number(call.caller), normalise_number(call.called), str(call.outcome),
            due_us, document, peaks, peaks, team(call.operator), service(number),
            normalise_number(call.caller)[::-1], normalise_number(call.called)[::-1], 1, 0,
        )  # fmt: skip


def officers(rows: int) -> Iterator[tuple[str | int, ...]]:
    """Yield what the table of further officers holds, in the order of its columns."""
    for number in range(rows):
        call = made(number, rows)
        known = {team(call.operator)}
        for other, name in call.others.items():
            own_team = "" if team(name) in known else team(name)
            known.add(team(name))
            yield (
                call.id, other, name, microseconds(call.started_at), call.extension, call.operator, str(call.outcome),
                normalise_number(call.caller), normalise_number(call.called), team(call.operator), service(number),
                own_team,
            )  # fmt: skip


def identities(rows: int) -> Iterator[tuple[str | int, ...]]:
    """Yield what the table of further numbers holds, in the order of its columns."""
    for number in range(rows):
        call = made(number, rows)
        caller, called = normalise_number(call.caller), normalise_number(call.called)
        for other in dict.fromkeys(map(normalise_number, call.numbers)):
            if other not in (caller, called):
                yield (
                    call.id, other, microseconds(call.started_at), call.extension, call.operator, str(call.outcome),
                    caller, called, team(call.operator), service(number), other[::-1],
                )  # fmt: skip


def _template() -> list[str]:
    """Return a document in parts; a part that is a name stands for the call's own value."""
    at = FIRST + timedelta(hours=1)
    row = RecordingRow(
        id=RecordingId(f"{_MARK}id{_MARK}"),
        started_at=at,
        ended_at=at + timedelta(seconds=240),
        direction="inbound",
        extension=f"{_MARK}extension{_MARK}",
        operator=f"{_MARK}operator{_MARK}",
        service=f"{_MARK}service{_MARK}",
        caller=f"{_MARK}caller{_MARK}",
        called=f"{_MARK}called{_MARK}",
        outcome=Outcome.RECORDED,
        reason="ended",
        duration_s=240.0,
        recorded_s=180.0,
        paused_s=60.0,
        codecs=("PCMA", "PCMA"),
        notice=NoticeProof(id="first/1", sha256="ab" * 32, started_at=at, ended_at=at, complete=True, proof="heard"),
        segments=(
            Segment(start_s=0.0, end_s=120.0, kind=SegmentKind.RECORDING),
            Segment(start_s=120.0, end_s=180.0, kind=SegmentKind.PAUSED, reason="agent", by="Officer"),
            Segment(start_s=180.0, end_s=240.0, kind=SegmentKind.RECORDING),
        ),
        path="2026/11/25/72e3035e0bcaed93/20261125T034732Z-2001-2a8b58.rec",
        bytes=3_000_000,
        sha256="cd" * 32,
        retention_due=at + timedelta(days=90),
        operator_key="72e3035e0bcaed93",
    )
    lists = ("operators", "extensions", "numbers", "officers")
    names = ("started_at", "outcome", "team", "operators", "extensions", "numbers")
    fields = row_to_json(row) | {name: f"{_MARK}{name}{_MARK}" for name in names}
    fields["segments"][-1]["officers"] = f"{_MARK}officers{_MARK}"  # those whom it was handed to
    document = json.dumps(fields).replace(json.dumps(_MARK)[1:-1], _MARK)
    for name in lists:  # they are no texts, so without the quotes of one
        document = document.replace(f'"{_MARK}{name}{_MARK}"', f"{_MARK}{name}{_MARK}")
    return document.split(_MARK)
