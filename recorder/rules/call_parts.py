"""Which part of a call is whose: the officer and the team are those of the segment, not of the call (P12, P13). Pure.

The one place that says what somebody may ask to hear of a call, what of its row they are shown, and what is silent for
them. Console, API and command line ask here.

A segment counts for nobody in whose time nothing was recorded. A row of a version that did not note officers with each
segment gives rights by what it does say: its segments name an officer each, and the team of the row is that of the
extension that the call began with. What it does not say gives no officer and no manager a right; team leader and data
protection officer may ask for any call.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from recorder.permissions import Actor, Person, Role
from recorder.rules.authorisation import knows_all, operator_for
from recorder.rules.spans import US, Span, Spans, common, in_seconds, length_of, merged, rest_of, span_of
from storage.types import Channels, Officer, RecordingRow, Redaction, Segment, SegmentKind

LEAST_US = US // 10
"""A stretch of a call counts from here on: a page shows less as 0.0 s. A PBX that renames the party who answered leaves
such a stretch of the officer who was dialled."""
TAIL_US = 60 * US
"""What is withheld up to the end goes so far beyond it: a channel's clock may run ahead of the call's."""
ROUNDED_US = US // 1000
"""To which the length of a row is rounded; the ends of its segments are finer."""
WITHHELD = "It is not part of what was granted to whoever made this copy."
"""What the cover sheet says of what is silent for that reason."""
_PEAKS_A_S = 10


def may_hear(person: Person, row: RecordingRow, *, is_as_member: bool = False) -> Spans | None:
    """Return what somebody may ask to hear of a call; None is all of it, and no span is nothing.

    Args:
        person: Who.
        row: The call.
        is_as_member: Whether they ask on a ground that elected members alone have (P15), which is about a whole call.
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
    """Return the officers and the teams whose call it was: whose part was long enough to be one.

    A call of which nothing was recorded is theirs whom its row names.
    """
    named = frozenset((row.operator, *row.operators)) - {""}
    if not any(segment.officers for segment in row.segments):
        short = {one.operator for _, officers in _segments(row) for one in officers} - _counted(
            row, lambda one: one.operator
        )
        return named - short, frozenset({row.team}) - {""}
    return _counted(row, lambda one: one.operator), _counted(row, lambda one: one.team)


def owners_of(row: RecordingRow, start_s: float, end_s: float) -> tuple[frozenset[str], str]:
    """Return the officers of a span of a call, and its team; "" where it is of several, or not known."""
    span = (span_of(start_s, end_s),)
    officers = {one for segment, officers in _segments(row) if common((_span(segment),), span) for one in officers}
    teams = {one.team for one in officers}
    return frozenset(one.operator for one in officers) - {""}, teams.pop() if len(teams) == 1 else ""


def officers_throughout(row: RecordingRow, start_s: float, end_s: float) -> frozenset[str]:
    """Return the officers whose call it was in all of a span, as far as something is recorded in it yet."""
    span = (span_of(start_s, end_s),)
    found = [
        {one.operator for one in officers}
        for segment, officers in _segments(row)
        if segment.kind is SegmentKind.RECORDING and common((_span(segment),), span)
    ]
    if not found:  # there is nothing to be taken from anybody
        return owners_of(row, start_s, end_s)[0]
    return frozenset.intersection(*map(frozenset, found)) - {""}


def relation(actor: Actor, row: RecordingRow) -> tuple[str, str]:
    """Return the operator and the team of a call for somebody: their own if they have a part in it.

    For `recorder.rules.authorisation.may`, which compares them with the account.
    """
    operators, teams = officers_on(row)
    own = sorted(teams.intersection(actor.teams)) if isinstance(actor, Person) else []
    first = row.operator if row.operator in operators else ""
    return operator_for(actor, first, operators), own[0] if own else row.team if row.team in teams else ""


def seen_by(actor: Actor, row: RecordingRow, heard: Spans | None = ()) -> Spans | None:
    """Return which part of a row somebody is shown; None is all of it.

    Args:
        actor: Who.
        row: The call.
        heard: What they may hear by leave: none by default, None is all of it.
    """
    if not isinstance(actor, Person) or heard is None or knows_all(actor):
        return None
    if not row.segments and row.path is None:
        return None  # nothing was recorded, so that there are no parts
    own = (stretch for is_theirs in _relations(actor) for stretch, _ in _stretches(row, is_theirs))
    return merged([*(one for one in own if one[1] - one[0] >= LEAST_US), *heard])


