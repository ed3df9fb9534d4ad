"""Streams that take another's place, on slower and on faster ways: what was said beside a digit is not kept.

All is judged by when it was said. Two ways differ by `WAYS` at most: the stated limit (docs/media-core.md, Gate).
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audio.types import Channel, Codec
from tests.helpers.extent import examples
from tests.helpers.tap_pair import GATHER_MS, LOOK_BACK, Act, Event, Legs, Packet, Script, Step
from tests.leak.signals import tone_codes
from tests.reference.gate import GUARD

FRAME = 160
SECRET, PUBLIC = 1, 2
MARGIN = 1440
"""Ticks either side of a digit of which nothing may be kept: 200 ms, less a packet's length."""
WAYS = GUARD - FRAME - 8 * GATHER_MS
"""Ticks by which the ways of two streams of one call differ at most."""
KEY = 5 * FRAME
INFO_BEFORE, INFO_AFTER = 4800, 3200
"""Ticks that are silenced before and after an INFO with a digit."""


@dataclass(frozen=True)
class Source:
    """A stream from a packet on; ``way`` is how long its packets take, ticks, ``jitter`` how much longer at most."""

    first: int
    way: int
    jitter: int = 0


@dataclass(frozen=True)
class Digit:
    """A key of the caller's, pressed with its ``at``-th packet; ``carrier`` is ``event``, ``tone`` or ``info``."""

    at: int
    carrier: str

    def owed(self) -> tuple[int, int]:
        """Return the ticks, by when they were said, of which nothing may be kept."""
        start = FRAME * self.at
        if self.carrier == "info":
            return start - INFO_BEFORE, start + INFO_AFTER - 2 * FRAME
        return start - MARGIN, start + KEY - FRAME + MARGIN


@dataclass(frozen=True)
class Talk:
    """A conversation of ``packets`` packets a side, whose streams are the sources of each side, ascending.

    ``overtakes``: packets of a tone come the way of the first stream, and so before others of their own.
    """

    packets: int
    sources: dict[Channel, list[Source]]
    digits: list[Digit]
    seed: int = 1
    overtakes: bool = False

    def script(self) -> Script:
        """Return what arrives, in order of arrival."""
        steps = sorted(self._steps(random.Random(self.seed)), key=lambda step: step[0])
        times = [0, *(at for at, _ in steps)]
        return [(at - before, step) for before, (at, step) in zip(times, steps, strict=False)]

    def _steps(self, rng: random.Random) -> Iterator[tuple[int, Step]]:
        for channel in Channel:
            last = 0
            for i in range(self.packets):
                source = [each for each in self.sources[channel] if each.first <= i][-1]
                number = self.sources[channel].index(source)
                arrived = max(FRAME * i + source.way + rng.randint(0, source.jitter), last)
                last = arrived if source.jitter else 0
                if self.overtakes and self._key(channel, i) is not None:
                    arrived = FRAME * i + self.sources[channel][0].way
                yield from self._sent(channel, i, number, arrived)
        for digit in self.digits:
            if digit.carrier == "info":
                way = self.sources[Channel.LEFT][0].way
                yield FRAME * digit.at + way, Act("mask", -INFO_BEFORE, INFO_BEFORE + INFO_AFTER)
        for at in range(LOOK_BACK, FRAME * self.packets, LOOK_BACK):
            yield at, Act("drain")

    def _sent(self, channel: Channel, i: int, number: int, arrived: int) -> Iterator[tuple[int, Step]]:
        ssrc, shift = 100 * (int(channel) + 1) + number, 1_000_003 * (7 * number + int(channel))
        key = self._key(channel, i)
        if key is None or key.carrier == "info":
            yield arrived, Packet(channel, ssrc, shift + FRAME * i, self._said(i), i)
        elif key.carrier == "event":
            yield arrived, Event(ssrc, shift + FRAME * key.at, FRAME * (i - key.at + 1), i)
        else:
            yield arrived, Packet(channel, ssrc, shift + FRAME * i, tone_of(i), i)

    def _key(self, channel: Channel, i: int) -> Digit | None:
        return next((d for d in self.digits if channel is Channel.LEFT and 0 <= FRAME * (i - d.at) < KEY), None)

    def _said(self, i: int) -> bytes:
        """Return what was said in the frame before a packet was sent."""
        start, end = FRAME * (i - 1), FRAME * i
        spans = [span for span in map(Digit.owed, self.digits) if span[0] < end and start < span[1]]
        if not spans:
            return bytes([PUBLIC]) * FRAME
        return bytes(SECRET if any(a <= at < b for a, b in spans) else PUBLIC for at in range(start, end))

    def said_in_public(self) -> int:
        """Return how many ticks of both sides' may be kept."""
        count = sum(self._said(i).count(PUBLIC) for i in range(self.packets))
        keyed = sum(self._key(Channel.LEFT, i) is not None for i in range(self.packets))
        return 2 * count - FRAME * keyed * any(digit.carrier != "info" for digit in self.digits)


