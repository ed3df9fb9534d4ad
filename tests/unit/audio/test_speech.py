"""Which windows of a side are judged, what their findings come to, and how a sender's clock is told from a step."""

import itertools

import numpy as np
import pytest

from audio.analysis import ChannelAnalysis, ChannelTotals, is_silent
from audio.speech import (
    LOUD_PEAK,
    WINDOW_SAMPLES,
    WINDOW_SLOTS,
    Samples,
    SpeechSampler,
    loud_slots,
    moves_like_speech,
    speech_kept,
)
from audio.stream_clock import StreamClock

QUIET: Samples = np.zeros(WINDOW_SAMPLES, np.int16)
TONE: Samples = (8000 * np.sin(np.arange(WINDOW_SAMPLES) / 4)).astype(np.int16)


def windows(peaks: bytes, *, at_once: int, missing: range = range(0)) -> tuple[list[int], SpeechSampler]:
    """Return the windows that are judged of a side on which nobody speaks, given so many slots at a time."""
    sampler, judged = SpeechSampler(), []

    def read(slot: int) -> Samples | None:
        if slot in missing:
            return None
        judged.append(slot)
        return TONE

    for start in range(0, len(peaks), at_once):
        sampler.take(start, peaks[start : start + at_once], read)
    return judged, sampler


def test_windows_are_close_at_first_and_then_at_most_20_s_apart() -> None:
    judged, sampler = windows(bytes([60] * 3000), at_once=3000)
    gaps = [later - earlier - WINDOW_SLOTS for earlier, later in itertools.pairwise(judged)]
    assert gaps[:12] == [5, 10, 10, 20, 20, 40, 40, 80, 80, 160, 160, 200]
    assert set(gaps[12:]) == {200}
    assert sampler.seconds(bytes([60] * 3000)) == 0.0


def test_a_window_begins_with_a_loud_slot_that_can_be_read_and_fits_the_audio_at_hand() -> None:
    quiet, loud = bytes([LOUD_PEAK - 1]), bytes([LOUD_PEAK])
    assert windows(quiet * 20 + loud * 20, at_once=10)[0] == [20, 30]
    assert windows(quiet * 4 + loud * 6, at_once=10)[0] == [4]
    assert windows(quiet * 6 + loud * 4, at_once=10)[0] == [], "a window within one block"
    assert windows(loud * 20, at_once=20, missing=range(8))[0] == [8]
    nothing, sampler = windows(quiet * 50, at_once=10)
    assert (nothing, sampler.seconds(quiet * 50)) == ([], None)


def test_what_is_louder_than_the_windows_so_far_is_judged_at_once_and_a_click_is_no_measure() -> None:
    noise, click, voice = bytes([20]) * 10, bytes([20] * 3 + [255] + [20] * 6), bytes([20] * 2 + [80] * 8)
    scheduled, _ = windows(noise * 300, at_once=10)
    judged, _ = windows(click + noise * 249 + voice + noise * 49, at_once=10)
    assert [slot for slot in judged if slot not in scheduled][:1] == [2502]
    assert judged[0] == scheduled[0] == 0, "the click was in the first window"
    assert len(windows(bytes([20] * 9 + [250]) * 300, at_once=10)[0]) < len(scheduled) + 50, (
        "peaks in noise have an end"
    )


def test_loud_is_what_stands_out_of_the_noise_before_it() -> None:
    assert loud_slots(bytes([3, 3, 40, 41, 3, 5])) == bytes([0, 0, 1, 1, 0, 1])
    assert sum(loud_slots(bytes([40] * 600))) < 80, "steady noise is what it stands out of"


def test_of_a_part_that_is_left_speech_is_in_proportion() -> None:
    before = bytes([3, 40, 3, 40] * 10)
    assert speech_kept(8.0, before, before) == 8.0
    assert speech_kept(8.0, before, before[:20] + bytes(20)) == 4.0
    assert speech_kept(8.0, before, bytes(40)) == 0.0
    assert speech_kept(8.0, b"", b"") == 0.0


@pytest.mark.parametrize("window", [QUIET, TONE], ids=["silence", "tone"])
def test_what_does_not_move_is_no_speech(window: Samples) -> None:
    assert not moves_like_speech(window)


def test_movement_of_level_and_sign_changes_may_be_speech() -> None:
    rng = np.random.default_rng(1)
    vowel, hiss = np.sin(np.arange(800) / 3), rng.standard_normal(800)
    window = np.concatenate([6000 * vowel, 1500 * hiss, 300 * vowel, 8000 * vowel, 900 * hiss]).astype(np.int16)
    assert moves_like_speech(window)


def test_a_clock_that_runs_fast_is_measured_and_a_step_is_not() -> None:
    clock = StreamClock()
    for second in range(61):
        clock.take(round(second * 8000 * 1.0005), second * 10**9)
    assert clock.totals() == (480_000, 240)
    for second in range(61, 92):
        clock.take(second * 8000 - 5000, second * 10**9)
    assert clock.totals() == (480_000 + 240_000, 240), "from the step on it keeps time"
    clock.take(10**6, 92 * 10**9)
    assert clock.totals() == (720_000, 240), "one anchor tells nothing"


def test_of_a_few_seconds_no_drift_is_told() -> None:
    clock = StreamClock()
    for second in range(10):
        clock.take(second * 8000 + (second % 2) * 100, second * 10**9)
    assert clock.totals() == (0, 0)


def test_what_is_measured_of_a_side_comes_to_shares_and_seconds() -> None:
    side = ChannelAnalysis()
    side.add_audio(16_000, 0, 40)
    side.set_packets(100, 3)
    for second in range(21):
        side.clock.take(second * 8008, second * 10**9)
    found = side.totals()
    assert (found.clipped, found.packets, found.packets_lost) == (0.0025, 100, 3)
    assert (found.stream_s, found.drift_s) == (20.0, 0.02)
    assert ChannelAnalysis().totals() == ChannelTotals(peaks=b"", speech_s=0.0, recorded_s=0.0, codecs=())


@pytest.mark.parametrize(
    ("left", "right", "seconds", "expected"),
    [(0.9, 0.0, 5.0, True), (1.0, 0.0, 5.0, False), (0.0, 1.0, 20.0, False), (0.0, 0.0, 4.9, False)],
)
def test_a_recording_in_which_nobody_speaks_is_silent(
    left: float, right: float, seconds: float, expected: bool
) -> None:
    sides = (ChannelTotals(peaks=b"", speech_s=speech_s, recorded_s=seconds) for speech_s in (left, right))
    assert is_silent(*sides) is expected
