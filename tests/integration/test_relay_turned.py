"""A core whose clock the caller turns: prompts, silence and taps go by that clock, and it never goes back."""

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from audio.relay import Relay
from audio.types import (
    Codec,
    DigitPressed,
    DigitSource,
    DtmfPolicy,
    LegId,
    LegMedia,
    MediaAddress,
    MediaResumed,
    MediaStopped,
    Prompt,
    PromptEnded,
    RelayOptions,
    TapOptions,
)
from tests.helpers.recorder_home import eventually
from tests.reference.rtp import RtpPacket, TelephoneEvent, build_event, build_rtp

START_NS = 10**12
MS = 1_000_000
VOICE = bytes([0x80, 8]) + bytes(10) + b"\xd5" * 160


@pytest.fixture
def relay() -> Iterator[Relay]:
    made = Relay(RelayOptions(ports=(41000, 41999), lock_memory=False, dead_rtp_s=5.0))
    made.turn(START_NS)
    yield made
    made.close()


def media(port: int = 9) -> LegMedia:
    remote = MediaAddress(ip="127.0.0.1", rtp_port=port, rtcp_port=9)
    return LegMedia(remote=remote, codec=Codec.PCMA, send_pt=8, receive_pt=8)


def test_a_prompt_lasts_as_long_by_the_callers_clock(relay: Relay) -> None:
    leg = relay.open_leg()
    relay.set_media(leg, media())
    silence = {codec: bytes([codec.silence]) * 8000 for codec in Codec}
    relay.legs.play(leg, Prompt(name="second", audio=silence), tag=7)
    for passed_ms in range(0, 1000, 20):
        relay.turn(START_NS + passed_ms * MS)
    assert relay.legs.statistics(leg).sent == 50
    assert relay.events() == []
    relay.turn(START_NS + 1000 * MS)
    assert relay.events() == [PromptEnded(leg=leg, tag=7, packets_sent=50, packets_due=50, complete=True)]


def sent_at_ms(relay: Relay, leg: LegId, first_ms: int, end_ms: int) -> dict[int, int]:
    """Turn the clock on by 1 ms at a time, and return how many packets a leg has sent at which ms."""
    sent: dict[int, int] = {}
    for passed_ms in range(first_ms, end_ms):
        before = relay.legs.statistics(leg).sent
        while relay.turn(START_NS + passed_ms * MS) <= START_NS + passed_ms * MS:
            pass  # a leg has woken another
        if gained := relay.legs.statistics(leg).sent - before:
            sent[passed_ms] = gained
    return sent


def test_a_prompt_is_sent_every_20_ms_and_at_once_what_a_short_stall_held_up(relay: Relay) -> None:
    leg = relay.open_leg()
    relay.set_media(leg, media())
    relay.legs.play(leg, Prompt(name="minute", audio=dict.fromkeys(Codec, bytes(160 * 3000))), tag=7)
    assert sent_at_ms(relay, leg, 0, 100) == dict.fromkeys(range(0, 100, 20), 1)
    assert relay.turn(START_NS + 100 * MS) == START_NS + 120 * MS, "it sleeps until the next is due"
    assert sent_at_ms(relay, leg, 310, 400) == {310: 10, 320: 1, 340: 1, 360: 1, 380: 1}, (
        "190 ms late: on the beat again"
    )
    assert sent_at_ms(relay, leg, 601, 660) == {601: 1, 621: 1, 641: 1}, "201 ms late: no burst, and a new beat"


def test_a_prompt_to_a_leg_that_is_held_in_its_middle_is_not_complete(relay: Relay) -> None:
    leg = relay.open_leg()
    relay.set_media(leg, media())
    relay.legs.play(leg, Prompt(name="100 ms", audio=dict.fromkeys(Codec, bytes(160 * 5))), tag=1)
    relay.turn(START_NS)
    relay.set_media(leg, replace(media(), sends=False))
    for passed_ms in range(20, 120, 20):
        assert relay.events() == []
        relay.turn(START_NS + passed_ms * MS)
    assert relay.events() == [PromptEnded(leg=leg, tag=1, packets_sent=1, packets_due=5, complete=False)]


