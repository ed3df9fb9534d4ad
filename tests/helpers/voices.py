"""Voices: parties on loopback that stream known G.711 every 20 ms, press keys, and keep whatever they hear.

Every byte of a voice is its own: the stream is pseudo-random, so that sixteen bytes tell where in it they are from.
One thread serves every voice of a `Studio`, paced to absolute deadlines.
"""

import heapq
import itertools
import select
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
import pylibsrtp
from pylibsrtp import Session

from audio.codecs import decode
from audio.types import Codec, SrtpKey
from tests.helpers.sip_peer import Media
from tests.helpers.srtp import crypto_of, new_key, session, their_key
from tests.reference.rtp import MalformedPacketError, RtpPacket, TelephoneEvent, build_event, build_rtp, parse_rtp

PCMU, PCMA, EVENT = 0, 8, 101
FRAME = 160
TICKS_PER_S = 8000
STREAM_S = 40
_KEYS = "0123456789*#ABCD"
_seeds = itertools.count(1)
NEVER_SILENT = bytes(0x54 if code == 0xD5 else 0x7E if code == 0xFF else code for code in range(256))
"""A voice never says the byte that stands for silence: every byte that was kept can be told from one that was not."""
_LEVELS = (200, 511)
"""Of a voice: above what counts as sound where streams compete, below what is judged for speech."""


def _quiet_codes(codec: Codec) -> bytes:
    levels = np.abs(decode(codec, bytes(range(256))).astype(int))
    codes = [code for code in range(256) if _LEVELS[0] <= levels[code] <= _LEVELS[1]]
    return bytes(codes[number % len(codes)] for number in range(256))


_QUIET = {PCMU: _quiet_codes(Codec.PCMU), PCMA: _quiet_codes(Codec.PCMA)}
"""Quiet code of every byte; G.722 has none, as each of its codes changes what those after it mean."""


def noise(seed: int, law: int) -> bytes:
    """Return a party's noise, quiet: loud noise is taken for speech now and then, on one side of a call or both.

    Sixteen bytes of its 30 codes or more tell where in it they are from.
    """
    return np.random.default_rng(seed).bytes(STREAM_S * TICKS_PER_S).translate(_QUIET.get(law, NEVER_SILENT))


@dataclass(frozen=True, slots=True)
class Heard:
    """A packet that arrived, and when (monotonic seconds)."""

    at_s: float
    packet: RtpPacket


