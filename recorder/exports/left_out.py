"""Spans that a copy leaves out, in words for the recipient. Pure.

The words name nobody: recipients must not learn who paused or erased.
"""

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from recorder.rules.call_parts import WITHHELD
from recorder.rules.pausing import PauseKind
from storage.retention_types import ErasureKind
from storage.types import Channels, Redaction, Segment, SegmentKind


class Ground(enum.StrEnum):
    """Ground of an order for copies; stored."""

    SAR = "sar"
    COMPLAINT = "complaint"
    TRAINING = "training"
    EVIDENCE = "evidence"
    DISCLOSURE = "disclosure"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A span of the call that cannot be heard, seconds, with the reason as a sentence."""

    start_s: float
    end_s: float
    why: str


_PAUSED: Mapping[PauseKind, str] = MappingProxyType(
    {
        PauseKind.AGENT: "The officer had paused the recording, as they do while payment card details are given.",
        PauseKind.CARD_DIGITS: "The recording was paused because payment card details were keyed in.",
        PauseKind.PAYMENT_APP: "A payment system had paused the recording while a payment was made.",
        PauseKind.MANAGER: "A manager had paused the recording.",
        PauseKind.HOLD: "The call was on hold.",
    }
)
_ERASED: Mapping[ErasureKind, str] = MappingProxyType(
    {
        ErasureKind.CARD_DATA: "Payment card details were erased from the recording.",
        ErasureKind.OPT_OUT: "Erased from the recording because the caller asked not to be recorded.",
        ErasureKind.OTHER: "Erased from the recording after the call.",
    }
)
_KINDS: Mapping[SegmentKind, str] = MappingProxyType(
    {
        SegmentKind.HOLD: "The call was on hold.",
        SegmentKind.OPTED_OUT: "The caller had asked not to be recorded.",
        SegmentKind.OUT_OF_SCOPE: "The call was with somebody whose calls are not recorded.",
        SegmentKind.LOST: "This part could not be recorded for a technical reason.",
        SegmentKind.FAX: "A fax was sent.",
        SegmentKind.VOICEMAIL: "A voicemail system had answered.",
        SegmentKind.WITHHELD: WITHHELD,
        SegmentKind.FAX_SUSPECTED: "Fax tones were heard and nobody spoke, so recording stopped automatically.",
        SegmentKind.SILENCED: "Silenced, because digits were keyed.",
    }
)
_SIDES: Mapping[Channels, str] = MappingProxyType(
    {Channels.BOTH: "Both sides", Channels.LEFT: "The caller's side", Channels.RIGHT: "The officer's side"}
)


def left_out(
    segments: Iterable[Segment], redactions: Iterable[Redaction], span_s: tuple[float, float]
) -> list[LeftOut]:
    """Return the spans of a copy that cannot be heard, in order.

    Args:
        segments: Segments of the recording.
        redactions: Spans silenced in the copy.
        span_s: Span of the call that the copy covers, seconds.
    """
    begin, end = span_s
    found = [
        LeftOut(start_s=max(one.start_s, begin), end_s=min(one.end_s, end), why=one.why)
        for one in [*_of_segments(segments), *_of_redactions(redactions)]
        if one.start_s < end and one.end_s > begin
    ]
    return sorted(found, key=lambda one: (one.start_s, one.end_s))


def _of_segments(segments: Iterable[Segment]) -> Iterator[LeftOut]:
    for segment in segments:
        if segment.kind is not SegmentKind.RECORDING:
            yield LeftOut(start_s=segment.start_s, end_s=segment.end_s, why=_why(segment))


def _of_redactions(redactions: Iterable[Redaction]) -> Iterator[LeftOut]:
    for one in redactions:
        yield LeftOut(
            start_s=one.start_s, end_s=one.end_s, why=f"{_SIDES[one.channels]} silenced in this copy: {one.reason}"
        )


def _why(segment: Segment) -> str:
    """Return the sentence for a segment; a reason unknown to this version gives a general sentence."""
    if segment.kind is SegmentKind.PAUSED:
        kinds = {reason.partition(":")[0] for reason in segment.reason.split(",")}
        said = [words for kind, words in _PAUSED.items() if kind.value in kinds]
        return " ".join(said) or "The recording was paused."
    if segment.kind is SegmentKind.ERASED:
        return next(
            (words for kind, words in _ERASED.items() if kind.value == segment.reason), _ERASED[ErasureKind.OTHER]
        )
    return _KINDS[segment.kind]
