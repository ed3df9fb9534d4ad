"""The audio of the built-in phone: sends and records G.711 by RTP, and sends and reads keys (RFC 3550, RFC 4733).

Not for several threads. Sending keeps to absolute deadlines, so the stream's clock does not drift.
"""

import contextlib
import secrets
import socket
import struct
import time
import wave
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio.codecs import decode, encode
from audio.types import Codec
from recorder.demo.phones.messages import RATE
from recorder.demo.phones.sip_messages import Media

FRAME_S = 0.02
_FRAME = round(RATE * FRAME_S)
_KEY_FRAMES = 5
"""Length of a key, frames: 100 ms."""
_GAP_FRAMES = 5
"""Audio between two keys, frames; some programs take keys without audio between them for one."""
_END_REPEATS = 3
_BEHIND_S = 1.0
"""A stream that is later than this jumps ahead, instead of sending all that it missed at once."""
_LONGEST_GAP_S = 60
_KEYS = "0123456789*#ABCD"
_HEADER = struct.Struct("!BBHII")
_SILENCE = {Codec.PCMA: b"\xd5" * _FRAME, Codec.PCMU: b"\xff" * _FRAME}
EVENT_TYPE = 101


@dataclass(slots=True)
class _PressedKey:
    key: str
    timestamp: int
    frames: int = 0


