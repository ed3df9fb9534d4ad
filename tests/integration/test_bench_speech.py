"""The speech decision beside the threshold of peaks that it replaced, on a small corpus."""

import numpy as np
import pytest

from benchmarks import speech
from benchmarks.speech_sounds import TONES, sounds, synthetic_speech
from benchmarks.tone_speech import Clip


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return synthetic_speech(6)


@pytest.mark.parametrize("snr_db", speech.SNRS_DB)
def test_in_noise_it_finds_speech_better_than_peaks_do(clips: list[Clip], snr_db: float) -> None:
    new, old = speech.compared(speech.speakers(clips, np.random.default_rng(7), seconds=40, snr_db=snr_db))
    assert new.f1 > old.f1, (new.figures(), old.figures())


def test_hum_keys_and_ringback_are_no_speech() -> None:
    silent = list(sounds(np.random.default_rng(7), seconds=20))
    taken = speech.shares(silent)
    assert {name: taken[name]["webrtcvad"] for name in TONES if taken[name]["webrtcvad"] >= 0.01} == {}
    assert max(taken[name]["peaks"] for name in TONES) > 0.2, "the corpus would find a decision by peaks alone"
    assert speech.sampled(silent, 20)["wrong"] == [], (
        "nor is anybody heard in a recording of them, of noise or of music"
    )


def test_a_bad_figure_is_a_problem_and_the_document_is_whole() -> None:
    document = speech.measure(corpus=None, seconds=10, rounds=1, voices=2, calls_s=(10,))
    found = document["brief speakers"]["found"]
    assert [found[f"{level} dBFS"] for level in (-60, -45, -38)] == [8, 8, 8], "who speaks once is found in noise"
    worse = {"webrtcvad": {"f1": 0.5}, "peaks": {"f1": 0.5}}
    document["20 dB"]["all"] = worse
    document["taken for speech"]["dtmf"]["webrtcvad"] = 0.01
    assert {"20 dB, all: F1 0.5, by peaks 0.5", "dtmf: 1.0% is speech"} <= set(speech.problems(document))
    assert set(document["cpu_us_per_call_second"]["10 s"]) == {
        "speech in white noise",
        "hum_50",
        "white_noise",
        "arpeggios",
    }
    assert len(list(speech._lines(document))) > 15
