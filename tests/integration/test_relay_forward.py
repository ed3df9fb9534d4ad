"""Packets through the real media core on loopback: forwarding, prompts, RTCP, sockets."""

import random
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audio.blocks import AudioRun, decode_block
from audio.relay import Relay
from audio.types import (
    Codec,
    LegMedia,
    MediaAddress,
    PayloadFormat,
    Prompt,
    PromptEnded,
    RelayOptions,
    TapOptions,
)
from tests.helpers.rtp import PATIENCE_S, Peer, eventually, next_events
from tests.reference.laws import ALAW_TO_MULAW, MULAW_TO_ALAW
from tests.reference.rtp import ReceptionReport, RtcpReport, build_rtcp, parse_rtcp

FRAME_NS = 20_000_000
TICK_NS = 125_000
SPOKEN = b"\x2a" * 160


@pytest.fixture
def relay(carried: dict[str, Any]) -> Iterator[Relay]:
    options = RelayOptions(ports=(41000, 41999), lock_memory=False, dead_rtp_s=3600.0, quarantine_s=0.0)
    relay = Relay(replace(options, **carried))
    relay.start()
    yield relay
    relay.close()
    counters = relay.counters()
    assert (counters["legs"], counters["taps"], counters["events_dropped"]) == (0, 0, 0)


@pytest.fixture
def pair(relay: Relay) -> Iterator[tuple[Peer, Peer]]:
    with Peer(relay) as a, Peer(relay) as b:
        relay.bridge(a.leg, b.leg)
        yield a, b


def prompt(frames: int) -> Prompt:
    rng = random.Random(frames)
    audio = rng.randbytes(160 * frames)
    return Prompt(name="test", audio=dict.fromkeys(Codec, audio))


def test_thousands_of_packets_pass_both_ways_to_the_byte(pair: tuple[Peer, Peer]) -> None:
    a, b = pair
    rng = random.Random(1)
    offsets: dict[Peer, set[tuple[int, int]]] = {a: set(), b: set()}
    for i in range(65000, 67000):
        for speaker, hearer in ((a, b), (b, a)):
            payload = rng.randbytes(160)
            speaker.snd(i, 160 * i, payload)
            got = hearer.rcv(f"packet {i}", payload=payload)
            offsets[hearer].add(((got.sequence - i) % 65536, (got.timestamp - 160 * i) % (1 << 32)))
            assert got.payload_type == Codec.PCMA
            assert got.is_marked == (i == 65000)
    assert all(len(seen) == 1 for seen in offsets.values()), "numbering moved in the middle of a stream"


@pytest.mark.parametrize(("codec", "table"), [(Codec.PCMA, ALAW_TO_MULAW), (Codec.PCMU, MULAW_TO_ALAW)])
def test_the_laws_are_converted(relay: Relay, codec: Codec, table: list[int]) -> None:
    other = Codec.PCMU if codec is Codec.PCMA else Codec.PCMA
    with Peer(relay, codec) as a, Peer(relay, other) as b:
        relay.bridge(a.leg, b.leg)
        a.snd(1, 160, bytes(range(256)))
        got = b.rcv("all values", payload=bytes(table[value] for value in range(256)))
        assert got.payload_type == other


@pytest.mark.parametrize("codec", [Codec.PCMU, Codec.PCMA])
def test_a_peer_may_change_between_the_codecs_that_were_settled(relay: Relay, codec: Codec) -> None:
    other = Codec.PCMU if codec is Codec.PCMA else Codec.PCMA
    table = ALAW_TO_MULAW if other is Codec.PCMA else MULAW_TO_ALAW
    with Peer(relay, codec) as a, Peer(relay, codec) as b:
        a.configure(more=(PayloadFormat(codec=other, send_pt=int(other), receive_pt=96),))
        relay.bridge(a.leg, b.leg)
        tap = relay.taps.open(a.leg, b.leg, TapOptions(look_back_s=0.5))
        payload = bytes(range(160))
        got = []
        for i in range(60):
            is_other = i // 10 % 2
            a.snd(i, 160 * i, payload, pt=96 if is_other else None)
            got.append(b.rcv(f"packet {i}", payload=payload.translate(table) if is_other else payload))
        assert {one.payload_type for one in got} == {int(codec)}
        assert len({(one.sequence - i) % 65536 for i, one in enumerate(got)}) == 1
        assert len({(one.timestamp - 160 * i) % (1 << 32) for i, one in enumerate(got)}) == 1
        out = bytearray(1 << 20)
        length, _ = relay.taps.drain(tap, out, is_final=True)
        runs = [one for one in decode_block(bytes(out[:length])) if isinstance(one, AudioRun)]
        assert b"".join(one.payload for one in runs) == payload * 60
        assert [(one.codec, len(one.payload)) for one in runs] == [(codec, 1600), (other, 1600)] * 3
        relay.taps.release(tap)


