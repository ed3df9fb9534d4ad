"""Nothing that the kernel relays overtakes a packet that has passed its program and that the core has yet to read."""

import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from audio.relay import Relay
from audio.types import RelayOptions
from tests.helpers.kernel_program import delay_on_its_way
from tests.helpers.rtp import EVENT_PT, Peer, eventually
from tests.reference.rtp import RtpPacket, TelephoneEvent, build_event, build_rtp, parse_rtp

pytestmark = pytest.mark.kernel_relay

EVENT = build_event(TelephoneEvent(event=5, is_end=False, volume=10, duration=160))
OPTIONS = RelayOptions(
    ports=(41000, 41999), lock_memory=False, kernel_interfaces=("lo",), kernel_packets_per_s=1_000_000
)


class Call:
    """A bridged call over loopback whose media thread runs when the test says so."""

    def __init__(self, relay: Relay, speaker: Peer, hearer: Peer) -> None:
        self.relay, self.speaker, self.hearer = relay, speaker, hearer
        self.number = 0

    def packet(self, number: int, payload: bytes, payload_type: int = 8) -> bytes:
        """Return the speaker's packet with this number."""
        packet = RtpPacket(
            payload_type=payload_type,
            sequence=number,
            timestamp=160 * number,
            ssrc=self.speaker.ssrc,
            payload=payload,
        )
        return build_rtp(packet)

    def say(self) -> None:
        """Send the next packet."""
        self.speaker.snd_raw(self.packet(self.number, frame(self.number)))
        self.number += 1

    def turn(self) -> None:
        """Have the media thread read one packet of each socket, and the copies of what was relayed."""
        self.relay.turn(time.monotonic_ns())

    def relayed(self) -> int:
        """Return how many packets the kernel has relayed until now."""
        self.relay.legs.statistics(self.speaker.leg)  # which takes the copies
        return self.relay.counters()["relayed"]

    def is_relayed(self) -> bool:
        """Send the next packet, and tell whether the kernel relayed it; it is read if not."""
        before = self.relayed()
        self.say()
        is_relayed = self.relayed() > before
        self.turn()
        return is_relayed

    def settle(self) -> int:
        """Send packets until the kernel relays one; returns how many."""
        first = self.number
        eventually(self.is_relayed, "the kernel relays what has settled")
        return self.number - first

    def shut(self) -> None:
        """Send a packet that only the socket takes; nothing waits in it afterwards."""
        self.speaker.snd_raw(self.packet(self.number, bytes(320)))
        self.number += 1
        self.turn()

    def hear(self) -> list[int]:
        """Return the numbers of the frames that have come."""
        self.hearer.rtp.setblocking(False)
        heard: list[bytes] = []
        with suppress(BlockingIOError):
            while True:
                heard.append(parse_rtp(self.hearer.rtp.recv(4096)).payload)
        return [int.from_bytes(payload[:4], "big") for payload in heard if len(payload) == len(frame(0))]


def frame(number: int) -> bytes:
    return number.to_bytes(4, "big") * 40


@pytest.fixture
def call() -> Iterator[Call]:
    with closing(Relay(OPTIONS)) as relay:
        relay.turn(time.monotonic_ns())
        with Peer(relay) as speaker, Peer(relay) as hearer:
            relay.bridge(speaker.leg, hearer.leg)
            call = Call(relay, speaker, hearer)
            call.settle()
            yield call


@pytest.mark.parametrize("delayed", ["the next", "the same again", "the one before", "an event"])
def test_nothing_is_relayed_while_a_packet_is_on_its_way_to_its_socket(call: Call, delayed: str) -> None:
    call.shut()
    call.say()
    newest = call.number - 1
    packets = {
        "the next": call.packet(newest + 1, frame(newest + 1)),
        "the same again": call.packet(newest, frame(newest)),
        "the one before": call.packet(newest - 1, frame(newest - 1)),
        "an event": call.packet(newest + 1, EVENT, EVENT_PT),
    }
    delay_on_its_way(call.speaker, packets[delayed])
    call.turn()  # its socket is empty now, and what was read went on as it was
    call.number = newest + 2
    assert not call.is_relayed(), "it would have overtaken the one that is on its way"
    assert call.settle() < 5, "what never arrives keeps nothing from being relayed"
    assert call.hear() == [*range(newest - 1), *range(newest, newest + 1), *range(newest + 2, call.number)]


def test_what_came_before_the_program_looked_is_not_overtaken(call: Call) -> None:
    call.speaker.ssrc += 1  # the program knows nothing of the new stream until the core has read a packet of it
    assert [call.is_relayed() for _ in range(3)] == [False, False, False]
    assert call.settle() < 5
    assert call.hear() == list(range(call.number))


def test_a_sender_that_counts_from_far_below_is_relayed_again(call: Call) -> None:
    call.number += 30_000
    call.settle()
    call.shut()
    call.say()
    delay_on_its_way(call.speaker, call.packet(call.number, frame(call.number)))
    call.turn()
    call.number -= 20_000
    assert call.settle() < 5
