"""Peaks, speech and the one-way decision."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.analysis import ChannelAnalysis, ChannelTotals, RecordingAnalysis, is_one_way, peaks_of, speech_seconds
from audio.blocks import AudioRun
from audio.codecs import encode
from audio.types import Channel, Codec


def run_of(samples: list[int], start: int, codec: Codec = Codec.PCMA) -> AudioRun:
    payload = encode(codec, np.array(samples, np.int16))
    return AudioRun(channel=Channel.LEFT, codec=codec, start=start, payload=payload)


def test_peaks_fall_in_their_tenth_of_a_second() -> None:
    first, peaks = peaks_of(run_of([0] * 10 + [32256] + [0] * 800, 1590))
    assert (first, list(peaks)) == (1, [0, 252, 0, 0][: len(peaks)])
    first, peaks = peaks_of(run_of([-32256], 1599))
    assert (first, list(peaks)) == (1, [252])


def test_g722_has_two_samples_a_tick() -> None:
    tone = [int(16000 * np.sin(i / 4)) for i in range(3200)]
    first, peaks = peaks_of(run_of(tone, 0, Codec.G722))
    assert first == 0
    assert len(peaks) == 2
    assert min(peaks) > 100


def test_codecs_are_told_once() -> None:
    analysis = ChannelAnalysis()
    for found in ((Codec.PCMA,), (), (Codec.PCMU, Codec.PCMA)):
        analysis.add_audio(0, sum(1 << codec for codec in found), 0)
    assert analysis.totals().codecs == (Codec.PCMU, Codec.PCMA)


@given(st.lists(st.tuples(st.integers(0, 20), st.binary(min_size=1, max_size=8)), max_size=8))
def test_a_slot_keeps_its_largest_peak(parts: list[tuple[int, bytes]]) -> None:
    analysis, expected = ChannelAnalysis(), [0] * 40
    for first, peaks in parts:
        analysis.add_peaks(first, peaks)
        for i, peak in enumerate(peaks):
            expected[first + i] = max(expected[first + i], peak)
    got = analysis.totals().peaks
    assert list(got) + [0] * (40 - len(got)) == expected


@pytest.mark.parametrize(
    ("peaks", "least", "most"),
    [
        (bytes(100), 0, 0),
        (bytes([4] * 100), 0, 0),
        (bytes([60, 80, 3, 70] * 25), 7, 8),
        (bytes([40] * 100), 0, 4.0),
        (bytes([40] * 50 + [200, 40] * 25), 2.0, 6.0),
    ],
    ids=["silence", "hiss", "words", "steady noise", "words over noise"],
)
def test_speech_stands_out_of_its_own_noise(peaks: bytes, least: float, most: float) -> None:
    assert least <= speech_seconds(peaks) <= most


def totals(speech_s: float, recorded_s: float) -> ChannelTotals:
    return ChannelTotals(peaks=b"", speech_s=speech_s, recorded_s=recorded_s)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (totals(8, 20), totals(9, 20), False),
        (totals(8, 20), totals(0.9, 20), True),
        (totals(0, 0), totals(1.0, 5), True),
        (totals(0, 20), totals(0, 20), False),
        (totals(3, 4.9), totals(0, 4.9), False),
    ],
    ids=["both", "left only", "right only", "silent", "too short"],
)
def test_one_way(left: ChannelTotals, right: ChannelTotals, expected: bool) -> None:
    assert is_one_way(left, right) is expected
    assert is_one_way(right, left) is expected


def test_both_channels_are_kept_apart() -> None:
    analysis = RecordingAnalysis()
    analysis.channels[Channel.LEFT].add_audio(8000, 0, 0)
    analysis.channels[Channel.RIGHT].add_peaks(0, b"\x05")
    left, right = analysis.totals()
    assert (left.recorded_s, left.peaks, right.recorded_s, right.peaks) == (1.0, b"", 0.0, b"\x05")