class Voice:
    """One party's RTP. Commands are safe from any thread; ``sent`` and ``heard`` only grow.

    Attributes:
        stream: What it says, one byte a tick; tick n is at RTP timestamp ``first_timestamp + n``.
        sent: Tick and monotonic time of every audio frame that was sent.
        heard: What arrived.
    """

    def __init__(self, studio: "Studio", *, law: int = PCMA, stream: bytes | None = None) -> None:
        self.socket = _even_port(studio.host)
        self.port: int = self.socket.getsockname()[1]
        self.law = law
        self.stream = stream or noise(next(_seeds), law)
        self.remote: tuple[str, int] | None = None
        self.sent: list[tuple[int, float]] = []
        self.heard: list[Heard] = []
        self.packets = 0
        """How many were sent."""
        self.strays = 0
        self.pressed: list[tuple[str, int, int]] = []
        """Key, first tick and tick after the last, of every key that was pressed."""
        self.key: SrtpKey | None = None
        """What it sends under, if it speaks SRTP, and what its SDP says."""
        self.wire: list[bytes] = []
        """Every packet as it went out, if it speaks SRTP."""
        self.unreadable = 0
        """Packets that came and were not under the far side's key."""
        self._sealing: Session | None = None
        self._opening: tuple[bytes, Session] | None = None
        self._studio = studio
        self.first_timestamp, self._sequence, self._ssrc = 4_294_900_000, 65_500, 0x5000_0000 + self.port
        self._tick = 0
        self._keys: deque[tuple[str, int]] = deque()
        self._key: tuple[str, int, int] | None = None
        self._is_talking = False

    def encrypt(self, key: SrtpKey | None = None) -> None:
        """Speak SRTP from now on, under a new key or this one."""
        self.key = key or new_key()
        self._sealing = session(self.key, is_sender=True)

    def listen_under(self, sdp: bytes) -> None:
        """Take the far side's key from its SDP; one that it had before goes on."""
        if self.key is None:
            return
        key = their_key(sdp, self.key)
        if self._opening is None or self._opening[0] != key.key:
            self._opening = (bytes(key.key), session(key, is_sender=False))

    def media(self, **changes: object) -> Media:
        """Return its SDP."""
        if self.key is not None:
            changes = {"crypto": crypto_of(self.key), **changes}
        formats = ((self.law, f"{'PCMA' if self.law == PCMA else 'PCMU'}/8000"), (EVENT, "telephone-event/8000"))
        return Media(**{"ip": self._studio.host, "port": self.port, "formats": formats, **changes})  # type: ignore[arg-type]

    def talk(self, remote: tuple[str, int] | None) -> None:
        """Begin, or go on, to stream to an address."""
        assert remote is not None, "the far side has not said where it wants its audio"
        self.remote = remote
        if not self._is_talking:
            self._is_talking = True
            self._studio.begin(self)

    def hush(self) -> None:
        """Stop streaming; the clock of the stream stops with it."""
        self._is_talking = False

    def press(self, keys: str, *, ms: int = 100) -> None:
        """Press keys one after another with 60 ms between them; events take the place of audio (RFC 4733)."""
        for key in keys:
            self._keys.append((key, ms))

    def begin_stream(self, *, jump_ticks: int = 123_456) -> None:
        """Go on as another stream, as after a change in the PBX: new SSRC, sequence and time stamps."""
        self._ssrc += 1
        self._sequence += 7000
        self.first_timestamp += jump_ticks

    def base_s(self) -> float:
        """Return when tick 0 would have been sent by the frame that was sent least late."""
        return min(at_s - tick / TICKS_PER_S for tick, at_s in self.sent)

    def lateness(self) -> int:
        """Return how many ticks later than the least late frame the latest one was sent: what a busy machine did."""
        base_s = self.base_s()
        return max(round((at_s - base_s) * TICKS_PER_S) - tick for tick, at_s in self.sent)

    def clock_at(self, moment_s: float) -> int:
        """Return the tick that the voice's clock shows at a moment, whether it was sent in time or not."""
        return round((moment_s - self.base_s()) * TICKS_PER_S)

    def tick_at(self, moment_s: float) -> int:
        """Return the first tick of the frame that was sent last before a moment."""
        before = [tick for tick, at_s in self.sent if at_s <= moment_s]
        assert before, "nothing was sent by then"
        return before[-1]

    def heard_audio(self, since_s: float = 0.0) -> list[Heard]:
        """Return the audio packets that arrived since a moment, in order of their time stamps."""
        found = [one for one in list(self.heard) if one.packet.payload_type != EVENT and one.at_s >= since_s]
        return sorted(found, key=lambda one: (one.packet.timestamp - found[0].packet.timestamp) % (1 << 32))

    def heard_keys(self, since_s: float = 0.0) -> str:
        """Return the keys that arrived as events, each once, in order."""
        keys: dict[int, str] = {}
        for one in list(self.heard):
            if one.packet.payload_type == EVENT and one.at_s >= since_s:
                keys.setdefault(one.packet.timestamp, _KEYS[one.packet.payload[0]])
        return "".join(keys.values())

    # --- the studio's thread

    def send_frame(self, now_s: float) -> bool:
        """Send what is due; tells whether the voice goes on."""
        if not self._is_talking or self.remote is None or self._tick + FRAME > len(self.stream):
            self._is_talking = False
            return False
        if self._key is None and self._keys:
            key, ms = self._keys.popleft()
            self._key = (key, self._tick, ms * 8)
        if self._key is None:
            self._send(self.law, self._tick, self.stream[self._tick : self._tick + FRAME])
            self.sent.append((self._tick, now_s))
        else:
            self._send_key(*self._key)
        self._tick += FRAME
        return True

    def _send_key(self, key: str, start: int, ticks: int) -> None:
        held = self._tick - start + FRAME
        if held <= ticks:
            self._send_event(key, start, held, is_end=False)
        if held == ticks:
            self.pressed.append((key, start, start + ticks))
            for _ in range(3):
                self._send_event(key, start, ticks, is_end=True)
        elif held >= ticks + 3 * FRAME:  # the pause after a key, without audio too
            self._key = None

    def _send_event(self, key: str, start: int, duration: int, *, is_end: bool) -> None:
        event = TelephoneEvent(event=_KEYS.index(key), is_end=is_end, volume=10, duration=duration)
        self._send(EVENT, start, build_event(event))

    def _send(self, payload_type: int, tick: int, payload: bytes) -> None:
        packet = RtpPacket(
            payload_type=payload_type,
            sequence=self._sequence % 65536,
            timestamp=(self.first_timestamp + tick) % (1 << 32),
            ssrc=self._ssrc,
            payload=payload,
        )
        self._sequence += 1
        assert self.remote is not None
        data = build_rtp(packet)
        self.packets += 1
        if self._sealing is not None:
            data = self._sealing.protect(data)
            self.wire.append(data)
        self.socket.sendto(data, self.remote)

    def take(self, now_s: float) -> bool:
        """Keep a packet if one has arrived, and tell so; what comes from elsewhere is another program's."""
        try:
            data, source = self.socket.recvfrom(4096)
        except (BlockingIOError, ConnectionError):
            return False
        try:
            packet = parse_rtp(self._opened(data))
        except MalformedPacketError:
            return True
        except pylibsrtp.Error:
            self.unreadable += 1
            return True
        if self.remote is not None and source != self.remote:
            self.strays += 1
        else:
            self.heard.append(Heard(now_s, packet))
        return True

    def _opened(self, data: bytes) -> bytes:
        return data if self._opening is None else self._opening[1].unprotect(data)


