"""Decides which part of a call belongs to which officer and team (P12, P13). Pure.

Ownership is judged for each segment, not for the whole call. This module alone says what a person may ask to hear of a
call, what of its row they see, and what is silenced for them; console, API and command line use it.

A segment in which nothing was recorded gives nobody a right to hear. Rows of older versions name an officer for each
segment but a team only for the extension that the call began with, so they give rights by that much and no more. Team
leader and data protection officer may ask for any call.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from recorder.permissions import Actor, Person, Role
from recorder.rules.authorisation import knows_all, operator_for
from recorder.rules.spans import US, Span, Spans, common, in_seconds, length_of, merged, rest_of, span_of
from storage.types import Channels, Officer, RecordingRow, Redaction, Segment, SegmentKind

LEAST_US = US // 10
"""Shortest stretch that counts as a part, microseconds; a page shows less as 0.0 s.

A PBX that renames the party who answered leaves such a stretch to the officer who was dialled.
"""
TAIL_US = 60 * US
"""How far a withheld span at the end reaches beyond it: a channel's clock may run ahead of the call's."""
ROUNDED_US = US // 1000
"""Rounding of a row's length, microseconds; the ends of its segments are finer."""
WITHHELD = "It is not part of the access grant of the person who made this copy."
"""The reason for this silence on the cover sheet of a copy."""
_PEAKS_A_S = 10


def may_hear(person: Person, row: RecordingRow, *, is_as_member: bool = False) -> Spans | None:
    """Return the spans of a call that a person may ask to hear; None for all of it, empty for nothing.

    Args:
        person: Who asks.
        row: The call.
        is_as_member: Whether they ask on a ground that only elected members have (P15), which covers a whole call.
    """
    if person.roles & {Role.TEAM_LEADER, Role.DPO} or (is_as_member and Role.MEMBER in person.roles):
        return None
    return merged(
        stretch
        for is_theirs in _relations(person)
        for stretch, recorded_us in _stretches(row, is_theirs)
        if recorded_us >= LEAST_US
    )


def officers_on(row: RecordingRow) -> tuple[frozenset[str], frozenset[str]]:
    """Return the officers and the teams whose part of the call was long enough to count.

    If nothing was recorded, they are those that the row names.
    """
    named = frozenset((row.operator, *row.operators)) - {""}
    if not any(segment.officers for segment in row.segments):
        short = {one.operator for _, officers in _segments(row) for one in officers} - _counted(
            row, lambda one: one.operator
        )
        return named - short, frozenset({row.team}) - {""}
    return _counted(row, lambda one: one.operator), _counted(row, lambda one: one.team)


def owners_of(row: RecordingRow, start_s: float, end_s: float) -> tuple[frozenset[str], str]:
    """Return the officers of a span of a call, and its team; "" if there are several or it is unknown."""
    span = (span_of(start_s, end_s),)
    officers = {one for segment, officers in _segments(row) if common((_span(segment),), span) for one in officers}
    teams = {one.team for one in officers}
    return frozenset(one.operator for one in officers) - {""}, teams.pop() if len(teams) == 1 else ""


def officers_throughout(row: RecordingRow, start_s: float, end_s: float) -> frozenset[str]:
    """Return the officers whose call it was during all of a span, as far as it was recorded."""
    span = (span_of(start_s, end_s),)
    found = [
        {one.operator for one in officers}
        for segment, officers in _segments(row)
        if segment.kind is SegmentKind.RECORDING and common((_span(segment),), span)
    ]
    if not found:
        return owners_of(row, start_s, end_s)[0]
    return frozenset.intersection(*map(frozenset, found)) - {""}


def relation(actor: Actor, row: RecordingRow) -> tuple[str, str]:
    """Return the operator and the team to judge a call by for an actor: their own if they had a part in it.

    Use the result for `recorder.rules.authorisation.may`.
    """
    operators, teams = officers_on(row)
    own = sorted(teams.intersection(actor.teams)) if isinstance(actor, Person) else []
    first = row.operator if row.operator in operators else ""
    return operator_for(actor, first, operators), own[0] if own else row.team if row.team in teams else ""


