"""Sound files for messages: speech is taken, everything that callers would not understand is refused with a reason."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from audio.sound_check import SoundMeasures
from recorder.calls.notice_check import SoundFault, check_sound, findings
from recorder.calls.notices import SHIPPED

RATE = 8000
Signal = NDArray[np.float64]


@pytest.fixture(scope="module")
def speech() -> Signal:
    """Ten seconds of the message that is supplied, 16 kHz."""
    samples, rate = soundfile.read(SHIPPED / "first.en.flac")
    assert rate == 16000
    return np.asarray(samples[: 10 * rate])


def kept(path: Path, signal: Signal, rate: int = 16000) -> Path:
    soundfile.write(path, signal, rate)
    return path


def silence(seconds: float) -> Signal:
    return np.zeros(int(seconds * 16000))


def said(path: Path) -> list[tuple[str, str]]:
    return [(one.level.value, one.sentence) for one in check_sound(path).findings]


def test_a_message_that_is_spoken_is_measured_and_taken(tmp_path: Path, speech: Signal) -> None:
    padded = np.concatenate([silence(0.6), speech, silence(2)])
    found = check_sound(kept(tmp_path / "a.wav", padded))
    assert found.findings == ()
    assert found.measures is not None
    assert found.measures.speech_dbfs == pytest.approx(-25, abs=2)
    assert found.measures.before_s == pytest.approx(0.6, abs=0.1)
    assert found.measures.after_s == pytest.approx(2, abs=0.4)
    assert found.measures.duration_s == pytest.approx(12.6, abs=0.05)
    quiet = check_sound(kept(tmp_path / "b.wav", padded / 10)).measures
    assert quiet is not None
    assert quiet.speech_dbfs == pytest.approx((found.measures.speech_dbfs or 0) - 20, abs=1.5)


def test_music_hum_and_noise_are_no_speech(tmp_path: Path) -> None:
    at = np.arange(10 * RATE) / RATE
    swell = 0.7 + 0.3 * np.sin(4 * np.pi * at)
    signals = {
        "chord": swell * sum(0.1 * np.sin(2 * np.pi * hz * at) for hz in (262, 330, 392)),
        "hum": 0.1 * np.sin(2 * np.pi * 50 * at),
        "noise": 0.1 * np.random.default_rng(1).standard_normal(len(at)),
    }
    for name, signal in signals.items():
        found = said(kept(tmp_path / f"{name}.wav", signal, RATE))
        assert [level for level, _ in found] == ["warning"], name
        assert "speech was found in 0.0 s of 10.0 s" in found[0][1]


def test_silence_at_the_ends(tmp_path: Path, speech: Signal) -> None:
    late = kept(tmp_path / "late.wav", np.concatenate([silence(5), speech]))
    assert [(level, text[:25]) for level, text in said(late)] == [("error", "the speech begins after 5")]
    long = kept(tmp_path / "long.wav", np.concatenate([speech, silence(11)]))
    assert [(level, text[-33:]) for level, text in said(long)] == [
        ("error", "nothing: cut it off in a sound editor"[-33:])
    ]


@pytest.mark.parametrize(
    ("made", "told", "of"),
    [
        (lambda _: silence(5), "is silent", "error"),
        (lambda speech: np.clip(speech * 100, -1, 1), "is clipped: ", "error"),
        (lambda speech: speech[:16000], "it lasts 1.0 s, too short", "warning"),
        (lambda speech: np.tile(speech, 13), "lasts 130 s, at most 120 s are allowed", "error"),
        (lambda speech: speech / 8, "too quiet to understand", "error"),
        (lambda _: silence(0), "is empty", "error"),
    ],
)  # fmt: skip
def test_what_callers_would_not_understand(
    tmp_path: Path, speech: Signal, made: Callable[[Signal], Signal], told: str, of: str
) -> None:
    found = said(kept(tmp_path / "a.wav", made(speech)))
    assert any(level == of and told in text for level, text in found), found


def test_what_is_no_sound_file(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html>")
    assert "is not a WAV, FLAC or Ogg file" in said(tmp_path / "page.html")[0][1]
    assert "cannot be read: No such file" in said(tmp_path / "gone.wav")[0][1]
    assert "is no file; give a WAV" in said(tmp_path)[0][1]
    with (tmp_path / "huge.wav").open("wb") as file:
        file.truncate(100_000_001)  # takes no space
    assert "has over 100 MB; save it as mono" in said(tmp_path / "huge.wav")[0][1]


FINE = SoundMeasures(
    duration_s=20, rate_hz=16000, spoken_s=18, speech_dbfs=-24, peak_dbfs=-6, clipped_share=0, before_s=0.2, after_s=0.5
)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"duration_s": 4.0, "spoken_s": 3.0}, "it lasts only 4.0 s"),
        ({"duration_s": 61.0, "spoken_s": 50.0}, "it lasts 61 s, and callers hang up"),
        ({"speech_dbfs": -33.0}, "the speech is quiet, -33 dBFS"),
        ({"speech_dbfs": -13.0}, "the speech is loud, -13 dBFS"),
        ({"clipped_share": 0.0001}, "some samples are at full scale"),
        ({"before_s": 1.2}, "the speech begins after 1.2 s"),
        ({"after_s": 3.2}, "3.2 s follow the last word"),
        ({"rate_hz": 6000}, "fewer than a telephone's 8000"),
    ],
)
def test_lesser_faults_are_warnings(change: dict[str, float], told: str) -> None:
    assert list(findings(FINE)) == []
    found = list(findings(replace(FINE, **change)))  # type: ignore[arg-type]
    assert [one.level for one in found] == [SoundFault.WARNING]
    assert told in found[0].sentence
