"""What was kept of a call, compared with what was said: leaks, edges, and whether what must be kept was.

Every stored byte must be explained by a frame that was sent and was not secret. Nothing here asks the recorder what it
did: times are the parties' own, from when something was asked for and when it was known to be done.
"""

import itertools
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from storage.format import FrameType
from storage.reader import RecordingReader
from storage.runs import AUDIO, parse
from tests.leak.media import TICKS, Band, Frame, Voice
from tests.leak.plan import RESTARTS
from tests.leak.ring import Ring
from tests.leak.search import Finder
from tests.reference.rtp import ticks_between

EDGE_S = 0.020
STAMP_S = 0.003
"""A packet's arrival is stamped up to 2 ms late while packets gather; a millisecond is ours."""
GUARD_S = 0.2
"""How long after an opening a stream that has just begun is not trusted."""
NEW_CLOCK, BY_ARRIVAL, LONG_PACKETS, BUSY = ", new clock", ", late arrivals", ", 30 ms", ", busy machine"
UNHEARD = ", new clock of a side that was not heard"
DOUBT_S = 0.7
"""How long a stream is not trusted whose clock has stepped back while it was not heard: a network that held its packets
back would look the same, and those would be of the closed time."""
AROUND_S = 0.1
"""How far from an edge a stall of the machine still moves it."""
LATE_ARRIVALS = ("out_of_order", "frozen")
"""Moments in which a packet may arrive long after it was spoken: what arrived within the erased time goes with it."""
_CELL = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """Something that must not be there.

    Attributes:
        sink: Where it was found.
        what: What it is, in words.
        offset: Byte of the sink's data, or position on the channel.
        length: Samples or digits.
    """

    sink: str
    what: str
    offset: int
    length: int


@dataclass(slots=True)
class Verdict:
    """What came of a call.

    Attributes:
        name: The call, as a failure names it.
        leaks: What was found.
        faults: What else is wrong.
        edges: Distance, seconds, of what was kept last before a pause and first after it, by kind of edge; below zero
            more was taken than had to be, above zero less.
        excused_s: Secrets said after the act was asked for but before it was known, per channel, that were kept.
        owed_s: Secrets said, both channels, of which nothing may be there.
        kept_s: Ordinary audio found.
    """

    name: str
    leaks: list[Leak] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    edges: list[tuple[str, float]] = field(default_factory=list)
    excused_s: float = 0.0
    owed_s: float = 0.0
    kept_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a frame that was kept: at ``position``, ``length`` samples from ``start`` of the frame on."""

    position: int
    frame: Frame
    start: int
    length: int


@dataclass(slots=True)
class Channel:
    """One channel of a recording: payload with gaps closed, and where each part of it stands."""

    data: bytearray = field(default_factory=bytearray)
    parts: list[tuple[int, int, int]] = field(default_factory=list)
    """Offset in ``data``, position, length."""


def channels_of(reader: RecordingReader) -> tuple[Channel, Channel, list[tuple[str, bytes]]]:
    """Return both channels, and every opened frame with its kind."""
    channels, frames = (Channel(), Channel()), []
    for kind, plain in reader.frames():
        frames.append((kind.name.lower(), plain))
        if kind is not FrameType.AUDIO:
            continue
        for run in parse(plain):
            if run.kind == AUDIO:
                channel = channels[run.channel]
                channel.parts.append((len(channel.data), run.start, run.length))
                channel.data += run.payload
    return (*channels, frames)


class _Sent:
    """A voice's ordinary and fringe frames, found by any eight samples of them."""

    def __init__(self, voice: Voice) -> None:
        self._cells: dict[bytes, tuple[Frame, int]] = {}
        for frame in voice.frames:
            if frame.band in (Band.ORDINARY, Band.FRINGE):
                for start in range(0, frame.length, _CELL):
                    self._cells[frame.payload[start : start + _CELL]] = (frame, start)

    def pieces(self, data: bytes, position: int) -> Iterator[Piece | tuple[int, int]]:
        """Yield what data at a position is made of; what is not explained as (offset, length)."""
        at, unknown = 0, -1
        while at < len(data):
            found = self._at(data, at)
            if found is None:
                unknown = at if unknown < 0 else unknown
                at += 1
                continue
            if unknown >= 0:
                yield unknown, at - unknown
                unknown = -1
            yield Piece(position + at, *found)
            at += found[2]
        if unknown >= 0:
            yield unknown, at - unknown

    def _at(self, data: bytes, at: int) -> tuple[Frame, int, int] | None:
        for shift in range(_CELL):
            known = self._cells.get(data[at + shift : at + shift + _CELL])
            if known is None:
                continue
            frame, start = known[0], known[1] - shift
            if start < 0 or data[at : at + shift] != frame.payload[start : start + shift]:
                continue
            length = min(frame.length - start, len(data) - at)
            while data[at : at + length] != frame.payload[start : start + length]:
                length -= 1
            return frame, start, length
        # The last few of a run, fewer than a cell: they must end a frame's beginning or begin its end.
        return None


