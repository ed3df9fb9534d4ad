"""A masked leg's audio waits until tones in it can be silenced: what the other side gets, sample by sample."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from audio.codecs import decode, encode
from audio.relay import Relay
from audio.types import Codec, DigitPressed, DigitSource, DtmfPolicy, Prompt, RelayOptions
from tests.helpers.extent import chosen
from tests.helpers.media_line import KEYPAD, Line, coded, line_of, loud_ticks, tone_ticks
from tests.helpers.rtp import EVENT_PT, Peer
from tests.reference.rtp import TelephoneEvent, build_event


@pytest.fixture
def relay() -> Iterator[Relay]:
    """A relay whose media thread does not run: each packet is dealt with when it is injected, time is ours."""
    relay = Relay(RelayOptions(ports=(41000, 41999), lock_memory=False))
    yield relay
    relay.close()


@pytest.fixture
def line(relay: Relay) -> Iterator[Line]:
    with line_of(relay) as line:
        yield line


CODECS = [(Codec.PCMA, Codec.PCMA), (Codec.PCMU, Codec.PCMA), (Codec.PCMU, Codec.PCMU), (Codec.G722, Codec.G722)]


@pytest.mark.parametrize("ptime", [80, 160, 240, 320])
@pytest.mark.parametrize(("codec", "other"), CODECS)
def test_no_sample_of_a_tone_reaches_the_other_side(relay: Relay, codec: Codec, other: Codec, ptime: int) -> None:
    tones_ms = chosen(quick=(40, 100), full=(40, 50, 100, 200))
    phases = chosen(quick=(0, 51, 133), full=(0, 17, 51, 101, 133))
    for tone_ms, phase in itertools.product(tones_ms, phases):
        for key in "1D" if phase else KEYPAD:
            with line_of(relay, codec, other) as line:
                start, length = 2400 + phase, tone_ms * 8
                audio = coded(codec, key, start / 8000, tone_ms / 1000, 0.4)
                line.send(audio, ptime)
                assert relay.events() == [DigitPressed(leg=line.a.leg, digit=None, source=DigitSource.INBAND)]
                heard = line.heard()
                assert loud_ticks(line, heard, start, start + length) == 0, f"{key} of {tone_ms} ms at {phase}"
                assert loud_ticks(line, heard, 0, start - 800) > 1000, "voice before it goes on"
                assert loud_ticks(line, heard, start + length + 1200, max(heard)) > 400, "and after it"
                packets = [packet for _, packet in line.got]
                for one, two in itertools.pairwise(packets):
                    assert (two.sequence - one.sequence, two.timestamp - one.timestamp) in {(1, ptime), (-65535, ptime)}
                    assert len(two.payload) == ptime


@pytest.mark.parametrize(("ptime", "delay_ms"), [(80, 40), (160, 40), (240, 60), (320, 40), (480, 60)])
def test_the_delay_and_that_voice_is_exact(line: Line, ptime: int, delay_ms: int) -> None:
    audio = encode(Codec.PCMA, np.random.default_rng(3).normal(0, 2000, ptime * 40).astype(np.int16))
    line.send(audio, ptime)
    for i, (now, packet) in enumerate(line.got):
        assert (now - (i + 1) * ptime) / 8 == delay_ms
        assert packet.payload == audio[i * ptime : (i + 1) * ptime]
    assert len(line.got) == 40 - delay_ms * 8 // ptime


@pytest.mark.parametrize("policy", [DtmfPolicy.PASS, DtmfPolicy.HOLD_STAR, DtmfPolicy.SWALLOW])
def test_other_legs_are_neither_delayed_nor_touched(relay: Relay, policy: DtmfPolicy) -> None:
    with line_of(relay, policy=policy) as line:
        audio = coded(Codec.PCMA, "5", 0.1, 0.1, 0.1)
        line.send(audio, 160)
        assert [now for now, _ in line.got] == [160 * (i + 1) for i in range(15)]
        assert b"".join(packet.payload for _, packet in line.got) == audio


@pytest.mark.parametrize("lost", [1, 2, 3])
@pytest.mark.parametrize("tone_s", [0.04, 0.1])
def test_beside_a_lost_packet_less_than_a_digit_can_pass(relay: Relay, lost: int, tone_s: float) -> None:
    for at, phase in itertools.product(range(14, 21), (0, 60, 120)):
        with line_of(relay) as line:
            start = 2400 + phase
            line.send(coded(Codec.PCMA, "5", start / 8000, tone_s, 0.4), 160, lost=frozenset(range(at, at + lost)))
            assert tone_ticks(line, start, start + round(8000 * tone_s)) <= 160, (
                "at most 20 ms: no detector takes that for a digit"
            )
            assert tone_ticks(line, start, min(160 * at, start + round(8000 * tone_s))) == 0, (
                "what was undecided when the packet was missed"
            )


def test_what_comes_late_or_twice_is_silenced(line: Line) -> None:
    audio = coded(Codec.PCMA, "5", 0.1, 0.1, 0.3)
    frames = [audio[at : at + 160] for at in range(0, len(audio), 160)]
    for i, frame in enumerate(frames):
        line.now += 160
        line.inject(160 * i, frame, sequence=i)
        line.inject(160 * i, frame, sequence=i)
        if i >= 3:
            line.inject(160 * (i - 3), frames[i - 3], sequence=i - 3)
    heard = [packet for _, packet in line.got]
    first = heard[0]
    for packet in heard:
        at = (packet.timestamp - first.timestamp) % (1 << 32)
        assert packet.sequence == (first.sequence + at // 160) % 65536, "numbers are those of the input"
        if at + 159 >= 800 and at < 1600:
            assert packet.payload == b"\xd5" * 160


def test_a_new_stream_in_a_tone_lets_nothing_of_it_through(line: Line) -> None:
    audio = coded(Codec.PCMA, "5", 0.1, 0.1, 0.3)
    for i in range(len(audio) // 160):
        line.now += 160
        line.inject(160 * i + (77_777 if i >= 7 else 0), audio[160 * i : 160 * i + 160], ssrc=7 if i < 7 else 8)
    everything = b"".join(packet.payload for _, packet in line.got)
    loud = np.abs(decode(Codec.PCMA, everything).astype(int)) > 1500
    assert len(everything) > 2000
    assert not loud.any()


def test_event_packets_between_audio_leave_no_gap(line: Line) -> None:
    event = build_event(TelephoneEvent(event=5, is_end=False, volume=10, duration=160))
    sent = []
    for i in range(30):
        line.now += 160
        if i % 3 == 2:
            line.inject(160 * (i - i % 6), event, pt=EVENT_PT)
        else:
            sent.append(bytes([i % 40 + 64]) * 160)
            line.inject(160 * (len(sent) - 1), sent[-1])
    packets = [packet for _, packet in line.got]
    assert [packet.payload for packet in packets] == sent[: len(packets)]
    assert {(two.sequence - one.sequence) % 65536 for one, two in itertools.pairwise(packets)} == {1}
    assert len(packets) >= 17


def test_a_bridge_that_ends_takes_what_waits_with_it(relay: Relay, line: Line) -> None:
    line.send(b"\x40" * 800, 160)
    with Peer(relay) as third:
        relay.bridge(line.a.leg, third.leg)
        caller, line.b = line.b, third
        line.got.clear()
        for i in range(5, 10):
            line.now += 160
            line.inject(160 * i, b"\x50" * 160)
        assert [packet.payload[:1] for _, packet in line.got] == [b"\x50"] * 3
        line.b = caller


def test_a_prompt_is_not_mixed_with_what_waited(relay: Relay, line: Line) -> None:
    line.send(b"\x40" * 800, 160)
    relay.legs.play(line.b.leg, Prompt(name="p", audio=dict.fromkeys(Codec, b"p" * 480)), tag=1)
    before = len(line.got)
    line.now += 160
    line.inject(800, b"\x50" * 160)
    assert len(line.got) == before, "the prompt has the floor"
    relay.legs.stop(line.b.leg)
    for i in range(6, 9):
        line.now += 160
        line.inject(160 * i, b"\x60" * 160)
    packets = [packet for _, packet in line.got[before:]]
    assert packets[0].is_marked
    assert packets[-1].payload == b"\x60" * 160


def test_leaving_the_mask_sends_what_waits(relay: Relay, line: Line) -> None:
    line.send(b"\x40" * 800, 160)
    assert len(line.got) == 3
    relay.legs.set_dtmf(line.a.leg, DtmfPolicy.PASS)
    line.collect()
    assert len(line.got) == 5
    line.now += 160
    line.inject(800, b"\x50" * 160)
    assert line.got[-1][1].payload == b"\x50" * 160
    assert {(b.sequence - a.sequence) % 65536 for (_, a), (_, b) in itertools.pairwise(line.got)} == {1}


def test_a_flood_stays_within_its_bounds(line: Line) -> None:
    for i in range(100):
        line.inject(i, b"\x40")
    assert len(line.got) == 84, "sixteen wait"
    assert {packet.payload for _, packet in line.got} == {b"\xd5"}, "what cannot wait is silenced"


def test_a_stream_that_stops_leaves_nothing_behind() -> None:
    with Relay(RelayOptions(ports=(41000, 41999), lock_memory=False)) as relay, line_of(relay) as line:
        for i in range(5):
            line.a.snd(i, 160 * i, b"\x40" * 160)
        assert [line.b.rcv(f"packet {i}").payload for i in range(3)] == [b"\x40" * 160] * 3
        assert [line.b.rcv(f"undecided {i}").payload for i in range(2)] == [b"\xd5" * 160] * 2
