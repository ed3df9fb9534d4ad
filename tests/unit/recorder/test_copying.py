"""What a copy leaves out, in words: every kind and reason that there is has a sentence, and none names anybody."""

import pytest

from recorder.exports.left_out import left_out
from recorder.rules.pausing import PauseKind
from storage.retention_types import ErasureKind
from storage.types import Channels, Redaction, Segment, SegmentKind

REASONS = [
    *[(SegmentKind.PAUSED, kind.value) for kind in PauseKind],
    (SegmentKind.PAUSED, "payment_app:till-7"),
    *[(SegmentKind.ERASED, kind.value) for kind in ErasureKind],
    *[(kind, "a_reason_of_a_later_version") for kind in SegmentKind if kind is not SegmentKind.RECORDING],
]


@pytest.mark.parametrize(("kind", "reason"), REASONS)
def test_every_reason_has_a_sentence(kind: SegmentKind, reason: str) -> None:
    segment = Segment(start_s=1.0, end_s=2.0, kind=kind, reason=reason, by="lena")
    (found,) = left_out([segment], [], (0.0, 10.0))
    assert (found.start_s, found.end_s) == (1.0, 2.0)
    assert found.why.endswith(".")
    assert "lena" not in found.why
    assert "_" not in found.why


def test_only_what_is_in_the_span_in_order_and_what_was_recorded_is_not_left_out() -> None:
    segments = [
        Segment(start_s=0.0, end_s=5.0, kind=SegmentKind.PAUSED, reason="agent,card_digits"),
        Segment(start_s=5.0, end_s=9.0, kind=SegmentKind.RECORDING),
        Segment(start_s=9.0, end_s=12.0, kind=SegmentKind.LOST),
    ]
    redactions = [
        Redaction(start_s=6.0, end_s=7.0, channels=Channels.LEFT, reason="a neighbour"),
        Redaction(start_s=11.0, end_s=11.5, reason="outside"),
    ]
    found = left_out(segments, redactions, (4.0, 10.0))
    assert [(one.start_s, one.end_s) for one in found] == [(4.0, 5.0), (6.0, 7.0), (9.0, 10.0)]
    assert "officer had paused" in found[0].why
    assert "keyed in" in found[0].why
    assert found[1].why == "The caller's side silenced in this copy: a neighbour"
