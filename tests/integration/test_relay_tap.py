"""Taps and their gate through real sockets: what arrived is kept to the byte, what was closed is nowhere."""

import random
import time
from collections.abc import Iterator

import pytest

from audio._relay import peaks
from audio.blocks import AudioRun, LostRange, decode_block
from audio.relay import Relay
from audio.types import (
    AudioLost,
    Channel,
    Codec,
    DtmfPolicy,
    MediaEvent,
    RelayOptions,
    StreamReanchored,
    TapId,
    TapOptions,
)
from tests.helpers.rtp import UNPACED, Peer, eventually
from tests.helpers.rtp import kept_of_tap as both
from tests.reference.blocks import encode_block

NS = 125_000


@pytest.fixture
def relay(kernel_interfaces: tuple[str, ...]) -> Iterator[Relay]:
    relay = Relay(
        RelayOptions(
            ports=(41000, 41999), lock_memory=False, kernel_interfaces=kernel_interfaces, kernel_packets_per_s=UNPACED
        )
    )
    relay.start()
    yield relay
    relay.close()
    assert relay.counters()["taps"] == relay.counters()["legs"] == 0


@pytest.fixture
def pair(relay: Relay) -> Iterator[tuple[Peer, Peer]]:
    with Peer(relay) as a, Peer(relay) as b:
        relay.bridge(a.leg, b.leg)
        yield a, b


def runs(relay: Relay, tap: TapId, channel: Channel, *, is_final: bool = True) -> dict[int, int]:
    """Drain and return byte by position of one channel."""
    return both(relay, tap, is_final=is_final)[channel]


def speak(peer: Peer, relay: Relay, frames: range, *, ssrc: int | None = None, jump: int = 0) -> None:
    """Send frames whose bytes tell their number, and wait until all are in."""
    before = relay.legs.statistics(peer.leg).received
    for i in frames:
        peer.snd(i, 160 * i + jump, bytes([i % 250 + 1]) * 160, ssrc=ssrc)
    eventually(lambda: relay.legs.statistics(peer.leg).received == before + len(frames), "the packets are in")


