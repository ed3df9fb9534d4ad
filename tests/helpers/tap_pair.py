"""A tap of the media core and one of the plain reference, driven by the same packets, and compared block by block."""

import socket
from dataclasses import dataclass

from audio._relay import Core
from audio.blocks import AudioRun, decode_block
from audio.types import Channel, Codec
from tests.reference.rtp import RtpPacket, TelephoneEvent, build_event, build_rtp
from tests.reference.tap import ReferenceTap

GATHER_MS = 2
"""How long the core lets packets gather; both must leave as much out after an opening."""

NS_PER_S = 1_000_000_000
OPENED_NS = NS_PER_S
LONG_AFTER_NS = 1_000_000 * NS_PER_S
"""Later than any script."""
TICK_NS = 125_000
LOOK_BACK = 8000
RING = 1 << 15
EVENT_PT = 101
SSRCS = (0x1111, 0x2222, 0x3333)


@dataclass(frozen=True)
class Packet:
    """An audio packet; ``timestamp`` in ticks of the sender's clock, before wrap-around.

    ``sequence`` is its number, before wrap-around; None: the next one.
    """

    channel: Channel
    ssrc: int
    timestamp: int
    payload: bytes
    sequence: int | None = None


@dataclass(frozen=True)
class Event:
    """An RFC 4733 packet on the left channel; its number as that of a `Packet`."""

    ssrc: int
    timestamp: int
    duration: int
    sequence: int | None = None


@dataclass(frozen=True)
class Recode:
    """The officer's leg goes over to another codec."""

    codec: Codec


@dataclass(frozen=True)
class Act:
    """Something the owner of the tap does; ``a`` and ``b`` are ticks."""

    name: str
    a: int = 0
    b: int = 0


Step = Packet | Event | Recode | Act
Script = list[tuple[int, Step]]
"""Each step with the ticks that pass before it."""


