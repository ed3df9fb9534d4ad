"""What the benchmark of the speech decision hears: sides of calls with labels, noise, and sounds that are no speech.

Everything is at 8000 Hz, 16-bit scale, and follows from a seed. Recorded speech and music come from Debian packages,
as in `benchmarks.tone_corpus`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audio.analysis import SLOT_TICKS
from audio.codecs import decode, encode
from benchmarks.tone_channel import RATE, Law, Samples, Signal, active_rms
from benchmarks.tone_corpus import Kind, Package, recordings
from benchmarks.tone_speech import Clip, spoken

Dice = np.random.Generator
Labels = NDArray[np.bool_]

PACKAGES = (
    Package("asterisk-core-sounds-en-gsm", Kind.SPEECH, "**/*.gsm"),
    Package("asterisk-prompt-de", Kind.SPEECH, "**/*.gsm"),
    Package("pocketsphinx-testdata", Kind.SPEECH, "**/*.wav"),
    Package("alsa-utils", Kind.SPEECH, "**/*_*.wav"),
    Package("asterisk-moh-opsound-gsm", Kind.MUSIC, "**/*.gsm"),
)
"""Small packages with recordings."""
_NO_SPEECH = ("beep", "tone", "tt-", "silence", "join", "leave", "space", "ring")
"""Parts of names of prompts that are sounds."""
VOICES = (
    ("en-gb+f2", 70, 150, "Good morning, you are through to the council, how can I help you today?"),
    ("en-gb+m3", 35, 210, "I would like to ask about my bill, please, because the amount looks wrong to me."),
    ("en-gb-scotland+m1", 45, 180, "Yes, of course. Can you tell me your account number? It is on the letter."),
    ("en-us+f4", 60, 165, "It is nine four two seven, and the name is Carter. I have waited for an hour."),
    ("de+f1", 55, 175, "Guten Morgen, was kann ich für Sie tun? Ich möchte wissen, wann mein Antrag bearbeitet wird."),
    ("fr-fr+m2", 40, 190, "Bonjour, je voudrais savoir quand ma demande sera traitée, s'il vous plaît."),
    ("es+f3", 75, 200, "Buenos días, quisiera preguntar por mi recibo, porque la cantidad no parece correcta."),
    ("pl+m4", 50, 160, "Dzień dobry, chciałbym zapytać o mój rachunek, ponieważ kwota wydaje się nieprawidłowa."),
    ("cy+f5", 65, 155, "Bore da, hoffwn ofyn am fy mil os gwelwch yn dda, diolch yn fawr."),
    ("cmn+m5", 50, 170, "你好，我想问一下我的账单，因为金额好像不对。"),
    ("hi+f2", 60, 175, "नमस्ते, मैं अपने बिल के बारे में पूछना चाहता हूँ।"),
    ("it+m6", 30, 185, "Buongiorno, vorrei sapere quando sarà trattata la mia domanda, grazie."),
)
"""Voice, pitch and words a minute of espeak-ng, and what is said."""
_LOUD_DB, _SPEECH_DB = -20.0, (-30.0, -18.0)
_PAUSE_S = (0.5, 3.0)
_LONGEST_S = 8
_LABEL_DB, _TAIL_DB = -20.0, -32.0
"""A slot of clean speech is labelled speech if it is no farther below the speaker's level than the first, and the slot
after one no farther than the second."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a call.

    Attributes:
        name: What is heard in it.
        samples: As they come out of the codec.
        labels: For each slot of 0.1 s, whether somebody speaks.
    """

    name: str
    samples: Samples
    labels: Labels


def synthetic_speech(voices: int = len(VOICES)) -> list[Clip]:
    """Return a clip of each voice; SpeechError without espeak-ng."""
    return [
        Clip(voice, spoken(text, voice=voice, pitch=pitch, words_a_minute=speed))
        for voice, pitch, speed, text in VOICES[:voices]
    ]


def recorded(kind: Kind, corpus: Path) -> Iterator[Clip]:
    """Yield the recordings of the packages below a folder."""
    for package in PACKAGES:
        if package.kind is kind and (corpus / package.name).is_dir():
            for clip in recordings(corpus / package.name, package.pattern):
                if len(clip.signal) >= RATE and not any(part in clip.name for part in _NO_SPEECH):
                    yield clip


def at_db(signal: Signal, dbfs: float) -> Signal:
    """Return a signal with the root mean square of its active parts at a level below full scale."""
    rms = active_rms(signal)
    return signal * (32_768 * 10 ** (dbfs / 20) / rms) if rms else signal


def line(signal: Signal, law: Law = Law.A) -> Samples:
    """Return what is left of a signal after G.711."""
    clipped = np.clip(np.rint(signal), -32_768, 32_767).astype(np.int16)
    return decode(law.value, encode(law.value, clipped))


def conversation(clips: Sequence[Clip], dice: Dice, *, seconds: float) -> tuple[Signal, Labels]:
    """Return one side of a conversation without noise: clips with pauses between them, and its labels."""
    parts: list[Signal] = []
    length = int(seconds * RATE)
    while sum(map(len, parts)) < length:
        clip = clips[int(dice.integers(len(clips)))].signal[: _LONGEST_S * RATE]
        parts += [at_db(clip - clip.mean(), dice.uniform(*_SPEECH_DB)), np.zeros(int(dice.uniform(*_PAUSE_S) * RATE))]
    signal = np.concatenate(parts)[:length]
    return signal, _labels_of(signal)


def brief(clips: Sequence[Clip], dice: Dice, *, seconds: float, noise_dbfs: float) -> Side:
    """Return a side of noise with a click at its first second and 2.5 s of speech somewhere after."""
    noise, said = at_db(white(int(seconds * RATE), dice), noise_dbfs), clips[int(dice.integers(len(clips)))].signal
    said = at_db(said[: int(2.5 * RATE)], -22.0)
    at = int(dice.uniform(2 * RATE, len(noise) - len(said)))
    noise[at : at + len(said)] += said
    noise[RATE : RATE + 80] = 30_000
    return Side(f"2.5 s of speech in noise of {noise_dbfs:g} dBFS", line(noise), np.ones(0, np.bool_))


def _labels_of(signal: Signal) -> Labels:
    slots = signal[: len(signal) // SLOT_TICKS * SLOT_TICKS].reshape(-1, SLOT_TICKS)
    level = np.sqrt((slots**2).mean(axis=1))
    speaker = np.sqrt((signal[signal != 0] ** 2).mean())
    labels = level > speaker * 10 ** (_LABEL_DB / 20)
    tails = level > speaker * 10 ** (_TAIL_DB / 20)
    labels[1:] |= labels[:-1] & tails[1:]
    return np.asarray(labels, np.bool_)


def in_noise(signal: Signal, noise: Signal, snr_db: float) -> Samples:
    """Return speech in noise, the speaker so far above the noise."""
    speaker = np.sqrt((signal[signal != 0] ** 2).mean())
    return line(signal + noise * (speaker * 10 ** (-snr_db / 20) / noise.std()))


def white(length: int, dice: Dice) -> Signal:
    """Return white noise."""
    return dice.standard_normal(length)


def pink(length: int, dice: Dice) -> Signal:
    """Return noise with as much power in each octave."""
    spectrum = np.fft.rfft(dice.standard_normal(length))
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), length)


def babble(clips: Sequence[Clip], length: int, dice: Dice) -> Signal:
    """Return eight people who speak at once."""
    people = []
    for _ in range(8):
        said = np.concatenate([clips[int(at)].signal for at in dice.permutation(len(clips))])
        people.append(at_db(np.resize(np.roll(said, dice.integers(len(said))), length), _LOUD_DB))
    return np.asarray(np.sum(people, axis=0), np.float64)


def _sines(length: int, frequencies: Sequence[float], weights: Sequence[float] = ()) -> Signal:
    time_s, signal = np.arange(length) / RATE, np.zeros(length)
    for phase, (frequency, weight) in enumerate(zip(frequencies, weights or [1.0] * len(frequencies), strict=True)):
        signal += weight * np.sin(2 * np.pi * frequency * time_s + phase)
    return signal


def hum(length: int, hertz: float) -> Signal:
    """Return mains hum: a tone and its harmonics."""
    return _sines(length, [hertz * n for n in (1, 2, 3, 4, 5, 7)], [1, 0.5, 0.4, 0.2, 0.2, 0.1])


def cadence(signal: Signal, on_off_s: Sequence[float]) -> Signal:
    """Return a signal that is on and off in turn, each for so many seconds."""
    mask, at = np.zeros(len(signal)), 0
    while at < len(signal):
        for index, seconds in enumerate(on_off_s):
            mask[at : at + int(seconds * RATE)] = index % 2 == 0
            at += int(seconds * RATE)
    return signal * mask


def dtmf(length: int, dice: Dice) -> Signal:
    """Return keys that somebody presses, of 80 to 250 ms."""
    signal, at = np.zeros(length), 0
    while at < length:
        pressed = min(int(dice.uniform(0.08, 0.25) * RATE), length - at)
        keys = (dice.choice([697, 770, 852, 941]), dice.choice([1209, 1336, 1477, 1633]))
        signal[at : at + pressed] = _sines(pressed, keys)
        at += pressed + int(dice.uniform(0.06, 0.4) * RATE)
    return signal


def music(length: int, dice: Dice, *, is_broken: bool) -> Signal:
    """Return chords of plucked strings, their notes together or, if broken, one after the other."""
    signal, at = np.zeros(length), 0
    while at < length:
        root = 110 * 2 ** (dice.integers(24) / 12)
        step = int(dice.choice([0.15, 0.2, 0.25]) * RATE) if is_broken else 0
        for note in dice.permutation([0, 4, 7, 12]):
            held = min(2 * step if is_broken else int(dice.choice([0.5, 1.0, 1.5]) * RATE), length - at)
            if held > 0:
                signal[at : at + held] += _plucked(held, root * 2 ** (note / 12), dice)
            at += step
        at += 0 if is_broken else RATE
    return signal


def _plucked(length: int, hertz: float, dice: Dice) -> Signal:
    time_s = np.arange(length) / RATE
    harmonics = [(hertz * n, weight) for n, weight in enumerate((1, 0.6, 0.4, 0.3, 0.2), 1) if hertz * n < 3800]
    tone = _sines(length, [one for one, _ in harmonics], [weight for _, weight in harmonics])
    return tone * np.exp(-time_s * dice.uniform(1, 4)) * np.minimum(1, time_s / 0.01)


SOUNDS: dict[str, Callable[[int, Dice], Signal]] = {
    "hum_50": lambda length, _: hum(length, 50),
    "hum_100": lambda length, _: hum(length, 100),
    "dtmf": dtmf,
    "ringback_uk": lambda length, _: cadence(_sines(length, [400, 450]), [0.4, 0.2, 0.4, 2.0]),
    "ringback_us": lambda length, _: cadence(_sines(length, [440, 480]), [2.0, 4.0]),
    "busy_uk": lambda length, _: cadence(_sines(length, [400]), [0.375, 0.375]),
    "chords": lambda length, dice: music(length, dice, is_broken=False),
    "arpeggios": lambda length, dice: music(length, dice, is_broken=True),
    "white_noise": white,
    "pink_noise": pink,
}
"""Sounds that are no speech; at -20 dBFS, noise at -40."""
TONES = ("hum_50", "hum_100", "dtmf", "ringback_uk", "ringback_us")
"""Of these less than 1 % may be taken for speech."""


def sounds(dice: Dice, *, seconds: float, clips: Sequence[Clip] = ()) -> Iterator[Side]:
    """Yield a side with each sound that is no speech, and with each clip of music."""
    length = int(seconds * RATE)
    for name, make in SOUNDS.items():
        yield _silent(name, at_db(make(length, dice), -40.0 if name.endswith("noise") else _LOUD_DB))
    for clip in clips:
        yield _silent(f"music: {clip.name}", at_db(clip.signal[:length] - clip.signal[:length].mean(), _LOUD_DB))


def _silent(name: str, signal: Signal) -> Side:
    return Side(name, line(signal), np.zeros(len(signal) // SLOT_TICKS, np.bool_))