def seen_by(actor: Actor, row: RecordingRow, heard: Spans | None = ()) -> Spans | None:
    """Return the part of a row that an actor is shown; None for all of it.

    Args:
        actor: Who.
        row: The call.
        heard: What they may hear by an access grant: nothing by default, None for all of it.
    """
    if not isinstance(actor, Person) or heard is None or knows_all(actor):
        return None
    if not row.segments and row.path is None:
        return None
    own = (stretch for is_theirs in _relations(actor) for stretch, _ in _stretches(row, is_theirs))
    return merged([*(one for one in own if one[1] - one[0] >= LEAST_US), *heard])


def narrowed(row: RecordingRow, seen: Spans | None) -> RecordingRow:
    """Return a row as it is shown to an actor who sees only a part; None for all of it.

    The other parts become ``withheld`` segments without officer, reason and peaks. Only officers of the part are named.
    """
    hidden = () if seen is None else rest_of(seen, _length_us(row))
    if seen is None or not hidden:
        return row
    shown = [part for segment in row.segments for part in _within(segment, seen)]
    segments = sorted([*shown, *(_withheld(span) for span in hidden)], key=lambda one: one.start_s)
    left, right = (_blanked(peaks, hidden) for peaks in row.peaks)
    theirs = [one for segment, officers in _segments(row) if common((_span(segment),), seen) for one in officers]
    operators = tuple(dict.fromkeys(one.operator for one in theirs if one.operator))
    extensions = tuple(dict.fromkeys(one.extension for one in theirs if one.extension))
    first = row.operator if row.operator in operators else "".join(operators[:1])
    return replace(
        row, operator=first, operators=operators, extensions=extensions, segments=tuple(segments), peaks=(left, right),
        participants=tuple(one for one in row.participants if one.extension in ("", *extensions)),
    )  # fmt: skip


def silenced(row: RecordingRow, heard: Spans | None) -> tuple[Redaction, ...]:
    """Return the spans to silence for an actor who may hear part of a call; ``heard`` None means all of it."""
    if heard is None:
        return ()
    end = _length_us(row)
    is_to_the_end = bool(heard) and heard[-1][1] >= end  # then the tail is theirs too
    return tuple(
        Redaction(start_s=start_s, end_s=end_s, channels=Channels.BOTH, reason=WITHHELD)
        for start_s, end_s in in_seconds(rest_of(heard, end if is_to_the_end else end + TAIL_US))
    )


def withheld_of(row: RecordingRow, heard: Spans | None) -> list[tuple[float, float]]:
    """Return the spans that an actor does not hear, seconds, as a page shows them."""
    return [] if heard is None else in_seconds(rest_of(heard, _length_us(row)))


def is_silent(heard: Spans | None, start_s: float, end_s: float) -> bool:
    """Tell whether nothing of a span may be heard."""
    return heard is not None and not common(heard, (span_of(start_s, end_s),))


def is_part(row: RecordingRow) -> bool:
    """Tell whether a row, as it is shown, leaves out parts of the call."""
    return any(segment.kind is SegmentKind.WITHHELD for segment in row.segments)


def is_withheld(row: RecordingRow, start_s: float, end_s: float | None) -> bool:
    """Tell whether a span is withheld in a row as it is shown; ``end_s`` None is the end of the call."""
    hidden = merged(_span(one) for one in row.segments if one.kind is SegmentKind.WITHHELD)
    span = span_of(start_s, _length_us(row) / US if end_s is None else end_s)
    return bool(hidden) and common(hidden, (span,)) == (span,)


def whole_for(row: RecordingRow, heard: Spans | None) -> Spans | None:
    """Return the spans that may be heard, or None if they are the whole call."""
    if not heard:  # an empty span is never a whole call, however short
        return heard
    return heard if rest_of(heard, _length_us(row)) else None


