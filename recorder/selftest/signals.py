"""The voices of a self-test, and finding them again in what was heard and recorded. Pure.

A voice is noise in the band of the telephone, never the same twice, so that a piece of it says where in it one is, to
the sample. Noise is no key, no fax and no speech that anybody said.
"""

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audio.codecs import decode, encode
from audio.types import Codec
from recorder.demo.phones.messages import RATE

Signal = NDArray[np.float64]
LIKE = 0.6
"""Normalised correlation over which a piece is taken for found: a real match scores over 0.95, chance under 0.3."""
PIECE = RATE // 2
_LOW_HZ, _HIGH_HZ = 300, 3000
_LEVEL = 0.12
_LOUD = 0.01
_FLOOR = 1e-4


def voice(seconds: float) -> Signal:
    """Return a new voice, in [-1, 1]."""
    samples = round(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng().standard_normal(samples))
    hertz = np.fft.rfftfreq(samples, 1 / RATE)
    spectrum[(hertz < _LOW_HZ) | (hertz > _HIGH_HZ)] = 0
    noise = np.fft.irfft(spectrum, samples)
    level = _LEVEL / float(np.sqrt(np.mean(noise**2)))
    clipped: Signal = np.clip(noise * level, -1, 1)
    return clipped


def write(signal: Signal, path: Path) -> None:
    """Write a signal as a WAV that a phone plays."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((signal * 32_767).astype("<i2").tobytes())


def read(path: Path) -> Signal:
    """Read a phone's recording; empty if there is none."""
    if not path.exists():
        return np.zeros(0)
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float64) / 32_768


def linear(codec: Codec, data: bytes) -> Signal:
    """Return decoded audio at `RATE`."""
    samples = decode(codec, data).astype(np.float64) / 32_768
    return samples[::2] if codec is Codec.G722 else samples


def as_other_law(signal: Signal) -> Signal:
    """Return what audio is that was decoded by A-law and is mu-law."""
    samples = np.clip(signal * 32_768, -32_768, 32_767).astype(np.int16)
    return linear(Codec.PCMU, encode(Codec.PCMA, samples))


def find(piece: Signal, channel: Signal) -> tuple[float, int]:
    """Return the best match of a piece in a channel, normalised correlation in [0, 1], and its first sample."""
    if len(channel) < len(piece) or not len(piece):
        return 0.0, 0
    size = 1 << (len(channel) + len(piece) - 1).bit_length()
    spectrum = np.fft.rfft(channel, size) * np.conj(np.fft.rfft(piece, size))
    product = np.fft.irfft(spectrum, size)[: len(channel) - len(piece) + 1]
    energy = np.cumsum(np.concatenate([[0.0], channel**2]))
    window = energy[len(piece) :] - energy[: -len(piece)]
    scores = np.abs(product) / np.sqrt(np.maximum(window, _FLOOR * len(piece)) * np.sum(piece**2))
    at = int(np.argmax(scores))
    return float(scores[at]), at


def pieces(signal: Signal, begin_s: float, end_s: float) -> list[Signal]:
    """Return half seconds of a stretch of a signal."""
    first, last = round(begin_s * RATE), min(round(end_s * RATE), len(signal))
    return [signal[at : at + PIECE] for at in range(first, last - PIECE + 1, PIECE)]


def loud_pieces(signal: Signal) -> list[Signal]:
    """Return the half seconds in which there is something to be heard."""
    return [one for one in pieces(signal, 0.0, len(signal) / RATE) if np.sqrt(np.mean(one**2)) > _LOUD]


def score(parts: list[Signal], channel: Signal) -> float:
    """Return how well the piece that matches worst matches a channel, in [0, 1]."""
    return min((find(one, channel)[0] for one in parts), default=0.0)


def is_in(parts: list[Signal], channel: Signal) -> bool:
    """Tell whether every piece is in a channel."""
    return score(parts, channel) > LIKE


def is_absent(parts: list[Signal], channel: Signal) -> bool:
    """Tell whether no piece is in a channel."""
    return all(find(one, channel)[0] < LIKE for one in parts)
