"""Synthetic speech without end: espeak-ng in many voices, languages, pitches and speeds, at 8000 Hz."""

import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soxr

from benchmarks.tone_channel import RATE, Signal
from benchmarks.tone_text import passages

LANGUAGES = (
    *("en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-us", "en-029") * 3,
    *("cy", "de", "fr-fr", "es", "it", "pl", "pt", "ro") * 2,
    *("ga", "gd", "cs", "ru", "nl", "hu", "sv", "el", "tr", "uk", "lt", "hi", "bn", "gu", "pa", "ur", "ta", "ar"),
    *("fa", "cmn", "yue", "vi", "sw", "sq"),
)
VARIANTS = (
    "", "f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "klatt", "klatt2", "klatt3",
    "klatt4", "adam", "anika", "belinda", "benjamin", "linda", "steph", "travis", "quincy", "croak", "whisper",
    "grandma", "grandpa", "ed", "iven", "pablo", "zac", "Alex", "Andy", "Annie", "Lee", "Michael", "Storm",
)  # fmt: skip
_RATE_OF_ESPEAK = 22_050
_WAV_HEADER_BYTES = 44
_PASSAGE_CHARACTERS = 900


class SpeechError(RuntimeError):
    """espeak-ng could not be run, or said nothing."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A stretch of sound at 8000 Hz, 16-bit scale, and where it came from."""

    name: str
    signal: Signal


def spoken(text: str, *, voice: str, pitch: int = 50, words_a_minute: int = 175) -> Signal:
    """Return a text as espeak-ng says it.

    Raises:
        SpeechError: There is no espeak-ng, or it does not know the voice.
    """
    command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(words_a_minute), "--stdin", "--stdout"]
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
    except FileNotFoundError as error:
        raise SpeechError("espeak-ng is not installed") from error
    sound = np.frombuffer(done.stdout[_WAV_HEADER_BYTES:][: len(done.stdout) // 2 * 2 - _WAV_HEADER_BYTES], "<i2")
    if done.returncode or not len(sound):
        raise SpeechError(f"espeak-ng failed with voice {voice}: {done.stderr.decode(errors='replace').strip()}")
    resampled: Signal = soxr.resample(sound.astype(np.float64), _RATE_OF_ESPEAK, RATE)
    return resampled


def synthetic_clips(books: dict[str, list[str]], *, seed: int) -> Iterator[Clip]:
    """Yield, for ever, clips of about a minute, each in another voice.

    Raises:
        SpeechError: As `spoken`.
    """
    dice = random.Random(seed)
    texts = {
        language: passages(language, books, dice, characters=_PASSAGE_CHARACTERS) for language in sorted({*LANGUAGES})
    }
    while True:
        language, variant = dice.choice(LANGUAGES), dice.choice(VARIANTS)
        voice = f"{language}+{variant}" if variant else language
        pitch, speed = dice.randint(10, 95), dice.randint(110, 280)
        signal = spoken(next(texts[language]), voice=voice, pitch=pitch, words_a_minute=speed)
        yield Clip(f"{voice} p{pitch} s{speed}", signal)
