"""What the judge asks for is told by the packets that a side sent, and when: which limit holds, what must be there."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.leak.judge import had_to_be_kept, has_stepped_unheard
from tests.leak.media import TICKS, Band, Frame

ACT_S = 2.0
STEP = round(-2.337 * TICKS)
"""Of the officer in call 393 of seed 20261126: 0.17 s after the hold was asked for."""
HOLD = frozenset(range(102, 163))
"""Packets of 20 ms in which that officer was on hold."""


def said(
    *, step: int = STEP, at: int = 108, unheard: frozenset[int] = HOLD, lost: bool = False, has_new_source: bool = False
) -> list[Frame]:
    """Return 4 s of a side whose clock steps before packet ``at``."""
    return [
        Frame(
            tick=160 * i, length=160, band=Band.ORDINARY, index=-1, due_s=0.02 * i, sent_s=0.02 * i, payload=bytes(160),
            delay_s=float("inf") if lost and i in unheard else 0.0,
            ssrc=2 if has_new_source and i >= at else 1,
            timestamp=(2**32 - 9000 + 160 * i + (step if i >= at else 0)) % 2**32,
            is_heard=lost or i not in unheard,
        )
        for i in range(200)
    ]  # fmt: skip


@pytest.mark.parametrize("at", [102, 108, 162, 163])
@pytest.mark.parametrize("step", [STEP, round(-1.2 * TICKS), round(-0.1 * TICKS), -60 * TICKS])
@pytest.mark.parametrize("lost", [False, True])
def test_a_clock_that_stepped_back_while_nothing_of_it_was_heard(at: int, step: int, *, lost: bool) -> None:
    assert has_stepped_unheard(said(at=at, step=step, lost=lost), ACT_S)


@pytest.mark.parametrize(
    "frames",
    [
        said(unheard=frozenset()),
        said(at=90),
        said(at=170),
        said(step=0),
        said(step=-STEP),
        said(has_new_source=True),
        said(unheard=frozenset(range(108, 115))),
    ],
    ids=["heard all the while", "before it", "after it", "no step", "forward", "another source", "the guard covers it"],
)
def test_one_that_was_heard_or_did_not_step_back(frames: list[Frame]) -> None:
    assert not has_stepped_unheard(frames, ACT_S)


def test_what_was_over_before_the_act_is_no_matter_of_it() -> None:
    assert not has_stepped_unheard(said(at=40, unheard=frozenset(range(30, 60))), ACT_S)


def test_what_a_late_sender_says_of_the_time_before_the_opening_need_not_be_there() -> None:
    opened = SimpleNamespace(asked_s=2.0, done_s=2.01)
    ring = SimpleNamespace(plan=SimpleNamespace(moment="plain"), joined_s=-1.0, ended_s=4.0, closed=None, opened=opened)
    in_time = said(step=0)
    stalled = [replace(frame, sent_s=2.2) if 1.91 < frame.due_s < 2.19 else frame for frame in in_time]

    def asked_for(frames: list[Frame]) -> list[float]:
        return [round(f.due_s, 2) for f in had_to_be_kept(cast("Any", ring), frames) if 1.85 < f.due_s < 2.25]

    assert asked_for(in_time) == [1.86, 1.88, 1.9, 1.92, 1.94, 1.96, 1.98, 2.0, 2.12, 2.14, 2.16, 2.18, 2.2, 2.22, 2.24]
    assert asked_for(stalled) == [1.86, 1.88, 1.9, 2.12, 2.14, 2.16, 2.18, 2.2, 2.22, 2.24]
