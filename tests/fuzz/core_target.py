"""The media core as a target: an input is a little script of packets, commands and pauses on two bridged legs.

Each entry is one byte of what, two bytes of length and so many bytes. Nothing is sent to anybody: the legs' remote
is a socket of ours that is never read.
"""

import contextlib
import random
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from audio._relay import Core, peaks, samples, speech_features, survey
from audio.analysis import SLOT_TICKS
from audio.speech import WINDOW_SAMPLES
from audio.types import SrtpSuite
from tests.fuzz.engine import Target
from tests.reference.rtp import RtpPacket, TelephoneEvent, build_event, build_rtp

LOOK_BACK, RING = 8_000, 16 * 2048
TICK_NS = 125_000
MAX_PACKET = 2048
"""As the core has it; the socket cuts what is longer, and the core drops it."""
EVENT_PT = 101
CODECS = (8, 0, 9)
RTP_LEFT, RTP_RIGHT, RTCP_LEFT, RTCP_RIGHT, WAIT, CODEC, GATE, DRAIN, KEYS, PLAY, DTMF, TONES, BLOCK = range(13)
_WINDOW = np.zeros(WINDOW_SAMPLES, np.int16)
_KEY_BYTES = {suite: 30 if suite < 2 else 46 for suite in SrtpSuite}


def entry(what: int, data: bytes = b"") -> bytes:
    """Return one entry of a script."""
    return struct.pack("!BH", what, len(data)) + data


