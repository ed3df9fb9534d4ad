"""Decoding of G.711 and G.722 for exports, by tables and a decoder. Pure (numpy)."""

import G722
import numpy as np
from numpy.typing import NDArray

from storage.runs import PCMA, PCMU

Bytes = NDArray[np.uint8]
Samples = NDArray[np.int16]


def _decode_pcmu() -> Samples:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code >> 4) & 7)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _decode_pcma() -> Samples:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, (code & 0x0F) << 4
    magnitude = np.where(exponent == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


DECODE = {PCMU: _decode_pcmu(), PCMA: _decode_pcma()}
"""16-bit sample of each code byte."""

SILENCE = {PCMU: 0xFF, PCMA: 0xD5}
"""The code byte of silence."""


def _transcode(source: int, target: int) -> Bytes:
    """Return the code of ``target`` that is nearest to each code of ``source``; the smaller code wins a tie."""
    samples = DECODE[source].astype(np.int32)[:, None]
    choices = DECODE[target].astype(np.int32)[None, :]
    table: Bytes = np.abs(samples - choices).argmin(axis=1).astype(np.uint8)
    table[SILENCE[source]] = SILENCE[target]
    return table


TRANSCODE = {(PCMU, PCMA): _transcode(PCMU, PCMA), (PCMA, PCMU): _transcode(PCMA, PCMU)}
"""Table of code bytes, by source and target codec."""


class Decoder:
    """Decodes one channel in order of position; keeps the G.722 state across calls."""

    def __init__(self) -> None:
        self._g722 = G722.G722(16000, 64000)

    def decode(self, codec: int, payload: memoryview) -> Samples:
        """Return the samples: one for each byte of G.711 (8 kHz), two for each byte of G.722 (16 kHz)."""
        if codec in DECODE:
            return DECODE[codec][np.frombuffer(payload, np.uint8)]
        return np.array(self._g722.decode(bytes(payload)), dtype=np.int16)