@cache
def tone_of(i: int) -> bytes:
    return tone_codes("5", FRAME * i, FRAME, int(Codec.PCMA))


@pytest.fixture(scope="module")
def legs() -> Iterator[Legs]:
    legs = Legs()
    yield legs
    legs.close()


FIRST, SLOW = Source(0, 200), 200 + 1200
SITUATIONS = {
    "the caller's new stream is slower": ([FIRST, Source(60, SLOW)], [FIRST]),
    "the officer's new stream is slower": ([FIRST], [FIRST, Source(60, SLOW)]),
    "it begins between two digits": ([FIRST, Source(125, SLOW)], [FIRST, Source(127, SLOW)]),
    "it begins with the first packet of a key": ([FIRST, Source(100, SLOW)], [FIRST]),
    "it begins just after a key": ([FIRST, Source(105, SLOW)], [FIRST, Source(106, SLOW)]),
    "it is faster": ([Source(0, SLOW), Source(60, 200)], [Source(0, SLOW)]),
    "the officer's is faster": ([Source(0, SLOW)], [Source(0, SLOW), Source(60, 200)]),
}


@pytest.mark.parametrize("carrier", ["event", "tone", "info"])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_nothing_beside_a_digit_is_kept_where_a_stream_takes_anothers_place(
    legs: Legs, situation: str, carrier: str
) -> None:
    left, right = SITUATIONS[situation]
    talk = Talk(240, {Channel.LEFT: left, Channel.RIGHT: right}, [Digit(at, carrier) for at in (100, 185)])
    kept = legs.keep(talk.script())
    assert SECRET not in kept
    least = talk.said_in_public() - 2 * 2 * (2 * GUARD + 4 * FRAME)
    assert kept.count(PUBLIC) >= least, "no more is lost than 200 ms and two packets either side of each"


@pytest.mark.parametrize("carrier", ["event", "tone"])
def test_where_no_stream_does_a_digit_takes_200_ms_and_no_more(legs: Legs, carrier: str) -> None:
    talk = Talk(240, {channel: [FIRST] for channel in Channel}, [Digit(100, carrier), Digit(185, carrier)])
    assert legs.keep(talk.script()).count(PUBLIC) >= talk.said_in_public() - 2 * 2 * 2 * FRAME


@st.composite
def talks(draw: st.DrawFn, carriers: tuple[str, ...] = ("event", "info", "tone")) -> Talk:
    """Return a talk with three digits at most, on either side of which two streams at most take another's place.

    None that comes in band is on its way by two streams at once: it is not heard then (docs/media-core.md, Digits).
    """
    carrier, usual = draw(st.sampled_from(carriers)), draw(st.integers(0, WAYS))
    sources = {}
    for channel in Channel:
        firsts = sorted(draw(st.sets(st.integers(40, 170), max_size=2)))
        ways = [draw(st.integers(0, WAYS)) for _ in firsts]
        if carrier == "tone" and channel is Channel.LEFT:
            ways = sorted(max(way, usual) for way in ways)
        sources[channel] = [
            Source(first, way, draw(st.sampled_from((0, 0, 0, min(400, WAYS - way)))))
            for first, way in zip((0, *firsts), (usual, *ways), strict=True)
        ]
    at = sorted(draw(st.sets(st.integers(60, 180), min_size=1, max_size=3)))
    digits = [Digit(each, carrier) for each, former in zip(at, [-99, *at], strict=False) if each - former > 9]
    return Talk(220, sources, digits, draw(st.integers(0, 1 << 30)), carrier == "tone" and draw(st.booleans()))


@settings(max_examples=examples(quick=25, full=120), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(talk=talks())
def test_nothing_beside_a_digit_is_kept_whatever_streams_come_and_go(legs: Legs, talk: Talk) -> None:
    assert SECRET not in legs.keep(talk.script())


@settings(max_examples=examples(quick=3, full=15), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(talk=talks(carriers=("event", "info")))
def test_nor_by_the_reference(legs: Legs, talk: Talk) -> None:
    assert SECRET not in legs.compare(talk.script())