def _entries(script: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 3 <= len(script):
        what, length = struct.unpack_from("!BH", script, at)
        yield what % (BLOCK + 1), script[at + 3 : at + 3 + length]
        at += 3 + length


class Fuzzed:
    """Two legs and a tap, made anew for each script.

    Args:
        note: File that has each script before it is played: a sanitizer ends the process.
    """

    def __init__(self, note: Path | None = None) -> None:
        self._note = note

    def run(self, script: bytes) -> None:
        """Play a script; the core must stay within its memory, which only a build with sanitizers can tell for sure."""
        if self._note is not None:
            self._note.write_bytes(script)
        with ExitStack() as stack:
            core = Core(lock_memory=False)
            stack.callback(core.close)
            sink = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sink.bind(("127.0.0.1", 0))
            stage = _Stage(core, stack, sink.getsockname())
            for what, data in list(_entries(script))[:400]:
                stage.do(what, data)
            stage.finish()


class _Stage:
    def __init__(self, core: Core, stack: ExitStack, sink: tuple[str, int]) -> None:
        self._core = core
        self._now = 10**9
        self._out = bytearray(1 << 16)
        self._legs = []
        for _ in range(2):
            pair = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
            for one in pair:
                one.bind(("127.0.0.1", 0))
            leg = core.open_leg(thread=0, rtp_fd=pair[0].fileno(), rtcp_fd=pair[1].fileno())
            core.set_remote(leg, sink, sink)
            self._legs.append(leg)
        self._codec(b"\0\0")
        core.bridge(*self._legs)
        self._tap = core.open_tap(*self._legs, look_back_ticks=LOOK_BACK, ring_ticks=RING, now_ns=self._now)

    def do(self, what: int, data: bytes) -> None:
        if what in (RTP_LEFT, RTP_RIGHT):
            self._core.inject(self._legs[what - RTP_LEFT], data[:MAX_PACKET], self._now)
        elif what in (RTCP_LEFT, RTCP_RIGHT):
            self._core.inject(self._legs[what - RTCP_LEFT], data[:MAX_PACKET], self._now, is_rtcp=True)
        elif what == WAIT:
            self._now += int.from_bytes(data[:3]) * TICK_NS
        elif what == CODEC:
            self._codec(data)
        elif what == GATE:
            act = self._core.gate_close if len(data) % 2 else lambda tap, _ticks, now: self._core.gate_open(tap, now)
            act(self._tap, min(len(data), LOOK_BACK), self._now)
        elif what == DRAIN:
            self._drain(is_final=False)
        elif what == KEYS:
            self._keys(data)
        elif what == PLAY:
            with contextlib.suppress(ValueError):  # audio of an impossible length is refused
                self._core.play(self._legs[0], data, tag=1, loop=bool(len(data) % 2))
        elif what == DTMF:
            self._core.dtmf_policy(self._legs[0], len(data) % 4, ("*1", "*2"))
        elif what == TONES:
            for leg in self._legs:
                self._core.detect_tones(leg, bool(len(data) % 2))
        else:
            self._measure(data)

    def finish(self) -> None:
        self._drain(is_final=True)
        self._core.drain_events()
        for leg in self._legs:
            self._core.leg_statistics(leg)
        self._core.release_tap(self._tap)
        for leg in self._legs:
            self._core.close_leg(leg)

    def _codec(self, data: bytes) -> None:
        for leg, byte in zip(self._legs, (data + b"\0\0")[:2], strict=True):
            codec = CODECS[byte % 3]
            self._core.update_leg(
                leg, codec=codec, send_pt=codec, receive_pt=codec, send_event_pt=EVENT_PT, receive_event_pt=EVENT_PT,
                sends=True, receives=True, more=[(one, one, one) for one in CODECS if one != codec][: byte // 3 % 3],
            )  # fmt: skip

    def _keys(self, data: bytes) -> None:
        leg, suite = self._legs[len(data) % 2], SrtpSuite(len(data) % 4)
        if not data:
            self._core.srtp_off(leg)
            return
        for is_send in (True, False):
            key = bytearray((data * 46)[: _KEY_BYTES[suite]])
            with contextlib.suppress(ValueError):  # a leg has room for so many keys
                mki = data[:4] if len(data) > 8 else b""
                self._core.srtp_key(leg, is_send=is_send, suite=int(suite), key=key, mki=mki)

    def _drain(self, *, is_final: bool) -> None:
        more = True
        while more:
            length, more = self._core.drain_tap(self._tap, self._out, is_final=is_final, now_ns=self._now)
            assert length <= len(self._out)
            survey(self._out[:length])
            for channel in (0, 1):
                for slot, _ in peaks(self._out[:length], channel)[:1]:
                    samples(self._out[:length], channel, slot * SLOT_TICKS, _WINDOW)
                    speech_features(_WINDOW)
            more = more and length > 0

    @staticmethod
    def _measure(data: bytes) -> None:
        with contextlib.suppress(ValueError):
            survey(data)
        for channel in (0, 1):
            with contextlib.suppress(ValueError):
                peaks(data, channel)
            with contextlib.suppress(ValueError):
                samples(data, channel, len(data), _WINDOW)
                speech_features(_WINDOW)


def seeds() -> list[bytes]:
    """Return scripts of ordinary calls, and of what AST-2017-012 sent: RTCP with more reports than it has room for."""
    rng = random.Random(1)
    scripts = []
    for codec in range(3):
        parts = [entry(CODEC, bytes([codec, 0])), entry(TONES, b"1"), entry(DTMF, b"1" * codec)]
        for number in range(12):
            payload = rng.randbytes(160)
            packet = RtpPacket(
                payload_type=CODECS[codec], sequence=number, timestamp=160 * number, ssrc=7, payload=payload
            )
            parts += [entry(RTP_LEFT, build_rtp(packet)), entry(RTP_RIGHT, build_rtp(packet)), entry(WAIT, b"\0\0\xa0")]
        event = build_event(TelephoneEvent(event=5, is_end=True, volume=10, duration=800))
        digit = RtpPacket(payload_type=EVENT_PT, sequence=12, timestamp=1920, ssrc=7, payload=event)
        parts += [
            entry(RTP_LEFT, build_rtp(digit)),
            entry(GATE, b"1"),
            entry(GATE),
            entry(DRAIN),
            entry(PLAY, b"\xd5" * 80),
        ]
        scripts.append(b"".join(parts))
    report = struct.pack("!BBHIQIII", 0x81, 200, 12, 7, 1 << 40, 160, 1, 160) + struct.pack("!IIIIII", 9, 0, 5, 1, 2, 3)
    overflowing = bytes([0x9F]) + report[1:]
    long = struct.pack("!BBHI", 0x9F, 201, 7 + 6 * 31, 7) + report[28:52] * 31
    sdes = struct.pack("!BBHI", 0x81, 202, 2, 7) + b"\x01\xff"
    scripts.append(
        b"".join(entry(RTCP_LEFT, one) for one in (report, overflowing, long, report * 60, sdes, report[:30]))
    )
    scripts.append(entry(KEYS, b"k" * 9) + entry(KEYS, b"k" * 12) + scripts[0])
    return scripts


def target(note: Path | None = None) -> Target:
    """Return the core as a target."""
    return Target(name="core", seeds=seeds(), run=Fuzzed(note).run)
