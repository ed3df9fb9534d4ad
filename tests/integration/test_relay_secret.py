"""Entries behind a secret prefix, and whose key a tone is: event packets and tones through the real media core."""

import time
from collections.abc import Iterator

import numpy as np
import pytest

from audio.blocks import AudioRun, decode_block
from audio.codecs import encode
from audio.relay import Relay
from audio.types import (
    Channel,
    Codec,
    ControlPressed,
    DigitPressed,
    DigitSource,
    DtmfPolicy,
    RelayOptions,
    SecretEntered,
)
from tests.helpers.media_line import START_NS, TICK_NS, Line, coded, line_of, press, spoken, tone_ticks
from tests.helpers.rtp import EVENT_PT, Peer

RFC4733, INBAND = DigitSource.RFC4733, DigitSource.INBAND
CODECS = [Codec.PCMA, Codec.PCMU, Codec.G722]


@pytest.fixture
def relay() -> Iterator[Relay]:
    """A relay whose media thread does not run: each packet is dealt with when it is injected, time is ours."""
    relay = Relay(RelayOptions(ports=(41000, 41999), lock_memory=False))
    yield relay
    relay.close()


@pytest.fixture
def line(relay: Relay) -> Iterator[Line]:
    with line_of(relay, policy=DtmfPolicy.HOLD_STAR) as line:
        relay.legs.set_dtmf(line.a.leg, DtmfPolicy.HOLD_STAR, ("*1",), ("*9",))
        yield line


def entered(line: Line, digits: str, source: DigitSource, *, is_complete: bool = True) -> SecretEntered:
    return SecretEntered(leg=line.a.leg, prefix="*9", digits=digits, is_complete=is_complete, source=source)


def key_in(line: Line, keys: str) -> None:
    for i, key in enumerate(keys):
        press(line, key, 1600 * i)


def test_event_packets_of_an_entry_go_nowhere(relay: Relay, line: Line) -> None:
    key_in(line, "*92468#")
    assert relay.events() == [entered(line, "2468", RFC4733)]
    assert line.got == []
    press(line, "5", 16_000)
    assert {packet.payload_type for _, packet in line.got} == {EVENT_PT}
    assert relay.events() == [DigitPressed(leg=line.a.leg, digit="5", source=RFC4733)]
    assert relay.legs.statistics(line.a.leg).digits == 3, "two of the prefix and one after it"


def test_the_prefix_counts_though_its_ends_are_lost(relay: Relay, line: Line) -> None:
    press(line, "*", 0)
    line.inject(1600, b"\x09\x0a\x00\xa0", pt=EVENT_PT)
    press(line, "4", 3200)
    press(line, "#", 4800)
    assert relay.events() == [entered(line, "4", RFC4733)]
    assert line.got == []


@pytest.mark.parametrize(("keys", "after"), [("*91234567890123#", []), ("*91*2#", []), ("*91*1", ["*1"])])
def test_entries_that_are_none(relay: Relay, line: Line, keys: str, after: list[str]) -> None:
    key_in(line, keys)
    controls = [ControlPressed(leg=line.a.leg, keys=sequence, source=RFC4733) for sequence in after]
    assert relay.events() == [entered(line, "", RFC4733, is_complete=False), *controls]
    assert line.got == []


def test_new_rules_and_the_end_of_the_leg_break_an_entry_off(relay: Relay, line: Line) -> None:
    key_in(line, "*912")
    relay.legs.set_dtmf(line.a.leg, DtmfPolicy.HOLD_STAR, ("*1",), ("*9",))
    assert relay.events() == [entered(line, "", RFC4733, is_complete=False)]
    with pytest.raises(ValueError, match="dtmf_policy"):
        relay.legs.set_dtmf(line.a.leg, DtmfPolicy.HOLD_STAR, ("*9",), ("*9",))
    with Peer(relay) as third:
        relay.legs.set_dtmf(third.leg, DtmfPolicy.HOLD_STAR, (), ("*9",))
        other = Line(relay, third, line.b)
        key_in(other, "*912")
        relay.close_leg(third.leg)
        assert relay.events() == [entered(other, "", RFC4733, is_complete=False)]


def test_ten_seconds_without_a_key_break_an_entry_off(relay: Relay, line: Line) -> None:
    key_in(line, "*912")
    last_ns = START_NS + line.now * TICK_NS
    due_ns = relay.turn(last_ns + 9_900_000_000)
    assert relay.events() == []
    assert due_ns == last_ns + 10_000_000_000
    relay.turn(due_ns)
    assert relay.events() == [entered(line, "", RFC4733, is_complete=False)]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(("tone_s", "gap_s"), [(0.06, 0.06), (0.1, 0.043), (0.1, 0.047), (0.2, 0.04)])
