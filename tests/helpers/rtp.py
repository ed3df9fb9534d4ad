"""A tiny language for media tests, in the spirit of rtpengine's suite: a peer sends this, the other must get that.

Failures name the packet and the line of the test that expected it.
"""

import inspect
import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from audio.blocks import AudioRun, decode_block
from audio.relay import Relay
from audio.types import Channel, Codec, LegId, LegMedia, MediaAddress, MediaEvent, PayloadFormat, TapId
from tests.helpers.srtp import Far
from tests.reference.rtp import RtpPacket, TelephoneEvent, build_event, build_rtp, parse_rtp

T = TypeVar("T")
EVENT_PT = 101
PATIENCE_S = 60.0
"""How long is waited for what comes at once: no expectation, only the end of a test that hangs."""
UNPACED = 1_000_000
"""Packets a second, of peers that do not wait 20 ms for each."""


class Peer:
    """One party on loopback: its RTP and RTCP sockets, and the leg of ours that it talks to."""

    def __init__(
        self,
        relay: Relay,
        codec: Codec = Codec.PCMA,
        *,
        ip: str = "127.0.0.1",
        is_known: bool = True,
        far: Far | None = None,
        thread: int = 0,
    ) -> None:
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        self.rtp, self.rtcp = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
        for sock in (self.rtp, self.rtcp):
            sock.bind((ip, 0))
            sock.settimeout(PATIENCE_S)
        self.relay, self.codec = relay, codec
        self.far = far
        """Keys, if the party speaks SRTP."""
        self.ssrc = 0x1000 + self.rtp.getsockname()[1]
        self.leg: LegId = relay.open_leg(thread)
        self.ours = relay.local_address(self.leg)
        self.ssrc_of_ours: int | None = None
        self._sent = 0
        self.configure(is_known=is_known)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.rtp.close()
        self.rtcp.close()

    def configure(
        self,
        *,
        is_known: bool = True,
        sends: bool = True,
        receives: bool = True,
        events: int | None = EVENT_PT,
        networks: tuple[str, ...] = (),
        more: tuple[PayloadFormat, ...] = (),
    ) -> None:
        """Tell the relay where this party is and what it talks."""
        address = MediaAddress(
            ip=self.rtp.getsockname()[0],
            rtp_port=self.rtp.getsockname()[1],
            rtcp_port=self.rtcp.getsockname()[1],
        )
        self.relay.set_media(
            self.leg,
            LegMedia(
                remote=address if is_known else None,
                codec=self.codec,
                send_pt=int(self.codec),
                receive_pt=int(self.codec),
                send_event_pt=events,
                receive_event_pt=events,
                sends=sends,
                receives=receives,
                networks=networks,
                more=more,
                srtp=self.far.keys if self.far is not None else None,
            ),
        )

    def snd(
        self,
        sequence: int,
        timestamp: int,
        payload: bytes = b"",
        *,
        pt: int | None = None,
        ssrc: int | None = None,
        is_marked: bool = False,
        source: socket.socket | None = None,
    ) -> None:
        """Send one packet to our leg."""
        packet = RtpPacket(
            payload_type=int(self.codec) if pt is None else pt,
            sequence=sequence % 65536,
            timestamp=timestamp % (1 << 32),
            ssrc=self.ssrc if ssrc is None else ssrc,
            payload=payload or bytes(160),
            is_marked=is_marked,
        )
        data = build_rtp(packet)
        self.snd_raw(self.far.sends.protect(data) if self.far is not None else data, source=source)

    def snd_raw(self, data: bytes, *, source: socket.socket | None = None) -> None:
        """Send bytes to our leg's RTP port."""
        (source or self.rtp).sendto(data, (self.ours.ip, self.ours.rtp_port))
        self._sent += 1

    def snd_event(self, sequence: int, timestamp: int, key: str, duration: int, *, is_end: bool = False) -> None:
        """Send one RFC 4733 packet."""
        event = TelephoneEvent(event="0123456789*#ABCD".index(key), is_end=is_end, volume=10, duration=duration)
        self.snd(sequence, timestamp, build_event(event), pt=EVENT_PT)

    def snd_digit(self, sequence: int, timestamp: int, key: str) -> int:
        """Press a key for 100 ms, as a phone does; returns the next sequence number."""
        for i in range(5):
            self.snd_event(sequence + i, timestamp, key, 160 * (i + 1))
        for i in range(3):
            self.snd_event(sequence + 5 + i, timestamp, key, 800, is_end=True)
        return sequence + 8

    def rcv(self, what: str, *, payload: bytes | None = None, timeout_s: float = PATIENCE_S) -> RtpPacket:
        """Return the next packet that our leg sends here; fails, naming ``what`` and the line, if none comes."""
        self.rtp.settimeout(timeout_s)
        source: tuple[Any, ...] = ()
        try:
            while source[1:2] != (self.ours.rtp_port,):  # else from who has not noticed that another had this port
                data, source = self.rtp.recvfrom(4096)
        except TimeoutError:
            raise AssertionError(f"{what}: nothing came within {timeout_s} s{_line()}") from None
        packet = parse_rtp(self.far.hears.unprotect(data) if self.far is not None else data)
        self.ssrc_of_ours = self.ssrc_of_ours or packet.ssrc
        assert packet.ssrc == self.ssrc_of_ours, f"{what}: our SSRC changed{_line()}"
        if payload is not None:
            assert packet.payload == payload, f"{what}: seq {packet.sequence} has another payload{_line()}"
        return packet

    def wait_taken(self) -> None:
        """Wait until the core has dealt with every packet sent from here: forwarded, swallowed or dropped it.

        A change of the leg or a look at its statistics after this comes after those packets, on a busy machine too.
        """

        def is_taken() -> bool:
            statistics = self.relay.legs.statistics(self.leg)
            return statistics.received + statistics.dropped >= self._sent

        eventually(is_taken, f"the core takes {self._sent} packets")

    def rcv_none(self, what: str, *, within_s: float = 0.1) -> None:
        """Fail if any packet comes. `wait_taken` of the sender comes first if the core might still read one."""
        self.rtp.settimeout(within_s)
        try:
            packet = parse_rtp(self.rtp.recv(4096))
        except TimeoutError:
            return
        raise AssertionError(f"{what}: got pt {packet.payload_type} seq {packet.sequence}{_line()}")


