"""Keys on streams that the kernel relays: what must not be heard is held back as early as with sockets."""

import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

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
    TapOptions,
)
from tests.helpers.media_line import coded, spoken
from tests.helpers.rtp import UNPACED, Peer, kept_of_tap, next_events
from tests.reference.rtp import RtpPacket, parse_rtp

INBAND = DigitSource.INBAND
SILENCE = Codec.PCMA.silence
FRAME = 160


@pytest.fixture
def relay(kernel_interfaces: tuple[str, ...]) -> Iterator[Relay]:
    options = RelayOptions(
        ports=(41000, 41999), lock_memory=False, kernel_interfaces=kernel_interfaces, kernel_packets_per_s=UNPACED
    )
    with Relay(options) as relay:
        yield relay


@pytest.fixture
def pair(relay: Relay) -> Iterator[tuple[Peer, Peer]]:
    with Peer(relay) as caller, Peer(relay) as officer:
        relay.bridge(caller.leg, officer.leg)
        relay.legs.detect_tones(officer.leg, True)
        yield caller, officer


def speak(speaker: Peer, audio: bytes) -> None:
    """Send audio as a telephone does, 20 ms at a time."""
    began = time.monotonic()
    for number in range(len(audio) // FRAME):
        time.sleep(max(0.0, began + 0.02 * number - time.monotonic()))
        speaker.snd(number, FRAME * number, audio[FRAME * number :][:FRAME])
    speaker.wait_taken()


def heard(hearer: Peer) -> dict[int, int]:
    """Return byte by tick of all that has come, from the first packet on; fails if a number is missing or twice."""
    packets: list[RtpPacket] = []
    hearer.rtp.settimeout(0.3)
    with suppress(TimeoutError):
        while True:
            packets.append(parse_rtp(hearer.rtp.recv(4096)))
    assert [(packet.sequence - packets[0].sequence) % 65536 for packet in packets] == list(range(len(packets)))
    return {
        (packet.timestamp - packets[0].timestamp) % (1 << 32) + i: value
        for packet in packets
        for i, value in enumerate(packet.payload)
    }


def sounds(audio: dict[int, int], start: int, end: int) -> int:
    """Return how many ticks of [start, end) are not silence."""
    return sum(audio.get(at, SILENCE) != SILENCE for at in range(start, end))


def relayed(relay: Relay, peer: Peer) -> int:
    relay.legs.statistics(peer.leg)  # which looks at what has come since the last look
    return relay.counters()["relayed"]


@pytest.mark.parametrize("tone_s", [0.06, 0.1])
def test_a_secret_entry_reaches_neither_the_caller_nor_the_recording(
    pair: tuple[Peer, Peer], relay: Relay, kernel_interfaces: tuple[str, ...], tone_s: float
) -> None:
    caller, officer = pair
    relay.legs.set_dtmf(officer.leg, DtmfPolicy.HOLD_STAR, ("*1",), ("*9",))
    tap = relay.taps.open(caller.leg, officer.leg, TapOptions(look_back_s=60.0))
    voice = coded(Codec.PCMA, "1", 0.5, 0, 0)
    entry, spans = spoken(Codec.PCMA, "*92468#", tone_s, 0.06)
    spans = [(start + len(voice), end + len(voice)) for start, end in spans]
    speak(officer, voice + entry + voice)
    assert next_events(relay, 2, "the entry") == [
        DigitPressed(leg=officer.leg, digit="*", source=INBAND),
        SecretEntered(leg=officer.leg, prefix="*9", digits="2468", is_complete=True, source=INBAND),
    ]
    audio = heard(caller)
    assert sounds(audio, 0, len(voice)) > 3000, "voice before it"
    assert [sounds(audio, *span) for span in spans[2:]] == [0] * 5
    assert sounds(audio, spans[-1][1] + 1600, max(audio)) > 3000, "voice after it"
    kept = kept_of_tap(relay, tap)[Channel.RIGHT]
    values = bytes(kept[at] for at in sorted(kept))
    for start, _ in spans[2:]:
        at = start - len(voice)
        assert entry[at + 160 : at + 176] not in values, f"of the tone at {start}"
    assert entry[:80] in values, "what was said before is kept"
    assert (relayed(relay, officer) > 20) == bool(kernel_interfaces)


def test_keys_control_as_early_as_with_sockets(
    pair: tuple[Peer, Peer], relay: Relay, kernel_interfaces: tuple[str, ...]
) -> None:
    caller, officer = pair
    relay.legs.set_dtmf(officer.leg, DtmfPolicy.HOLD_STAR, ("*1",))
    audio, _ = spoken(Codec.PCMA, "*1", 0.1, 0.1)
    voice = coded(Codec.PCMA, "1", 0.5, 0, 0)
    speak(officer, voice + audio)
    assert next_events(relay, 2, "the keys") == [
        DigitPressed(leg=officer.leg, digit="*", source=INBAND),
        ControlPressed(leg=officer.leg, keys="*1", source=INBAND),
    ]
    assert len(heard(caller)) == (len(voice) + len(audio)) // FRAME * FRAME
    assert (relayed(relay, officer) > 20) == bool(kernel_interfaces)


def test_a_masked_leg_is_not_relayed(pair: tuple[Peer, Peer], relay: Relay) -> None:
    _, officer = pair
    voice = coded(Codec.PCMA, "1", 0.5, 0, 0)
    audio, _ = spoken(Codec.PCMA, "57", 0.1, 0.1)
    speak(officer, voice)
    before = relayed(relay, officer)
    relay.legs.set_dtmf(officer.leg, DtmfPolicy.MASK)
    speak(officer, voice + audio)
    assert [event.digit for event in next_events(relay, 2, "keys") if isinstance(event, DigitPressed)] == [None] * 2
    assert relayed(relay, officer) == before
