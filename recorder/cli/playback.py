"""Playing a recording: position, keys, and the samples that are due. No sound device, terminal or permission here."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recorder.cli.terminal import Key
from storage.encoding import WAVE_HEAD_BYTES

Frames = NDArray[np.int16]
"""Samples of both channels, shape (n, 2)."""

SKIP_S = 5.0
HELP = "space pause · ←/→ 5 s · 1/2 one channel · q quit"
_FRAME_BYTES = 4


class Audio(Protocol):
    """A prepared copy (`storage.export.Copy`): a stereo WAV file of 16-bit samples that is made as it is read."""

    rate_hz: int

    @property
    def frames(self) -> int:
        """Samples of each channel."""

    def part(self, first: int, end: int) -> Iterator[bytes]:
        """Yield the bytes ``[first, end)`` of the file."""


class PlayedAudio:
    """Reads a copy from any position. What it has read is wiped when it is handed out or dropped."""

    def __init__(self, audio: Audio) -> None:
        self._audio = audio
        self._chunks: Iterator[bytes] = iter(())
        self._waiting = bytearray()

    def seek(self, frame: int) -> None:
        """Read from a position on, in [0, frames]."""
        self.wipe()
        first, end = (WAVE_HEAD_BYTES + _FRAME_BYTES * one for one in (frame, self._audio.frames))
        self._chunks = self._audio.part(first, end) if first < end else iter(())

    def read(self, frames: int) -> Frames:
        """Return the next samples, fewer at the end; the caller wipes them.

        Raises:
            StorageError: The recording cannot be read.
        """
        wanted = frames * _FRAME_BYTES
        while len(self._waiting) < wanted and (chunk := next(self._chunks, None)) is not None:
            self._waiting += chunk
        size = min(wanted, len(self._waiting) // _FRAME_BYTES * _FRAME_BYTES)
        waiting = np.frombuffer(self._waiting, dtype="<i2", count=size // 2)
        taken = waiting.astype(np.int16).reshape(-1, 2)
        waiting[:] = 0
        del waiting  # a bytearray that is looked into cannot shrink
        del self._waiting[:size]
        return taken

    def wipe(self) -> None:
        """Overwrite what was read and not handed out, and read no more."""
        self._waiting[:] = bytes(len(self._waiting))
        self._waiting.clear()
        self._chunks = iter(())


@dataclass(slots=True)
class Playback:
    """Position and state of a recording that is played.

    Attributes:
        audio: The recording.
        is_paused: Whether it stands still.
        channel: 0 or 1 if only the caller or the officer is heard, on both sides; None for both.
        is_over: Whether it has ended, or the person has.
        needs_check: Whether the person went on or elsewhere: the permission is to be looked at again.
        heard: Spans that were played, frames [from, to), in the order of playing.
    """

    audio: Audio
    is_paused: bool = False
    channel: int | None = None
    is_over: bool = False
    needs_check: bool = False
    heard: list[tuple[int, int]] = field(default_factory=list)
    _at: int = 0
    _source: PlayedAudio = field(init=False)

    def __post_init__(self) -> None:
        self._source = PlayedAudio(self.audio)
        self._source.seek(0)

    @property
    def position_s(self) -> float:
        """The position, seconds."""
        return self._at / self.audio.rate_hz

    @property
    def duration_s(self) -> float:
        """The length, seconds."""
        return self.audio.frames / self.audio.rate_hz

    def press(self, key: str) -> None:
        """Do what a key says; other keys do nothing."""
        if key == " ":
            self.is_paused = not self.is_paused
            self.needs_check |= not self.is_paused
        elif key in (Key.LEFT, Key.RIGHT):
            self._skip(SKIP_S if key == Key.RIGHT else -SKIP_S)
        elif key in ("1", "2"):
            wanted = int(key) - 1
            self.channel = None if self.channel == wanted else wanted
        elif key == "q":
            self.is_over = True

    def _skip(self, seconds: float) -> None:
        self._at = min(max(self._at + round(seconds * self.audio.rate_hz), 0), self.audio.frames)
        self._source.seek(self._at)
        self.needs_check = True

    def take(self, frames: int) -> Frames:
        """Return the samples to play now, silence while paused; none at the end. The caller wipes them.

        Raises:
            StorageError: The recording cannot be read.
        """
        if self.is_paused:
            return np.zeros((frames, 2), dtype=np.int16)
        samples = self._source.read(frames)
        self.is_over = self.is_over or len(samples) < frames
        if self.heard and self.heard[-1][1] == self._at:
            self.heard[-1] = self.heard[-1][0], self._at + len(samples)
        elif len(samples):
            self.heard.append((self._at, self._at + len(samples)))
        self._at += len(samples)
        if self.channel is not None:
            samples[:, 1 - self.channel] = samples[:, self.channel]
        return samples

    def close(self) -> None:
        """Wipe what was read."""
        self.is_over = True
        self._source.wipe()
