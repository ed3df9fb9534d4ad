"""Notices spoken by espeak-ng: a real file, or one sentence why not, and nothing half-written."""

from pathlib import Path

import pytest
import soundfile

from audio.prompts import PromptError, load_prompt, speak


def test_a_text_becomes_a_file_that_can_be_played(tmp_path: Path) -> None:
    path = tmp_path / "notice.flac"
    speak("This call is recorded.", "en-gb", path)
    assert soundfile.info(path).samplerate == 16000
    assert 0.8 < load_prompt(path).prompt.duration_s < 4
    assert list(tmp_path.iterdir()) == [path]


def test_refusals_leave_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "notice.flac"
    path.write_bytes(b"old")
    with pytest.raises(PromptError, match="voice 'nonesuch'"):
        speak("hello", "nonesuch", path)
    with pytest.raises(PromptError, match=r"cannot be written|could not speak"):
        speak("hello", "en-gb", tmp_path / "absent" / "notice.flac")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PromptError, match="not installed"):
        speak("hello", "en-gb", path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
