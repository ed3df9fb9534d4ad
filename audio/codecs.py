"""G.711 and G.722 to linear and back, one byte a tick; the tables follow from ITU-T G.711's formulae.

Pure (numpy, and the G722 package for ITU-T G.722 at 64 kbit/s).
"""

import G722
import numpy as np
from numpy.typing import NDArray

from audio.types import Codec

Samples = NDArray[np.int16]

LINEAR_RATE: dict[Codec, int] = {Codec.PCMU: 8000, Codec.PCMA: 8000, Codec.G722: 16000}
"""Sample rate of the linear form, Hz; G.722's RTP clock is 8000 all the same (RFC 3551 section 4.5.2)."""

_MULAW_BIAS = 132


def _alaw_to_linear() -> Samples:
    """Return the 256 values of A-law, 16-bit scale (G.711 table 1): even bits inverted, sign, exponent, mantissa."""
    code = np.arange(256) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = np.where(exponent == 0, mantissa * 2 + 1, (mantissa * 2 + 33) << np.maximum(exponent - 1, 0)) * 8
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _mulaw_to_linear() -> Samples:
    """Return the 256 values of mu-law, 16-bit scale (G.711 table 2): all bits inverted, bias 33 on the 14-bit scale."""
    code = ~np.arange(256) & 0xFF
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = ((mantissa * 8 + _MULAW_BIAS) << exponent) - _MULAW_BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


ALAW_TO_LINEAR = _alaw_to_linear()
"""Linear value of each A-law byte, int16, shape (256,)."""
MULAW_TO_LINEAR = _mulaw_to_linear()
"""Linear value of each mu-law byte, int16, shape (256,)."""


def _nearest_codes(table: Samples) -> NDArray[np.uint8]:
    """Return for each 16-bit value (index + 32768) the code whose value is nearest, the larger magnitude on a tie."""
    values = table.astype(np.int64)
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    linear = np.arange(-32768, 32768)
    above = np.clip(np.searchsorted(ranked, linear), 1, len(ranked) - 1)
    to_low, to_high = linear - ranked[above - 1], ranked[above] - linear
    takes_high = (to_high < to_low) | ((to_high == to_low) & (linear >= 0))
    return order[np.where(takes_high, above, above - 1)].astype(np.uint8)


_LINEAR_TO_ALAW = _nearest_codes(ALAW_TO_LINEAR)
_LINEAR_TO_MULAW = _nearest_codes(MULAW_TO_LINEAR)
_LINEAR_TO_MULAW[_LINEAR_TO_MULAW == 0x7F] = 0xFF  # one zero of two: the one that is also the codec's silence


def decode(codec: Codec, data: bytes | bytearray | memoryview) -> Samples:
    """Return the linear samples of a stretch of one channel, int16 at ``LINEAR_RATE[codec]``.

    G.722 has memory: a stretch cut out of the middle takes some milliseconds to settle.
    """
    if codec is Codec.G722:
        return np.asarray(G722.G722(16000, 64000).decode(bytes(data)), dtype=np.int16)
    table = ALAW_TO_LINEAR if codec is Codec.PCMA else MULAW_TO_LINEAR
    return table[np.frombuffer(data, dtype=np.uint8)]


def encode(codec: Codec, samples: Samples) -> bytes:
    """Return the bytes of linear samples, int16 at ``LINEAR_RATE[codec]``; an odd last G.722 sample is left out."""
    if codec is Codec.G722:
        return bytes(G722.G722(16000, 64000).encode(samples[: len(samples) // 2 * 2]))
    table = _LINEAR_TO_ALAW if codec is Codec.PCMA else _LINEAR_TO_MULAW
    return table[samples.astype(np.int64) + 32768].tobytes()