class RtpStream:
    """One call's audio, in both directions.

    Args:
        host: The local address.
        played: Called when a WAV was sent to its end.
        pressed: Called with a key and the sample of the WAV, on the phone's clock, at which its release was sent.
        digit: Called with each key that arrives.

    Attributes:
        codec: What is sent.
        port: The local port.
    """

    def __init__(
        self,
        host: str,
        *,
        played: Callable[[], None],
        pressed: Callable[[str, int], None],
        digit: Callable[[str], None],
    ) -> None:
        self._host = host
        self._rtp, self._rtcp = _port_pair(host)
        self.port: int = self._rtp.getsockname()[1]
        self.codec, self._event_type = Codec.PCMA, EVENT_TYPE
        self._played, self._pressed, self._digit = played, pressed, digit
        self._remote: tuple[str, int] | None = None
        self._is_sending = True
        self._next_at = 0.0
        self._ssrc = secrets.randbits(32)
        self._sequence, self._timestamp = secrets.randbits(15), secrets.randbits(31)
        self._wav, self._at = b"", 0
        self._keys: deque[str] = deque()
        self._key: _PressedKey | None = None
        self._file: wave.Wave_write | None = None
        self._first_timestamp: int | None = None
        self._written = 0
        self._last_event: int | None = None

    def fileno(self) -> int:
        """Return the descriptor of the RTP socket, for `select`."""
        return self._rtp.fileno()

    def media(self, direction: str = "sendrecv", version: int = 1) -> Media:
        """Return the session description."""
        formats = ((int(self.codec), f"{self.codec.name}/8000"), (self._event_type, "telephone-event/8000"))
        return Media(ip=self._host, port=self.port, formats=formats, direction=direction, version=version)

    def agree(self, codec: Codec, event_type: int) -> None:
        """Use the codec and the payload type of keys that were negotiated."""
        self.codec, self._event_type = codec, event_type

    def talk(self, remote: tuple[str, int] | None, *, is_sending: bool = True) -> None:
        """Send to an address from now on; None stops."""
        if self._remote is None:
            self._next_at = time.monotonic()
        self._remote, self._is_sending = remote, is_sending

    @property
    def next_at(self) -> float | None:
        """When the next frame is due, monotonic seconds; None if nothing is sent."""
        return self._next_at if self._remote is not None else None

    def play(self, wav: Path) -> None:
        """Send a WAV from now on."""
        with wave.open(str(wav), "rb") as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        self._wav, self._at = encode(self.codec, samples.astype(np.int16)), 0

    def record(self, wav: Path) -> None:
        """Record what arrives from now on."""
        self.finish()
        self._file = wave.open(str(wav), "wb")  # noqa: SIM115 - closed by `finish`
        self._file.setparams((1, 2, RATE, 0, "NONE", ""))
        self._first_timestamp, self._written = None, 0

    def press(self, keys: str) -> None:
        """Send keys, one after the other."""
        self._keys.extend(keys)

    def forget_keys(self) -> None:
        """Send no more keys."""
        self._keys.clear()
        self._key = None

    # --- sending

    def send_due(self) -> None:
        """Send the frames that are due."""
        now = time.monotonic()
        if self._remote is None:
            return
        if now - self._next_at > _BEHIND_S:
            missed = int((now - self._next_at) / FRAME_S)
            self._next_at += missed * FRAME_S
            self._advance(missed)
        while self._next_at <= now:
            self._next_at += FRAME_S
            self._send_frame()

    def _advance(self, frames: int) -> None:
        self._timestamp = (self._timestamp + frames * _FRAME) % (1 << 32)
        was_playing = self._at < len(self._wav)
        self._at = min(self._at + frames * _FRAME, len(self._wav))
        if was_playing and self._at >= len(self._wav):
            self._wav, self._at = b"", 0
            self._played()

    def _send_frame(self) -> None:
        if self._key is None and self._keys:
            self._key = _PressedKey(self._keys.popleft(), self._timestamp)
        is_key = self._key is not None and self._send_key(self._key)
        if self._is_sending and not is_key:
            frame = self._wav[self._at : self._at + _FRAME]
            self._send(int(self.codec), self._timestamp, self.frame(frame + _SILENCE[self.codec][len(frame) :]))
        self._advance(1)

    def frame(self, payload: bytes) -> bytes:
        """Return the payload of an audio packet for 20 ms of encoded audio."""
        return payload

    def _send_key(self, key: _PressedKey) -> bool:
        """Send what is due of a key; tell whether it takes the place of audio."""
        key.frames += 1
        if key.frames <= _KEY_FRAMES:
            self._send_event(key, key.frames, is_end=False)
        if key.frames == _KEY_FRAMES:
            for _ in range(_END_REPEATS):
                self._send_event(key, key.frames, is_end=True)
            late_s = max(time.monotonic() - (self._next_at - FRAME_S), 0.0)  # of this frame, on a busy machine
            self._pressed(key.key, self._at + round(late_s * RATE))
        if key.frames >= _KEY_FRAMES + _GAP_FRAMES:
            self._key = None
        return key.frames <= _KEY_FRAMES

    def _send_event(self, key: _PressedKey, frames: int, *, is_end: bool) -> None:
        payload = struct.pack("!BBH", _KEYS.index(key.key), (0x80 if is_end else 0) | 10, frames * _FRAME)
        self._send(self._event_type, key.timestamp, payload, is_marked=frames == 1 and not is_end)

    def _send(self, payload_type: int, timestamp: int, payload: bytes, *, is_marked: bool = False) -> None:
        self._sequence = (self._sequence + 1) % (1 << 16)
        header = _HEADER.pack(
            0x80, payload_type | (0x80 if is_marked else 0), self._sequence, timestamp % (1 << 32), self._ssrc
        )
        self._write_out(header + payload)

    def _write_out(self, packet: bytes) -> None:
        assert self._remote is not None
        with contextlib.suppress(OSError):  # as good as lost on the way
            self._rtp.sendto(packet, self._remote)

    # --- receiving

    def receive(self) -> None:
        """Read what has arrived."""
        for _ in range(64):
            try:
                data = self._rtp.recv(4096)
            except OSError:  # nothing more, or a port is closed at the other end
                return
            if len(data) > _HEADER.size and data[0] >> 6 == 2:
                self._take(data)

    def _take(self, data: bytes) -> None:
        first, second, _, timestamp, _ = _HEADER.unpack_from(data)
        payload_type, payload = second & 0x7F, data[_HEADER.size + 4 * (first & 0x0F) :]
        if payload_type == self._event_type:
            self._take_event(timestamp, payload)
        elif payload_type in (int(Codec.PCMA), int(Codec.PCMU)):
            self.hear(Codec(payload_type), payload)
            if self._file is not None:
                self._write(self._file, timestamp, Codec(payload_type), payload)

    def hear(self, codec: Codec, payload: bytes) -> None:
        """Take the encoded audio of a packet that has arrived, in the order of arrival; does nothing here."""

    def _take_event(self, timestamp: int, payload: bytes) -> None:
        if len(payload) >= 4 and payload[0] < len(_KEYS) and timestamp != self._last_event:
            self._last_event = timestamp
            self._digit(_KEYS[payload[0]])

    def _write(self, file: wave.Wave_write, timestamp: int, codec: Codec, payload: bytes) -> None:
        if self._first_timestamp is None:
            self._first_timestamp = timestamp
        position = (timestamp - self._first_timestamp) % (1 << 32)
        missing = position - self._written
        if not 0 <= missing <= _LONGEST_GAP_S * RATE:  # late, or another stream: it follows on
            self._first_timestamp = (timestamp - self._written) % (1 << 32)
            missing = 0
        file.writeframes(bytes(2 * missing) + decode(codec, payload).astype("<i2").tobytes())
        self._written += missing + len(payload)

    # --- the end

    def finish(self) -> None:
        """Complete the recording."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def close(self) -> None:
        """Complete the recording and close the sockets. Idempotent."""
        self.finish()
        self._remote = None
        self._rtp.close()
        self._rtcp.close()


def _port_pair(host: str) -> tuple[socket.socket, socket.socket]:
    """Bind an even port for RTP and the next for RTCP, on which nothing is read."""
    while True:
        rtp, rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        rtp.bind((host, 0))
        port = rtp.getsockname()[1]
        if port % 2 == 0:
            with contextlib.suppress(OSError):
                rtcp.bind((host, port + 1))
                rtp.setblocking(False)
                return rtp, rtcp
        rtp.close()
        rtcp.close()