def judge(ring: Ring, reader: RecordingReader | None, finder: Finder) -> Verdict:
    """Compare a call with its recording; ``reader`` None when nothing was kept."""
    verdict = Verdict(name=ring.plan.name)
    if ring.error is not None:
        verdict.faults.append(ring.error)
    for voice in ring.voices:
        secrets = [frame for frame in voice.frames if frame.band is Band.SECRET]
        verdict.owed_s += sum(_overlap(voice, frame, *span) for span in _owed(ring) for frame in secrets)
    if reader is None:
        return verdict
    left, right, frames = channels_of(reader)
    for voice, channel, side in ((ring.left, left, "left"), (ring.right, right, "right")):
        _judge_channel(ring, voice, channel, f"container, {side}", verdict, finder)
    for kind, plain in frames:
        if kind != "audio":
            verdict.leaks += [
                Leak(sink=f"container, {kind}", what=hit.form, offset=hit.offset, length=hit.length)
                for hit in finder.find(plain)
            ]
            _digits_in(json.loads(plain), ring, verdict, kind)
    return verdict


def _digits_in(fields: object, ring: Ring, verdict: Verdict, kind: str) -> None:
    digits = ring.plan.digits
    if len(digits) >= 6 and digits in json.dumps(fields):
        verdict.leaks.append(
            Leak(sink=f"container, {kind}", what="the digits that were keyed", offset=0, length=len(digits))
        )


def _owed(ring: Ring) -> list[tuple[float, float]]:
    """Return the spans, by capture, of which secrets must not be kept; nothing is owed before an act is known."""
    if ring.trigger is None:
        return ring.digit_spans()
    if ring.closed is None:
        return []
    until_s = ring.opened.asked_s if ring.opened else float("inf")
    if ring.plan.moment == "early" and not ring.was_overtaken:
        return [(float("-inf"), until_s)]
    return [(ring.closed.done_s - ring.trigger.erase_s, until_s)]


def _is_past_the_guard(ring: Ring, frame: Frame) -> bool:
    """Tell whether a frame of a new stream was held up for longer than the guard: the stated limit of what is known."""
    return ring.plan.moment in RESTARTS and frame.sent_s - frame.due_s + frame.delay_s > GUARD_S - EDGE_S


def _captured_s(voice: Voice, frame: Frame, sample: int) -> float:
    """Return when a sample of a frame was spoken: a packet holds what precedes its sending."""
    return _end_s(voice.base_s(), frame, sample)


def _overlap(voice: Voice, frame: Frame, from_s: float, to_s: float) -> float:
    start_s = _captured_s(voice, frame, 0)
    return max(min(start_s + frame.length / TICKS, to_s) - max(start_s, from_s), 0.0)


