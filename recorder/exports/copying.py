"""What a copy leaves out, in words for whoever gets it. Pure.

No names here: who paused or erased is nobody's business outside.
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
    """On what ground a copy is asked for."""

    SAR = "sar"
    COMPLAINT = "complaint"
    TRAINING = "training"
    EVIDENCE = "evidence"
    DISCLOSURE = "disclosure"
    OTHER = "other"


GROUND_WORDS: Mapping[Ground, str] = MappingProxyType(
    {
        Ground.SAR: "Subject access request: somebody asked for their own data",
        Ground.COMPLAINT: "A complaint",
        Ground.TRAINING: "Training of officers",
        Ground.EVIDENCE: "Evidence of unacceptable behaviour",
        Ground.DISCLOSURE: "Disclosure to police, a court or an insurer",
        Ground.OTHER: "Another one: see the reason",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A span that cannot be heard, seconds of the call, and why: a sentence."""

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
        ErasureKind.OTHER: "Erased from the recording for good, after the call.",
    }
)
_KINDS: Mapping[SegmentKind, str] = MappingProxyType(
    {
        SegmentKind.HOLD: "The call was on hold.",
        SegmentKind.OPTED_OUT: "The caller had asked not to be recorded.",
        SegmentKind.OUT_OF_SCOPE: "The call was with somebody whose calls are not recorded.",
        SegmentKind.LOST: "Could not be recorded, for a technical reason.",
        SegmentKind.FAX: "A fax was sent.",
        SegmentKind.VOICEMAIL: "A voicemail system had answered.",
        SegmentKind.WITHHELD: WITHHELD,
        SegmentKind.FAX_SUSPECTED: "Tones of a fax were heard and nobody spoke, so recording had stopped by itself.",
        SegmentKind.SILENCED: "Silenced, because digits were keyed.",
    }
)
_SIDES: Mapping[Channels, str] = MappingProxyType(
    {Channels.BOTH: "Both sides", Channels.LEFT: "The caller's side", Channels.RIGHT: "The officer's side"}
)


def left_out(
    segments: Iterable[Segment], redactions: Iterable[Redaction], span_s: tuple[float, float]
) -> list[LeftOut]:
    """Return what cannot be heard of a span of a call, in order.

    Args:
        segments: What the recording is made of.
        redactions: What is silenced in the copy.
        span_s: What the copy holds, seconds of the call.
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
    """Return the sentence of a segment; reasons that this version does not know are no reason to say nothing."""
    if segment.kind is SegmentKind.PAUSED:
        kinds = {reason.partition(":")[0] for reason in segment.reason.split(",")}
        said = [words for kind, words in _PAUSED.items() if kind.value in kinds]
        return " ".join(said) or "The recording was paused."
    if segment.kind is SegmentKind.ERASED:
        return next(
            (words for kind, words in _ERASED.items() if kind.value == segment.reason), _ERASED[ErasureKind.OTHER]
        )
    return _KINDS[segment.kind]