def test_tones_of_an_entry_reach_neither_the_other_side_nor_the_recording(
    relay: Relay, codec: Codec, tone_s: float, gap_s: float
) -> None:
    with line_of(relay, codec, codec, policy=DtmfPolicy.HOLD_STAR) as line:
        relay.legs.set_dtmf(line.a.leg, DtmfPolicy.HOLD_STAR, ("*1",), ("*9",))
        core = relay._core
        tap = core.open_tap(line.b.leg, line.a.leg, look_back_ticks=8000, ring_ticks=1 << 16, now_ns=START_NS)
        audio, spans = spoken(codec, "*92468#", tone_s, gap_s)
        line.send(audio, 160)
        assert relay.events() == [
            DigitPressed(leg=line.a.leg, digit="*", source=INBAND),
            entered(line, "2468", INBAND),
        ]
        assert tone_ticks(line, *spans[0]) > 0, "the star of a prefix is heard"
        for start, end in spans[2:]:
            assert tone_ticks(line, start, end) == 0
        assert tone_ticks(line, spans[-1][1] + 1600, max(line.heard())) > 1000, "and then voice again"
        out = bytearray(1 << 17)
        length, _ = core.drain_tap(tap, out, is_final=True, now_ns=START_NS + line.now * TICK_NS)
        kept = {
            run.start + i
            for run in decode_block(bytes(out[:length]))
            if isinstance(run, AudioRun) and run.channel is Channel.RIGHT
            for i in range(len(run.payload))
        }
        first = 160  # the tap was open for a packet's time when the first arrived
        for start, end in spans[2:]:
            assert kept.isdisjoint(range(first + start, first + end))
        assert kept & set(range(first, first + 400)), "what was said before is kept"
        core.release_tap(tap)


@pytest.mark.parametrize("codec", CODECS)
def test_keys_in_band_control_on_every_codec(relay: Relay, codec: Codec) -> None:
    with line_of(relay, codec, codec, policy=DtmfPolicy.HOLD_STAR) as line:
        relay.legs.set_dtmf(line.a.leg, DtmfPolicy.HOLD_STAR, ("*1",))
        line.send(spoken(codec, "*1", 0.1, 0.1)[0], 160)
        assert relay.events() == [
            DigitPressed(leg=line.a.leg, digit="*", source=INBAND),
            ControlPressed(leg=line.a.leg, keys="*1", source=INBAND),
        ]


@pytest.mark.parametrize("codec", CODECS)
def test_a_callers_tone_is_not_in_the_recording_on_any_codec(relay: Relay, codec: Codec) -> None:
    with line_of(relay, codec, codec, policy=DtmfPolicy.PASS) as line:
        core = relay._core
        tap = core.open_tap(line.a.leg, line.b.leg, look_back_ticks=8000, ring_ticks=1 << 16, now_ns=START_NS)
        line.send(coded(codec, "7", 0.5, 0.05, 0.5), 160)
        out = bytearray(1 << 17)
        length, _ = core.drain_tap(tap, out, is_final=True, now_ns=START_NS + line.now * TICK_NS)
        kept = {
            run.start + i
            for run in decode_block(bytes(out[:length]))
            if isinstance(run, AudioRun)
            for i in range(len(run.payload))
        }
        assert kept.isdisjoint(range(160 + 4000 - 1500, 160 + 4400 + 1500))
        assert len(kept) > 3500
        core.release_tap(tap)


@pytest.mark.parametrize("delay_ms", [-200, -60, 0, 20, 100, 300, 550])
@pytest.mark.parametrize("level", [1.0, 0.3, 0.03])
def test_the_callers_tones_never_control_whatever_the_echo(relay: Relay, delay_ms: int, level: float) -> None:
    with line_of(relay, policy=DtmfPolicy.PASS) as line:
        officer = line.b
        relay.legs.detect_tones(officer.leg, True)
        relay.legs.set_dtmf(officer.leg, DtmfPolicy.HOLD_STAR, ("*1",), ("*9",))
        core = relay._core
        tap = core.open_tap(line.a.leg, officer.leg, look_back_ticks=8000, ring_ticks=1 << 16, now_ns=START_NS)
        t = np.arange(800) / 8000
        keys = np.zeros(16_000)
        for start, column in ((4000, 941), (5600, 697)):
            keys[start : start + 800] = 6000 * (np.sin(2 * np.pi * column * t) + np.sin(2 * np.pi * 1209 * t))
        echo = np.roll(level * keys, delay_ms * 8)
        both = [encode(Codec.PCMA, wave.astype(np.int16)) for wave in (keys, echo)]
        for at in range(0, len(keys), 160):
            for peer, audio in zip((line.a, officer), both, strict=True):
                head = b"\x80\x08" + (at // 160).to_bytes(2, "big") + at.to_bytes(4, "big") + b"abcd"
                core.inject(peer.leg, head + audio[at : at + 160], START_NS + at * TICK_NS)
        events = relay.events()
        controls = [event for event in events if isinstance(event, ControlPressed)]
        if delay_ms >= -60:
            assert [event.leg for event in events if isinstance(event, DigitPressed)] == [line.a.leg] * 2
        assert len(controls) == (delay_ms < -60), "only the officer's own, which the caller's line may send back"
        core.release_tap(tap)


def test_a_flood_of_event_packets_is_bounded_in_reports_and_time(relay: Relay, line: Line) -> None:
    rng = np.random.default_rng(5)
    seconds, rate = 20, 1000
    tap = relay._core.open_tap(
        line.b.leg, line.a.leg, look_back_ticks=40_000, ring_ticks=1 << 17, now_ns=START_NS, mask_left_digits=True
    )
    began = time.thread_time()
    count = 0
    for i in range(seconds * rate):
        line.now = i * 8000 // rate
        payload = bytes(rng.integers(0, 256, 4, dtype=np.uint8))
        line.sequence = i
        line.inject(int(rng.integers(0, 1 << 32)), payload, pt=EVENT_PT, ssrc=int(rng.integers(0, 4)))
        if i % 100 == 0:
            count += len(relay.events())
            line.got.clear()
    spent = time.thread_time() - began
    count += len(relay.events())
    assert 50 < count <= 51 + 25 * seconds
    assert relay.counters()["events_dropped"] == 0
    assert spent < seconds / 2, "of it most is the test's own"
    relay._core.release_tap(tap)