def _judge_channel(ring: Ring, voice: Voice, channel: Channel, sink: str, verdict: Verdict, finder: Finder) -> None:
    pieces: list[Piece] = []
    if not voice.frames:
        if channel.data:
            verdict.leaks.append(Leak(sink=sink, what="audio of nobody", offset=0, length=len(channel.data)))
        return
    sent = _Sent(voice)
    for offset, position, length in _joined(channel):
        data = bytes(channel.data[offset : offset + length])
        for piece in sent.pieces(data, position):
            if isinstance(piece, Piece):
                pieces.append(piece)
            else:
                _judge_unknown(
                    ring, voice, data[piece[0] : piece[0] + piece[1]], position + piece[0], sink, verdict, finder
                )
    verdict.kept_s += sum(p.length for p in pieces if p.frame.band is Band.ORDINARY) / TICKS
    _measure_edges(ring, voice, pieces, verdict)
    _check_kept(ring, voice, pieces, sink, verdict)


def _joined(channel: Channel) -> Iterator[tuple[int, int, int]]:
    """Yield the parts that stand without a gap between them as one."""
    current: tuple[int, int, int] | None = None
    for offset, position, length in channel.parts:
        if current is not None and current[1] + current[2] == position:
            current = (current[0], current[1], current[2] + length)
            continue
        if current is not None:
            yield current
        current = (offset, position, length)
    if current is not None:
        yield current