# --- owners of a segment


def _segments(row: RecordingRow) -> Iterator[tuple[Segment, tuple[Officer, ...]]]:
    """Yield each segment with the officers it belongs to, as far as the row says."""
    if row.segments and any(segment.officers or segment.operator for segment in row.segments):
        for segment in row.segments:
            yield segment, segment.officers or _before(row, segment)
        return
    lone = all(
        len({*names} - {""}) <= 1 for names in ((row.operator, *row.operators), (row.extension, *row.extensions))
    )
    officers = (Officer(extension=row.extension, operator=row.operator, team=row.team),) if lone else ()
    kept = Segment(start_s=0.0, end_s=row.duration_s, kind=SegmentKind.RECORDING)
    for segment in row.segments or ((kept,) if row.path is not None else ()):
        yield segment, officers


def _before(row: RecordingRow, segment: Segment) -> tuple[Officer, ...]:
    """Return the officers of a segment of an older version, which knew the team of the first extension only."""
    if not segment.operator:
        return ()
    team = row.team if segment.extension == row.extension else ""
    return (Officer(extension=segment.extension, operator=segment.operator, team=team),)


def _relations(person: Person) -> list[Callable[[Officer], bool]]:
    """Return tests for whether an officer's segment belongs to a person: by name, or by their teams."""
    found: list[Callable[[Officer], bool]] = []
    if Role.OFFICER in person.roles:
        found.append(lambda one: one.operator == person.display_name)
    if Role.MANAGER in person.roles:
        found.append(lambda one: one.team != "" and one.team in person.teams)
    return found


def _stretches(row: RecordingRow, is_theirs: Callable[[Officer], bool]) -> list[tuple[Span, int]]:
    """Return the stretches of a call that belong to a person, and the recorded length in each, microseconds."""
    theirs = [segment for segment, officers in _segments(row) if any(map(is_theirs, officers))]
    recorded = merged(_span(segment) for segment in theirs if segment.kind is SegmentKind.RECORDING)
    return [(one, length_of(common(recorded, (one,)))) for one in merged(map(_span, theirs))]


def _counted(row: RecordingRow, name_of: Callable[[Officer], str]) -> frozenset[str]:
    """Return the names whose part of the call was long enough to count."""
    names = {name_of(one) for _, officers in _segments(row) for one in officers} - {""}

    def is_long(name: str) -> bool:
        stretches = _stretches(row, lambda one: name_of(one) == name)
        return any(end - start >= LEAST_US for (start, end), _ in stretches)

    return frozenset(filter(is_long, names))


def _span(segment: Segment) -> Span:
    return span_of(segment.start_s, segment.end_s)


def _length_us(row: RecordingRow) -> int:
    length_us = span_of(0, row.duration_s)[1]
    ended_us = max((span_of(0, segment.end_s)[1] for segment in row.segments), default=length_us)
    # Less than a millisecond after the last segment is rounding of the row's length and belongs to nobody.
    return ended_us if length_us - ended_us < ROUNDED_US else length_us


# --- what is shown of a row


def _within(segment: Segment, seen: Spans) -> Iterable[Segment]:
    parts = in_seconds(common((_span(segment),), seen))
    return (replace(segment, start_s=start_s, end_s=end_s) for start_s, end_s in parts)


def _withheld(span: Span) -> Segment:
    ((start_s, end_s),) = in_seconds((span,))
    return Segment(start_s=start_s, end_s=end_s, kind=SegmentKind.WITHHELD)


def _blanked(peaks: bytes, hidden: Spans) -> bytes:
    """Return peaks with 0 in every tenth of a second that is hidden in part."""
    blank, slot_us = bytearray(peaks), US // _PEAKS_A_S
    for start, end in hidden:
        first, upto = start // slot_us, min(-(-end // slot_us), len(blank))
        blank[first:upto] = bytes(max(upto - first, 0))
    return bytes(blank)
