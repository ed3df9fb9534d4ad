"""What is taken for a fax: tones that persist and nobody who speaks; a whistle, or a tone with holes in it, is none."""

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.tone_reference import ToneDetector, ToneKind
from recorder.calls.rules.fax import APART_S, BURSTS, PAUSE_S, QUIET_S, FaxRule


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


def tone(hz: float, ticks: int) -> NDArray[np.float64]:
    return 6000 * np.sin(2 * np.pi * hz * np.arange(ticks) / 8000)


def verdicts(*parts: NDArray[np.float64]) -> list[bool]:
    """Return what the rule says at each burst that the detector finds."""
    detector, rule = ToneDetector(), FaxRule()
    line = np.random.default_rng(6).standard_normal(sum(map(len, parts))) * 15
    heard = detector.feed((np.concatenate(parts) + line).astype(np.int16))
    return [
        rule.heard("cng", event.end / 8000, event.pause / 8000 if event.pause >= 0 else np.inf)
        for event in heard
        if event.kind is ToneKind.CNG
    ]


@pytest.mark.parametrize("hz", [1080, 1100, 1120])
@pytest.mark.parametrize(("on_s", "off_s"), [(0.5, 3.0), (0.425, 2.55), (0.575, 3.45), (0.575, 2.55)])
def test_bursts_with_pauses_between_them_are_a_calling_tone(hz: float, on_s: float, off_s: float) -> None:
    cycle = (tone(hz, round(on_s * 8000)), np.zeros(round(off_s * 8000)))
    assert verdicts(*cycle * BURSTS) == [False] * (BURSTS - 1) + [True]


@pytest.mark.parametrize("between_percent", [100, 25], ids=["as loud", "12 dB below"])
def test_a_burst_whose_tone_never_went_away_is_none(between_percent: int) -> None:
    hole = np.zeros(400)
    steady = tone(1120, 23_200) * between_percent / 100
    found = verdicts(*(tone(1120, 4000), hole, steady, hole) * 6)
    assert len(found) == 6, "the bursts are there, in the rhythm of a machine"
    assert not any(found)


def test_the_pause_has_to_be_long() -> None:
    rule = FaxRule()
    assert not any(rule.heard("cng", 10.0 + number * 3.5, PAUSE_S - 0.1) for number in range(9))
    assert [rule.heard("cng", 100.0 + number * 3.5, PAUSE_S) for number in range(3)] == [False, False, True]
