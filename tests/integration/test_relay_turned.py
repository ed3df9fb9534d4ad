"""A core whose clock the caller turns: prompts, silence and taps go by that clock, and it never goes back."""

import socket
from collections.abc import Iterator

import pytest

from audio.relay import Relay
from audio.types import Codec, LegMedia, MediaAddress, MediaStopped, Prompt, PromptEnded, RelayOptions, TapOptions
from tests.helpers.recorder_home import eventually

START_NS = 10**12
MS = 1_000_000


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


def test_how_long_a_leg_has_not_been_heard(relay: Relay) -> None:
    a, b = relay.open_leg(), relay.open_leg()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        for leg in (a, b):
            relay.set_media(leg, media(port=peer.getsockname()[1]))
        relay.turn(START_NS + 6_000 * MS)
        peer.sendto(bytes([0x80, 8]) + bytes(10) + b"\xd5" * 160, ("127.0.0.1", relay.local_address(a).rtp_port))
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
