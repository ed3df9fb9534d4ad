"""The parties' RTP: voices that say ordinary, secret and in-between audio, and distortions of how it arrives.

One thread serves every voice of a `Studio`, paced to absolute deadlines; nothing is received. A call's own thread says
what is said when (`Voice.say_from`), by the moment at which a frame is due: a frame that is due at d holds what was
captured in the frame before d.
"""

import enum
import heapq
import itertools
import os
import random
import socket
import struct
import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.helpers.sip_peer import Media
from tests.leak.signals import PCMA, Bytes, plain_stream, secret_codes, tone_codes

TICKS = 8000
EVENT_PT = 101
STREAM_TICKS = 10 * TICKS
"""What a stream is made of at a time."""
WAKE_S = 0.002
"""What is due within it is waited for without a look at what else was asked for."""
STALL_S = 0.008
"""A frame that is so late has met a busy machine: what is measured then says nothing of the recorder."""
_KEYS = "0123456789*#ABCD"
_NAMES = {0: "PCMU", PCMA: "PCMA"}
SILENCE = {0: b"\xff", PCMA: b"\xd5"}


class Band(enum.IntEnum):
    """What a frame holds."""

    ORDINARY = 0
    """Must be kept."""
    FRINGE = 1
    """May be kept: nobody can say yet on which side of an act it falls."""
    SECRET = 2
    """Must not be kept."""
    TONE = 3
    """A key's tone: must not be kept."""
    GAP = 4
    """Silence between two tones."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One packet of audio.

    Attributes:
        tick: First tick in the voice's own count, which goes on without a step.
        length: Ticks.
        band: What it holds.
        index: First symbol of the voice's stretch, in SECRET frames.
        due_s: When it was to be sent, monotonic seconds.
        sent_s: When it was.
        payload: Its bytes.
        delay_s: How long it was held up on its way; infinite for one that was lost or kept back.
        ssrc: Its source.
        timestamp: Of its first tick, as it was sent.
        is_heard: The far side had said that it listens.
    """

    tick: int
    length: int
    band: Band
    index: int
    due_s: float
    sent_s: float
    payload: bytes
    delay_s: float = 0.0
    ssrc: int = 0
    timestamp: int = 0
    is_heard: bool = True

    @property
    def is_lost(self) -> bool:
        """Tell whether it was not sent, or was kept back."""
        return self.delay_s == float("inf")


class UsedUpError(Exception):
    """A voice has said all of its secret stretch."""


class Distortion:
    """How packets of a voice arrive; this one changes nothing. On the studio's thread."""

    def shape(self, voice: "Voice", band: Band) -> None:
        """Change the voice's clock or source before a frame."""

    def spread(self, band: Band, data: bytes) -> Iterable[tuple[float, bytes]]:
        """Return delay and bytes of what is sent for a packet."""
        del band
        return ((0.0, data),)

    def release(self) -> list[tuple[float, bytes]]:
        """Return what was kept back, once recording goes on."""
        return []