def _judge_unknown(
    ring: Ring, voice: Voice, data: bytes, position: int, sink: str, verdict: Verdict, finder: Finder
) -> None:
    silent = {0xD5, 0x55, 0xFF, 0x7F}
    if len(data) < _CELL or all(byte in silent for byte in data):
        return  # less than a cell at the edge of a mask or a pause; silence between two tones
    rest = len(data)
    for hit in finder.find(data, has_linear=False):
        if hit.form not in ("alaw", "ulaw") or hit.voice != voice.number:
            what = f"secret of voice {hit.voice}, {hit.form}"
            verdict.leaks.append(Leak(sink=sink, what=what, offset=position + hit.offset, length=hit.length))
            continue
        rest -= hit.length
        _judge_secret(ring, voice, (hit.index, hit.length), position + hit.offset, sink, verdict)
    if rest >= 24:
        tones = {
            f.payload[i : i + 16]
            for f in voice.frames
            if f.band is Band.TONE
            for i in (0, f.length // 2, f.length - 16)
        }
        what = "a key's tone" if any(tone in data for tone in tones) else "audio that nobody said"
        verdict.leaks.append(Leak(sink=sink, what=what, offset=position, length=rest))


def _judge_secret(
    ring: Ring, voice: Voice, stretch: tuple[int, int], position: int, sink: str, verdict: Verdict
) -> None:
    owed = owed_samples(ring, voice.number, *stretch)
    verdict.excused_s += (stretch[1] - owed) / TICKS
    if owed:
        frame = _frame_of(voice, stretch[0])
        when = ""
        if ring.closed is not None and frame is not None:
            spoken_s = _captured_s(voice, frame, stretch[0] - frame.index) - ring.closed.asked_s
            when = f", spoken {spoken_s:+.3f} s from the act"
        verdict.leaks.append(Leak(sink=sink, what=f"secret audio{when}", offset=position, length=owed))


def _frame_of(voice: Voice, index: int) -> Frame | None:
    return next((f for f in voice.frames if f.band is Band.SECRET and f.index <= index < f.index + f.length), None)


def owed_samples(ring: Ring, number: int, index: int, length: int) -> int:
    """Return how many samples of a voice's stretch must not be kept: those spoken once the act was known to be done.

    What was said in the moment between the asking and the doing is not owed; who said it could not know.
    """
    voice = next(v for v in ring.voices if v.number == number)
    spans = _owed(ring)
    owed = 0
    for frame in voice.frames:
        if frame.band is not Band.SECRET or frame.index + frame.length <= index or frame.index >= index + length:
            continue
        if _is_past_the_guard(ring, frame):
            continue
        begin, end = max(index, frame.index), min(index + length, frame.index + frame.length)
        spoken_s = _captured_s(voice, frame, begin - frame.index)
        ends_s = spoken_s + (end - begin) / TICKS
        owed += round(sum(max(min(ends_s, to_s) - max(spoken_s, from_s), 0.0) for from_s, to_s in spans) * TICKS)
    return owed


def _measure_edges(ring: Ring, voice: Voice, pieces: list[Piece], verdict: Verdict) -> None:
    """Note how far what was kept last and first lies from where the pause begins and ends.

    When something was spoken is told by the least delayed packet so far, which is all that a receiver can go by; what
    was not said there, or was lost on the way, moves the edge it stands at.
    """
    if ring.closed is None or ring.trigger is None or ring.plan.moment == "early" or ring.is_cut:
        return
    arrived = [frame for frame in voice.frames if not frame.is_lost]
    if ring.plan.moment != "step_before":
        begin_s, end_s = ring.closed.asked_s - ring.trigger.erase_s, ring.closed.done_s - ring.trigger.erase_s
        base_s = voice.base_s(ring.closed.done_s)
        before = [
            end for end in (_end_s(base_s, p.frame, p.start + p.length) for p in pieces) if end <= ring.closed.done_s
        ]
        # What arrived after the edge goes, whenever it was spoken: a sender that was late loses that much more.
        in_time = (f for f in arrived if f.sent_s + f.delay_s < begin_s and _end_s(base_s, f, 0) < end_s)
        said_s = max((_end_s(base_s, f, f.length) for f in in_time), default=0.0)
        if before:
            manner = "" if ring.plan.moment in RESTARTS else _manner(ring, voice)
            _note_edge(ring, verdict, f"before{manner}", _distance(max(before), min(begin_s, said_s), end_s))
    if ring.opened is None:
        return
    base_s, ends_s = voice.base_s(ring.opened.done_s), ring.opened.done_s
    after = [
        start for start in (_end_s(base_s, p.frame, p.start) for p in pieces) if start >= ring.opened.asked_s - EDGE_S
    ]
    if after:
        due = (_end_s(base_s, f, 0) for f in arrived if f.band in (Band.ORDINARY, Band.FRINGE))
        said_s = min((at_s for at_s in due if at_s >= ends_s - EDGE_S), default=ends_s)
        kind = f"after{_manner(ring, voice)}"
        _note_edge(ring, verdict, kind, -_distance(min(after), ring.opened.asked_s, max(ends_s, said_s)))


def _note_edge(ring: Ring, verdict: Verdict, kind: str, distance_s: float) -> None:
    """Note an edge: below zero more was taken than had to be, above zero less.

    What is taken by its arrival is taken late on a machine that is busy: so much more goes, never less. Such an edge
    is told apart, and too much is no fault of it.
    """
    assert ring.closed is not None
    assert ring.trigger is not None
    acts = [act for act in (ring.closed, ring.opened) if act is not None]
    act = acts[0] if kind.startswith("before") else acts[-1]
    erase_s = ring.trigger.erase_s if kind.startswith("before") else 0.0
    is_busy = ring.studio.is_busy(act.asked_s - AROUND_S, act.done_s + AROUND_S) or ring.studio.is_busy(
        act.asked_s - erase_s - AROUND_S, act.done_s - erase_s + AROUND_S
    )
    verdict.edges.append((kind + BUSY if is_busy and distance_s < 0 else kind, distance_s))


def _end_s(base_s: float, frame: Frame, sample: int) -> float:
    """Return when a frame's samples before one had been spoken, by a voice whose tick 0 was sent at ``base_s``."""
    return base_s + (frame.tick - frame.length + sample) / TICKS


def _manner(ring: Ring, voice: Voice) -> str:
    """Return what about a side's packets makes its edges lie where they do."""
    moment = ring.plan.moment
    if moment in RESTARTS:
        assert ring.closed is not None
        return UNHEARD if has_stepped_unheard(voice.frames, ring.closed.asked_s) else NEW_CLOCK
    if moment in LATE_ARRIVALS:
        return BY_ARRIVAL
    return LONG_PACKETS if moment == "ptime_30" else ""


def has_stepped_unheard(frames: Sequence[Frame], since_s: float) -> bool:
    """Tell whether a source fell back behind the time that went by while no audio of it was heard.

    It was on hold, sent events of keys instead, or all of it was lost, for so long that the guard does not cover it.

    Args:
        frames: What a side sent, in order.
        since_s: From when on it matters that the side is heard again.
    """
    heard = (frame for frame in frames if frame.is_heard and not frame.is_lost)
    return any(
        before.ssrc == after.ssrc
        and after.sent_s >= since_s
        and (silent_s := after.due_s - before.due_s) > GUARD_S - EDGE_S
        and ticks_between(before.timestamp, after.timestamp) / TICKS < silent_s - EDGE_S
        for before, after in itertools.pairwise(heard)
    )


def _distance(value_s: float, from_s: float, to_s: float) -> float:
    if value_s < from_s:
        return value_s - from_s
    return max(value_s - to_s, 0.0)


def _check_kept(ring: Ring, voice: Voice, pieces: list[Piece], sink: str, verdict: Verdict) -> None:
    """A recorder that keeps nothing leaks nothing: what had to be kept must be there."""
    if ring.is_cut or ring.error is not None or ring.plan.moment in ("loss", "out_of_order"):
        return
    if ring.plan.moment in RESTARTS and ring.closed is None:
        return
    kept: dict[int, int] = defaultdict(int)
    for piece in pieces:
        kept[piece.frame.tick] += piece.length
    due = had_to_be_kept(ring, voice.frames)
    missing = [f for f in due if kept[f.tick] < f.length]
    share = len(missing) / len(due) if due else 0.0
    if share > _allowed(ring):
        verdict.faults.append(f"{sink}: {len(missing)} of {len(due)} frames that had to be kept are not there")


def had_to_be_kept(ring: Ring, frames: Sequence[Frame]) -> list[Frame]:
    """Return the ordinary frames of a side that a recorder must have kept whole."""
    is_new_clock = ring.plan.moment in RESTARTS
    base_s = ring.joined_s + 0.3
    guard_s = GUARD_S + EDGE_S if ring.plan.moment == "early" else 0.1  # both sides have just begun to talk
    return [
        f for f in frames
        if f.band is Band.ORDINARY and base_s < f.sent_s < ring.ended_s
        and not (is_new_clock and ring.closed and f.sent_s > ring.closed.asked_s)  # a step back is taken for lateness
        # A sender that was late says after the opening what was spoken before it.
        and not (ring.opened and f.sent_s > ring.opened.asked_s and f.due_s < ring.opened.done_s + guard_s)
        and not (ring.closed and ring.closed.asked_s - 1.1 < f.sent_s < ring.closed.done_s)
    ]  # fmt: skip


def _allowed(ring: Ring) -> float:
    """Return the share of ordinary frames that may be missing: those that a mask, a key or a new clock takes along."""
    if ring.plan.moment in RESTARTS or ring.plan.digits:
        return 0.35
    if ring.plan.moment in ("held", "hang_up", "re_invite", "frozen", "transferred"):
        return 0.25
    return 0.1


def percentiles(values: list[float]) -> tuple[float, float, float]:
    """Return median, 99th percentile and the most of absolute values; zeros for none."""
    if not values:
        return 0.0, 0.0, 0.0
    ordered = np.abs(np.array(values))
    return float(np.median(ordered)), float(np.percentile(ordered, 99)), float(ordered.max())
