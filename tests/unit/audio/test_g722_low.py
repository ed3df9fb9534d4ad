"""Invariant: the core's decoder of G.722's lower sub-band equals the G722 package at 8000 Hz, sample for sample."""

import ctypes
import random

import G722
import numpy as np
import pytest
from numpy.typing import NDArray

from audio import _relay
from audio.codecs import encode
from audio.types import Codec

_STATE_BYTES = 256  # more than struct g722 has
_core = ctypes.CDLL(_relay.__file__)


def low_band(data: bytes, pieces: tuple[int, ...]) -> NDArray[np.int16]:
    """Decode with the core, in pieces of so many bytes, over and over."""
    state = ctypes.create_string_buffer(_STATE_BYTES)
    _core.g722_init(state)
    out = np.zeros(len(data), dtype=np.int16)
    at = number = 0
    while at < len(data):
        length = min(pieces[number % len(pieces)], len(data) - at)
        target = ctypes.c_void_p(out.ctypes.data + 2 * at)
        _core.g722_decode_low(state, data[at : at + length], length, target)
        at, number = at + length, number + 1
    return out


def reference(data: bytes) -> NDArray[np.int16]:
    return np.asarray(G722.G722(8000, 64000).decode(data), dtype=np.int16)


def tones(*frequencies: float, level: float) -> bytes:
    """Return two seconds of tones as G.722."""
    at = np.arange(32_000) / 16_000
    wave = sum(np.sin(2 * np.pi * frequency * at) for frequency in frequencies)
    return encode(Codec.G722, np.asarray(wave / len(frequencies) * level, dtype=np.int16))


STREAMS = {
    "every byte": bytes(range(256)) * 8,
    "random": random.Random(722).randbytes(64_000),
    "random in runs": b"".join(bytes([random.Random(i).randrange(256)]) * (i % 97) for i in range(1000)),
    "the digit 5": tones(770, 1336, level=20_000),
    "fax": tones(1100, level=30_000),
    "above the sub-band": tones(5200, level=30_000),
    "overdriven": tones(300, 3300, level=32_767),
    "silence": b"\xfa" * 4000,
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("pieces", [(1 << 20,), (160,), (1, 7, 80, 333)])
def test_equal_to_the_package_sample_for_sample(name: str, pieces: tuple[int, ...]) -> None:
    expected = reference(STREAMS[name])
    assert len(expected) == len(STREAMS[name])
    assert np.array_equal(low_band(STREAMS[name], pieces), expected)
    assert expected.any()
