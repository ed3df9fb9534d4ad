"""Copies of a recording in formats that others can play, made in one stream: constant memory, no temporary file.

``g711`` keeps every stored byte at its position; the other formats are decoded and both channels are aligned to the
call's clock by their anchors.
"""

import enum
import hashlib
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from storage.alignment import Alignment
from storage.errors import ExportError
from storage.g711 import SILENCE, TRANSCODE, Decoder
from storage.runs import ANCHOR, AUDIO, G722, PCMA, TICKS_PER_S, Run, parse

CHUNK_TICKS = TICKS_PER_S
"""Written at a time."""
WINDOW_TICKS = 120 * TICKS_PER_S
"""Kept in memory a channel: how far the two channels' positions may lie apart in the file."""
CONTEXT_TICKS = 400
"""Read either side of a chunk that is resampled, so that its ends are not heard."""
_WAV_TAGS = {PCMA: 6, 0: 7}
_LARGEST_WAV_BYTES = (1 << 32) - 4096


class Format(enum.StrEnum):
    """What a copy can be."""

    G711 = "g711"
    WAV = "wav"
    FLAC = "flac"
    MP3 = "mp3"
    OPUS = "opus"


_SOUNDFILE = {
    Format.WAV: ("WAV", "PCM_16"),
    Format.FLAC: ("FLAC", "PCM_16"),
    Format.MP3: ("MP3", "MPEG_LAYER_III"),
    Format.OPUS: ("OGG", "OPUS"),
}


class Blocks(Protocol):
    """What is exported from; `storage.reader.RecordingReader` is the real one."""

    def blocks(self) -> Iterator[bytes]:
        """Yield the blocks of runs from the first, each time it is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A finished copy.

    Attributes:
        path: The file.
        bytes: Its size.
        sha256: Of the whole file, hex.
        duration_s: Length of the copy.
        rate_hz: Sampling rate.
        codecs: Codecs found per channel, numbers of docs/media-core.md, in order of appearance.
    """

    path: Path
    bytes: int
    sha256: str
    duration_s: float
    rate_hz: int
    codecs: tuple[tuple[int, ...], tuple[int, ...]]


Progress = Callable[[float, float], None]
"""Called with seconds done and seconds in all."""


class _Survey:
    """A first pass: codecs, length, anchors."""

    def __init__(self, source: Blocks) -> None:
        self.ends = [0, 0]
        self.codecs: tuple[list[int], list[int]] = ([], [])
        anchors: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
        for block in source.blocks():
            for run in parse(block):
                if run.kind == ANCHOR:
                    anchors[run.channel].append((run.start, run.aux))
                    continue
                self.ends[run.channel] = max(self.ends[run.channel], run.start + run.length)
                if run.kind == AUDIO and run.codec not in self.codecs[run.channel]:
                    self.codecs[run.channel].append(run.codec)
        self.alignments = (Alignment(anchors[0]), Alignment(anchors[1]))


class _Window:
    """The newest WINDOW_TICKS of one channel, addressed by sample; what was not written is silence."""

    def __init__(self, *, silence: int, dtype: type[np.generic], per_tick: int, begin: int) -> None:
        self.per_tick = per_tick
        self._silence = silence
        self._ring = np.full(WINDOW_TICKS * per_tick, silence, dtype=dtype)
        self._floor = self._base = begin * per_tick

    def write(self, position: int, values: NDArray[np.generic]) -> None:
        begin = position * self.per_tick
        if begin < self._floor:
            values, begin = values[self._floor - begin :], self._floor
        if begin < self._base or begin + len(values) > self._base + len(self._ring):
            raise ExportError(
                f"the channels lie more than {WINDOW_TICKS // TICKS_PER_S // 2} s apart at tick {position}"
            )
        self._ring[np.arange(begin, begin + len(values)) % len(self._ring)] = values

    def read(self, indices: NDArray[np.int64]) -> NDArray[np.generic]:
        values = self._ring[indices % len(self._ring)]
        values[(indices < self._base) | (indices >= self._base + len(self._ring))] = self._silence
        return values

    def forget(self, position: int) -> None:
        """Silence what lies before a position, so that later ones can take its place."""
        upto = position * self.per_tick
        if upto > self._base:
            count = min(upto - self._base, len(self._ring))
            self._ring[np.arange(upto - count, upto) % len(self._ring)] = self._silence
            self._base = upto


class _Side(Protocol):
    """One channel of a copy."""

    window: _Window

    def take(self, run: Run) -> None: ...

    def render(self, begin: int, end: int) -> NDArray[np.generic]: ...