class Stream:
    """Ordinary audio without an end, made as it is asked for."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._made = b""

    def part(self, tick: int, length: int) -> bytes:
        """Return what is said from a tick on."""
        while len(self._made) < tick + length:
            self._made += plain_stream(self._rng, STREAM_TICKS)
        return self._made[tick : tick + length]


class Voice:
    """One party. Lists only grow; written by the studio's thread."""

    def __init__(self, studio: "Studio", number: int, symbols: Bytes, *, law: int, ptime_ms: int, seed: int) -> None:
        self.number = number
        self.law = law
        self.frame_ticks = ptime_ms * 8
        self.socket = _even_port()
        self.port: int = self.socket.getsockname()[1]
        self.remote: tuple[str, int] | None = None
        self.relayed_to: tuple[str, int] | None = None
        """Where somebody sends this voice on to, without its keys; None: nowhere."""
        self.frames: list[Frame] = []
        self.key_ends: list[float] = []
        """When the end of each key was sent."""
        self.keyed: list[tuple[int, int]] = []
        """First tick of each key, and tick after its last."""
        self.pressed = 0
        self.ends_tick = float("inf")
        """It falls silent by itself then."""
        self.is_used_up = False
        """It fell silent, since its secret stretch is used up: the call took too long."""
        self.distortion: Distortion = Distortion()
        self.is_heard: Callable[[], bool] = lambda: True
        """Whether the far side's last session description has it listen."""
        self._studio = studio
        studio.sockets.append(self.socket)
        self._symbols = symbols
        self._plain, self._fringe = Stream(seed), Stream(seed + 1)
        rng = random.Random(seed + 2)
        self._ssrc, self._sequence = rng.getrandbits(32), rng.getrandbits(16)
        self._shift = rng.getrandbits(32)
        """Timestamp of tick 0."""
        self._rng = rng
        self._tick = self._secret = 0
        self._bands: list[tuple[float, Band]] = [(0.0, Band.ORDINARY)]
        self._keys: deque[tuple[str, int, bool]] = deque()
        self._key: _Key | None = None
        self._is_talking = False
        self._sent_s: list[float] = []
        self._least_s: list[float] = []
        """Of the frames: when each was sent, and when tick 0 would have been by the least delayed one so far."""

    def media(self, **changes: object) -> Media:
        """Return its SDP."""
        formats = ((self.law, f"{_NAMES[self.law]}/8000"), (EVENT_PT, "telephone-event/8000"))
        return Media(**{"ip": "127.0.0.1", "port": self.port, "formats": formats, **changes})  # type: ignore[arg-type]

    # --- from the call's thread

    def talk(self, remote: tuple[str, int] | None) -> None:
        """Begin, or go on, to stream to an address."""
        assert remote is not None, "the far side has not said where it wants its audio"
        self.remote = remote
        if not self._is_talking:
            self._is_talking = True
            self._studio.begin(self)

    def hush(self) -> None:
        """Stop for good."""
        self._is_talking = False

    def say_from(self, moment_s: float, band: Band) -> None:
        """Have every frame that is due from a moment on hold something else; what was planned for later is dropped."""
        self._bands = [(at, b) for at, b in self._bands if at < moment_s] + [(moment_s, band)]

    def press(self, keys: str, *, ms: int = 80, in_band: bool = False) -> None:
        """Press keys one after another, 60 ms apart: events instead of audio (RFC 4733), or their tones as audio."""
        for key in keys:
            self._keys.append((key, ms, in_band))

    @property
    def is_pressing(self) -> bool:
        """Tell whether keys are still being pressed."""
        return bool(self._keys) or self._key is not None

    def base_s(self, until_s: float = float("inf")) -> float:
        """Return when tick 0 would have been sent by the least delayed of the frames that were sent by a moment."""
        for frame in self.frames[len(self._least_s) :]:  # they are sent in order
            self._sent_s.append(frame.sent_s)
            self._least_s.append(min([frame.sent_s - frame.tick / TICKS, *self._least_s[-1:]]))
        return self._least_s[max(bisect_right(self._sent_s, until_s) - 1, 0)]

    # --- from a distortion, on the studio's thread

    def jump(self, ticks: int) -> None:
        """Step the timestamps."""
        self._shift = (self._shift + ticks) % (1 << 32)

    def new_source(self) -> None:
        """Go on under another SSRC, with another clock."""
        self._ssrc, self._sequence = self._rng.getrandbits(32), self._rng.getrandbits(16)
        self._shift = self._rng.getrandbits(32)

    # --- the studio's thread

    def send_frame(self, due_s: float) -> bool:
        """Send what is due; tells whether the voice goes on."""
        if not self._is_talking or self.remote is None or self._tick >= self.ends_tick:
            self._is_talking = False
            return False
        if self._key is None and self._keys:
            self._key = _Key(*self._keys.popleft(), self._tick)
            self.keyed.append((self._tick, self._tick + self._key.ticks))
        if self._key is None:
            self._send_audio(self._band(due_s), due_s)
        elif self._key.in_band:
            self._send_tone(self._key, due_s)
        else:
            self._send_key(self._key)
        self._tick += self.frame_ticks
        return True

    def _band(self, due_s: float) -> Band:
        return next(band for at, band in reversed(self._bands) if at <= due_s)

    def _send_audio(self, band: Band, due_s: float, payload: bytes | None = None) -> None:
        self.distortion.shape(self, band)
        tick, length, index = self._tick, self.frame_ticks, -1
        if payload is None and band is Band.SECRET:
            index = self._secret
            payload = secret_codes(self._symbols[index : index + length], self.law)
            self._secret += length
            if len(payload) < length:
                raise UsedUpError
        elif payload is None:
            source = self._plain if band is Band.ORDINARY else self._fringe
            payload = source.part(tick, length)
        stamp, is_heard = (self._shift + tick) % (1 << 32), self.is_heard()
        delay_s = self._send(self.law, tick, payload, band)
        sent_s = time.monotonic()
        self.frames.append(
            Frame(tick, length, band, index, due_s, sent_s, payload, delay_s, self._ssrc, stamp, is_heard)
        )

    def _send_tone(self, key: "_Key", due_s: float) -> None:
        held = self._tick - key.tick
        if held < key.ticks:
            self._send_audio(Band.TONE, due_s, tone_codes(key.key, held, self.frame_ticks, self.law))
            if held + self.frame_ticks >= key.ticks:
                self.key_ends.append(time.monotonic())
                self.pressed += 1
            return
        self._send_audio(Band.GAP, due_s, SILENCE[self.law] * self.frame_ticks)
        if held + self.frame_ticks >= key.ticks + 60 * 8:
            self._key = None

    def _send_key(self, key: "_Key") -> None:
        held = self._tick - key.tick + self.frame_ticks
        if held < key.ticks:
            self._send_event(key, held, is_end=False)
        elif not key.has_ended:
            key.has_ended = True
            self.key_ends.append(time.monotonic())
            for _ in range(3):
                self._send_event(key, key.ticks, is_end=True)
            self.pressed += 1
        elif held >= key.ticks + 60 * 8:
            self._key = None

    def _send_event(self, key: "_Key", duration: int, *, is_end: bool) -> None:
        payload = struct.pack("!BBH", _KEYS.index(key.key), (0x80 if is_end else 0) | 10, duration)
        self._send(EVENT_PT, key.tick, payload, Band.GAP)

    def _send(self, payload_type: int, tick: int, payload: bytes, band: Band) -> float:
        timestamp = (self._shift + tick) % (1 << 32)
        head = struct.pack("!BBHII", 0x80, payload_type, self._sequence, timestamp, self._ssrc)
        self._sequence = (self._sequence + 1) % 65536
        parts = list(self.distortion.spread(band, head + payload))
        if self.relayed_to is not None and band not in (Band.TONE, Band.GAP):
            self._send_to(self.relayed_to, head + payload)
        for delay_s, data in parts:
            if delay_s > 0:
                self._studio.later(delay_s, self, data)
            else:
                self.transmit(data)
        return min((delay_s for delay_s, _ in parts), default=float("inf"))

    def transmit(self, data: bytes) -> None:
        """Send bytes as they are."""
        if self.remote is not None:
            self._send_to(self.remote, data)

    def _send_to(self, remote: tuple[str, int], data: bytes) -> None:
        try:
            self.socket.sendto(data, remote)
        except OSError:
            return  # the far side is gone, or was killed: as good as lost on the way


