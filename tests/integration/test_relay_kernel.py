"""Settled streams that the kernel relays: as exact, as well known and as well controlled as those of sockets."""

import itertools
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from audio.relay import Relay
from audio.types import Channel, Codec, LegMedia, MediaAddress, Prompt, PromptEnded, RelayOptions, TapOptions
from tests.helpers.rtp import EVENT_PT, PATIENCE_S, UNPACED, Peer, eventually, kept_of_tap, next_events
from tests.helpers.starvation import waited_s
from tests.reference.rtp import RTP_HEADER_BYTES, RtcpReport, RtpPacket, build_rtp, parse_rtcp, parse_rtp

pytestmark = pytest.mark.kernel_relay

PORTS = (41000, 41999)


@pytest.fixture
def relay() -> Iterator[Relay]:
    with Relay(
        RelayOptions(ports=PORTS, lock_memory=False, kernel_interfaces=("lo",), kernel_packets_per_s=UNPACED)
    ) as relay:
        yield relay


@pytest.fixture
def pair(relay: Relay) -> Iterator[tuple[Peer, Peer]]:
    with Peer(relay) as a, Peer(relay) as b:
        relay.bridge(a.leg, b.leg)
        yield a, b


def frame(number: int) -> bytes:
    """Return 20 ms that no other number has."""
    return number.to_bytes(4, "big") * 40


def settle(speaker: Peer, hearer: Peer, first: int = 0) -> int:
    """Send numbered frames, one at a time, until the kernel relays them; returns the next number."""
    relay, before = speaker.relay, relayed(speaker)
    for number in range(first, first + 1200):  # it waits for 1024 after one that was left out of the numbering
        speaker.snd(number, 160 * number, frame(number))
        hearer.rcv(f"frame {number}", payload=frame(number))
        if relayed(speaker) > before + 1:
            return number + 1
    raise AssertionError(f"1200 packets, and the kernel has relayed none of them: {relay.counters()}")


def counted(peer: Peer) -> dict[str, int]:
    """Return the counters of its relay, with all that the kernel has relayed up to now."""
    peer.relay.legs.statistics(peer.leg)  # which looks at what has come since the last look
    return peer.relay.counters()


def relayed(peer: Peer) -> int:
    return counted(peer)["relayed"]


def say(speaker: Peer, numbers: range) -> None:
    """Send numbered frames back to back."""
    for number in numbers:
        speaker.snd(number, 160 * number, frame(number))


def rcv_plain(hearer: Peer, what: str, payload: bytes | None = None) -> RtpPacket:
    """Receive a packet that has nothing but a header of ours and audio or an event."""
    hearer.rtp.settimeout(PATIENCE_S)
    data = hearer.rtp.recv(4096)
    packet = parse_rtp(data)
    assert len(data) == RTP_HEADER_BYTES + len(packet.payload), f"{what}: padding or more of a header"
    assert payload is None or packet.payload == payload, f"{what}: seq {packet.sequence} has another payload"
    return packet


def test_a_settled_stream_is_relayed_to_the_byte_and_under_one_numbering(pair: tuple[Peer, Peer]) -> None:
    a, b = pair
    rng = random.Random(1)
    first, count = 65_000, 1000
    seen: dict[Peer, set[tuple[int, int, int]]] = {a: set(), b: set()}
    for i in range(count):
        for speaker, hearer in ((a, b), (b, a)):
            payload = rng.randbytes(rng.choice((1, 80, 159, 160, 240)))
            is_marked = i == 0 or rng.random() < 0.1
            ticks = (1 << 32) - 80_000 + 160 * i
            speaker.snd(first + i, ticks, payload, is_marked=is_marked)
            got = rcv_plain(hearer, f"packet {i}", payload)
            seen[hearer].add(((got.sequence - first - i) % 65536, (got.timestamp - ticks) % (1 << 32), got.ssrc))
            assert (got.payload_type, got.is_marked) == (Codec.PCMA, is_marked)
    assert all(len(each) == 1 for each in seen.values()), "numbering moved in the middle of a stream"
    counters = counted(a)
    assert counters["received"] == counters["sent"] == 2 * count
    assert counters["relayed"] > 1.9 * count, "sockets had a good part of it"


