"""Encodes sound files front to back, without seeking, so that they can be streamed or packed.

libsndfile completes the head of a FLAC or MP3 file at the end. Its encoders are deterministic, so the file is encoded
twice: first for its head, then for its content. WAV heads are written here, since the length is known in advance; an
Ogg head needs no completion.
"""

import enum
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from storage.errors import ExportError
from storage.runs import PCMA, PCMU

Chunks = Iterator[NDArray[np.generic]]
"""Frames of two channels, in order: G.711 bytes, or 16-bit samples."""

_HEAD_BYTES = 16 * 1024
"""Upper bound of the bytes that an encoder completes at the end."""
_WAVE = struct.Struct("<4sI4s4sIHHIIHH")
_WAV_TAGS = {PCMA: 6, PCMU: 7}
_PCM_TAG = 1
WAVE_HEAD_BYTES = _WAVE.size + 8
"""Size of the head of a WAV file of 16-bit samples."""


class CopyFormat(enum.StrEnum):
    """Audio format of a copy."""

    G711 = "g711"
    WAV = "wav"
    FLAC = "flac"
    MP3 = "mp3"
    OPUS = "opus"


SUFFIXES = {
    CopyFormat.G711: "wav",
    CopyFormat.WAV: "wav",
    CopyFormat.FLAC: "flac",
    CopyFormat.MP3: "mp3",
    CopyFormat.OPUS: "opus",
}
"""Suffix of the file name, without the dot."""
MEDIA_TYPES = {
    CopyFormat.G711: "audio/wav",
    CopyFormat.WAV: "audio/wav",
    CopyFormat.FLAC: "audio/flac",
    CopyFormat.MP3: "audio/mpeg",
    CopyFormat.OPUS: "audio/ogg",
}

_SOUNDFILE = {
    CopyFormat.FLAC: ("FLAC", "PCM_16"),
    CopyFormat.MP3: ("MP3", "MPEG_LAYER_III"),
    CopyFormat.OPUS: ("OGG", "OPUS"),
}
ROUNDS = {CopyFormat.FLAC: 2, CopyFormat.MP3: 2}
"""How often the samples are read; once for other formats."""


def wave_head(frames: int, rate_hz: int, *, law: int | None = None) -> bytes:
    """Return the head of a stereo WAV file of 16-bit samples, or of G.711 (``law`` is PCMA or PCMU)."""
    width = 2 if law is None else 1
    size = frames * 2 * width
    extra = b"" if law is None else struct.pack("<H4sII", 0, b"fact", 4, frames)
    return (
        _WAVE.pack(
            b"RIFF", _WAVE.size + len(extra) + size, b"WAVE", b"fmt ", 16 if law is None else 18,
            _PCM_TAG if law is None else _WAV_TAGS[law], 2, rate_hz, rate_hz * 2 * width, 2 * width, 8 * width,
        )
        + extra
        + struct.pack("<4sI", b"data", size)
    )  # fmt: skip


def encoded(chunks: Callable[[], Chunks], form: CopyFormat, rate_hz: int) -> Iterator[bytes]:
    """Yield a FLAC, MP3 or Ogg Opus file front to back.

    Args:
        chunks: Returns all samples from the first, each time it is called.
        form: FLAC, MP3 or OPUS.
        rate_hz: Sampling rate.

    Raises:
        ExportError: The encoder failed.
    """
    head = b""
    if form in ROUNDS:
        outlet = _Outlet(may_complete=True)
        for _ in _encode(chunks(), outlet, form, rate_hz):
            outlet.drain()
        head = bytes(outlet.head)
    outlet = _Outlet(may_complete=form in ROUNDS)
    left_out = len(head)
    if head:
        yield head
    for _ in _encode(chunks(), outlet, form, rate_hz):
        some = outlet.drain()
        if len(some) > left_out:
            yield some[left_out:]
        left_out = max(left_out - len(some), 0)


def _encode(chunks: Chunks, outlet: "_Outlet", form: CopyFormat, rate_hz: int) -> Iterator[None]:
    """Encode into an outlet; yields after each chunk and after the end, so that the caller drains the outlet."""
    container, subtype = _SOUNDFILE[form]
    try:
        with soundfile.SoundFile(outlet, "w", rate_hz, 2, subtype=subtype, format=container) as sound:
            for chunk in chunks:
                # libsndfile 1.2.2 distorts 16-bit samples when it encodes MP3, but not floats.
                sound.write(chunk if subtype == "PCM_16" else chunk.astype(np.float32) / 32768)
                yield
    except soundfile.LibsndfileError as error:
        raise ExportError(f"the copy cannot be encoded: {error}") from error
    outlet.check()
    yield


class _Outlet:
    """The file that libsndfile writes. Only its head can be changed later; `head` then has the change."""

    def __init__(self, *, may_complete: bool) -> None:
        self._open_bytes = _HEAD_BYTES if may_complete else 0
        self.head = bytearray()
        self._fresh = bytearray()
        self._at = self._end = 0
        self._is_torn = False

    def write(self, data: Any) -> int:  # noqa: ANN401 - a buffer of cffi
        given = bytes(data)
        if self._at < _HEAD_BYTES:
            self.head[self._at : self._at + len(given)] = given
            del self.head[_HEAD_BYTES:]
        if self._at == self._end:
            self._fresh += given
        else:
            self._is_torn |= self._at + len(given) > min(self._open_bytes, self._end)
        self._at += len(given)
        self._end = max(self._end, self._at)
        return len(given)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._end)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        raise NotImplementedError

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""

    def drain(self) -> bytes:
        fresh, self._fresh = bytes(self._fresh), bytearray()
        return fresh

    def check(self) -> None:
        if self._is_torn:
            raise ExportError("the encoder changed bytes that were already sent: this libsndfile is too new")