class Studio:
    """Serves voices; a context manager that owns their sockets and its thread.

    Args:
        host: Their address.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self._voices: list[Voice] = []
        self._due: list[tuple[float, int, Voice]] = []
        self._order = itertools.count()
        self._begun: deque[Voice] = deque()
        self._poller = select.poll()
        self._by_fd: dict[int, Voice] = {}
        self._must_end = False
        self._thread = threading.Thread(target=self._run, name="studio", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._must_end = True
        self._thread.join()
        for voice in self._voices:
            voice.socket.close()

    def voice(self, *, law: int = PCMA, stream: bytes | None = None) -> Voice:
        """Return a new voice, silent until it is told where to talk to."""
        voice = Voice(self, law=law, stream=stream)
        self._voices.append(voice)
        self._by_fd[voice.socket.fileno()] = voice
        self._poller.register(voice.socket, select.POLLIN)
        return voice

    def begin(self, voice: Voice) -> None:
        """Send its first frame soon, and one every 20 ms from then on."""
        self._begun.append(voice)

    def _run(self) -> None:
        while not self._must_end:
            for fd, _ in self._poller.poll(4):
                self._by_fd[fd].take(time.monotonic())
            now_s = time.monotonic()
            while self._begun:
                heapq.heappush(self._due, (now_s, next(self._order), self._begun.popleft()))
            while self._due and self._due[0][0] <= now_s:
                due_s, _, voice = heapq.heappop(self._due)
                if voice.send_frame(time.monotonic()):
                    heapq.heappush(self._due, (due_s + FRAME / TICKS_PER_S, next(self._order), voice))


def _even_port(host: str) -> socket.socket:
    while True:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        opened.bind((host, 0))
        if opened.getsockname()[1] % 2 == 0:
            opened.setblocking(False)
            return opened
        opened.close()
