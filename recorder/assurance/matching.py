"""Matches calls of a PBX with recordings: by extension, number, start and length. Pure.

A PBX's clock may be wrong. So its offset is estimated first, from calls that fit one recording only; each recording
explains at most one call.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median

from recorder.assurance.call_records import end_of
from storage.assurance_types import ExpectedCall
from storage.types import RecordingId, RecordingRow

TOLERANCE = timedelta(seconds=60)
"""How far call and recording may be apart once the PBX's clock is corrected."""
FURTHEST_CLOCK = timedelta(minutes=15)
"""A clock further away than this is not recognised."""
MOST_HOURS = 14
"""Zones are no further apart than this, as far as one is taken for another by mistake."""
MOST_LOOKED_AT = 1000
"""Calls that tell a zone; more take long, and tell no more."""
FEWEST_FOR_CLOCK = 5
"""Fewer unambiguous calls tell no clock: it is taken as right."""


@dataclass(slots=True)
class Matches:
    """Calls with their recordings.

    Attributes:
        recordings: Recordings of each call, by its id, the best match first; empty if it has none.
        unmatched: Recordings that no call record explains.
        clock_s: How far each PBX's clock is ahead of the recorder's, seconds, negative if it is behind; only where
            enough calls tell.
    """

    recordings: dict[str, list[RecordingRow]] = field(default_factory=dict)
    unmatched: list[RecordingRow] = field(default_factory=list)
    clock_s: dict[str, float] = field(default_factory=dict)


def match(calls: Sequence[ExpectedCall], rows: Iterable[RecordingRow]) -> Matches:
    """Match calls with recordings; calls that a proxy sent round the recorders have none."""
    found = Matches(recordings={call.id: [] for call in calls})
    seen = [call for call in calls if not call.is_bypassed]
    book = _Book(rows)
    for pbx in sorted({call.pbx for call in seen}):
        clock_s = _clock_s([call for call in seen if call.pbx == pbx], book)
        if clock_s is not None:
            found.clock_s[pbx] = clock_s
    taken: set[RecordingId] = set()
    for _, _, _, row, call in sorted(_pairs(seen, book, found.clock_s), key=lambda pair: pair[:3]):
        if row.id not in taken and not found.recordings[call.id]:
            taken.add(row.id)
            found.recordings[call.id].append(row)
    for call in seen:
        found.recordings[call.id] += _further(call, book, taken, found.clock_s)
    found.unmatched = [row for row in book.rows if row.id not in taken]
    return found


def hours_off(calls: Sequence[ExpectedCall], rows: Iterable[RecordingRow]) -> int:
    """Return how many hours the times of a file are ahead because of a wrong time zone, negative if behind; 0 if right.

    Args:
        calls: Calls of the file.
        rows: Recordings of the same time and `MOST_HOURS` around it.
    """
    seen = [call for call in calls if call.number_end and not call.is_bypassed]
    seen, book = seen[:: 1 + len(seen) // MOST_LOOKED_AT], _Book(rows)

    def fitting(hours: int) -> int:
        ahead = timedelta(hours=hours)
        return sum(bool(book.near(call, call.answered_at - ahead, FURTHEST_CLOCK)) for call in seen)

    found = {hours: fitting(hours) for hours in sorted(range(-MOST_HOURS, MOST_HOURS + 1), key=abs)}
    best = max(found, key=found.__getitem__)
    return best if found[best] >= max(FEWEST_FOR_CLOCK, 4 * found[0], len(seen) / 2) else 0


class _Book:
    """Recordings by extension and time."""

    def __init__(self, rows: Iterable[RecordingRow]) -> None:
        self.rows = sorted(rows, key=lambda row: (row.started_at, row.id))
        self._by_extension: dict[str, list[RecordingRow]] = {}
        for row in self.rows:
            for extension in _extensions_of(row):
                self._by_extension.setdefault(extension, []).append(row)
        self._starts = {key: [row.started_at for row in found] for key, found in self._by_extension.items()}

    def near(self, call: ExpectedCall, at: datetime, within: timedelta) -> list[RecordingRow]:
        found: dict[RecordingId, RecordingRow] = {}
        for extension in call.extensions:
            starts = self._starts.get(extension, [])
            first, last = bisect_left(starts, at - within), bisect_right(starts, at + within)
            for row in self._by_extension.get(extension, [])[first:last]:
                if _number_rank(call, row) is not None:
                    found[row.id] = row
        return list(found.values())


def _clock_s(calls: Sequence[ExpectedCall], book: _Book) -> float | None:
    """Return how far a PBX's clock is ahead, seconds; None if too few calls tell."""
    near = {call.id: book.near(call, call.answered_at, FURTHEST_CLOCK) for call in calls if call.number_end}
    wanted: dict[RecordingId, int] = {}
    for rows in near.values():
        for row in rows:
            wanted[row.id] = wanted.get(row.id, 0) + 1
    found = [
        (call.answered_at - near[call.id][0].started_at).total_seconds()
        for call in calls
        if len(near.get(call.id, ())) == 1 and wanted[near[call.id][0].id] == 1
    ]
    return round(median(found), 1) if len(found) >= FEWEST_FOR_CLOCK else None


def _pairs(
    calls: Sequence[ExpectedCall], book: _Book, clock_s: Mapping[str, float]
) -> Iterable[tuple[int, float, tuple[str, str], RecordingRow, ExpectedCall]]:
    for call in calls:
        at = call.answered_at - timedelta(seconds=clock_s.get(call.pbx, 0.0))
        for row in book.near(call, at, TOLERANCE):
            apart_s = abs((row.started_at - at).total_seconds()) + abs(row.duration_s - call.talk_s) / 10
            yield _number_rank(call, row) or 0, apart_s, (call.id, row.id), row, call


def _further(
    call: ExpectedCall, book: _Book, taken: set[RecordingId], clock_s: Mapping[str, float]
) -> list[RecordingRow]:
    """Take the recordings of later parts of a call.

    A transfer inside the PBX passes the recorder again; and a recorder behind the PBX sees a call only when an agent
    answers it, which may be long after the PBX did.
    """
    at = call.answered_at - timedelta(seconds=clock_s.get(call.pbx, 0.0))
    length = timedelta(seconds=call.talk_s)
    found = [
        row
        for row in book.near(call, at + length / 2, length / 2)
        if row.id not in taken and row.started_at >= at and _number_rank(call, row) == 0
    ]
    taken.update(row.id for row in found)
    return found


def _extensions_of(row: RecordingRow) -> set[str]:
    of_segments = {one.extension for segment in row.segments for one in segment.officers}
    return {row.extension, *row.extensions, *of_segments} - {""}


def _number_rank(call: ExpectedCall, row: RecordingRow) -> int | None:
    """Return 0 if the numbers agree, 1 if one of them is unknown, None if they contradict each other."""
    ends = {end for number in (row.caller, row.called, *row.numbers) if (end := end_of(number))}
    ends -= {end_of(extension) for extension in call.extensions}
    if call.number_end and call.number_end in ends:
        return 0
    return 1 if not call.number_end or not ends else None