def test_thousands_of_bytes_lie_where_their_timestamps_say(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    rng = random.Random(4)
    tap = relay.taps.open(a.leg, b.leg, TapOptions(look_back_s=60.0))
    sent = {i: rng.randbytes(160) for i in range(25)}
    order = [i for i in sent if i not in {5, 13}]
    order[3], order[4] = order[4], order[3]
    for i in order:
        a.snd(i, (1 << 32) - 800 + 160 * i, sent[i])
        a.snd(i, (1 << 32) - 800 + 160 * i, bytes(160))
    eventually(lambda: relay.legs.statistics(a.leg).received == 2 * len(order), "all in")
    kept = runs(relay, tap, Channel.LEFT)
    start = min(kept)
    expected = {start + 160 * i + at: sent[i][at] for i in order for at in range(160)}
    assert kept == expected


def test_what_is_closed_is_nowhere(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    tap = relay.taps.open(a.leg, b.leg, TapOptions(look_back_s=30.0))
    time.sleep(0.3)
    speak(a, relay, range(1, 6))
    speak(b, relay, range(1, 6))
    time.sleep(0.2)
    second_ns = time.monotonic_ns()
    speak(a, relay, range(6, 11))
    speak(b, relay, range(6, 11))
    now_ns = time.monotonic_ns()
    closed_at = relay._core.gate_close(tap, (now_ns - second_ns) // NS + 800, now_ns) / 8000
    speak(a, relay, range(11, 41))
    speak(a, relay, range(41, 51), ssrc=4711, jump=480_000)
    speak(b, relay, range(11, 31))
    opened_at = relay.taps.open_gate(tap)
    assert opened_at > closed_at
    speak(b, relay, range(28, 35))
    kept = both(relay, tap)
    for side in Channel:
        # Both halves lie before the erased span by their timestamps; the second arrived within it.
        assert set(kept[side].values()) == set(range(2, 7)), "only what was sent before the erased span"
        assert len(kept[side]) == 800


def test_packets_are_counted_while_the_gate_is_open_and_what_is_missing_between_them(relay: Relay) -> None:
    core = relay._core
    with Peer(relay) as a:
        opened = 10**9
        tap = core.open_tap(a.leg, 0, look_back_ticks=80_000, ring_ticks=1 << 17, now_ns=opened)

        def inject(*numbers: int, ssrc: int = 1, base: int = 65_530) -> None:
            for i in numbers:
                head = b"\x80\x08" + (base + i & 0xFFFF).to_bytes(2, "big") + (160 * i).to_bytes(4, "big")
                core.inject(a.leg, head + ssrc.to_bytes(4, "big") + bytes(160), opened + 160 * i * NS)

        inject(0, 1, 2, 4, 3, 7, 7, 10, 9)  # across the wrap of the numbers; 5, 6 and 8 never come, 7 comes twice
        assert core.tap_packets(tap) == ((8, 0), (3, 0))
        core.gate_close(tap, 0, opened + 1700 * NS)
        inject(*range(11, 30))
        core.gate_open(tap, opened + 4800 * NS)
        inject(40, 41, 43)
        assert core.tap_packets(tap) == ((11, 0), (4, 0)), (
            "what came while it was shut, and was lost then, is not counted"
        )
        inject(60, 61, ssrc=2, base=9000)
        assert core.tap_packets(tap) == ((13, 0), (4, 0)), "another stream has numbers of its own"


@pytest.mark.parametrize("attack", ["late", "step", "stream", "double"])
def test_nothing_closed_comes_in_after_the_opening(relay: Relay, attack: str) -> None:
    core = relay._core
    with Peer(relay) as a:
        opened = 10**9
        tap = core.open_tap(a.leg, 0, look_back_ticks=80_000, ring_ticks=1 << 17, now_ns=opened)

        def inject(i: int, at: int, value: int, *, ts: int | None = None, ssrc: int = 1) -> None:
            stamp = 160 * i if ts is None else ts
            head = b"\x80\x08" + i.to_bytes(2, "big") + stamp.to_bytes(4, "big") + ssrc.to_bytes(4, "big")
            core.inject(a.leg, head + bytes([value]) * 160, opened + at * NS)

        for i in range(60):
            inject(i, 160 * i, 1)
        assert core.gate_close(tap, 800, opened + 9600 * NS) == 8800
        for i in range(60, 80):
            inject(i, 160 * i, 2)
        assert core.gate_open(tap, opened + 12_800 * NS) == 12_976  # a packet, and 2 ms in which it may have gathered
        if attack == "late":
            for i in range(55, 81):
                inject(i, 12_801, 2)
        elif attack == "step":
            for i in range(80, 88):
                inject(i, 160 * i + 1, 2, ts=160 * i + 480_000)
        elif attack == "stream":
            for i in range(80, 88):
                inject(i, 160 * i + 1, 2, ts=77 + 160 * i, ssrc=5)
        else:
            for i in range(81):
                inject(i, 12_801, 2)
        for i in range(100, 120):
            inject(
                i, 160 * i, 3, ts=160 * i + (480_000 if attack == "step" else 0), ssrc=5 if attack == "stream" else 1
            )
        out = bytearray(1 << 17)
        length, _ = core.drain_tap(tap, out, is_final=True, now_ns=opened + 30_000 * NS)
        held = [run for run in decode_block(bytes(out[:length])) if isinstance(run, AudioRun)]
        values = b"".join(bytes(run.payload) for run in held)
        assert values.count(2) == 0
        assert values.count(1) == 8800
        assert values.count(3) == 20 * 160
        assert not any(run.start < 12_976 and run.end > 8800 for run in held)
        core.release_tap(tap)


def test_a_tap_can_start_closed_and_masks_reach_back(relay: Relay) -> None:
    core = relay._core
    with Peer(relay) as a, Peer(relay) as b:
        tap = core.open_tap(a.leg, b.leg, look_back_ticks=8000, ring_ticks=1 << 15, is_closed=True, now_ns=0)
        for i in range(100):
            if i == 20:
                core.gate_open(tap, 3200 * NS)
            for leg in (a.leg, b.leg):
                core.inject(leg, b"\x80\x08\0\0" + (160 * i).to_bytes(4, "big") + b"abcd" + b"x" * 160, 160 * i * NS)
        core.gate_mask(tap, 8000, 8500, 16_000 * NS)
        out = bytearray(1 << 17)
        length, _ = core.drain_tap(tap, out, is_final=True, now_ns=16_000 * NS)
        spans = [
            (int(run.channel), run.start, run.end)
            for run in decode_block(bytes(out[:length]))
            if isinstance(run, AudioRun)
        ]
        assert spans == [(side, *span) for side in (0, 1) for span in ((4800, 8000), (8500, 16_000))]
        core.release_tap(tap)


def test_the_look_back_is_kept_and_small_buffers_lose_nothing(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    tap = relay.taps.open(a.leg, b.leg, TapOptions(look_back_s=0.5))
    speak(a, relay, range(10))
    assert runs(relay, tap, Channel.LEFT, is_final=False) == {}
    kept: dict[int, int] = {}
    has_more, turns = True, 0
    while has_more:
        small = bytearray(200)
        length, has_more = relay.taps.drain(tap, small, is_final=True)
        for run in decode_block(bytes(small[:length])):
            if isinstance(run, AudioRun):
                kept.update({run.start + i: value for i, value in enumerate(run.payload)})
        turns += 1
    assert len(kept) == 1600
    assert turns > 5
    assert [value for _, value in sorted(kept.items())] == [i + 1 for i in range(10) for _ in range(160)]
    assert relay.taps.drain(tap, bytearray(64), is_final=True) == (0, False)


def test_an_overrun_is_a_lost_range_and_an_event(relay: Relay) -> None:
    core = relay._core
    with Peer(relay) as a:
        tap = core.open_tap(a.leg, 0, look_back_ticks=1000, ring_ticks=4096, now_ns=0)
        for i in range(40):
            core.inject(a.leg, b"\x80\x08\0\0" + (160 * i).to_bytes(4, "big") + b"abcd" + b"x" * 160, 160 * i * NS)
        out = bytearray(1 << 16)
        length, _ = core.drain_tap(tap, out, is_final=True, now_ns=6400 * NS)
        records = list(decode_block(bytes(out[:length])))
        assert LostRange(channel=Channel.LEFT, start=4096, ticks=2304) in records
        assert relay.events() == [AudioLost(tap=TapId(tap), channel=Channel.LEFT, start=4096, end=6400)]
        core.release_tap(tap)


def test_the_callers_digits_are_silenced_on_both_sides(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    relay.legs.set_dtmf(a.leg, DtmfPolicy.MASK)
    tap = relay.taps.open(a.leg, b.leg, TapOptions(look_back_s=30.0))
    core = relay._core
    start = time.monotonic_ns()
    for i in range(100):
        for peer in pair:
            head = b"\x80\x08" + i.to_bytes(2, "big") + (160 * i).to_bytes(4, "big") + b"abcd"
            core.inject(peer.leg, head + bytes([peer is a]) * 160, start + 160 * i * NS)
    event = b"\x80\x65\0\x64" + (8000).to_bytes(4, "big") + b"abcd" + bytes((5, 0x8A)) + (800).to_bytes(2, "big")
    core.inject(a.leg, event, start + 16_000 * NS)
    out = bytearray(1 << 18)
    length, _ = relay.taps.drain(tap, out, is_final=True)
    for channel in Channel:
        spans = [
            (run.start, run.end)
            for run in decode_block(bytes(out[:length]))
            if isinstance(run, AudioRun) and run.channel is channel
        ]
        (_, before), (after, _) = spans
        assert after - before == 800 + 2 * 1600, f"{channel.name}: {spans}"
        assert spans[-1][1] - spans[0][0] == 16_000
    assert relay.legs.statistics(a.leg).digits == 1


def test_a_tap_follows_a_transfer(relay: Relay) -> None:
    with Peer(relay) as a, Peer(relay) as b, Peer(relay) as c:
        tap = relay.taps.open(a.leg, b.leg, TapOptions(look_back_s=30.0))
        speak(b, relay, range(5))
        with pytest.raises(ValueError, match="open_tap"):
            relay.taps.open(a.leg, c.leg, TapOptions())
        relay.taps.retarget(tap, a.leg, c.leg)
        speak(b, relay, range(5, 9))
        speak(c, relay, range(100, 105))
        seen: list[MediaEvent] = relay.events()
        assert [event.channel for event in seen if isinstance(event, StreamReanchored)] == [Channel.RIGHT]
        kept = runs(relay, tap, Channel.RIGHT)
        assert [value for _, value in sorted(kept.items())][::160] == [1, 2, 3, 4, 5, 101, 102, 103, 104, 105]
        relay.close_leg(c.leg)
        relay.taps.release(tap)
        for gone in (relay.taps.position_s, relay.taps.open_gate, relay.taps.release):
            with pytest.raises(KeyError):
                gone(tap)


def test_peaks_of_a_block() -> None:
    loud, quiet = b"\xaa", b"\xd5"
    block = encode_block(
        [
            AudioRun(channel=Channel.LEFT, codec=Codec.PCMA, start=1600, payload=quiet * 800 + loud * 800),
            AudioRun(channel=Channel.LEFT, codec=Codec.PCMU, start=8000, payload=b"\x80" * 160 + b"\xff" * 80),
            AudioRun(channel=Channel.RIGHT, codec=Codec.G722, start=0, payload=bytes(320)),
        ]
    )
    assert peaks(block, 0) == [(2, bytes([0, 252])), (10, bytes([250]))]
    assert peaks(block, 1) == [(0, bytes([0]))]
    assert peaks(b"", 0) == []
    for torn in (block[:-1], block[:30], b"\x01"):
        with pytest.raises(ValueError, match="peaks"):
            peaks(torn, 1)
