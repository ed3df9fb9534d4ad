"""Messages by the sound devices of a desk: recorded from the microphone, and heard as callers hear them."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from recorder.cli.cli import app
from tests.helpers.json_results import problem_with
from tests.helpers.sound_card import RATE, SoundCard, loudest_hz, tone

HZ = 700.0


def run(*words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--json"])


def test_a_message_is_recorded_and_heard(
    sound_card: SoundCard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sound_card.use(monkeypatch)
    words, made = tmp_path / "words", tmp_path / "made.flac"
    words.write_text("This call is recorded.\n")
    with sound_card.spoken(tone(HZ, 20)):
        done = run("notices", "record", "-o", str(made), "--text", str(words), "--seconds", "1")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert problem_with("notices record", document) == ""
    assert "This call is recorded." in done.stderr
    assert (tmp_path / "made.txt").read_text() == words.read_text()
    recorded, rate = soundfile.read(made, dtype="int16")
    assert (rate, len(recorded)) == (16000, 16000)
    assert loudest_hz(recorded) == pytest.approx(HZ, abs=5)
    assert [one["level"] for one in document["findings"]] == ["warning", "warning"], "short, and a tone"
    again = run("notices", "record", "-o", str(made))
    assert (again.exit_code, "exists already" in again.stderr) == (2, True)

    since = sound_card.now()
    heard = run("notices", "play", str(made))
    assert heard.exit_code == 0, heard.stderr
    assert json.loads(heard.stdout)["duration_s"] == 1.0
    samples = sound_card.heard_whole(since)[:, 0]
    sounding = np.flatnonzero(np.abs(samples) > 1000)
    assert (sounding[-1] - sounding[0]) / RATE == pytest.approx(1, abs=0.1)
    assert loudest_hz(samples) == pytest.approx(HZ, abs=5)