def narrowed(row: RecordingRow, seen: Spans | None) -> RecordingRow:
    """Return a row as it is shown to somebody who is shown a part of it; None is all of it.

    Other parts are ``withheld`` segments, without officer, reason and peaks, and only officers of the part are named.
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
    """Return what is silent for somebody who may hear a part of a call; None is all of it."""
    if heard is None:
        return ()
    end = _length_us(row)
    is_to_the_end = bool(heard) and heard[-1][1] >= end  # what comes after it is theirs too
    return tuple(
        Redaction(start_s=start_s, end_s=end_s, channels=Channels.BOTH, reason=WITHHELD)
        for start_s, end_s in in_seconds(rest_of(heard, end if is_to_the_end else end + TAIL_US))
    )


def withheld_of(row: RecordingRow, heard: Spans | None) -> list[tuple[float, float]]:
    """Return what somebody does not hear of a call, seconds, as a page says it."""
    return [] if heard is None else in_seconds(rest_of(heard, _length_us(row)))


def is_silent(heard: Spans | None, start_s: float, end_s: float) -> bool:
    """Tell whether nothing of a span may be heard."""
    return heard is not None and not common(heard, (span_of(start_s, end_s),))


def is_part(row: RecordingRow) -> bool:
    """Tell whether a row, as it is shown, is without parts of the call."""
    return any(segment.kind is SegmentKind.WITHHELD for segment in row.segments)


def is_withheld(row: RecordingRow, start_s: float, end_s: float | None) -> bool:
    """Tell whether a span lies in what is withheld of a row as it is shown; an end of None is that of the call."""
    hidden = merged(_span(one) for one in row.segments if one.kind is SegmentKind.WITHHELD)
    span = span_of(start_s, _length_us(row) / US if end_s is None else end_s)
    return bool(hidden) and common(hidden, (span,)) == (span,)


def whole_for(row: RecordingRow, heard: Spans | None) -> Spans | None:
    """Return what may be heard, None where that is all of the call."""
    if not heard:  # nothing is never all of a call, however short
        return heard
    return heard if rest_of(heard, _length_us(row)) else None


# --- whose a segment is


def _segments(row: RecordingRow) -> Iterator[tuple[Segment, tuple[Officer, ...]]]:
    """Yield each segment with whose it was, as far as the row says."""
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
    """Return whose a segment was that a version before wrote: its team is known of the first extension only."""
    if not segment.operator:
        return ()
    team = row.team if segment.extension == row.extension else ""
    return (Officer(extension=segment.extension, operator=segment.operator, team=team),)


def _relations(person: Person) -> list[Callable[[Officer], bool]]:
    """Return how a segment can be somebody's: their own, or of a team of theirs."""
    found: list[Callable[[Officer], bool]] = []
    if Role.OFFICER in person.roles:
        found.append(lambda one: one.operator == person.display_name)
    if Role.MANAGER in person.roles:
        found.append(lambda one: one.team != "" and one.team in person.teams)
    return found


def _stretches(row: RecordingRow, is_theirs: Callable[[Officer], bool]) -> list[tuple[Span, int]]:
    """Return the stretches of a call that are somebody's, and how long something was recorded in each."""
    theirs = [segment for segment, officers in _segments(row) if any(map(is_theirs, officers))]
    recorded = merged(_span(segment) for segment in theirs if segment.kind is SegmentKind.RECORDING)
    return [(one, length_of(common(recorded, (one,)))) for one in merged(map(_span, theirs))]


def _counted(row: RecordingRow, name_of: Callable[[Officer], str]) -> frozenset[str]:
    """Return the names of those whose part of a call was long enough to be one."""
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
    # What is less than a millisecond behind the last segment is the rounding of the row's length, and nobody's part.
    return ended_us if length_us - ended_us < ROUNDED_US else length_us


# --- what is shown of a row


def _within(segment: Segment, seen: Spans) -> Iterable[Segment]:
    parts = in_seconds(common((_span(segment),), seen))
    return (replace(segment, start_s=start_s, end_s=end_s) for start_s, end_s in parts)


def _withheld(span: Span) -> Segment:
    ((start_s, end_s),) = in_seconds((span,))
    return Segment(start_s=start_s, end_s=end_s, kind=SegmentKind.WITHHELD)


def _blanked(peaks: bytes, hidden: Spans) -> bytes:
    """Return peaks with 0 in every tenth of a second of which something is hidden."""
    blank, slot_us = bytearray(peaks), US // _PEAKS_A_S
    for start, end in hidden:
        first, upto = start // slot_us, min(-(-end // slot_us), len(blank))
        blank[first:upto] = bytes(max(upto - first, 0))
    return bytes(blank)