@dataclass
class _Key:
    key: str
    ms: int
    in_band: bool
    tick: int
    has_ended: bool = False

    @property
    def ticks(self) -> int:
        return self.ms * 8


class Studio:
    """Serves voices; a context manager that owns their sockets and its thread."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Voice, bytes | None]] = []
        self._order = itertools.count()
        self._begun: deque[tuple[float, Voice, bytes | None]] = deque()
        self._must_end = False
        self._is_asked = threading.Event()
        self.sockets: list[socket.socket] = []
        self.latest_s = 0.0
        """The most that a frame was late."""
        self.stalls: list[tuple[float, float]] = []
        """From when to when the machine was busy: nothing was sent that was due, or the recorder got no CPU."""
        self._thread = threading.Thread(target=self._run, name="studio", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._must_end = True
        self._is_asked.set()
        self._thread.join()
        for opened in self.sockets:
            opened.close()

    def begin(self, voice: Voice) -> None:
        """Send its first frame soon, and one every frame time from then on."""
        self._begun.append((time.monotonic(), voice, None))
        self._is_asked.set()

    def later(self, delay_s: float, voice: Voice, data: bytes) -> None:
        """Send bytes once, in a while; from any thread."""
        self._begun.append((time.monotonic() + delay_s, voice, data))
        self._is_asked.set()

    def is_busy(self, from_s: float, to_s: float) -> bool:
        """Tell whether the machine kept frames waiting at a time."""
        return any(start <= to_s and from_s <= end for start, end in self.stalls)

    def _note(self, due_s: float, now_s: float) -> None:
        self.latest_s = max(self.latest_s, now_s - due_s)
        if now_s - due_s > STALL_S:
            self.note_stall(due_s, now_s)

    def note_stall(self, from_s: float, to_s: float) -> None:
        """Take it that the machine was busy with something else; from any thread."""
        self.stalls.append((from_s, to_s))

    def _run(self) -> None:
        _hurry()
        while not self._must_end:
            while self._begun:
                at_s, voice, data = self._begun.popleft()
                heapq.heappush(self._due, (at_s, next(self._order), voice, data))
            while self._due and self._due[0][0] <= time.monotonic():
                due_s, _, voice, data = heapq.heappop(self._due)
                if data is not None:
                    voice.transmit(data)
                    continue
                self._note(due_s, time.monotonic())
                if self._send_frame(voice, due_s):
                    heapq.heappush(self._due, (due_s + voice.frame_ticks / TICKS, next(self._order), voice, None))
            wait_s = self._due[0][0] - time.monotonic() if self._due else None
            if wait_s is None or wait_s > WAKE_S:
                self._is_asked.wait(wait_s)
                self._is_asked.clear()
            else:
                time.sleep(max(wait_s, 0.0002))

    @staticmethod
    def _send_frame(voice: Voice, due_s: float) -> bool:
        try:
            return voice.send_frame(due_s)
        except UsedUpError:  # that call's fault, and no reason for the others' voices to fall silent
            voice.is_used_up = True
            return False


def _hurry() -> None:
    """Put this thread before all others of the machine, so that what is measured is the recorder; as root, else not."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        return


def _even_port() -> socket.socket:
    while True:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.bind(("127.0.0.1", 0))
        if opened.getsockname()[1] % 2 == 0:
            opened.setblocking(False)
            return opened
        opened.close()
