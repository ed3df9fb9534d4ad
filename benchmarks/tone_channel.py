"""The telephone line of the tone benchmarks: band, level, noise and G.711, and the levels they are stated in."""

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio.codecs import decode, encode
from audio.types import Codec

RATE = 8000
RMS_0_DBM0 = 16_140.0
"""Root mean square, 16-bit scale, of a sine of 0 dBm0: full scale is 3.14 dBm0 (ITU-T G.711, A-law)."""

_FRAME = 160
_FFT_STEP = 4096
"""Transforms are padded to a multiple: a length with a large prime factor takes many times longer."""
_PAUSE_DB = 25.0
"""Frames quieter than this under the loudest are pauses and do not count for the level of speech."""

Signal = NDArray[np.float64]
Samples = NDArray[np.int16]


class Law(enum.Enum):
    """How the line codes the audio."""

    A = Codec.PCMA
    MU = Codec.PCMU


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a line does to a signal.

    Attributes:
        law: The G.711 law it passes through.
        level_dbm0: Level that the active parts are brought to; None leaves it.
        noise_dbm0: Level of white noise that is added; None adds none.
        is_narrow: The band is cut to 300 to 3400 Hz.
    """

    law: Law
    level_dbm0: float | None = None
    noise_dbm0: float | None = None
    is_narrow: bool = False


def rms_of(dbm0: float) -> float:
    """Return the root mean square, 16-bit scale, of a level in dBm0."""
    return RMS_0_DBM0 * float(10 ** (dbm0 / 20))


def active_rms(signal: Signal) -> float:
    """Return the root mean square of the parts of a signal that are no pause; 0 for silence."""
    whole = signal[: len(signal) // _FRAME * _FRAME].reshape(-1, _FRAME)
    power = (whole * whole).mean(axis=1) if len(whole) else np.zeros(1)
    active = power[power > power.max() * 10 ** (-_PAUSE_DB / 10)]
    return float(np.sqrt(active.mean())) if len(active) else 0.0


def at_level(signal: Signal, dbm0: float) -> Signal:
    """Return the signal with its active parts at a level; silence stays."""
    rms = active_rms(signal)
    return signal * (rms_of(dbm0) / rms) if rms else signal


def narrowed(signal: Signal) -> Signal:
    """Return the signal with its band cut to 300 to 3400 Hz, with slopes of 100 Hz."""
    length = -(-len(signal) // _FFT_STEP) * _FFT_STEP
    frequencies = np.fft.rfftfreq(length, 1 / RATE)
    slopes = np.clip((frequencies - 250) / 100, 0, 1) * np.clip((3450 - frequencies) / 100, 0, 1)
    return np.fft.irfft(np.fft.rfft(signal, length) * slopes, length)[: len(signal)]


def white(length: int, rms: float, rng: np.random.Generator) -> Signal:
    """Return white noise."""
    return rng.standard_normal(length) * rms


def coded(signal: Signal, law: Law) -> Samples:
    """Return what the far end decodes: rounded, clipped and through the law."""
    linear = np.clip(np.rint(signal), -32768, 32767).astype(np.int16)
    return decode(law.value, encode(law.value, linear))


def transmit(signal: Signal, line: Line, rng: np.random.Generator) -> Samples:
    """Return a signal of 8000 Hz as the recorder's leg would decode it."""
    if line.is_narrow and len(signal):
        signal = narrowed(signal)
    if line.level_dbm0 is not None:
        signal = at_level(signal, line.level_dbm0)
    if line.noise_dbm0 is not None:
        signal = signal + white(len(signal), rms_of(line.noise_dbm0), rng)
    return coded(signal, line.law)


def some_line(rng: np.random.Generator) -> Line:
    """Return a line as calls have them: active level -32 to -8 dBm0, noise -70 to -45 dBm0, four in five narrow."""
    return Line(
        law=Law.A if rng.random() < 0.5 else Law.MU,
        level_dbm0=rng.uniform(-32, -8),
        noise_dbm0=rng.uniform(-70, -45),
        is_narrow=bool(rng.random() < 0.8),
    )