class Pair:
    """A tap of the core and one of the reference, driven by the same steps; or one of the core alone."""

    def __init__(self, core: Core, legs: tuple[int, int], *, is_closed: bool, is_alone: bool = False) -> None:
        self._core, self._legs = core, legs
        self._is_alone = is_alone
        self._now = OPENED_NS
        self.kept = b""
        self._sequence = 0
        self._codecs = {Channel.LEFT: Codec.PCMA, Channel.RIGHT: Codec.PCMA}
        self._configure()
        self.tap = core.open_tap(
            *legs, look_back_ticks=LOOK_BACK, ring_ticks=RING, is_closed=is_closed, now_ns=OPENED_NS
        )
        self.reference = ReferenceTap(
            gather_ticks=GATHER_MS * 8,
            opened_ns=OPENED_NS,
            look_back_ticks=LOOK_BACK,
            ring_ticks=RING,
            is_closed=is_closed,
        )

    def _configure(self) -> None:
        for channel in Channel:
            codec = int(self._codecs[channel])
            self._core.update_leg(
                self._legs[channel],
                codec=codec,
                send_pt=codec,
                receive_pt=codec,
                send_event_pt=EVENT_PT,
                receive_event_pt=EVENT_PT,
                sends=True,
                receives=True,
            )

    def play(self, script: Script) -> None:
        for wait, step in script:
            self._now += wait * TICK_NS
            match step:
                case Packet():
                    self._audio(step)
                case Event():
                    self._event(step)
                case Recode():
                    self._codecs[Channel.RIGHT] = step.codec
                    self._configure()
                case Act():
                    self._act(step)
        self._drain(is_final=True)

    def _inject(
        self, channel: Channel, payload_type: int, ssrc: int, sequence: int, timestamp: int, payload: bytes
    ) -> None:
        packet = RtpPacket(
            payload_type=payload_type,
            sequence=sequence,
            timestamp=timestamp % (1 << 32),
            ssrc=ssrc,
            payload=payload,
        )
        self._core.inject(self._legs[channel], build_rtp(packet), self._now)

    def _audio(self, step: Packet) -> None:
        codec = self._codecs[step.channel]
        self._sequence += 1
        sequence = (self._sequence if step.sequence is None else step.sequence) % 65536
        self._inject(step.channel, int(codec), step.ssrc, sequence, step.timestamp, step.payload)
        if self._is_alone:
            return
        self.reference.receive(
            step.channel,
            ssrc=step.ssrc,
            sequence=sequence,
            timestamp=step.timestamp % (1 << 32),
            payload=step.payload,
            codec=codec,
            arrival_ns=self._now,
        )

    def _event(self, step: Event) -> None:
        event = TelephoneEvent(event=5, is_end=False, volume=10, duration=step.duration)
        self._sequence += 1
        sequence = (self._sequence if step.sequence is None else step.sequence) % 65536
        self._inject(Channel.LEFT, EVENT_PT, step.ssrc, sequence, step.timestamp, build_event(event))
        self.reference.receive_event(
            ssrc=step.ssrc, timestamp=step.timestamp % (1 << 32), duration=step.duration, arrival_ns=self._now
        )

    def _act(self, act: Act) -> None:
        if act.name == "close":
            answer = self._core.gate_close(self.tap, act.a, self._now)
            assert answer == self.reference.close(self._now, act.a) or self._is_alone
        elif act.name == "open":
            answer = self._core.gate_open(self.tap, self._now)
            assert answer == self.reference.open(self._now) or self._is_alone
        elif act.name == "mask":
            here = self.reference.here(self._now)
            self._core.gate_mask(self.tap, here + act.a, here + act.a + act.b, self._now)
            self.reference.mask(here + act.a, here + act.a + act.b, self._now)
        elif act.name == "drain":
            self._drain(is_final=False)

    def _drain(self, *, is_final: bool) -> None:
        out = bytearray(1 << 18)
        length, has_more = self._core.drain_tap(self.tap, out, is_final=is_final, now_ns=self._now)
        assert not has_more
        given = bytes(out[:length])
        assert self._is_alone or given == self.reference.drain(self._now, is_final=is_final)
        self.kept += b"".join(run.payload for run in decode_block(given) if isinstance(run, AudioRun))


class Legs:
    """A core with two legs on real sockets, whose threads do not run: time is that of the packets that are injected.

    A running thread forgets keys of a script in its middle, as its own clock is days ahead of the script's.
    """

    def __init__(self) -> None:
        self.core = Core(lock_memory=False, gather_us=GATHER_MS * 1000)
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(4)]
        for each in self._sockets:
            each.bind(("127.0.0.1", 0))
            each.setblocking(False)
        fds = [each.fileno() for each in self._sockets]
        self._turned_ns = LONG_AFTER_NS
        self.legs = (
            self.core.open_leg(thread=0, rtp_fd=fds[0], rtcp_fd=fds[1]),
            self.core.open_leg(thread=0, rtp_fd=fds[2], rtcp_fd=fds[3]),
        )

    def compare(self, script: Script, *, is_closed: bool = False) -> bytes:
        """Play a script to both; returns all audio that they handed out."""
        pair = Pair(self.core, self.legs, is_closed=is_closed)
        try:
            pair.play(script)
        finally:
            self._forget(pair.tap)
        return pair.kept

    def keep(self, script: Script) -> bytes:
        """Play a script to the core alone, which hears tones on the left; returns all audio that it handed out."""
        self.core.detect_tones(self.legs[0], True)
        pair = Pair(self.core, self.legs, is_closed=False, is_alone=True)
        try:
            pair.play(script)
        finally:
            self._forget(pair.tap)
            self.core.detect_tones(self.legs[0], False)
        return pair.kept

    def _forget(self, tap: int) -> None:
        """End a tap, and let the legs forget the keys of its script."""
        self.core.release_tap(tap)
        self._turned_ns += NS_PER_S
        self.core.turn(self._turned_ns)

    def close(self) -> None:
        self.core.close()
        for each in self._sockets:
            each.close()