def test_a_star_that_no_key_follows_goes_on_after_a_second_and_a_half(relay: Relay) -> None:
    a, b = relay.open_leg(), relay.open_leg()
    for leg in (a, b):
        relay.set_media(leg, replace(media(), send_event_pt=101, receive_event_pt=101))
    relay.bridge(a, b)
    relay.legs.set_dtmf(a, DtmfPolicy.HOLD_STAR, ("*1",))
    for sequence, is_end in ((1, False), (2, True)):
        event = TelephoneEvent(event=10, is_end=is_end, volume=10, duration=400 * sequence)
        packet = RtpPacket(payload_type=101, sequence=sequence, timestamp=160, ssrc=7, payload=build_event(event))
        relay._core.inject(a, build_rtp(packet), START_NS + 50 * sequence * MS)
    assert sent_at_ms(relay, b, 100, 2000) == dict.fromkeys(range(1600, 1740, 20), 1), "five packets, and two more ends"
    assert relay.events() == [DigitPressed(leg=a, digit="*", source=DigitSource.RFC4733)]


def test_silence_and_positions_go_by_the_callers_clock(relay: Relay) -> None:
    a, b = relay.open_leg(), relay.open_leg()
    for leg in (a, b):
        relay.set_media(leg, media())
    relay.bridge(a, b)
    tap = relay.taps.open(a, b, TapOptions(look_back_s=1.0))
    now_ns = START_NS
    while now_ns < START_NS + 6_000 * MS:
        now_ns = min(relay.turn(now_ns), START_NS + 6_000 * MS)
    relay.turn(now_ns)
    assert relay.taps.position_s(tap) == 6.0
    stopped = [event for event in relay.events() if isinstance(event, MediaStopped)]
    assert {event.leg for event in stopped} == {a, b}
    assert all(5.0 <= event.silent_s <= 5.3 for event in stopped)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        relay.set_media(a, media(port=peer.getsockname()[1]))
        peer.sendto(VOICE, ("127.0.0.1", relay.local_address(a).rtp_port))
        eventually(lambda: relay.turn(now_ns) and relay.legs.statistics(a).received, "voice comes")
    assert relay.events() == [MediaResumed(leg=a)]


def test_how_long_a_leg_has_not_been_heard(relay: Relay) -> None:
    a, b = relay.open_leg(), relay.open_leg()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        for leg in (a, b):
            relay.set_media(leg, media(port=peer.getsockname()[1]))
        relay.turn(START_NS + 6_000 * MS)
        peer.sendto(VOICE, ("127.0.0.1", relay.local_address(a).rtp_port))
        eventually(lambda: relay.turn(START_NS + 6_000 * MS) and relay.legs.statistics(a).received, "it arrives")
    relay.turn(START_NS + 6_250 * MS)
    assert relay.legs.silence_s(a) == 0.25
    assert relay.legs.silence_s(b) == 6.25
    relay.close_leg(b)
    with pytest.raises(KeyError):
        relay.legs.silence_s(b)


def test_the_clock_goes_back_for_nobody_and_a_started_core_has_its_own(relay: Relay) -> None:
    relay.turn(START_NS + 5)
    with pytest.raises(ValueError, match="turn"):
        relay.turn(START_NS + 4)
    relay.start()
    with pytest.raises(ValueError, match="turn"):
        relay.turn(START_NS + 6)
    relay.close()
    with pytest.raises(RuntimeError, match="closed"):
        relay.turn(START_NS + 7)


def test_what_has_come_at_a_leg_waits_until_the_core_is_turned(relay: Relay) -> None:
    leg, other = relay.open_leg(), relay.open_leg()
    port = relay.local_address(leg).rtp_port
    relay.set_media(leg, media())
    assert not relay.legs.has_waiting_packets(leg)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        for _ in range(2):
            peer.sendto(VOICE, ("127.0.0.1", port))
    eventually(lambda: relay.legs.has_waiting_packets(leg), "the packets have come")
    assert not relay.legs.has_waiting_packets(other)
    relay.turn(START_NS + MS)
    assert not relay.legs.has_waiting_packets(leg)
    relay.close_leg(leg)
    with pytest.raises(KeyError):
        relay.legs.has_waiting_packets(leg)


def test_a_leg_that_takes_no_more_takes_what_has_come(relay: Relay) -> None:
    leg, other = relay.open_leg(), relay.open_leg()
    to = ("127.0.0.1", relay.local_address(leg).rtp_port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        for each in (leg, other):
            relay.set_media(each, media(peer.getsockname()[1]))
        relay.bridge(leg, other)
        peer.sendto(VOICE, to)
        eventually(lambda: relay.legs.has_waiting_packets(leg), "the packet has come")
        relay.take_no_more(leg)
        for _ in range(3):
            peer.sendto(VOICE, to)
        for passed_ms in range(1, 6):
            relay.turn(START_NS + passed_ms * MS)
    assert not relay.legs.has_waiting_packets(leg)
    assert (relay.legs.statistics(leg).received, relay.legs.statistics(other).sent) == (1, 0)