def test_what_cannot_be_converted_goes_on_as_it_is_where_the_other_side_takes_it(relay: Relay) -> None:
    with Peer(relay) as a, Peer(relay) as b:
        wide = (PayloadFormat(codec=Codec.G722, send_pt=9, receive_pt=9),)
        a.configure(more=wide)
        relay.bridge(a.leg, b.leg)
        a.snd(1, 160, b"\x2a" * 160, pt=9)
        a.wait_taken()
        b.rcv_none("G.722, which the other side does not take")
        b.configure(more=wide)
        a.snd(2, 320, b"\x2b" * 160, pt=9)
        assert b.rcv("G.722", payload=b"\x2b" * 160).payload_type == 9
        a.snd(3, 480, b"\x2c" * 160)
        assert b.rcv("A-law", payload=b"\x2c" * 160).payload_type == 8
        a.snd(4, 640, pt=0)
        a.wait_taken()
        b.rcv_none("a codec that was not settled")


def test_different_rates_are_never_bridged(relay: Relay) -> None:
    with Peer(relay, Codec.G722) as a, Peer(relay) as b, pytest.raises(ValueError, match="bridge"):
        relay.bridge(a.leg, b.leg)


def test_loss_reordering_and_duplicates_stay_visible(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    sent = [10, 11, 13, 12, 12, 20]
    for sequence in sent:
        a.snd(sequence, 160 * sequence)
    got = [b.rcv(f"sequence {sequence}").sequence for sequence in sent]
    assert [(sequence - got[0]) % 65536 for sequence in got] == [0, 1, 3, 2, 2, 10]
    assert relay.legs.statistics(a.leg).lost == 11 - 6


def test_a_new_stream_goes_on_by_one_with_marker_and_wall_clock(pair: tuple[Peer, Peer]) -> None:
    a, b = pair
    before_ns = time.monotonic_ns()
    a.snd(500, 8000)
    first = b.rcv("old stream")
    between_ns = time.monotonic_ns()
    time.sleep(0.1)
    began_ns = time.monotonic_ns()
    a.snd(9, 4_000_000_000, ssrc=77)
    second = b.rcv("new stream")
    ended_ns = time.monotonic_ns()
    assert (second.sequence - first.sequence) % 65536 == 1
    assert second.is_marked
    passed_ns = (second.timestamp - first.timestamp) % (1 << 32) * TICK_NS
    assert began_ns - between_ns - TICK_NS <= passed_ns <= ended_ns - before_ns + TICK_NS
    assert second.ssrc == first.ssrc


def test_the_address_that_signalling_comes_from_counts_with_the_signalled_port(
    pair: tuple[Peer, Peer], relay: Relay
) -> None:
    a, b = pair
    port, rtcp_port = a.rtp.getsockname()[1], a.rtcp.getsockname()[1]
    signalled = MediaAddress(ip="127.0.0.2", rtp_port=port, rtcp_port=rtcp_port)
    media = LegMedia(remote=signalled, codec=Codec.PCMA, send_pt=8, receive_pt=8)
    relay.set_media(a.leg, media)
    a.snd(1, 160)
    a.wait_taken()
    b.rcv_none("another address than the signalled")
    relay.set_media(a.leg, replace(media, also_from="127.0.0.1"))
    time.sleep(0.2)
    a.snd(2, 320, b"\x2a" * 160)
    b.rcv("from the address of its signalling, 200 ms after the media were set", payload=b"\x2a" * 160)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other_port:
        other_port.bind(("127.0.0.1", 0))
        a.snd(3, 480, source=other_port)
        a.wait_taken()
        b.rcv_none("another port")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other_address:
        other_address.bind(("127.0.0.3", port))
        a.snd(4, 640, source=other_address)
        a.wait_taken()
        b.rcv_none("a third address")
    relay.set_media(a.leg, media)
    a.snd(5, 800)
    a.wait_taken()
    b.rcv_none("the rule ends with the next offer")


def test_foreign_sources_and_foreign_payloads_are_dropped(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        a.snd(1, 160, source=stranger)
    a.snd(2, 320, pt=13)
    a.snd(3, 320, pt=0)
    for junk in (b"", b"\x80", b"\x80\x08" + bytes(9), b"\x00" * 40, b"\xbf\x08" + b"\xff" * 20, bytes(2049)):
        a.snd_raw(junk)
    a.wait_taken()
    b.rcv_none("what no rule lets in")
    assert relay.legs.statistics(a.leg).dropped == 9
    a.snd(4, 640)
    b.rcv("the call goes on")


def test_padding_and_extension_are_taken_off(pair: tuple[Peer, Peer]) -> None:
    a, b = pair
    header = b"\xb1\x08" + (7).to_bytes(2, "big") + bytes(4) + b"\0\0\0\x05" + b"csrc" + b"\xbe\xde\0\x01exts"
    a.snd_raw(header + b"voice" * 32 + b"\0\0\x03")
    b.rcv("plain packet", payload=b"voice" * 32)


def test_a_muted_leg_is_not_heard_and_comes_back_with_marker(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    a.snd(1, 160)
    before = b.rcv("before")
    relay.legs.mute(a.leg, True)
    a.snd(2, 320)
    a.wait_taken()
    b.rcv_none("muted")
    relay.legs.mute(a.leg, False)
    a.snd(3, 480)
    after = b.rcv("after")
    assert (after.sequence - before.sequence) % 65536 == 1
    assert after.is_marked


def test_a_leg_without_address_takes_its_first_source_only(relay: Relay) -> None:
    with Peer(relay, is_known=False) as a:
        a.snd(1, 160)
        eventually(lambda: relay.legs.statistics(a.leg).received == 1, "first source")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.1", 0))
            a.snd(2, 320, source=stranger)
        eventually(lambda: relay.legs.statistics(a.leg).dropped == 1, "second source")


@pytest.mark.parametrize(
    ("networks", "is_heard"),
    [
        (("127.0.0.8/30",), True),
        (("127.0.0.12/30",), False),
        (("::1/128",), False),
        (("192.0.2.0/24", "127.0.0.9/32"), True),
        (("127.0.0.8/32", "127.0.0.10/31"), False),
        (("127.0.0.0/9",), True),
        (("127.128.0.0/9",), False),
        (("0.0.0.0/0",), True),
    ],
)
def test_a_leg_without_address_hears_only_its_networks(relay: Relay, networks: tuple[str, ...], is_heard: bool) -> None:
    with Peer(relay, is_known=False) as a, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        a.configure(is_known=False, networks=networks)
        client.bind(("127.0.0.9", 0))
        a.snd(1, 160, source=client)
        a.snd(2, 320, source=client)
        count = relay.legs.statistics
        eventually(lambda: count(a.leg).received == 2 if is_heard else count(a.leg).dropped == 2, "two packets")
        a.configure(is_known=False)  # a new one may be anywhere
        a.snd(3, 480)
        eventually(lambda: count(a.leg).received == (3 if is_heard else 1), "the new source")


def test_networks_that_are_none_are_refused(relay: Relay) -> None:
    with Peer(relay, is_known=False) as a:
        for bad in [("127.0.0.1", 33)], [("127.0.0.1", -1)], [("x", 8)], [("127.0.0.1", 32)] * 33:
            with pytest.raises(ValueError, match="listen"):
                relay._core.listen(a.leg, None, bad)


def test_ipv6() -> None:
    with Relay(RelayOptions(address="::1", ports=(41000, 41999), lock_memory=False)) as relay:
        with Peer(relay, ip="::1") as a, Peer(relay, ip="::1") as b:
            relay.bridge(a.leg, b.leg)
            a.snd(1, 160, b"six" * 50)
            b.rcv("IPv6", payload=b"six" * 50)
        with Peer(relay, ip="::1", is_known=False) as c, pytest.raises(OSError, match="set_remote"):
            relay._core.set_remote(c.leg, ("127.0.0.1", 9), ("127.0.0.1", 9))


def test_a_prompt_is_numbered_counted_and_followed_by_a_marked_packet(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    notice = prompt(15)
    a.snd(1, 160)
    before = b.rcv("before the prompt")
    began_ns = time.monotonic_ns()
    relay.legs.play(b.leg, notice, tag=9)
    packets = []
    for i in range(15):
        packets.append(b.rcv(f"frame {i}", payload=notice.audio[Codec.PCMA][160 * i : 160 * i + 160]))
        assert time.monotonic_ns() - began_ns >= i * FRAME_NS, f"frame {i} came before its time"
    assert next_events(relay, 1, "end of the prompt") == [
        PromptEnded(leg=b.leg, tag=9, packets_sent=15, packets_due=15, complete=True)
    ]
    assert [(p.sequence - before.sequence) % 65536 for p in packets] == list(range(1, 16))
    assert [(p.timestamp - packets[0].timestamp) % (1 << 32) for p in packets] == [160 * i for i in range(15)]
    assert [p.is_marked for p in packets] == [True] + [False] * 14
    a.snd(2, 320)
    after = b.rcv("after the prompt")
    assert after.is_marked
    assert (after.sequence - packets[-1].sequence) % 65536 == 1


def test_the_bridge_is_silent_under_a_prompt(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    a.snd(1, 160)
    packets = [b.rcv("before the prompt")]
    relay.legs.play(b.leg, prompt(1), tag=9, loop=True)  # it lasts until it is stopped, on a slow machine too
    for i in range(10):
        a.snd(2 + i, 320 + 160 * i)
    a.wait_taken()
    packets.append(b.rcv("the prompt"))
    relay.legs.stop(b.leg)
    a.snd(12, 1920, SPOKEN)
    while packets[-1].payload != SPOKEN:
        assert packets[-1].payload in (bytes(160), prompt(1).audio[Codec.PCMA])
        packets.append(b.rcv("what follows the prompt"))
    assert [packet.payload for packet in packets].count(bytes(160)) == 1, "it was heard under the prompt"
    assert [(packet.sequence - packets[0].sequence) % 65536 for packet in packets] == list(range(len(packets)))
    assert packets[-1].is_marked


def test_a_loop_runs_until_stopped_and_a_new_prompt_ends_the_old(relay: Relay) -> None:
    with Peer(relay) as a:
        relay.legs.play(a.leg, prompt(1), tag=1, loop=True)
        for i in range(4):
            a.rcv(f"turn {i}", payload=prompt(1).audio[Codec.PCMA])
        relay.legs.play(a.leg, prompt(3), tag=2, loop=True)
        relay.legs.stop(a.leg)
        first, second = next_events(relay, 2, "both ends")
        assert isinstance(first, PromptEnded)
        assert isinstance(second, PromptEnded)
        assert (first.tag, first.complete, second.tag, second.complete) == (1, False, 2, False)
        assert first.packets_sent >= 4


def test_our_rtcp_and_theirs(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    for i in (1, 2, 4):
        a.snd(i, 160 * i)
        b.rcv(f"packet {i}")
    assert b.ssrc_of_ours is not None
    block = ReceptionReport(
        ssrc=b.ssrc_of_ours, fraction_lost=0, lost=3, highest_sequence=0, jitter=0, last_sr=0, delay_since_last_sr=0
    )
    good = build_rtcp((RtcpReport(ssrc=1, sender=None, reports=(block,) * 31),))
    to = (b.ours.ip, b.ours.rtcp_port)
    garbage = [
        b"",
        b"\x80",
        b"\x9f\xc8\x00\x01" + bytes(4),
        b"\x9f\xc9\xff\xff" + bytes(8),
        b"\x80\xc9\0\x01" * 99,
        good[:-1],
    ]
    for junk in garbage:
        b.rtcp.sendto(junk, to)
    eventually(lambda: relay.counters()["rtcp_malformed"] == len(garbage), "garbage is counted")
    assert relay.legs.statistics(b.leg).remote_lost is None
    b.rtcp.sendto(good * 2, to)
    eventually(lambda: relay.legs.statistics(b.leg).remote_lost == 3, "reported loss")


@pytest.mark.slow
def test_our_reports_are_well_formed(pair: tuple[Peer, Peer]) -> None:
    a, b = pair
    for i in (1, 2, 4):
        a.snd(i, 160 * i)
        b.rcv(f"packet {i}")
    for peer in pair:
        peer.rtcp.settimeout(PATIENCE_S)
    receiver, _ = parse_rtcp(a.rtcp.recv(500))
    sender, _ = parse_rtcp(b.rtcp.recv(500))
    assert isinstance(receiver, RtcpReport)
    assert isinstance(sender, RtcpReport)
    assert receiver.sender is None
    assert (receiver.reports[0].ssrc, receiver.reports[0].lost) == (a.ssrc, 1)
    assert sender.sender is not None
    assert (sender.ssrc, sender.sender.packets, sender.sender.octets) == (b.ssrc_of_ours, 3, 480)


def test_two_hundred_legs_leave_no_descriptor(relay: Relay) -> None:
    fds = Path("/proc/self/fd")
    before = len(list(fds.iterdir()))
    seen = set()
    for _ in range(2):
        legs = [relay.open_leg() for _ in range(200)]
        seen.update(legs)
        for leg in legs:
            relay.close_leg(leg)
            with pytest.raises(KeyError):
                relay.legs.statistics(leg)
    assert len(seen) == 400
    assert len(list(fds.iterdir())) == before


def test_closing_is_clean_and_final() -> None:
    relay = Relay(RelayOptions(ports=(41000, 41999), lock_memory=False))
    relay.start()
    leg = relay.open_leg()
    relay.close()
    relay.close()
    assert relay.counters()["legs"] == 0
    for act in (relay.open_leg, lambda: relay.unbridge(leg), relay.start):
        with pytest.raises(RuntimeError, match="closed"):
            act()
