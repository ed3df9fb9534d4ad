"""A leg whose audio and time are the test's: packets are injected, what the other side gets is looked at by tick."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import G722
import numpy as np
from numpy.typing import NDArray

from audio.codecs import encode
from audio.relay import Relay
from audio.types import Codec, DtmfPolicy
from tests.helpers.rtp import EVENT_PT, Peer
from tests.reference.rtp import RtpPacket, TelephoneEvent, build_event, build_rtp, parse_rtp

ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
KEYPAD = "123A456B789C*0#D"
START_NS = 10**9
TICK_NS = 125_000


def linear(key: str, before_s: float, tone_s: float, after_s: float, rate: int, *, seed: int = 1) -> NDArray[np.int16]:
    """Noise as loud as a room, a key's tone, and noise again."""
    rng = np.random.default_rng(seed)
    total = round((before_s + tone_s + after_s) * rate)
    wave = rng.normal(0, 60, total)
    at = KEYPAD.index(key)
    t = np.arange(round(tone_s * rate)) / rate
    start = round(before_s * rate)
    for frequency in (ROWS[at // 4], COLUMNS[at % 4]):
        wave[start : start + len(t)] += 4000 * np.sin(2 * np.pi * frequency * t)
    return wave.astype(np.int16)


def coded(codec: Codec, key: str, before_s: float, tone_s: float, after_s: float) -> bytes:
    if codec is Codec.G722:
        return bytes(G722.G722(16000, 64000).encode(linear(key, before_s, tone_s, after_s, 16000)))
    return encode(codec, linear(key, before_s, tone_s, after_s, 8000))


def spoken(codec: Codec, keys: str, tone_s: float, gap_s: float) -> tuple[bytes, list[tuple[int, int]]]:
    """Return keys as tones with room noise between, and the ticks of each."""
    audio, spans = b"", []
    for key in keys:
        start = len(audio) + round(gap_s * 8000)
        spans.append((start, start + round(tone_s * 8000)))
        audio += coded(codec, key, gap_s, tone_s, 0)
    return audio + coded(codec, "1", 0.4, 0, 0), spans


@dataclass
class Line:
    """Injects audio on one leg and collects what the other side gets, by timestamp of the input."""

    relay: Relay
    a: Peer
    b: Peer
    sequence: int = 0
    now: int = 0
    got: list[tuple[int, RtpPacket]] = field(default_factory=list)

    def collect(self) -> None:
        self.b.rtp.setblocking(False)
        try:
            while True:
                self.got.append((self.now, parse_rtp(self.b.rtp.recv(4096))))
        except BlockingIOError:
            pass

    def inject(
        self, timestamp: int, payload: bytes, *, pt: int | None = None, ssrc: int = 7, sequence: int | None = None
    ) -> None:
        packet = RtpPacket(
            payload_type=int(self.a.codec) if pt is None else pt,
            sequence=(self.sequence if sequence is None else sequence) % 65536,
            timestamp=timestamp,
            ssrc=ssrc,
            payload=payload,
        )
        self.sequence += sequence is None
        self.relay._core.inject(self.a.leg, build_rtp(packet), START_NS + self.now * TICK_NS)
        self.collect()

    def send(self, audio: bytes, ptime: int, *, lost: frozenset[int] = frozenset(), ssrc: int = 7) -> None:
        for at in range(0, len(audio) - ptime + 1, ptime):
            self.now += ptime
            if at // ptime in lost:
                self.sequence += 1
            else:
                self.inject(at, audio[at : at + ptime], ssrc=ssrc)

    def heard(self) -> dict[int, int]:
        """Return byte by tick of the input, of audio."""
        first = self.got[0][1].timestamp
        return {
            (packet.timestamp - first) % (1 << 32) + i: value
            for _, packet in self.got
            if packet.payload_type != EVENT_PT
            for i, value in enumerate(packet.payload)
        }


@contextmanager
def line_of(
    relay: Relay, codec: Codec = Codec.PCMA, other: Codec = Codec.PCMA, policy: DtmfPolicy = DtmfPolicy.MASK
) -> Iterator[Line]:
    with Peer(relay, codec) as a, Peer(relay, other) as b:
        relay.bridge(a.leg, b.leg)
        relay.legs.detect_tones(a.leg, True)
        relay.legs.set_dtmf(a.leg, policy)
        yield Line(relay, a, b)
        relay.close_leg(a.leg)
        relay.close_leg(b.leg)


def tone_ticks(line: Line, start: int, end: int) -> int:
    """Return how many ticks of [start, end) are not silence on the other side."""
    return loud_ticks(line, line.heard(), start, end)


def loud_ticks(line: Line, heard: dict[int, int], start: int, end: int) -> int:
    """Return the same of what was heard, where that is looked at more than once."""
    silence = line.b.codec.silence
    return sum(heard.get(at, silence) != silence for at in range(start, end))


def press(line: Line, key: str, at: int, *, packets: int = 5) -> None:
    """Send a key of 100 ms as event packets on a line, at tick ``at``."""
    for i in range(packets + 3):
        is_end = i >= packets
        line.now = at + 160 * min(i + 1, packets)
        event = TelephoneEvent(
            event="0123456789*#ABCD".index(key), is_end=is_end, volume=10, duration=160 * min(i + 1, packets)
        )
        line.inject(at, build_event(event), pt=EVENT_PT)