class _ExactSide:
    """Stored bytes at their positions, in one law."""

    def __init__(self, law: int, begin: int) -> None:
        self._law = law
        self.window = _Window(silence=SILENCE[law], dtype=np.uint8, per_tick=1, begin=begin)

    def take(self, run: Run) -> None:
        codes = np.frombuffer(run.payload, np.uint8)
        self.window.write(run.start, codes if run.codec == self._law else TRANSCODE[run.codec, self._law][codes])

    def render(self, begin: int, end: int) -> NDArray[np.generic]:
        return self.window.read(np.arange(begin, end))


class _DecodedSide:
    """Samples on the call's clock, at the rate of the copy."""

    def __init__(self, alignment: Alignment, codecs: list[int], rate_hz: int, begin: int) -> None:
        self._alignment = alignment
        self._rate_hz = rate_hz
        self._decoder = Decoder()
        per_tick = 2 if G722 in codecs else 1
        self.window = _Window(silence=0, dtype=np.int16, per_tick=per_tick, begin=begin)

    def take(self, run: Run) -> None:
        samples = self._decoder.decode(run.codec, run.payload)
        if self.window.per_tick == 2 and run.codec != G722:  # the codec changed within the channel
            samples = soxr.resample(samples, 8000, 16000)
        self.window.write(run.start, samples)

    def render(self, begin: int, end: int) -> NDArray[np.generic]:
        if self.window.per_tick * TICKS_PER_S == self._rate_hz:
            return self._read(begin, end)
        wide = self._read(begin - CONTEXT_TICKS, end + CONTEXT_TICKS)
        doubled: NDArray[np.int16] = soxr.resample(wide, 8000, 16000)
        return doubled[2 * CONTEXT_TICKS : 2 * CONTEXT_TICKS + 2 * (end - begin)]

    def _read(self, begin: int, end: int) -> NDArray[np.generic]:
        positions = self._alignment.positions(np.arange(begin, end))
        per_tick = self.window.per_tick
        return self.window.read((positions[:, None] * per_tick + np.arange(per_tick)).ravel())


def _chunks(source: Blocks, sides: tuple[_Side, _Side], span: tuple[int, int], reach: int) -> Iterator[tuple[int, int]]:
    """Feed both sides and yield spans [from, to) that are ready to be rendered, in order.

    A span is ready once some audio lies half a window beyond it: the other channel is never that far behind, and if
    it is, the window refuses it.
    """
    at, end = span
    for block in source.blocks():
        for run in parse(block):
            run_end = run.start + run.length
            if run.kind != AUDIO or run_end <= span[0] - reach or run.start >= end + reach:
                continue
            while at < end and run_end - at > WINDOW_TICKS // 2:
                yield at, (at := min(at + CHUNK_TICKS, end))
                _forget(sides, at - reach)
            sides[run.channel].take(run)
    while at < end:
        yield at, (at := min(at + CHUNK_TICKS, end))
        _forget(sides, at - reach)


def _forget(sides: tuple[_Side, _Side], before: int) -> None:
    for side in sides:
        side.window.forget(max(before, 0))


class _Sink(Protocol):
    def write(self, chunk: NDArray[np.generic]) -> None: ...

    def close(self) -> None: ...


class _G711Sink:
    """A stereo WAV of A-law or mu-law; the header is completed at the end."""

    _HEADER = struct.Struct("<4sI4s4sIHHIIHHH4sII4sI")

    def __init__(self, file: BinaryIO, law: int) -> None:
        self._file = file
        self._law = law
        self._frames = 0
        self._file.write(self._header())

    def _header(self) -> bytes:
        size = self._frames * 2
        return self._HEADER.pack(
            b"RIFF", self._HEADER.size - 8 + size, b"WAVE",
            b"fmt ", 18, _WAV_TAGS[self._law], 2, TICKS_PER_S, TICKS_PER_S * 2, 2, 8, 0,
            b"fact", 4, self._frames, b"data", size,
        )  # fmt: skip

    def write(self, chunk: NDArray[np.generic]) -> None:
        self._file.write(chunk.tobytes())
        self._frames += len(chunk)

    def close(self) -> None:
        self._file.seek(0)
        self._file.write(self._header())


class _FloatSink:
    """Feeds a lossy encoder: libsndfile 1.2.2 distorts 16-bit samples on their way into MP3, floats are right."""

    def __init__(self, sound: _Sink) -> None:
        self._sound = sound

    def write(self, chunk: NDArray[np.generic]) -> None:
        self._sound.write(chunk.astype(np.float32) / 32768)

    def close(self) -> None:
        self._sound.close()