def _line() -> str:
    """Return the line of the test that is running, for messages."""
    for frame in inspect.stack():
        if frame.filename != __file__:
            return f" (expected at {frame.filename.rsplit('/', 1)[-1]}:{frame.lineno})"
    return ""


def eventually(probe: Callable[[], T | None], what: str, *, timeout_s: float = PATIENCE_S) -> T:
    """Poll until ``probe`` gives something true; fails naming ``what``."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = probe()
        if value:
            return value
        time.sleep(0.002)
    raise AssertionError(f"{what}: not within {timeout_s} s{_line()}")


def kept_of_tap(relay: Relay, tap: TapId, *, is_final: bool = True) -> dict[Channel, dict[int, int]]:
    """Drain a tap and return byte by position of each channel."""
    out = bytearray(1 << 18)
    length, has_more = relay.taps.drain(tap, out, is_final=is_final)
    assert not has_more
    kept: dict[Channel, dict[int, int]] = {channel: {} for channel in Channel}
    for run in decode_block(bytes(out[:length])):
        if isinstance(run, AudioRun):
            kept[run.channel].update({run.start + i: value for i, value in enumerate(run.payload)})
    return kept


def next_events(relay: Relay, count: int, what: str, *, timeout_s: float = PATIENCE_S) -> list[MediaEvent]:
    """Wait for that many events."""
    got: list[MediaEvent] = []
    deadline = time.monotonic() + timeout_s
    while len(got) < count:
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: {count} events expected, got {got}{_line()}")
        got += relay.events()
        time.sleep(0.002)
    return got
