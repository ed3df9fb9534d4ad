"""Segments: from 0 to the end without a gap, and never called recorded where something was erased."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.rules.segments import SegmentList, joined, seconds_of
from storage.types import Segment, SegmentKind

REC, PAUSED, OUT, ERASED, LOST = (
    SegmentKind.RECORDING,
    SegmentKind.PAUSED,
    SegmentKind.OPTED_OUT,
    SegmentKind.ERASED,
    SegmentKind.LOST,
)


def made(*begun: tuple[float, SegmentKind, str]) -> SegmentList:
    segments = SegmentList()
    for start_s, kind, reason in begun:
        segments.begin(start_s, kind, reason=reason)
    return segments


def spans(segments: tuple[Segment, ...]) -> list[tuple[float, float, SegmentKind]]:
    return [(s.start_s, s.end_s, s.kind) for s in segments]


def test_nothing_began() -> None:
    assert SegmentList().finish(5.0) == ()
    assert SegmentList().current is None


def test_a_pause_and_a_resume() -> None:
    segments = made((0, REC, ""), (7, PAUSED, "agent"), (12, REC, ""))
    assert segments.current is REC
    assert spans(segments.finish(20.0)) == [(0, 7, REC), (7, 12, PAUSED), (12, 20, REC)]


def test_who_and_why_are_kept() -> None:
    segments = SegmentList()
    segments.begin(0.0, REC)
    segments.begin(2.0, PAUSED, reason="agent", by="officer:alice")
    assert segments.finish(3.0)[1] == Segment(start_s=2.0, end_s=3.0, kind=PAUSED, reason="agent", by="officer:alice")


def test_a_reason_that_comes_while_paused_is_carried_with_the_others() -> None:
    segments = made((0, REC, ""), (7, PAUSED, "agent"))
    segments.add_reason("payment_app:shop")
    segments.add_reason("agent")
    segments.add_reason("hold")
    segments.begin(12, REC)
    assert [s.reason for s in segments.finish(20.0)] == ["", "agent,hold,payment_app:shop", ""]


def test_reasons_of_a_set_are_sorted() -> None:
    assert joined({"manager", "agent"}) == "agent,manager"
    assert joined(()) == ""


def test_an_erase_that_reaches_before_the_start_begins_at_the_start() -> None:
    assert spans(made((0, REC, ""), (-1.5, PAUSED, "agent")).finish(4.0)) == [(0, 4, PAUSED)]


def test_an_erase_takes_a_short_recorded_piece_with_it() -> None:
    segments = made((0, REC, ""), (7, PAUSED, "agent"), (12, REC, ""), (10, PAUSED, "agent"))
    assert spans(segments.finish(15.0)) == [(0, 7, REC), (7, 15, PAUSED)]


def test_an_erase_into_a_pause_for_another_reason_keeps_both() -> None:
    finished = made((0, REC, ""), (7, PAUSED, "agent"), (12, REC, ""), (10, PAUSED, "card_digits")).finish(15.0)
    assert [(s.start_s, s.end_s, s.reason) for s in finished] == [(0, 7, ""), (7, 10, "agent"), (10, 15, "card_digits")]


def test_an_erase_that_reaches_over_a_whole_pause_covers_all_of_it() -> None:
    segments = made((0, REC, ""), (7, PAUSED, "agent"), (8, REC, ""), (5, OUT, "opt_out"))
    assert spans(segments.finish(10.0)) == [(0, 5, REC), (5, 10, OUT)]


def test_an_erase_of_everything_leaves_nothing_recorded() -> None:
    segments = made((0, REC, ""), (7, PAUSED, "agent"), (12, REC, ""), (0, ERASED, "card"))
    assert spans(segments.finish(20.0)) == [(0, 20, ERASED)]


def test_an_end_before_the_resume_took_effect() -> None:
    assert spans(made((0, REC, ""), (7, PAUSED, "agent"), (12.02, REC, "")).finish(12.01)) == [
        (0, 7, REC),
        (7, 12.01, PAUSED),
    ]


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        ((2.0, 3.0), [(0, 2, REC), (2, 3, LOST), (3, 7, REC), (7, 10, PAUSED)]),
        ((0.0, 1.0), [(0, 1, LOST), (1, 7, REC), (7, 10, PAUSED)]),
        ((6.0, 8.0), [(0, 6, REC), (6, 7, LOST), (7, 10, PAUSED)]),
        ((8.0, 9.0), [(0, 7, REC), (7, 10, PAUSED)]),
        ((0.0, 20.0), [(0, 7, LOST), (7, 10, PAUSED)]),
    ],
)
def test_what_was_lost_is_cut_out_of_what_was_recorded(lost: tuple[float, float], expected: Any) -> None:
    assert spans(made((0, REC, ""), (7, PAUSED, "agent")).finish(10.0, [lost])) == expected


def test_several_losses_in_any_order() -> None:
    finished = made((0, REC, "")).finish(10.0, [(6.0, 7.0), (1.0, 2.0)])
    assert [(s.start_s, s.end_s) for s in finished if s.kind is LOST] == [(1, 2), (6, 7)]
    assert seconds_of(finished, REC) == 8.0
    assert seconds_of(finished, LOST) == 2.0


STEPS = st.lists(
    st.tuples(st.floats(0, 100), st.sampled_from([REC, PAUSED, OUT]), st.sampled_from(["agent", "manager"])),
    max_size=12,
)


@given(STEPS, st.floats(0.01, 120), st.lists(st.tuples(st.floats(0, 100), st.floats(0.01, 5)), max_size=4))
def test_segments_follow_one_another_without_gap(
    steps: list[tuple[float, SegmentKind, str]], end_s: float, lost: list[tuple[float, float]]
) -> None:
    segments = made((0, REC, ""), *steps)
    finished = segments.finish(end_s, [(start, start + length) for start, length in lost])
    assert finished[0].start_s == 0.0
    assert finished[-1].end_s == pytest.approx(end_s, abs=1e-3)
    for one, following in itertools.pairwise(finished):
        assert one.end_s == pytest.approx(following.start_s, abs=1e-3)
        assert one.end_s > one.start_s


@given(STEPS, st.floats(0, 100))
def test_nothing_after_an_erase_is_called_recorded(steps: list[tuple[float, SegmentKind, str]], start_s: float) -> None:
    segments = made((0, REC, ""), *steps)
    segments.begin(start_s, ERASED)
    assert all(s.end_s <= start_s + 1e-3 for s in segments.finish(200.0) if s.kind is not ERASED)


def test_silenced_stretches_are_segments_of_their_own_within_recorded_ones() -> None:
    spans = SegmentList()
    spans.begin(0.0, SegmentKind.RECORDING)
    spans.begin(6.0, SegmentKind.PAUSED, reason="agent")
    spans.begin(8.0, SegmentKind.RECORDING)
    made = spans.finish(10.0, lost=[(2.0, 3.0)], silenced=[(1.0, 2.5), (5.5, 8.25)])
    assert [(one.start_s, one.end_s, one.kind.value, one.reason) for one in made] == [
        (0.0, 1.0, "recording", ""),
        (1.0, 2.0, "silenced", "digits"),
        (2.0, 3.0, "lost", "writer_overrun"),
        (3.0, 5.5, "recording", ""),
        (5.5, 6.0, "silenced", "digits"),
        (6.0, 8.0, "paused", "agent"),
        (8.0, 8.25, "silenced", "digits"),
        (8.25, 10.0, "recording", ""),
    ]