def export(
    source: Blocks,
    target: Path,
    form: Format,
    *,
    span_s: tuple[float, float] | None = None,
    duration_s: float = 0.0,
    progress: Progress | None = None,
) -> Exported:
    """Write a copy of a recording.

    Args:
        source: The opened recording.
        target: A file that must not exist; made 0600, removed if the copy fails.
        form: Format; ``g711`` is exact, the others are decoded and aligned.
        span_s: Seconds [from, to) of the recording, or None for all of it.
        duration_s: Length of the call: the copy is filled up to it with silence.
        progress: Told how far it is, about once a second of audio.

    Raises:
        ExportError: The target exists or cannot be written, the span is empty, the copy would be too long for the
            format, or G.722 was asked for as ``g711``.
        DamagedError: The recording cannot be read to its end.
    """
    survey = _Survey(source)
    sides, rate_hz, ends, reach = _sides(survey, form, span_s)
    span = _span(span_s, max(*ends, round(duration_s * TICKS_PER_S)))
    _check_length(form, span, rate_hz)
    try:
        descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "w+b") as file:
            sink = _open_sink(file, form, rate_hz, survey)
            for begin, end in _chunks(source, sides, span, reach):
                sink.write(np.stack([side.render(begin, end) for side in sides], axis=1))
                if progress is not None:
                    progress((end - span[0]) / TICKS_PER_S, (span[1] - span[0]) / TICKS_PER_S)
            sink.close()
            file.flush()
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = os.fstat(file.fileno()).st_size
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError | soundfile.LibsndfileError):
            raise ExportError(f"{target} cannot be written: {error}") from error
        raise
    return Exported(
        path=target,
        bytes=size,
        sha256=digest,
        duration_s=(span[1] - span[0]) / TICKS_PER_S,
        rate_hz=rate_hz,
        codecs=(tuple(survey.codecs[0]), tuple(survey.codecs[1])),
    )


def _law(survey: _Survey) -> int:
    """Return the law of a G.711 copy: the left channel's first, else the right's."""
    return next((codec for codec in [*survey.codecs[0], *survey.codecs[1]] if codec in SILENCE), PCMA)


def _sides(
    survey: _Survey, form: Format, span_s: tuple[float, float] | None
) -> tuple[tuple[_Side, _Side], int, list[int], int]:
    """Return both sides, the rate, the end of each side in ticks of the copy, and the reach round a span."""
    asked = 0 if span_s is None else max(int(span_s[0] * TICKS_PER_S), 0)
    is_wide = G722 in survey.codecs[0] + survey.codecs[1]
    if form is Format.G711:
        if is_wide:
            raise ExportError("the recording holds G.722, which g711 cannot: ask for wav")
        law = _law(survey)
        return (_ExactSide(law, asked), _ExactSide(law, asked)), TICKS_PER_S, survey.ends, 0
    rate_hz = 2 * TICKS_PER_S if is_wide else TICKS_PER_S
    reach = max(alignment.largest_ticks for alignment in survey.alignments) + 2 * CONTEXT_TICKS
    if reach > WINDOW_TICKS // 4:
        raise ExportError(f"the channels' clocks differ by {reach / TICKS_PER_S:.0f} s: ask for g711")
    left, right = (
        _DecodedSide(alignment, codecs, rate_hz, max(asked - reach, 0))
        for alignment, codecs in zip(survey.alignments, survey.codecs, strict=True)
    )
    ends = [alignment.end_time(end) for alignment, end in zip(survey.alignments, survey.ends, strict=True)]
    return (left, right), rate_hz, ends, reach


def _span(span_s: tuple[float, float] | None, end: int) -> tuple[int, int]:
    if span_s is None:
        return 0, end
    begin, upto = (round(value * TICKS_PER_S) for value in span_s)
    if not 0 <= begin < min(upto, end):
        raise ExportError(f"the span {span_s[0]:g} to {span_s[1]:g} s holds nothing of {end / TICKS_PER_S:g} s")
    return begin, min(upto, end)


def _check_length(form: Format, span: tuple[int, int], rate_hz: int) -> None:
    frame_bytes = {Format.G711: 2, Format.WAV: 4}.get(form, 0)
    if (span[1] - span[0]) * rate_hz // TICKS_PER_S * frame_bytes > _LARGEST_WAV_BYTES:
        raise ExportError("the copy would be longer than a WAV file can be: ask for flac, or for a span")


def _open_sink(file: BinaryIO, form: Format, rate_hz: int, survey: _Survey) -> _Sink:
    if form is Format.G711:
        return _G711Sink(file, _law(survey))
    container, subtype = _SOUNDFILE[form]
    sound: _Sink = soundfile.SoundFile(file, "w", rate_hz, 2, subtype=subtype, format=container)
    return sound if subtype == "PCM_16" else _FloatSink(sound)
