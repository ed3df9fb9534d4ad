"""What is taken for a fax: tones that persist and nobody who speaks; a whistle, or a tone with holes in it, is none."""

import numpy as np
import pytest

from benchmarks.tone_reference import ToneDetector, ToneKind
from recorder.calls.rules.fax import APART_S, BURSTS, QUIET_S, FaxRule


def called(rule: FaxRule, apart_s: float, bursts: int = BURSTS) -> list[bool]:
    return [rule.heard("cng", 100.0 + number * apart_s) for number in range(bursts)]


def test_an_answering_tone_is_a_fax_when_nobody_speaks_after_it() -> None:
    rule = FaxRule()
    assert rule.heard("ced", 10.0)
    assert not rule.is_fax(10.0 + QUIET_S - 0.1)
    assert rule.is_fax(10.0 + QUIET_S)


def test_a_voice_ends_a_suspicion() -> None:
    rule = FaxRule()
    rule.heard("ced", 10.0)
    rule.spoken()
    assert not rule.is_fax(10.0 + 2 * QUIET_S)
    assert rule.heard("ced", 20.0)
    assert not rule.is_fax(20.0), "it begins anew"


@pytest.mark.parametrize("apart_s", [APART_S[0] + 0.1, 3.5, APART_S[1] - 0.1])
def test_a_calling_tone_is_a_fax_when_it_keeps_its_time(apart_s: float) -> None:
    assert called(FaxRule(), apart_s) == [False] * (BURSTS - 1) + [True]


@pytest.mark.parametrize("apart_s", [0.6, 1.0, APART_S[0] - 0.1, APART_S[1] + 0.1, 12.0])
def test_a_calling_tone_at_another_time_is_none(apart_s: float) -> None:
    assert not any(called(FaxRule(), apart_s, bursts=9))


def test_a_steady_tone_that_packets_are_missing_of_is_no_fax() -> None:
    """1120 Hz lies within the tolerance of T.30: what a loss cut into bursts of half a second ended a recording."""
    rng, detector, rule, at_s = np.random.default_rng(4), ToneDetector(), FaxRule(), 0.0
    ticks = np.arange(60 * 8000)
    tone = (6000 * np.sin(2 * np.pi * 1120 * ticks / 8000)).astype(np.int16)
    for start in range(0, len(tone), 4000):
        hole = start + int(rng.integers(3000, 3600))
        tone[hole : hole + 400] = 0
    heard = [event for event in detector.feed(tone) if event.kind is ToneKind.CNG]
    assert len(heard) > 20, "the bursts are there"
    for event in heard:
        at_s = event.end / 8000
        assert not rule.heard("cng", at_s)
    assert not rule.is_fax(at_s + 60)
