"""Erases spans of a finished recording, for the key holder: a new container and key replace the old ones.

`storage.rewrite` replaces the container, safe against kills; this module decides which bytes stay. An archived
recording is no longer compressed afterwards: compressing again would lower the quality of the rest.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from storage.epochs import EpochKeys
from storage.format import FORMAT_VERSION, FrameType
from storage.reader import RecordingReader, open_recording
from storage.rewrite import Exchanging, Progress, Whole, rewrite
from storage.runs import TICKS_PER_S, Run
from storage.spans import (
    Cuts,
    Span,
    Survey,
    peaks_without,
    recorded_seconds,
    segments_without,
    ticks_within,
    without,
)
from storage.types import RecordingRow
from storage.vault import Vault

KeptSpeech = Callable[[float, bytes, bytes], float]
"""Returns the seconds of speech that a channel has left, of those before, the peaks before and the peaks now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What an erasure would change.

    Attributes:
        silenced_s: Seconds of stored audio that would be erased, left and right.
        row: The row after it, but with the present path, bytes and sha256.
    """

    silenced_s: tuple[float, float]
    row: RecordingRow


def preview(vault: Vault, keys: EpochKeys, row: RecordingRow, spans: Sequence[Span], *, speech: KeptSpeech) -> Preview:
    """Return what `erase_spans` would change, without changing anything.

    Raises:
        DamagedError, KeyProblemError: The recording cannot be opened.
    """
    reader = open_recording(vault.container(row), vault.home, keys)
    cuts = _survey(reader, spans)
    ticks = [0, 0]
    for block in reader.blocks():
        for channel, count in enumerate(ticks_within(block, cuts)):
            ticks[channel] += count
    silenced = (round(ticks[0] / TICKS_PER_S, 3), round(ticks[1] / TICKS_PER_S, 3))
    return Preview(silenced_s=silenced, row=_row_without(row, spans, cuts, speech))


def erase_spans(
    vault: Vault,
    keys: EpochKeys,
    row: RecordingRow,
    spans: Sequence[Span],
    *,
    speech: KeptSpeech,
    progress: Progress = lambda _done, _total: None,
    exchanging: Exchanging = nullcontext,
) -> RecordingRow:
    """Replace spans of a recording by silence, irrecoverably; every byte outside them stays.

    Uses constant memory. The caller holds a lock and saves the returned row; until then it may run again.

    Args:
        vault: The store.
        keys: The private keys.
        row: The recording's row, with a path.
        spans: The spans to erase; at least one.
        speech: See `KeptSpeech`.
        progress: Called with the bytes done and the bytes in all.
        exchanging: As of `storage.rewrite.rewrite`.

    Returns:
        The new row.

    Raises:
        DamagedError: The recording is not as its node closed it; nothing was changed.
        KeyProblemError: Its key or the private key of its epoch is missing; nothing was changed.
        WriteFailedError: The disk refused; the old recording is whole, or the next run continues.
    """

    def plan(whole: Whole) -> _Erasure:
        cuts = _survey(whole.reader, spans)
        return _Erasure(row=_row_without(row, spans, cuts, speech), spans=tuple(spans), cuts=cuts)

    return rewrite(vault, keys, row, plan, progress=progress, exchanging=exchanging)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Erasure:
    """The `storage.rewrite.Change` that erases spans."""

    row: RecordingRow
    spans: tuple[Span, ...]
    cuts: Cuts
    version: int = FORMAT_VERSION

    @property
    def marks(self) -> Sequence[Mapping[str, Any]]:
        return [
            {"kind": "erased", "start_s": span.start_s, "end_s": span.end_s, "reason": span.reason, "by": span.by}
            for span in self.spans
        ]

    def take(self, block: bytes) -> Iterator[tuple[FrameType, bytes]]:
        if kept := self.meant(block):
            yield FrameType.AUDIO, kept

    def rest(self) -> Iterator[tuple[FrameType, bytes]]:
        return iter(())

    def meant(self, block: bytes) -> bytes:
        return without(block, self.cuts)

    def is_as_meant(self, meant: Run, found: Run) -> bool:
        return meant == found


def _survey(reader: RecordingReader, spans: Sequence[Span]) -> Cuts:
    survey = Survey()
    for block in reader.blocks():
        survey.take(block)
    return survey.cuts(spans)


def _row_without(row: RecordingRow, spans: Sequence[Span], cuts: Cuts, speech: KeptSpeech) -> RecordingRow:
    peaks = peaks_without(row.peaks, cuts)
    segments = segments_without(row.segments, spans)
    return replace(
        row,
        segments=segments,
        recorded_s=recorded_seconds(segments),
        peaks=peaks,
        speech_s=(
            round(speech(row.speech_s[0], row.peaks[0], peaks[0]), 1),
            round(speech(row.speech_s[1], row.peaks[1], peaks[1]), 1),
        ),
    )
