"""Exports a recording as a sound file, in one stream: constant memory, no temporary file.

``g711`` keeps every stored byte at its position. For other formats both channels are decoded and aligned with the
call's clock by their anchors. `storage.sides` aligns the channels, `storage.redaction` silences spans,
`storage.encoding` encodes the file, `storage.new_file` names it when it is whole.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from storage.alignment import Alignment
from storage.encoding import ROUNDS, WAVE_HEAD_BYTES, CopyFormat, encoded, wave_head
from storage.errors import ExportError
from storage.g711 import SILENCE
from storage.new_file import write_new
from storage.redaction import Silenced
from storage.runs import ANCHOR, AUDIO, G722, PCMA, TICKS_PER_S, parse
from storage.sides import (
    CHUNK_TICKS,
    CONTEXT_TICKS,
    WINDOW_TICKS,
    Blocks,
    ChannelAudio,
    DecodedSide,
    ExactSide,
    ready_spans,
)
from storage.types import Redaction

_LARGEST_WAV_BYTES = (1 << 32) - 4096
_WAV_FRAME_BYTES = 4


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
"""Called with the seconds done and the seconds in all."""


class _Survey:
    """A first pass over a recording: codecs, length, anchors."""

    def __init__(self, source: Blocks) -> None:
        self.ends = [0, 0]
        self.codecs: tuple[list[int], list[int]] = ([], [])
        anchors: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
        timestamps: tuple[list[int], list[int]] = ([], [])
        for block in source.blocks():
            for run in parse(block):
                if run.kind == ANCHOR:
                    anchors[run.channel].append((run.start, run.aux))
                    timestamps[run.channel].append(run.length)
                    continue
                self.ends[run.channel] = max(self.ends[run.channel], run.start + run.length)
                if run.kind == AUDIO and run.codec not in self.codecs[run.channel]:
                    self.codecs[run.channel].append(run.codec)
        self.alignments = Alignment(anchors[0], timestamps[0]), Alignment(anchors[1], timestamps[1])

    @property
    def law(self) -> int:
        """PCMA or PCMU for a G.711 copy: the first in the left channel, else in the right."""
        return next((codec for codec in [*self.codecs[0], *self.codecs[1]] if codec in SILENCE), PCMA)

    @property
    def is_wide(self) -> bool:
        """Whether it has any G.722."""
        return G722 in self.codecs[0] + self.codecs[1]

    @property
    def reach(self) -> int:
        """Largest distance between the time of a tick and its position in the file, ticks."""
        return max(alignment.largest_ticks for alignment in self.alignments) + 2 * CONTEXT_TICKS

    def end(self, form: CopyFormat) -> int:
        """Return the end of a copy, ticks."""
        if form is CopyFormat.G711:
            return max(self.ends)
        return max(alignment.end_time(end) for alignment, end in zip(self.alignments, self.ends, strict=True))


class Copy:
    """A prepared copy; made by `prepare`.

    Attributes:
        form: Its format.
        span_s: Its start and end in the recording, seconds.
        rate_hz: Sampling rate.
        codecs: Codecs found per channel, in order of appearance.
    """

    def __init__(self, source: Blocks, survey: _Survey, form: CopyFormat, span: tuple[int, int]) -> None:
        self.form = form
        self.span_s = span[0] / TICKS_PER_S, span[1] / TICKS_PER_S
        self.rate_hz = 2 * TICKS_PER_S if survey.is_wide else TICKS_PER_S
        self.codecs = tuple(survey.codecs[0]), tuple(survey.codecs[1])
        self._source = source
        self._survey = survey
        self._span = span

    @property
    def duration_s(self) -> float:
        """Length of the copy."""
        return self.span_s[1] - self.span_s[0]

    @property
    def frames(self) -> int:
        """Samples of each channel."""
        return (self._span[1] - self._span[0]) * self.rate_hz // TICKS_PER_S

    @property
    def most_bytes(self) -> int:
        """Upper bound of the size of the file."""
        return self.frames * 5 + (1 << 20)

    def chunks(self, progress: Progress | None = None) -> Iterator[bytes]:
        """Yield the file front to back.

        Args:
            progress: Called about once for each second of audio.

        Raises:
            ExportError: The recording cannot be read or encoded.
            DamagedError: The recording is damaged.
        """
        if self.form is CopyFormat.G711:
            yield wave_head(self.frames, self.rate_hz, law=self._survey.law)
            yield from (chunk.tobytes() for chunk in self._rendered(progress))
        elif self.form is CopyFormat.WAV:
            yield wave_head(self.frames, self.rate_hz)
            yield from (chunk.astype("<i2", copy=False).tobytes() for chunk in self._rendered(progress))
        else:
            rounds = itertools.count()
            yield from encoded(lambda: self._rendered(progress, next(rounds)), self.form, self.rate_hz)

    @property
    def size_bytes(self) -> int:
        """Size of the WAV file; the size of other formats is not known in advance."""
        assert self.form is CopyFormat.WAV, "other files have to be made to know how long they are"
        return WAVE_HEAD_BYTES + self.frames * _WAV_FRAME_BYTES

    def part(self, first: int, end: int) -> Iterator[bytes]:
        """Yield the bytes ``[first, end)`` of the WAV file, without rendering the audio before them.

        They equal those of the whole file, except shortly after a channel changes to G.722: the decoder starts a second
        before the part.

        Args:
            first: In ``[0, size_bytes)``.
            end: In ``(first, size_bytes]``.

        Raises:
            ExportError, DamagedError: As `chunks`.
        """
        assert 0 <= first < end <= self.size_bytes, "a part lies within the file"
        yield from filter(None, [wave_head(self.frames, self.rate_hz)[first:end]])
        at, end = max(first - WAVE_HEAD_BYTES, 0), end - WAVE_HEAD_BYTES
        tick_bytes = _WAV_FRAME_BYTES * self.rate_hz // TICKS_PER_S
        lead = max(at // tick_bytes // CHUNK_TICKS - 1, 0) * CHUNK_TICKS  # whole chunks, as they are in the whole file
        rest = Copy(self._source, self._survey, self.form, (self._span[0] + lead, self._span[1]))
        done = lead * tick_bytes
        for samples in rest._rendered(None):
            if done >= end:
                return
            chunk = samples.astype("<i2", copy=False).tobytes()
            wanted = chunk[max(at - done, 0) : max(end - done, 0)]
            done += len(chunk)
            if wanted:
                yield wanted

    def _rendered(self, progress: Progress | None, rounds_done: int = 0) -> Iterator[NDArray[np.generic]]:
        sides, reach = self._sides()
        rounds = ROUNDS.get(self.form, 1)
        try:
            for begin, end in ready_spans(self._source, sides, self._span, reach):
                yield np.stack([side.render(begin, end) for side in sides], axis=1)
                if progress is not None:
                    done_s = (end - self._span[0]) / TICKS_PER_S
                    progress((done_s + rounds_done * self.duration_s) / rounds, self.duration_s)
        except OSError as error:
            raise ExportError(f"the recording cannot be read: {error.strerror}") from error

    def _sides(self) -> tuple[tuple[ChannelAudio, ChannelAudio], int]:
        """Return both channels at the beginning of the span, and the reach around the span, ticks."""
        survey, begin = self._survey, self._span[0]
        if self.form is CopyFormat.G711:
            return (ExactSide(survey.law, begin), ExactSide(survey.law, begin)), 0
        left, right = (
            DecodedSide(alignment, codecs, self.rate_hz, span=self._span, begin=max(begin - survey.reach, 0))
            for alignment, codecs in zip(survey.alignments, survey.codecs, strict=True)
        )
        return (left, right), survey.reach


def prepare(
    source: Blocks,
    form: CopyFormat,
    *,
    span_s: tuple[float, float] | None = None,
    redactions: Sequence[Redaction] = (),
    duration_s: float = 0.0,
) -> Copy:
    """Survey a recording and return a copy of it, of which nothing is written yet.

    Args:
        source: The opened recording.
        form: Format; ``g711`` is exact, the others are decoded and aligned.
        span_s: Seconds [from, to) of the recording, or None for all of it.
        redactions: Spans to silence.
        duration_s: Length of the call; the copy is filled up to it with silence.

    Raises:
        ExportError: The span is empty, the copy too long for the format, or ``g711`` cannot hold the recording's G.722.
        DamagedError: The recording cannot be read to its end.
    """
    if redactions:
        source = Silenced(source, redactions)
    survey = _Survey(source)
    if form is CopyFormat.G711 and survey.is_wide:
        raise ExportError("the recording holds G.722, which g711 cannot: ask for wav")
    if form is not CopyFormat.G711 and survey.reach > WINDOW_TICKS // 4:
        raise ExportError(f"the channels' clocks differ by {survey.reach / TICKS_PER_S:.0f} s: ask for g711")
    span = _span(span_s, max(survey.end(form), round(duration_s * TICKS_PER_S)))
    copy = Copy(source, survey, form, span)
    _check_length(copy)
    return copy


def export(
    source: Blocks,
    target: Path,
    form: CopyFormat,
    *,
    span_s: tuple[float, float] | None = None,
    redactions: Sequence[Redaction] = (),
    duration_s: float = 0.0,
    progress: Progress | None = None,
) -> Exported:
    """Write a copy of a recording to a file; see `prepare`.

    Args:
        source: The opened recording.
        target: A file that must not exist; mode 0600, it appears only when it is whole.
        form: Format.
        span_s: Seconds [from, to) of the recording, or None for all of it.
        redactions: Spans to silence.
        duration_s: Length of the call; the copy is filled up to it with silence.
        progress: Called about once for each second of audio.

    Raises:
        ExportError: As `prepare`, or the target exists or cannot be written.
        DamagedError: The recording cannot be read to its end.
    """
    copy = prepare(source, form, span_s=span_s, redactions=redactions, duration_s=duration_s)
    seal = Seal()
    write_new(target, seal.over(copy.chunks(progress)))
    return Exported(
        path=target, bytes=seal.bytes, sha256=seal.sha256, duration_s=copy.duration_s, rate_hz=copy.rate_hz,
        codecs=copy.codecs,
    )  # fmt: skip


class Seal:
    """Size and hash of a file, computed while it is streamed."""

    def __init__(self) -> None:
        self.bytes = 0
        self._digest = hashlib.sha256()

    def over(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass the bytes of a file on, and count and hash them."""
        for chunk in chunks:
            self.bytes += len(chunk)
            self._digest.update(chunk)
            yield chunk

    @property
    def sha256(self) -> str:
        """Hash of the bytes so far, hex."""
        return self._digest.hexdigest()


def _span(span_s: tuple[float, float] | None, end: int) -> tuple[int, int]:
    if span_s is None:
        return 0, end
    begin, upto = (round(value * TICKS_PER_S) for value in span_s)
    if not 0 <= begin < min(upto, end):
        raise ExportError(f"the span {span_s[0]:g} to {span_s[1]:g} s holds nothing of {end / TICKS_PER_S:g} s")
    return begin, min(upto, end)


def _check_length(copy: Copy) -> None:
    frame_bytes = {CopyFormat.G711: 2, CopyFormat.WAV: _WAV_FRAME_BYTES}.get(copy.form, 0)
    if copy.frames * frame_bytes > _LARGEST_WAV_BYTES:
        raise ExportError("the copy would be longer than a WAV file can be: ask for flac, or for a span")
