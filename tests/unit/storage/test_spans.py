"""What erasing takes out of audio, peaks and segments: to the tick, and nothing beside it."""

import itertools
import random

import numpy as np
import pytest

from storage.runs import ANCHOR, AUDIO, G722, LOST, PCMA, pack, parse
from storage.spans import (
    Cuts,
    Span,
    Survey,
    parts_left,
    peaks_without,
    recorded_seconds,
    segments_without,
    ticks_within,
    without,
)
from storage.types import Segment, SegmentKind

CARD = "card_data"


def span(start_s: float, end_s: float | None) -> Span:
    return Span(start_s=start_s, end_s=end_s, reason=CARD, by="olive")


def cuts_of(*spans: Span, anchors: tuple[tuple[int, int], ...] = (), end: int = 80_000) -> Cuts:
    survey = Survey()
    survey.take(pack(AUDIO, 0, PCMA, end - 1, payload=b"x"))
    for position, arrival_ns in anchors:
        survey.take(pack(ANCHOR, 1, PCMA, position, aux=arrival_ns))
    return survey.cuts(spans)


def rendered(block: bytes, channel: int, length: int = 400) -> bytes:
    line = bytearray(length)
    for run in parse(block):
        if run.kind == AUDIO and run.channel == channel:
            line[run.start : run.start + run.length] = run.payload
    return bytes(line)


def test_every_byte_outside_keeps_its_place_and_none_inside_is_left() -> None:
    rng = random.Random(7)
    for _ in range(300):
        block = b"".join(
            pack(AUDIO, rng.randint(0, 1), PCMA, rng.randint(0, 300), payload=rng.randbytes(rng.randint(1, 90)))
            for _ in range(6)
        )
        edges = sorted(rng.sample(range(400), 4))
        cuts: Cuts = (((edges[0], edges[1]), (edges[2], edges[3])), ((edges[1], edges[2]),))
        kept = without(block, cuts)
        for channel in (0, 1):
            expected = bytearray(rendered(block, channel))
            for begin, end in cuts[channel]:
                expected[begin:end] = bytes(end - begin)
            assert rendered(kept, channel) == expected
        assert ticks_within(kept, cuts) == (0, 0)


def test_codec_and_anchors_stay_and_losses_are_cut() -> None:
    block = (
        pack(ANCHOR, 0, G722, 150, length=77, aux=123)
        + pack(AUDIO, 0, G722, 100, payload=bytes(range(100)))
        + pack(LOST, 1, 0, 100, length=100)
    )
    cuts: Cuts = (((120, 180),), ((120, 180),))
    anchor, *audio = parse(without(block, cuts))
    assert (anchor.kind, anchor.codec, anchor.start, anchor.length, anchor.aux) == (ANCHOR, G722, 150, 77, 123)
    assert [(r.kind, r.channel, r.codec, r.start, r.length) for r in audio] == [
        (AUDIO, 0, G722, 100, 20), (AUDIO, 0, G722, 180, 20), (LOST, 1, 0, 100, 20), (LOST, 1, 0, 180, 20),
    ]  # fmt: skip
    assert bytes(audio[1].payload) == bytes(range(80, 100))
    assert ticks_within(block, cuts) == (60, 0)


def test_a_block_outside_is_the_same_to_the_byte() -> None:
    block = pack(ANCHOR, 1, PCMA, 5, length=9, aux=1) + pack(AUDIO, 0, PCMA, 5, payload=b"abc")
    assert without(block, (((8, 9), (0, 5)), ((0, 100),))) == block
    assert without(pack(AUDIO, 0, PCMA, 5, payload=b"abc"), (((0, 100),), ())) == b""


@pytest.mark.parametrize(
    ("cuts", "left"),
    [
        ((), [(10, 20)]),
        (((0, 10),), [(10, 20)]),
        (((20, 30),), [(10, 20)]),
        (((0, 11),), [(11, 20)]),
        (((19, 99),), [(10, 19)]),
        (((12, 14), (15, 16)), [(10, 12), (14, 15), (16, 20)]),
        (((10, 20),), []),
        (((0, 99),), []),
    ],
)
def test_parts_left(cuts: tuple[tuple[int, int], ...], left: list[tuple[int, int]]) -> None:
    assert parts_left(10, 20, cuts) == left


def test_cuts_are_rounded_outwards_and_merged() -> None:
    assert cuts_of(span(1.00009, 2.00001), span(2.0, 3.0))[0] == ((8000, 24_000),)
    assert cuts_of(span(1.0, 2.0), span(4.0, 5.0))[1] == ((8000, 16_000), (32_000, 40_000))
    ((begin, end),) = cuts_of(span(2.0, None))[0]
    assert begin == 16_000
    assert end > 1 << 40


def test_a_drifting_sender_is_cut_where_it_is_heard() -> None:
    """The right sender is 40 ms ahead of the call's clock: what is heard at 1.0 s lies at 1.04 s."""
    anchors = tuple((second * 8000 + 320, second * 1_000_000_000) for second in range(10))
    left, right = cuts_of(span(1.0, 2.0), anchors=anchors)
    assert left == ((8000, 16_000),)
    assert right == ((8000, 16_320),)
    behind = tuple((second * 8000 - 320, second * 1_000_000_000) for second in range(1, 10))
    assert cuts_of(span(1.0, 2.0), anchors=behind)[1] == ((8000 - 320, 16_000),)


def test_peaks_are_silent_wherever_a_cut_touches_them() -> None:
    peaks = bytes([9] * 10), bytes([7] * 5)
    cuts: Cuts = (((799, 1601),), ((3200, 1 << 62),))
    assert peaks_without(peaks, cuts) == (bytes([0, 0, 0] + [9] * 7), bytes([7, 7, 7, 7, 0]))


def test_only_what_was_recorded_becomes_erased() -> None:
    segments = (
        Segment(start_s=0.0, end_s=2.0, kind=SegmentKind.RECORDING),
        Segment(start_s=2.0, end_s=4.0, kind=SegmentKind.PAUSED, reason="agent", by="olive"),
        Segment(start_s=4.0, end_s=9.0, kind=SegmentKind.RECORDING),
    )
    found = segments_without(segments, [span(1.5, 5.0)])
    assert [(s.start_s, s.end_s, str(s.kind), s.reason, s.by) for s in found] == [
        (0.0, 1.5, "recording", "", ""),
        (1.5, 2.0, "erased", CARD, "olive"),
        (2.0, 4.0, "paused", "agent", "olive"),
        (4.0, 5.0, "erased", CARD, "olive"),
        (5.0, 9.0, "recording", "", ""),
    ]
    assert recorded_seconds(found) == 5.5
    whole = segments_without(segments, [span(0.0, None)])
    assert recorded_seconds(whole) == 0
    assert [str(s.kind) for s in whole] == ["erased", "paused", "erased"]
    assert segments_without(whole, [span(0.0, None)]) == whole


def test_segments_still_follow_one_another() -> None:
    rng = np.random.default_rng(3)
    for _ in range(100):
        edges = np.round(np.cumsum(rng.uniform(0.1, 3, 8)), 4)
        segments = tuple(Segment(start_s=a, end_s=b, kind=SegmentKind.RECORDING) for a, b in itertools.pairwise(edges))
        a, b = sorted(rng.uniform(0, 20, 2))
        found = segments_without(segments, [span(a, b)])
        assert [s.start_s for s in found[1:]] == [s.end_s for s in found[:-1]]
        assert (found[0].start_s, found[-1].end_s) == (segments[0].start_s, segments[-1].end_s)
