"""A tap in plain Python: the reference that the media core must equal to the byte (docs/media-core.md).

Pure; used by tests, and as the readable form of the rules. One byte a tick: far too slow for calls. Times are
CLOCK_MONOTONIC nanoseconds and never go back.
"""

from dataclasses import dataclass, field

from audio.blocks import ClockAnchor, LostRange, Record
from audio.types import TICKS_PER_S, Channel, Codec
from tests.reference.blocks import encode_block
from tests.reference.gate import DOUBT, GUARD, PACKET, Arrivals, ClosedSpans, Span
from tests.reference.ring import Ring
from tests.reference.streams import Choice, Streams
from tests.reference.timeline import SETTLED, Placement, Timeline

MASK_MARGIN = 1600
"""Ticks silenced either side of a digit: 200 ms."""
ANCHOR_EVERY = TICKS_PER_S
"""Ticks between two anchors of a channel at least."""
MAX_ANCHORS = 32
"""Anchors of a channel that wait for a drain; further ones are dropped."""
FOREVER = 1 << 62
"""A position past every end."""
_NS_PER_TICK_NUMERATOR, _NS_PER_TICK_DENOMINATOR = 8, 1_000_000


@dataclass(slots=True)
class _Doubt:
    """A stream that may be late audio of the closed time.

    ``lead`` is its lead when the doubt began, ``best`` the best in the later half of the time to ``until``.
    """

    until: int
    lead: int
    best: int | None = None

    @property
    def has_sunk(self) -> bool:
        """Tell whether it has come more slowly than the call's clock goes, or not at all: it is held back still."""
        return self.best is None or self.best < self.lead - PACKET


@dataclass(slots=True)
class _Track:
    """One channel: its time line, its ring, its spans, and the anchors that wait for the next drain."""

    ring: Ring
    arrivals: Arrivals
    timeline: Timeline = field(default_factory=Timeline)
    streams: Streams = field(default_factory=Streams)
    spans: ClosedSpans = field(default_factory=ClosedSpans)
    closed_from: int = 0
    opened_at: int | None = None
    blocked_until: int = 0
    doubt: _Doubt | None = None
    anchors: list[ClockAnchor] = field(default_factory=list)
    best: tuple[int, ClockAnchor] | None = None
    anchored_here: int | None = None

    @property
    def carried(self) -> int:
        """Return how many ticks a packet carries from before its arrival."""
        return max(PACKET, self.timeline.longest)

    def write(self, position: int, payload: bytes, codec: Codec) -> bool:
        """Write what no span closes and nothing blocks; tells whether a byte of it was not there yet."""
        parts = self.spans.open_parts(max(position, self.blocked_until), position + len(payload))
        fresh = [self.ring.write(at, payload[at - position], codec) for start, end in parts for at in range(start, end)]
        return any(fresh)

    def erase(self, start: int, end: int) -> None:
        """Close a finished span and forget what the ring holds of it."""
        self.spans.add(start, end)
        self.ring.erase(start, end)

    def erase_arrived(self, arrived: list[Span], shut: int) -> None:
        """Close and forget what arrived at a time; positions from ``shut`` on are closed already."""
        for low, high in arrived:
            self.spans.add(low, min(high, shut))
            self.ring.erase(low, high)


