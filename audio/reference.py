"""A tap in plain Python: the reference that the media core must equal to the byte (docs/media-core.md).

Pure; used by tests, and as the readable form of the rules. One byte a tick: far too slow for calls. Times are
CLOCK_MONOTONIC nanoseconds and never go back.
"""

from dataclasses import dataclass, field

from audio.blocks import Anchor, LostRange, Record, encode_block
from audio.gate import Gate, Pair
from audio.ring import Ring
from audio.timeline import Timeline
from audio.types import TICKS_PER_S, Channel, Codec

MASK_MARGIN = 1600
"""Ticks silenced either side of a digit: 200 ms."""
ANCHOR_EVERY = TICKS_PER_S
"""Ticks between two anchors of a channel at least."""
_NS_PER_TICK_NUMERATOR, _NS_PER_TICK_DENOMINATOR = 8, 1_000_000


@dataclass(slots=True)
class _Track:
    """One channel: its time line, its ring, and the anchors that wait for the next drain."""

    ring: Ring
    timeline: Timeline = field(default_factory=Timeline)
    anchors: list[Anchor] = field(default_factory=list)
    best: tuple[int, Anchor] | None = None
    anchored_here: int | None = None


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
    ) -> None:
        self._opened_ns = opened_ns
        self._look_back = look_back_ticks
        self._masks_digits = mask_left_digits
        self._tracks = {channel: _Track(Ring(channel, ring_ticks)) for channel in Channel}
        self._gate = Gate()
        if is_closed:
            self._gate.close(0, (0, 0), 0)

    def here(self, at_ns: int) -> int:
        """Return the position of a moment on the call's clock, ticks."""
        return (at_ns - self._opened_ns) * _NS_PER_TICK_NUMERATOR // _NS_PER_TICK_DENOMINATOR

    def receive(
        self, channel: Channel, *, ssrc: int, timestamp: int, payload: bytes, codec: Codec, arrival_ns: int
    ) -> None:
        """Take one audio packet; an empty payload is no audio."""
        here = self.here(arrival_ns)
        track = self._tracks[channel]
        placed = track.timeline.place(ssrc, timestamp, len(payload), here) if payload else None
        if placed is None:
            return
        if placed.is_new_epoch:
            self._gate.begin_epoch(channel, here)
        self._note_anchor(
            track,
            placed.lead,
            here,
            Anchor(
                channel=channel,
                codec=codec,
                timestamp=timestamp,
                position=placed.position,
                arrival_ns=arrival_ns - self._opened_ns,
            ),
        )
        for offset, value in enumerate(payload):
            if self._gate.is_writable(channel, placed.position + offset):
                track.ring.write(placed.position + offset, value, codec)

    def receive_event(self, *, ssrc: int, timestamp: int, duration: int, arrival_ns: int) -> None:
        """Take one RFC 4733 packet of the left channel: silences its span on both channels."""
        if not self._masks_digits:
            return
        here = self.here(arrival_ns)
        timeline = self._tracks[Channel.LEFT].timeline
        position = timeline.expect(ssrc, timestamp, here)
        start = here if position is None else position - timeline.envelope(here)
        self._mask(start - MASK_MARGIN, start + duration + MASK_MARGIN, here)

    def close(self, now_ns: int, erase_ticks: int) -> int:
        """Close the gate and erase; returns the position on the call's clock at which it took effect."""
        here = self.here(now_ns)
        span = self._gate.close(here, self._envelopes(here), erase_ticks)
        for channel, track in self._tracks.items():
            track.ring.erase(span.start[channel], span.end[channel])
        return max(here - erase_ticks, 0)

    def open(self, now_ns: int) -> int:
        """Open the gate; returns the position on the call's clock from which audio is kept again."""
        here = self.here(now_ns)
        self._gate.open(here, self._envelopes(here))
        return here + 160

    def mask(self, from_ticks: int, to_ticks: int, now_ns: int) -> None:
        """Silence [from_ticks, to_ticks) of the call's clock on both channels, for good."""
        self._mask(from_ticks, to_ticks, self.here(now_ns))

    def _mask(self, from_ticks: int, to_ticks: int, here: int) -> None:
        envelopes = self._envelopes(here)
        start = (from_ticks + envelopes[0], from_ticks + envelopes[1])
        span = self._gate.mask(start, (to_ticks + envelopes[0], to_ticks + envelopes[1]))
        for channel, track in self._tracks.items():
            track.ring.erase(span.start[channel], span.end[channel])

    def drain(self, now_ns: int, *, is_final: bool = False) -> bytes:
        """Hand out, as one block, what is older than the look-back, or everything at the end."""
        here = self.here(now_ns)
        records: list[Record] = []
        for channel, track in self._tracks.items():
            edge = here + track.timeline.envelope(here) - self._look_back
            if is_final:
                edge = track.timeline.next_pos
            edge = max(edge, track.ring.edge)
            records += self._lost_of(channel, track.ring)
            records += track.anchors
            records += track.ring.runs(edge)
            track.anchors.clear()
            track.ring.advance(edge)
        self._gate.forget((self._tracks[Channel.LEFT].ring.edge, self._tracks[Channel.RIGHT].ring.edge))
        return encode_block(records)

    @staticmethod
    def _lost_of(channel: Channel, ring: Ring) -> list[LostRange]:
        if ring.lost is None:
            return []
        low, high = ring.lost
        ring.lost = None
        return [LostRange(channel=channel, start=low, ticks=high - low)]

    @staticmethod
    def _note_anchor(track: _Track, lead: int, here: int, anchor: Anchor) -> None:
        if track.best is None or lead > track.best[0]:
            track.best = (lead, anchor)
        if track.anchored_here is None or here - track.anchored_here >= ANCHOR_EVERY:
            track.anchors.append(track.best[1])
            track.best, track.anchored_here = None, here

    def _envelopes(self, here: int) -> Pair:
        left, right = self._tracks[Channel.LEFT], self._tracks[Channel.RIGHT]
        return left.timeline.envelope(here), right.timeline.envelope(here)
