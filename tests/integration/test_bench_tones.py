"""The tone benchmark is alive: keys planted in speech are found, misses are counted, speech gives no card pause."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio.types import Codec
from benchmarks import tones
from benchmarks.tone_channel import active_rms, at_level, rms_of
from benchmarks.tone_corpus import recordings
from benchmarks.tone_fragment import unmasked
from benchmarks.tone_misses import CONDITIONS, Condition, Disturbances, card_numbers, key_signal, misses
from benchmarks.tone_speech import SpeechError, spoken, synthetic_clips
from benchmarks.tone_statistics import proportion, upper_count


def speech_with_keys(keys: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    signal = at_level(spoken("This is what I say while nobody pays. " * 3, voice="en-gb"), -20)
    for index, key in enumerate(keys):
        at = 8000 + 4000 * index
        signal[at : at + 800] = key_signal(key, 800, np.random.default_rng(index), rms=rms_of(-14))
    return signal


def test_keys_planted_in_speech_are_found() -> None:
    assert tones.planted_digits_found() == "4711"


def test_minutes_of_speech_give_no_card_pause() -> None:
    part = tones.false_alarms(synthetic_clips({}, seed=11), 0.2, name="espeak-ng", seed=11)
    assert part["hours"] >= 0.2
    assert part["card_pauses"] == 0
    assert part["digits"] <= 2


NO_CARDS = [pytest.param(*row, marks=pytest.mark.long) for row in (("471", 0, 0), ("1111", 0, 1))]


@pytest.mark.parametrize(("keys", "pauses", "masked"), [("4716", 1, 1), *NO_CARDS])
def test_a_folder_with_keys_in_it_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], keys: str, pauses: int, masked: int
) -> None:
    soundfile.write(tmp_path / "call.wav", speech_with_keys(keys) / 32768, 8000)
    arguments = [
        "--speech",
        str(tmp_path),
        "--speech-hours",
        "0.001",
        "--digits",
        "0",
        "--fragment-step",
        "0",
        "--json",
    ]
    assert tones.main(arguments) == pauses
    document = json.loads(capsys.readouterr().out)
    (part,) = document["recorded_speech"]["parts"]
    assert (part["digits"], part["card_pauses"], part["masked_card_pauses"]) == (len(keys), pauses, masked)
    assert (part["clips_with_digits"], part["worst_clips"]) == (1, {"call.wav": len(keys)})
    assert document["speech"]["card_pauses"] == pauses
    assert "asterisk-moh-opsound-wav (**/*.wav)" in document["music"]["absent"]


def test_misses_are_counted() -> None:
    disturbances = Disturbances(np.random.default_rng(1))
    clean = misses(CONDITIONS[0], 70, 32, disturbances, seed=1)
    assert (clean["missed"], clean["doubled"], clean["other_digits"], clean["digits"]) == (0, 0, 0, 32)
    drowned = Condition(name="drowned", disturbance="white", snr_db=0)
    assert misses(drowned, 40, 32, disturbances, seed=1)["missed"] == 32
    wide = Condition(name="wide", codec=Codec.G722)
    assert misses(wide, 70, 32, disturbances, seed=1)["missed"] == 0
    number = card_numbers(4, seed=1)
    assert (number["missed"], number["not_paused"], number["paused_at_digit"]["latest"]) == (0, 0, 4)
    alike = card_numbers(4, seed=1, alike=6)
    assert (alike["missed"], alike["not_paused"], alike["paused_at_digit"]) == (0, 0, {"median": 7, "latest": 7})


def test_what_passes_before_a_digit_is_known() -> None:
    passed = unmasked("5", step=32)
    assert passed["tones"] == 5
    assert 25.5 <= passed["min_ms"] <= passed["mean_ms"] <= passed["max_ms"] <= 38.25 + 20


def test_bounds() -> None:
    assert upper_count(0) == pytest.approx(2.9957, abs=1e-3)
    assert upper_count(1) == pytest.approx(4.7439, abs=1e-3)
    assert upper_count(10) == pytest.approx(16.9622, abs=1e-3)
    assert proportion(0, 480) == pytest.approx((0.0, 0.00794), abs=1e-4)


def test_recordings_of_every_form_are_read(tmp_path: Path) -> None:
    signal = speech_with_keys("")
    soundfile.write(tmp_path / "a.flac", np.stack([signal, signal], axis=1) / 32768, 8000)
    soundfile.write(tmp_path / "b.gsm", signal / 32768, 8000, format="RAW", subtype="GSM610")
    (tmp_path / "c.ALS").write_bytes(np.clip(signal / 256 + 128, 0, 255).astype(np.uint8).tobytes())
    song = (tmp_path / "a.flac").read_bytes()
    entry = struct.pack(">12sBII", b"SPEECH.SB", 0, 36, len(song))
    (tmp_path / "queen.1c").write_bytes(b"QTBLCEM10" + bytes(3) + b"\1" + struct.pack(">H", 1) + entry + song)
    (tmp_path / "noise.txt").write_text("no sound")
    (tmp_path / "broken.wav").write_text("no sound either")
    clips = {clip.name: clip.signal for clip in recordings(tmp_path, "*")}
    assert set(clips) == {"a.flac", "b.gsm", "c.ALS", "SPEECH.SB"}
    for name, clip in clips.items():
        assert active_rms(clip) == pytest.approx(active_rms(signal), rel=0.1), name
        rate = 11_025 if name == "c.ALS" else 8000
        assert len(clip) == pytest.approx(len(signal) * 8000 / rate, rel=0.01), name


def test_a_voice_that_is_not_there_is_told() -> None:
    with pytest.raises(SpeechError, match="voice zz"):
        spoken("x", voice="zz")
