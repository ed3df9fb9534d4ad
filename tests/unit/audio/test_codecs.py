"""G.711 against points of the ITU tables, round trips, and G.722's length and rate."""

import numpy as np
import pytest

from audio.codecs import ALAW_TO_LINEAR, LINEAR_RATE, MULAW_TO_LINEAR, decode, encode
from audio.types import Codec
from tests.reference.laws import ALAW_TO_MULAW, MULAW_TO_ALAW

EVERY_BYTE = bytes(range(256))


def test_points_of_the_tables() -> None:
    """G.711 tables 1 and 2, scaled to 16 bits: smallest, largest and a segment's edge of both signs."""
    assert [int(ALAW_TO_LINEAR[code]) for code in (0xD5, 0x55, 0xAA, 0x2A, 0x80)] == [8, -8, 32256, -32256, 5504]
    assert [int(MULAW_TO_LINEAR[code]) for code in (0xFF, 0x7F, 0x80, 0x00, 0xF0)] == [0, 0, 32124, -32124, 120]


def test_bytes_survive_linear() -> None:
    assert encode(Codec.PCMA, decode(Codec.PCMA, EVERY_BYTE)) == EVERY_BYTE
    assert encode(Codec.PCMU, decode(Codec.PCMU, EVERY_BYTE)) == EVERY_BYTE.replace(b"\x7f", b"\xff")


@pytest.mark.parametrize("codec", [Codec.PCMA, Codec.PCMU])
def test_encoding_takes_the_nearest_value(codec: Codec) -> None:
    linear = np.arange(-32768, 32768, 7).astype(np.int16)
    table = decode(codec, EVERY_BYTE).astype(np.int64)
    error = np.abs(decode(codec, encode(codec, linear)).astype(np.int64) - linear)
    assert (error == np.abs(table[None, :] - linear[:, None]).min(axis=1)).all()


def test_laws_convert_to_the_nearest_and_back() -> None:
    error = np.abs(decode(Codec.PCMU, ALAW_TO_MULAW).astype(int) - ALAW_TO_LINEAR)
    assert (error <= np.maximum(np.abs(ALAW_TO_LINEAR.astype(int)) // 20, 8)).all()
    back = np.abs(decode(Codec.PCMA, MULAW_TO_ALAW).astype(int) - MULAW_TO_LINEAR)
    assert (back <= np.maximum(np.abs(MULAW_TO_LINEAR.astype(int)) // 20, 8)).all()


@pytest.mark.parametrize("codec", list(Codec))
def test_silence_is_the_codecs_silence(codec: Codec) -> None:
    settled = 80 * LINEAR_RATE[codec] // 8000 // 2  # G.722's own noise stirs later
    assert encode(codec, np.zeros(settled, np.int16)) == bytes([codec.silence]) * (settled * 8000 // LINEAR_RATE[codec])
    assert np.abs(decode(codec, bytes([codec.silence]) * 160).astype(int)).max() <= 8


def test_g722_keeps_a_tone() -> None:
    tone = (8000 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)).astype(np.int16)
    coded = encode(Codec.G722, tone)
    assert len(coded) == 8000
    whole = decode(Codec.G722, coded)
    assert len(whole) == 16000
    spectrum = np.abs(np.fft.rfft(whole.astype(float)))
    assert spectrum.argmax() == 1000
