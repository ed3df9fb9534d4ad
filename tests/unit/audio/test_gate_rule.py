"""Invariant: nothing captured in [close - erase, open] is ever handed out; what was captured well outside is.

Independent of the algorithm: each sample is marked by when it was captured on the model's own clock. Delay is what
a packet has above the fastest way through the network; one packet in 25, and two in every second, take that way: the
gate trusts a stream's clock after a second (SETTLED).
"""

import random
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audio.blocks import AudioRun, decode_block
from audio.types import Channel, Codec
from tests.helpers.extent import examples
from tests.reference.tap import ReferenceTap

TICK_NS = 125_000
INSIDE, OUTSIDE, BORDER = 1, 2, 3
LOOK_BACK = 40_000
TOLERANCE = 16  # ticks: the envelope's decay between two fast packets, and rounding


@dataclass(frozen=True)
class Scenario:
    """Ticks on the model's clock, which starts when the tap is opened."""

    length: int
    ptime: int
    jitter: int
    closes: tuple[tuple[int, int, int], ...]  # closed at, opened at, erase
    restarts: tuple[int, ...]
    seed: int


def marks_of(scenario: Scenario) -> bytes:
    """Return the mark of each tick of the audio; of two pauses the earlier has its say first."""
    margin = scenario.ptime + scenario.jitter + TOLERANCE
    unsettled = 1600 + scenario.jitter
    marks = bytearray([OUTSIDE]) * (-(-scenario.length // scenario.ptime) * scenario.ptime)

    def paint(start: int, end: int, value: int) -> None:
        start, end = max(start, 0), min(end, len(marks))
        if start < end:
            marks[start:end] = bytes([value]) * (end - start)

    for at in scenario.restarts:
        paint(at, at + margin, BORDER)
    for closed, opened, erase in reversed(scenario.closes):
        has_restart = any(closed - 8000 - margin <= at < opened + 1600 + margin for at in (0, *scenario.restarts))
        paint(closed - erase - margin, opened + margin + (unsettled if has_restart else 0), BORDER)
        paint(closed - erase, opened - TOLERANCE, INSIDE)
    return bytes(marks)


def packets_of(scenario: Scenario, marks: bytes, rng: random.Random) -> list[tuple[int, int, int, int, bytes]]:
    """Return (arrival, ssrc, sequence, timestamp, payload) by arrival."""
    packets = []
    ssrc, offset = 1, rng.randrange(1 << 32)
    fast = min(25, 4000 // scenario.ptime)
    for number, start in enumerate(range(0, scenario.length, scenario.ptime)):
        if any(start - scenario.ptime < at <= start for at in scenario.restarts):
            ssrc, offset = ssrc + 1, rng.randrange(1 << 32)
        delay = 0 if number % fast == fast - 1 else rng.randrange(scenario.jitter + 1)
        payload = marks[start : start + scenario.ptime]
        timestamp = (start + offset) % (1 << 32)
        packets.append((start + scenario.ptime + delay, ssrc, number, timestamp, payload))
        if rng.random() < 0.05:
            packets.append((start + scenario.ptime + delay + rng.randrange(800), ssrc, number, timestamp, payload))
    return sorted(packets, key=lambda packet: packet[0])


def run(scenario: Scenario) -> tuple[dict[int, int], int]:
    """Return how many samples of each mark came out on the left, and how many of OUTSIDE went in."""
    rng = random.Random(scenario.seed)
    tap = ReferenceTap(opened_ns=0, look_back_ticks=LOOK_BACK, ring_ticks=1 << 17)
    acts = [(at, "drain", 0) for at in range(8000, scenario.length, 8000)]
    for closed, opened, erase in scenario.closes:
        acts += [(closed, "close", erase), (opened, "open", 0)]
    marks = marks_of(scenario)
    packets = packets_of(scenario, marks, rng)
    blocks = []
    queue = sorted(acts)
    for arrival, ssrc, sequence, timestamp, payload in packets:
        while queue and queue[0][0] <= arrival:
            at, act, erase = queue.pop(0)
            if act == "drain":
                blocks.append(tap.drain(at * TICK_NS))
            elif act == "close":
                tap.close(at * TICK_NS, erase)
            else:
                tap.open(at * TICK_NS)
        tap.receive(
            Channel.LEFT,
            ssrc=ssrc,
            sequence=sequence,
            timestamp=timestamp,
            payload=payload,
            codec=Codec.PCMA,
            arrival_ns=arrival * TICK_NS,
        )
    blocks.append(tap.drain(scenario.length * TICK_NS, is_final=True))
    out = {INSIDE: 0, OUTSIDE: 0, BORDER: 0}
    for record in decode_block(b"".join(blocks)):
        if isinstance(record, AudioRun):
            for value, count in Counter(bytes(record.payload)).items():
                out[value] += count
    return out, marks.count(OUTSIDE)


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    ptime = draw(st.sampled_from([80, 160, 240, 320, 480]))
    length = 160 * 320
    closes = []
    at = 0
    for _ in range(draw(st.integers(1, 2))):
        closed = at + draw(st.integers(4000, 20_000))
        opened = closed + draw(st.integers(0, 16_000))
        closes.append((closed, opened, draw(st.sampled_from([0, 1000, 16_000, 36_000]))))
        at = opened
    restarts = draw(st.lists(st.integers(1000, length - 8000), max_size=2))
    return Scenario(
        length=length,
        ptime=ptime,
        jitter=draw(st.sampled_from([0, 160, 800])),
        closes=tuple(closes),
        restarts=tuple(sorted(restarts)),
        seed=draw(st.integers(0, 1 << 30)),
    )


SHORT_PACKETS = Scenario(length=51_200, ptime=80, jitter=0, closes=((4000, 4000, 1000),), restarts=(), seed=0)
"""What came up to 20 ms before the erased time was taken along, while arrivals were known to 20 ms only."""
REPEATS = Scenario(length=51_200, ptime=160, jitter=0, closes=((20_000, 24_000, 1000),), restarts=(), seed=10)
"""A packet of before the erased time comes again within it."""


@settings(max_examples=examples(quick=5, full=20))
@given(scenarios())
@example(SHORT_PACKETS)
@example(REPEATS)
def test_nothing_captured_while_closed_comes_out(scenario: Scenario) -> None:
    out, sent = run(scenario)
    assert out[INSIDE] == 0, f"{out[INSIDE]} samples leaked"
    if not scenario.restarts:
        assert out[OUTSIDE] == sent


@pytest.mark.parametrize("restart", [19_900, 21_000, 29_000, 29_300, 30_010])
def test_a_stream_that_begins_round_a_pause_does_not_leak(restart: int) -> None:
    for seed in range(examples(quick=2, full=8)):
        scenario = Scenario(
            length=44_800, ptime=160, jitter=800, closes=((20_000, 30_000, 4000),), restarts=(restart,), seed=seed
        )
        out, _sent = run(scenario)
        assert out[INSIDE] == 0
        assert out[OUTSIDE] > 10_000
