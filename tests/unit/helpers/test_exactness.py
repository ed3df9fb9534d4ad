"""Which frames of a voice a recording is asked for, where the voice was held up or hushed."""

from types import SimpleNamespace
from typing import Any, cast

from tests.helpers.exactness import PACKET_S, Kept
from tests.helpers.voices import FRAME


def kept(sent_s: list[float], spans: list[tuple[int, int]]) -> Kept:
    voice = SimpleNamespace(sent=[(FRAME * number, at_s) for number, at_s in enumerate(sent_s)])
    return Kept(cast("Any", voice), 0, spans, FRAME * len(sent_s))


IN_TIME = [number * PACKET_S for number in range(100)]
HELD_UP = [1.1 if 0.95 < at_s < 1.1 else at_s for at_s in IN_TIME]


def test_a_voice_in_time_is_asked_for_all_that_it_sent() -> None:
    assert kept(IN_TIME, [(50 * FRAME, 100 * FRAME)]).frames_between(0.99, 2.0) == (50, 50)
    assert kept(IN_TIME, [(50 * FRAME, 100 * FRAME)]).frames_between(0.97, 2.0) == (51, 50)
    assert kept(IN_TIME, [(50 * FRAME, 100 * FRAME)]).bytes_between(0.0, 0.99) == 0


def test_what_was_said_late_belongs_to_when_it_was_due() -> None:
    opened = kept(HELD_UP, [(50 * FRAME, 100 * FRAME)])
    assert opened.frames_between(0.99, 2.0) == (50, 50), "after an opening in the middle of the stall"
    erased = kept(HELD_UP, [(0, 50 * FRAME)])
    assert erased.bytes_between(0.99, 2.0) == 0, "what was due before an erasure is left, though it was sent after"
    assert kept(HELD_UP, [(0, 51 * FRAME)]).bytes_between(0.99, 2.0) == FRAME
    assert kept(HELD_UP, [(0, 48 * FRAME)]).frames_between(0.0, 1.05) == (48, 48), "it was sent too late to be kept"


def test_a_pause_of_the_voice_is_no_lateness() -> None:
    hushed = IN_TIME[:50] + [at_s + 3.0 for at_s in IN_TIME[50:]]
    assert kept(hushed, [(0, 100 * FRAME)]).frames_between(3.99, 5.0) == (50, 50)