def test_what_is_lost_late_or_twice_is_seen_as_by_sockets(
    kernel_interfaces: tuple[str, ...],
) -> None:
    options = RelayOptions(
        ports=PORTS, lock_memory=False, kernel_interfaces=kernel_interfaces, kernel_packets_per_s=UNPACED
    )
    with Relay(options) as relay, Peer(relay) as a, Peer(relay) as b:
        relay.bridge(a.leg, b.leg)
        numbers = [n for n in range(200) if n % 20 != 7]
        numbers[50], numbers[51] = numbers[51], numbers[50]
        numbers.insert(60, numbers[60])
        began = time.monotonic()
        for i, number in enumerate(numbers):
            # Each other one is 30 ms behind its timestamp: a jitter that no busy machine adds or takes away.
            time.sleep(max(0.0, began + 0.003 * i - time.monotonic()))
            a.snd(number, 24 * i + 240 * (i % 2), frame(number))
            b.rcv(f"packet {number}", payload=frame(number))
        statistics, counters = relay.legs.statistics(a.leg), counted(a)
        assert (statistics.received, statistics.lost, statistics.dropped) == (191, 200 - 191, 0)
        assert relay.legs.statistics(b.leg).sent == 191
        assert 25 < statistics.jitter_ms < 35
        assert (counters["relayed"] > 150) == bool(kernel_interfaces)


