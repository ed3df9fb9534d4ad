"""Prompts from files of any form, and the errors for those that cannot be played."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio.codecs import LINEAR_RATE, decode
from audio.prompts import PromptError, load_prompt, ringback
from audio.types import Codec

NOTICES = Path(__file__).parents[3] / "recorder" / "calls" / "notices"


def tone(
    rate: int, seconds: float, *, hertz: float = 1000, level: float = 0.3
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return level * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)


@pytest.mark.parametrize(("suffix", "rate", "channels"), [("wav", 44100, 2), ("flac", 16000, 1), ("ogg", 48000, 1)])
def test_any_file_becomes_a_prompt_in_every_codec(tmp_path: Path, suffix: str, rate: int, channels: int) -> None:
    path = tmp_path / f"notice.{suffix}"
    signal = np.repeat(tone(rate, 1.005)[:, None], channels, axis=1)
    soundfile.write(path, signal, rate)
    loaded = load_prompt(path)
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded.prompt.name == "notice"
    assert loaded.prompt.duration_s == pytest.approx(1.02)
    for codec, audio in loaded.prompt.audio.items():
        assert len(audio) == 51 * 160
        samples = decode(codec, audio)[: LINEAR_RATE[codec]].astype(float)
        spectrum = np.abs(np.fft.rfft(samples))
        assert spectrum.argmax() == 1000, codec
        assert np.abs(samples).max() == pytest.approx(0.3 * 32767, rel=0.15), codec


def test_files_that_cannot_be_played_are_refused_in_a_sentence(tmp_path: Path) -> None:
    clipped = np.clip(tone(8000, 1, level=3), -1, 1)
    cases = {
        "missing": None,
        "no audio": b"hello",
        "empty": np.zeros(0),
        "silent": np.zeros(8000),
        "clipped": clipped,
        "at most 120 s": tone(8000, 120.5),
    }
    for number, (_problem, contents) in enumerate(cases.items()):
        path = tmp_path / f"{number}.wav"
        if isinstance(contents, bytes):
            path.write_bytes(contents)
        elif contents is not None:
            soundfile.write(path, contents, 8000)
    expected = ["No such file", "not a WAV, FLAC or Ogg", "is empty", "is silent", "is clipped", "at most 120 s"]
    for number, words in enumerate(expected):
        with pytest.raises(PromptError, match=words) as caught:
            load_prompt(tmp_path / f"{number}.wav")
        assert "\n" not in str(caught.value)


def test_a_small_file_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    path, rate = tmp_path / "bomb.flac", 192_000
    soundfile.write(path, np.random.default_rng(1).uniform(-0.3, 0.3, (4096, 8)), rate, format="FLAC")
    content = bytearray(path.read_bytes())
    samples = int.from_bytes(content[21:26], "big") & ~((1 << 36) - 1)  # STREAMINFO ends its counts with 36 bits
    content[21:26] = (samples | rate * 119).to_bytes(5, "big")
    path.write_bytes(content)
    with pytest.raises(PromptError, match="save it as mono"):
        load_prompt(path)


def test_shipped_notices_can_be_played() -> None:
    for name, least, most in (("first", 12, 20), ("second", 15, 25)):
        assert least <= load_prompt(NOTICES / f"{name}.en.flac").prompt.duration_s <= most
        assert (NOTICES / f"{name}.en.txt").read_text().strip()


def test_ringback_has_the_uk_cadence() -> None:
    samples = decode(Codec.PCMA, ringback().audio[Codec.PCMA]).astype(float)
    loud = np.sqrt((samples.reshape(-1, 800) ** 2).mean(axis=1)) > 300
    assert loud.tolist() == [True] * 4 + [False] * 2 + [True] * 4 + [False] * 20
    spectrum = np.abs(np.fft.rfft(samples[:3200]))
    assert {int(i) * 2500 // 1000 for i in np.argsort(spectrum)[-2:]} == {400, 450}
