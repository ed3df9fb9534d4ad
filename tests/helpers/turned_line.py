"""A leg over real sockets whose clock the test turns: every packet arrives exactly when the test says."""

import select
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

from audio.blocks import AudioRun, decode_block
from audio.relay import Relay
from audio.types import Channel, Codec, LegId, LegMedia, MediaAddress, RelayOptions, SourceRefused, TapId, TapOptions
from tests.reference.rtp import RtpPacket, build_rtp

START_NS = 10**12
MS = 1_000_000
FRAME = 160


@contextmanager
def turned_relay() -> Iterator[Relay]:
    """Make a relay whose clock the test turns; closes it at the end."""
    with closing(Relay(RelayOptions(ports=(41000, 41999), lock_memory=False))) as relay:
        relay.turn(START_NS)
        yield relay


class Source:
    """Somebody who sends frames of one byte, by which they are known."""

    def __init__(self, value: int, ip: str = "127.0.0.1", port: int = 0) -> None:
        self.value = value
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.bind((ip, port))
        except OSError:
            self.socket.close()
            raise
        self.socket.setblocking(False)
        self.ip, self.port = self.socket.getsockname()
        self.ssrc = self.port
        self.ahead_ms = 0
        self.sequence = 0

    def moved(self, value: int, ip: str | None = None) -> "Source":
        """Return the same stream as it goes on from another port, or address, with frames of another byte."""
        there = Source(value, ip or self.ip)
        there.ssrc, there.sequence = self.ssrc, self.sequence
        return there

    @property
    def address(self) -> MediaAddress:
        """What is signalled of it."""
        return MediaAddress(ip=self.ip, rtp_port=self.port, rtcp_port=9)

    def packet(self, now_ms: int, payload_type: int = 8, payload: bytes | None = None) -> bytes:
        """Return the next frame, said at a moment."""
        self.sequence += 1
        packet = RtpPacket(
            payload_type=payload_type,
            sequence=self.sequence % 65536,
            timestamp=(1000 + (now_ms + self.ahead_ms) * 8) % (1 << 32),
            ssrc=self.ssrc,
            payload=bytes([self.value]) * FRAME if payload is None else payload,
        )
        return build_rtp(packet)

    def heard(self) -> set[int]:
        """Return the first byte of every frame that has come since this was asked last."""
        found = set()
        while True:
            try:
                found.add(self.socket.recv(4096)[12])
            except BlockingIOError:
                return found


def two_addresses(value: int, ip: str, also_value: int, also_ip: str) -> tuple[Source, Source]:
    """Return two sources that send from the same port of two addresses, which was free at both."""
    while True:
        source = Source(value, ip)
        try:
            return source, Source(also_value, also_ip, source.port)
        except OSError:  # somebody else has it
            source.socket.close()


class Line:
    """A leg, its tap, and a clock in milliseconds."""

    def __init__(self, relay: Relay) -> None:
        self.relay, self.now_ms = relay, 0
        self.leg = relay.open_leg()
        self.tap: TapId | None = None

    def open_tap(self, other: LegId | None = None) -> None:
        """Begin to record the leg."""
        self.tap = self.relay.taps.open(self.leg, other, TapOptions(look_back_s=5.0))

    def listen(self, expected: Source | None, networks: tuple[str, ...] = ("127.0.0.0/8",), **changes: object) -> None:
        """Make the leg one that listens to a source."""
        media = {
            "remote": None, "codec": Codec.PCMA, "send_pt": 8, "receive_pt": 8, "receive_event_pt": 101, "sends": False,
            "expected": expected.address if expected is not None else None, "networks": networks, **changes,
        }  # fmt: skip
        self.relay.set_media(self.leg, LegMedia(**media))  # type: ignore[arg-type]

    def send(self, source: Source, payload_type: int = 8, payload: bytes | None = None) -> None:
        """Have a source send a frame, and the leg take it."""
        pair = self.relay._pairs[self.leg]
        source.socket.sendto(source.packet(self.now_ms, payload_type, payload), ("127.0.0.1", pair.port))
        poller = select.poll()
        poller.register(pair.rtp, select.POLLIN)
        assert poller.poll(2000), "loopback lost a packet"
        self.relay.turn(START_NS + self.now_ms * MS)

    def pass_ms(self, ms: int, *sources: Source, payload_type: int = 8) -> None:
        """Let time pass, in which these send a frame every 20 ms."""
        for _ in range(ms // 20):
            for source in sources:
                self.send(source, payload_type)
            self.now_ms += 20
            self.relay.turn(START_NS + self.now_ms * MS)

    def kept(self) -> dict[int, int]:
        """Return how many bytes of each value the tap has, and end it."""
        assert self.tap is not None
        out = bytearray(1 << 20)
        length, has_more = self.relay.taps.drain(self.tap, out, is_final=True)
        assert not has_more
        counts: dict[int, int] = {}
        for run in decode(bytes(out[:length])):
            for value in run:
                counts[value] = counts.get(value, 0) + 1
        self.relay.taps.release(self.tap)
        return counts

    @property
    def refused(self) -> list[SourceRefused]:
        """Return what was reported of refused sources since this was asked last."""
        return [event for event in self.relay.events() if isinstance(event, SourceRefused)]


def decode(block: bytes) -> list[bytes]:
    """Return the audio of the left channel of a block."""
    return [
        bytes(run.payload) for run in decode_block(block) if isinstance(run, AudioRun) and run.channel is Channel.LEFT
    ]