class ReferenceTap:
    """The two channels of a recording, their gate, and what they still hold in memory."""

    def __init__(
        self,
        *,
        opened_ns: int,
        look_back_ticks: int,
        ring_ticks: int,
        mask_left_digits: bool = True,
        is_closed: bool = False,
        gather_ticks: int = 0,
    ) -> None:
        self._opened_ns = opened_ns
        self._look_back = look_back_ticks
        self._masks_digits = mask_left_digits
        self._gather = gather_ticks
        self._tracks = {channel: _Track(Ring(channel, ring_ticks), Arrivals(look_back_ticks)) for channel in Channel}
        self._is_closed = is_closed
        self._opened_gate_here: int | None = None
        self._closed_gate_here: int | None = None
        self._masked: tuple[int, int] | None = None

    def here(self, at_ns: int) -> int:
        """Return the position of a moment on the call's clock, ticks."""
        return (at_ns - self._opened_ns) * _NS_PER_TICK_NUMERATOR // _NS_PER_TICK_DENOMINATOR

    def receive(
        self,
        channel: Channel,
        *,
        ssrc: int,
        sequence: int,
        timestamp: int,
        payload: bytes,
        codec: Codec,
        arrival_ns: int,
    ) -> None:
        """Take one audio packet; an empty payload is no audio."""
        here = self.here(arrival_ns)
        track = self._tracks[channel]
        envelope = track.timeline.envelope(here)
        choice = track.streams.judge(ssrc, payload, codec, arrival_ns) if payload else Choice.SILENT
        if choice in {Choice.SILENT, Choice.BESIDE}:
            return
        placed = track.timeline.place(
            ssrc, sequence, timestamp, len(payload), here, has_returned=choice is Choice.RETURNED
        )
        if placed is None:
            return
        if not placed.is_new_epoch and placed.lead > envelope and placed.position < track.blocked_until:
            track.blocked_until += placed.lead - envelope  # the block was placed by an envelope that was too low
        self._doubt(track, placed, placed.position + len(payload), here)
        has_jumped = placed.is_new_epoch or placed.lead > envelope + PACKET
        if has_jumped and self._opened_gate_here is not None:
            self._block(track, self._opened_gate_here, here)
        self._mask_arriving(track, placed.position, len(payload), here, has_jumped=has_jumped)
        anchor = ClockAnchor(
            channel=channel,
            codec=codec,
            timestamp=timestamp,
            position=placed.position,
            arrival_ns=arrival_ns - self._opened_ns,
        )
        self._note_anchor(track, placed.lead, here, anchor)
        if self._is_closed:
            return
        if track.write(placed.position, payload, codec):
            track.arrivals.note(here, placed.position, placed.position + len(payload))

    def receive_event(self, *, ssrc: int, timestamp: int, duration: int, arrival_ns: int) -> None:
        """Take one RFC 4733 packet of the left channel: silences its span on both channels."""
        if not self._masks_digits:
            return
        here = self.here(arrival_ns)
        timeline = self._tracks[Channel.LEFT].timeline
        position = timeline.expect(ssrc, timestamp, here)
        start = here if position is None else position - timeline.envelope(here)
        self._mask(start - MASK_MARGIN, start + duration + MASK_MARGIN, here, is_placed=position is not None)

    def close(self, now_ns: int, erase_ticks: int) -> int:
        """Close the gate and erase; returns the position on the call's clock at which it took effect."""
        here = self.here(now_ns)
        if not self._is_closed:
            self._closed_gate_here = here
        for track in self._tracks.values():
            start = here + track.timeline.envelope(here) - erase_ticks
            if erase_ticks > track.arrivals.reach:
                start = min(start, track.ring.edge)
            start = max(start, 0)
            track.closed_from = min(start, track.closed_from) if self._is_closed else start
            track.ring.erase(track.closed_from, FOREVER)
            track.erase_arrived(track.arrivals.since(here - erase_ticks, here), track.closed_from)
        self._is_closed = True
        return max(here - erase_ticks, 0)

    def open(self, now_ns: int) -> int:
        """Open the gate; returns the position on the call's clock from which audio is kept again."""
        here = self.here(now_ns)
        if self._is_closed:
            self._is_closed = False
            self._opened_gate_here = here
            for track in self._tracks.values():
                timeline = track.timeline
                end = here + timeline.envelope(here) + track.carried + self._gather
                track.spans.add(track.closed_from, end)
                track.opened_at = end
                if self._is_unsettled(timeline, here):
                    self._block(track, here, here)
        return max(here + PACKET + self._gather, 0)

    def _is_unsettled(self, timeline: Timeline, here: int) -> bool:
        """Tell whether a clock began lately or while closed, or took another's place: how late it is nobody knows."""
        if timeline.began_here is None:
            return False
        is_since = self._closed_gate_here is None or timeline.began_here >= self._closed_gate_here
        return timeline.has_moved or (timeline.has_restarted and is_since) or timeline.began_here > here - SETTLED

    @staticmethod
    def _block(track: _Track, moment: int, here: int) -> None:
        """Write nothing on the channel until shortly after a moment: its envelope is not settled."""
        until = moment + track.timeline.envelope(here) + GUARD
        track.blocked_until = max(track.blocked_until, until)

    def _is_doubtful(self, track: _Track, placed: Placement) -> bool:
        """Tell whether a new epoch may be no step of its sender's clock, but late audio of the closed time."""
        if placed.former is None or not (self._is_closed or track.opened_at is not None):
            return False
        if placed.is_passed or track.doubt is not None:
            return True
        if placed.late is not None and placed.late <= GUARD - track.carried - self._gather:
            return False  # a step of its clock: if it is late after all, an opening blocks for longer
        limit = placed.position if self._is_closed or track.opened_at is None else track.opened_at
        return placed.former < limit

    def _doubt(self, track: _Track, placed: Placement, end: int, here: int) -> None:
        """Write nothing until the clock has gone as fast as the call's for DOUBT: what was held back comes faster."""
        doubt = track.doubt
        has_sunk = doubt is not None and here >= doubt.until and doubt.has_sunk
        if doubt is not None and here >= doubt.until and not has_sunk:
            doubt = track.doubt = None
        has_gained = doubt is not None and placed.lead > doubt.lead + PACKET
        if has_gained or has_sunk or self._is_doubtful(track, placed):
            track.doubt = _Doubt(here + DOUBT, placed.lead)
        elif doubt is not None and here >= doubt.until - DOUBT // 2:
            doubt.best = placed.lead if doubt.best is None else max(doubt.best, placed.lead)
        if track.doubt is not None:
            track.blocked_until = max(track.blocked_until, end)

    def mask(self, from_ticks: int, to_ticks: int, now_ns: int) -> None:
        """Silence [from_ticks, to_ticks) of the call's clock on both channels, for good."""
        self._mask(from_ticks, to_ticks, self.here(now_ns))

    def _mask(self, from_ticks: int, to_ticks: int, here: int, *, is_placed: bool = True) -> None:
        """Silence a span; not placed: it is not known where on its channel's time line it lies."""
        if to_ticks <= from_ticks:
            return
        self._begin_mask(from_ticks, to_ticks, here)
        more = self._ways_differ() if is_placed else GUARD
        first, last = from_ticks - more, to_ticks + more
        for track in self._tracks.values():
            timeline = track.timeline
            envelope = timeline.envelope(here)
            track.erase(first + envelope, last + envelope)
            shut = track.closed_from if self._is_closed else FOREVER
            track.erase_arrived(track.arrivals.since(first, here, last), shut)
            began = timeline.began_here
            if began is not None and timeline.has_restarted and (began >= first or began > here - SETTLED):
                self._block(track, to_ticks, here)

    def _ways_differ(self) -> int:
        """Return how far apart what arrives at one time may have been said, beyond what it was at first."""
        return GUARD if any(track.timeline.has_moved for track in self._tracks.values()) else 0

    def _begin_mask(self, from_ticks: int, to_ticks: int, here: int) -> None:
        """Go on masking what arrives; of masks that are not over yet, and what lies between them, one is made."""
        if self._masked is not None:
            start, end = self._masked
            from_ticks, to_ticks = min(start, from_ticks) if end > here else from_ticks, max(end, to_ticks)
        self._masked = from_ticks, to_ticks

    def _mask_arriving(self, track: _Track, position: int, length: int, here: int, *, has_jumped: bool) -> None:
        """Close what arrives in a mask, wherever its timestamp has put it, and a new clock's audio shortly after it."""
        if self._masked is None:
            return
        start, end = self._masked
        if has_jumped and here < end + GUARD:
            self._block(track, end, here)
        track.spans.add(position + max(start - here, 0), position + min(length, end - here))

    def drain(self, now_ns: int, *, is_final: bool = False) -> bytes:
        """Hand out, as one block, what is older than the look-back, or everything at the end."""
        here = self.here(now_ns)
        records: list[Record] = []
        for channel, track in self._tracks.items():
            young = track.arrivals.since(here - self._look_back + 1, here)
            edge = min([here + track.timeline.envelope(here) - self._look_back, *(low for low, _ in young)])
            if is_final:
                edge = track.timeline.next_pos
            edge = max(edge, track.ring.edge)
            records += self._lost_of(channel, track.ring)
            records += track.anchors
            records += track.ring.runs(edge)
            track.anchors.clear()
            track.ring.advance(edge)
            track.spans.drop_before(edge)
        return encode_block(records)

    @staticmethod
    def _lost_of(channel: Channel, ring: Ring) -> list[LostRange]:
        if ring.lost is None:
            return []
        low, high = ring.lost
        ring.lost = None
        return [LostRange(channel=channel, start=low, ticks=high - low)]

    @staticmethod
    def _note_anchor(track: _Track, lead: int, here: int, anchor: ClockAnchor) -> None:
        if anchor.position < 0:
            return
        if track.best is None or lead > track.best[0]:
            track.best = (lead, anchor)
        if track.anchored_here is None or here - track.anchored_here >= ANCHOR_EVERY:
            if len(track.anchors) < MAX_ANCHORS:
                track.anchors.append(track.best[1])
            track.best, track.anchored_here = None, here