@pytest.mark.slow
def test_reports_count_what_was_relayed(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    for peer in pair:
        peer.rtcp.connect((peer.ours.ip, peer.ours.rtcp_port))
        peer.rtcp.settimeout(10)
    count = settle(a, b)
    say(a, range(count, count + 50))
    say(a, range(count + 52, count + 100))
    sent = [*range(count, count + 50), *range(count + 52, count + 100)]
    for number in sent:
        b.rcv(f"frame {number}", payload=frame(number))
    receiver, _ = parse_rtcp(a.rtcp.recv(500))
    sender, _ = parse_rtcp(b.rtcp.recv(500))
    assert isinstance(receiver, RtcpReport)
    assert isinstance(sender, RtcpReport)
    assert sender.sender is not None
    assert (sender.sender.packets, sender.sender.octets) == (count + 98, 160 * (count + 98))
    assert (receiver.reports[0].ssrc, receiver.reports[0].lost) == (a.ssrc, 2)
    assert receiver.reports[0].highest_sequence == count + 99
    assert relayed(a) > 90
    settle(a, b, count + 100)


def odd(a: Peer, kind: str, number: int) -> bytes | None:
    """Send a packet that only sockets may take; returns what of it goes on."""
    plain = RtpPacket(payload_type=8, sequence=number, timestamp=160 * number, ssrc=a.ssrc, payload=frame(number))
    data = bytearray(build_rtp(plain))
    head, body = data[:12], bytes(data[12:])
    if kind == "event":
        a.snd_event(number, 160 * number, "5", 800, is_end=True)
        return None
    if kind == "stream":
        a.snd(number, 160 * number, body, ssrc=a.ssrc + 1)
    elif kind == "law":
        a.snd(number, 160 * number, body, pt=0)
        return None
    elif kind == "long":
        body *= 2
        a.snd(number, 160 * number, body)
    elif kind == "keep-alive":
        a.snd_raw(bytes(head))
        return None
    elif kind == "padding":
        head[0] |= 0x20
        a.snd_raw(bytes(head) + body + b"\0\0\x03")
    elif kind == "extension":
        head[0] |= 0x10
        a.snd_raw(bytes(head) + b"\xbe\xde\0\x01exts" + body)
    else:
        head[0] |= 0x01
        a.snd_raw(bytes(head) + b"csrc" + body)
    return body


@pytest.mark.parametrize(
    "kind", ["event", "stream", "law", "long", "keep-alive", "padding", "extension", "contributor"]
)
def test_nothing_overtakes_an_odd_packet_and_then_the_stream_is_relayed_again(
    pair: tuple[Peer, Peer], relay: Relay, kind: str
) -> None:
    a, b = pair
    a.configure(events=None if kind != "event" else EVENT_PT)
    first = settle(a, b)
    for turn in range(5):
        at = first + 21 * turn
        say(a, range(at, at + 10))
        goes_on = odd(a, kind, at + 10)
        say(a, range(at + 11, at + 21))
        expected = [frame(number) for number in range(at, at + 21)]
        expected[10:11] = [] if goes_on is None and kind != "event" else [goes_on or b""]
        got = [rcv_plain(b, f"turn {turn}, packet {i}", each or None) for i, each in enumerate(expected)]
        assert [packet.payload_type for packet in got] == [8 if each else EVENT_PT for each in expected]
        steps = [(two.sequence - one.sequence) % 65536 for one, two in itertools.pairwise(got)]
        gap = kind == "law"  # what is refused is a loss to the other side
        assert steps == [1] * 9 + [1 + gap] + [1] * (len(steps) - 10), "numbering"
        switches = [10, 11] if kind == "stream" else []
        assert [i for i, packet in enumerate(got) if packet.is_marked] == switches
    settle(a, b, first + 21 * 5)


def test_nothing_is_relayed_of_a_payload_type_that_is_no_longer_negotiated(pair: tuple[Peer, Peer]) -> None:
    a, b = pair
    first = settle(a, b)
    a.codec = Codec.PCMU
    a.configure()  # which its peer takes no notice of
    before, dropped = counted(a), a.relay.legs.statistics(a.leg).dropped
    for count, number in enumerate(range(first, first + 20), dropped + 1):
        a.snd(number, 160 * number, frame(number), pt=8)
        eventually(lambda count=count: a.relay.legs.statistics(a.leg).dropped == count, f"frame {number} dropped")  # type: ignore[misc]
    b.rcv_none("what the recording does not have either")
    after = counted(a)
    assert after["relayed"] == before["relayed"]
    a.codec = Codec.PCMA
    a.configure()
    settle(a, b, first + 20)


def test_a_strangers_packets_do_not_pass(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    first = settle(a, b)
    before = counted(a)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        for number in range(first, first + 300):
            if number % 10 == 0:
                a.snd(number, 160 * number, bytes(160), source=stranger)
            a.snd(number, 160 * number, frame(number))
            b.rcv(f"frame {number}", payload=frame(number))
    b.rcv_none("no more than that")
    after = counted(a)
    assert relay.legs.statistics(a.leg).dropped == 30
    assert after["received"] - before["received"] == 300
    assert after["relayed"] - before["relayed"] > 200


def test_a_prompt_in_the_middle_leaves_no_number_out_and_uses_none_twice(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    number = settle(a, b)
    for turn in range(3):
        audio = random.Random(turn).randbytes(160 * 3)
        say(a, range(number, number + 20))
        relay.legs.play(b.leg, Prompt(name="notice", audio=dict.fromkeys(Codec, audio)), tag=turn)
        say(a, range(number + 20, number + 40))
        got = [b.rcv(f"frame {i}", payload=frame(number + i)) for i in range(20)]
        got += [b.rcv(f"prompt {i}", payload=audio[160 * i : 160 * i + 160]) for i in range(3)]
        ended = next_events(relay, 1, "end of the prompt")
        assert ended == [PromptEnded(leg=b.leg, tag=turn, packets_sent=3, packets_due=3, complete=True)]
        say(a, range(number + 40, number + 60))
        got += [b.rcv(f"frame {i}", payload=frame(number + i)) for i in range(40, 60)]
        assert [(packet.sequence - got[0].sequence) % 65536 for packet in got] == list(range(43))
        assert [i for i, packet in enumerate(got) if packet.is_marked] == [20, 23]
        number = settle(a, b, number + 60)


ACTS: dict[str, Callable[[Relay, Peer, Peer], None]] = {
    "mute": lambda relay, a, b: relay.legs.mute(a.leg, True),
    "unbridge": lambda relay, a, b: relay.unbridge(a.leg),
    "unbridge the other": lambda relay, a, b: relay.unbridge(b.leg),
    "close": lambda relay, a, b: relay.close_leg(a.leg),
    "close the other": lambda relay, a, b: relay.close_leg(b.leg),
    "hold": lambda relay, a, b: a.configure(receives=False),
    "hold the other": lambda relay, a, b: b.configure(sends=False),
    "bridge elsewhere": lambda relay, a, b: relay.bridge(b.leg, relay.open_leg()),
    "close all": lambda relay, a, b: relay.close(),
}


@pytest.mark.parametrize("act", ACTS)
def test_nothing_goes_on_once_it_was_stopped(pair: tuple[Peer, Peer], relay: Relay, act: str) -> None:
    a, b = pair
    first = settle(a, b)
    say(a, range(first, first + 50))
    ACTS[act](relay, a, b)
    say(a, range(first + 50, first + 100))
    for number in range(first, first + 50):
        b.rcv(f"frame {number}", payload=frame(number))
    b.rcv_none("it was stopped", within_s=0.2)


def test_what_came_before_a_pause_is_kept_and_nothing_of_the_pause(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    tap = relay.taps.open(a.leg, b.leg, TapOptions(look_back_s=60.0))
    first = settle(a, b)
    before = relayed(a)
    began, starved = time.monotonic(), waited_s(os.getpid())
    sent_s: dict[int, float] = {}
    speech = [bytes([value]) * 160 for value in (0xA1, 0xA2, 0xA3)]

    def talk(payload: bytes, numbers: range) -> None:
        for number in numbers:
            time.sleep(max(0.0, began + 0.02 * (number - first) - time.monotonic()))
            a.snd(number, 160 * number, payload)
            sent_s[number] = time.monotonic()

    talk(speech[0], range(first, first + 30))
    before_close_s = time.monotonic()
    relay.taps.close_gate(tap, 0.2)
    late = max(0, round((time.monotonic() - began - 30 * 0.02) * 8000))  # what was said less in the last 200 ms
    early = 160 * sum(moment < before_close_s - 0.2 for moment in sent_s.values())
    talk(speech[1], range(first + 30, first + 50))
    relay.taps.open_gate(tap)
    open_s = time.monotonic()
    talk(speech[2], range(first + 50, first + 100))
    assert relay.legs.statistics(a.leg).received == first + 100
    # While the media thread gets no CPU the kernel relays nothing, as for a daemon that has stopped.
    unserved_s = max(waited - starved.get(thread, 0.0) for thread, waited in waited_s(os.getpid()).items())
    assert relayed(a) - before > 90 - unserved_s / 0.02
    kept = list(kept_of_tap(relay, tap)[Channel.LEFT].values())
    assert 0xA2 not in kept, "what came while the gate was closed"
    said = 30 * 160 - 1600
    assert early - 800 <= kept.count(0xA1) <= said + 160 + late, "but for the 200 ms that were erased"
    after = 160 * sum(began + 0.02 * number > open_s + 0.5 for number in range(50, 100))  # by their timestamps
    assert after <= kept.count(0xA3) <= 50 * 160, "and after the opening it goes on"


def test_each_media_thread_has_its_own() -> None:
    options = RelayOptions(
        ports=PORTS, lock_memory=False, threads=2, kernel_interfaces=("lo",), kernel_packets_per_s=UNPACED
    )
    with ExitStack() as stack:
        relay = stack.enter_context(Relay(options))
        calls = []
        for thread in range(2):
            a, b = (stack.enter_context(Peer(relay, thread=thread)) for _ in range(2))
            relay.bridge(a.leg, b.leg)
            calls.append((a, b, settle(a, b)))
        for i in range(200):
            for a, b, first in calls:
                say(a, range(first + i, first + i + 1))
                b.rcv(f"frame {i}", payload=frame(first + i))
        for a, b, first in calls:
            assert relay.legs.statistics(a.leg).received == relay.legs.statistics(b.leg).sent == first + 200
        assert relay.counters()["relayed"] > 380


def test_what_is_faster_than_media_goes_by_its_socket() -> None:
    options = RelayOptions(ports=PORTS, lock_memory=False, kernel_interfaces=("lo",))
    with Relay(options) as relay, Peer(relay) as a, Peer(relay) as b:
        relay.bridge(a.leg, b.leg)
        first = settle(a, b)
        before, numbers = relayed(a), range(first, first + 100)
        say(a, numbers)
        for number in numbers:
            b.rcv(f"frame {number}", payload=frame(number))
        assert relayed(a) - before <= 33, "320 a second, in steps of 100 ms"


def test_only_the_signalled_source_is_relayed_by_the_kernel(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    port = a.rtp.getsockname()[1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as signalled:
        signalled.bind(("127.0.0.2", port))
        there = MediaAddress(ip="127.0.0.2", rtp_port=port, rtcp_port=9)
        media = LegMedia(remote=there, codec=Codec.PCMA, send_pt=8, receive_pt=8, also_from="127.0.0.1")
        relay.set_media(a.leg, media)
        time.sleep(0.2)
        for number in range(50):
            a.snd(number, 160 * number, frame(number))
            b.rcv(f"frame {number}, from the other address of the peer", payload=frame(number))
        assert relayed(a) == 0
        numbers = itertools.count(50)

        def is_relayed(more_than: int) -> bool:
            """Send one more; the kernel takes over a while after the first, whatever a machine sends meanwhile."""
            number = next(numbers)
            a.snd(number, 160 * number, frame(number), source=signalled, ssrc=7)
            b.rcv(f"frame {number}, from the signalled address", payload=frame(number))
            return relayed(a) > more_than

        eventually(lambda: is_relayed(10), "the kernel relays what comes from the signalled address")
        settled = relayed(a)
        say(a, range(100, 150))
        eventually(lambda: relay.legs.statistics(a.leg).refused == 100, "the other address is heard no more")
        b.rcv_none("what it sends now")
        eventually(lambda: is_relayed(settled + 10), "and goes on to")
