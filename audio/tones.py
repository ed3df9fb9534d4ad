"""The tone detector in numpy: reference of audio/core/tones.c, integer for integer; figures in docs/tones.md.

Pure. DTMF (ITU-T Q.23, Q.24), fax calling tone CNG 1100 Hz and answering tone CED 2100 Hz (ITU-T T.30), at 8000 Hz.
"""

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 102
"""Samples of one analysis block, 12.75 ms."""

FREQUENCIES_HZ = (697, 770, 852, 941, 1209, 1336, 1477, 1633, 1100, 2100)
"""Four rows, four columns, CNG, CED."""

KEYPAD = ("123A", "456B", "789C", "*0#D")
"""Key of each row and column."""

# Thresholds: the same names and values as in tones.c, where each has its reason.
_AMPLITUDE = 512
_SHIFT = 16
_UNIT = 204
_ENERGY_MIN = 1_000_000
_LEVEL_MIN = 300_000
_SHARE_PERCENT = 55
_PEAK = 4
_TWIST = 14
_HARMONIC_PERCENT = 20
_HARMONIC_CLEAR_HZ = 150
_FAX_PERCENT = 60
_DIGIT_BLOCKS = 2
_GAP_BLOCKS = 2
_CNG_BLOCKS_MIN = 30
_CNG_BLOCKS_MAX = 48
_CED_BLOCKS = 40


class ToneKind(enum.IntEnum):
    """What was heard; the numbers of ``enum tones_kind``."""

    DIGIT_START = 1
    DIGIT_END = 2
    CNG = 3
    CED = 4


@dataclass(frozen=True, slots=True)
class ToneEvent:
    """A tone: positions are samples fed, ``start`` its first trace, ``end`` its last; ``digit`` is "" for fax."""

    kind: ToneKind
    digit: str
    start: int
    end: int


def _tables() -> NDArray[np.int64]:
    """Return cosine and sine of the ten tones and of the harmonics of the first eight; shape (18, 2, BLOCK)."""
    frequencies = np.array([*FREQUENCIES_HZ, *(2 * f for f in FREQUENCIES_HZ[:8])])
    turns = (frequencies[:, None] * np.arange(BLOCK)) % 8000 / 8000
    waves = np.stack([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)], axis=1)
    tables: NDArray[np.int64] = np.rint(_AMPLITUDE * waves).astype(np.int64)
    return tables


_TABLES = _tables()


def _powers(block: NDArray[np.int64]) -> list[int]:
    parts = _TABLES @ block
    return [int(value) >> _SHIFT for value in (parts * parts).sum(axis=1)]


def _peak(powers: list[int]) -> int | None:
    best = max(range(4), key=lambda i: powers[i])
    return best if all(i == best or powers[i] * _PEAK <= powers[best] for i in range(4)) else None


def _digit_of(energy: int, powers: list[int]) -> str:
    row, column = _peak(powers[:4]), _peak(powers[4:8])
    if row is None or column is None:
        return ""
    low, high = powers[row], powers[4 + column]
    harmonics = powers[14 + column]
    if abs(2 * FREQUENCIES_HZ[row] - FREQUENCIES_HZ[4 + column]) >= _HARMONIC_CLEAR_HZ:
        harmonics += powers[10 + row]
    is_digit = (
        min(low, high) >= _LEVEL_MIN * _UNIT
        and max(low, high) <= min(low, high) * _TWIST
        and (low + high) * 100 >= energy * _UNIT * _SHARE_PERCENT
        and harmonics * 100 <= (low + high) * _HARMONIC_PERCENT
    )
    return KEYPAD[row][column] if is_digit else ""


@dataclass(slots=True)
class _Burst:
    """One fax tone: blocks in which it was seen, and since."""

    start: int = 0
    end: int = 0
    hits: int = 0
    misses: int = 0


class ToneDetector:
    """Finds tones in samples that come in pieces of any length; the pieces do not change the answer."""

    def __init__(self) -> None:
        self._pending = np.zeros(0, np.int64)
        self._position = 0
        self._candidate = ""
        self._candidate_start = 0
        self._hits = 0
        self._digit = ""
        self._digit_start = 0
        self._digit_end = 0
        self._misses = 0
        self._cng = _Burst()
        self._ced = _Burst()

    def feed(self, samples: NDArray[np.int16]) -> list[ToneEvent]:
        """Take samples (int16, 8000 Hz, any length) and return what was recognised, in order."""
        self._pending = np.concatenate([self._pending, samples.astype(np.int64)])
        events: list[ToneEvent] = []
        while len(self._pending) >= BLOCK:
            block, self._pending = self._pending[:BLOCK], self._pending[BLOCK:]
            start, self._position = self._position, self._position + BLOCK
            events += self._take_block(block, start)
        return events

    def _take_block(self, block: NDArray[np.int64], start: int) -> list[ToneEvent]:
        energy = int((block * block).sum())
        seen, is_cng, is_ced = "", False, False
        if energy >= _ENERGY_MIN:
            powers = _powers(block)
            seen = _digit_of(energy, powers)
            is_cng, is_ced = (powers[i] * 100 >= energy * _UNIT * _FAX_PERCENT for i in (8, 9))
        events = self._follow_digit(seen, start)
        events += self._follow_cng(is_cng, start)
        return events + self._follow_ced(is_ced, start)

    def _follow_digit(self, seen: str, start: int) -> list[ToneEvent]:
        end = start + BLOCK
        if seen != self._candidate:
            self._candidate, self._hits, self._candidate_start = seen, 0, max(start - BLOCK, 0)
        self._hits += bool(seen)
        events: list[ToneEvent] = []
        is_new = bool(seen) and seen != self._digit and self._hits >= _DIGIT_BLOCKS
        if seen and seen == self._digit:
            self._misses, self._digit_end = 0, end
        elif self._digit:
            self._misses += 1
            if self._misses >= _GAP_BLOCKS or is_new:
                last = self._digit_end + BLOCK
                events.append(ToneEvent(ToneKind.DIGIT_END, self._digit, self._digit_start, last))
                self._digit = ""
        if is_new:
            self._digit, self._misses, self._digit_start, self._digit_end = seen, 0, self._candidate_start, end
            events.append(ToneEvent(ToneKind.DIGIT_START, seen, self._digit_start, end))
        return events

    def _follow_cng(self, is_seen: bool, start: int) -> list[ToneEvent]:
        hits = _follow(self._cng, is_seen, start)
        if _CNG_BLOCKS_MIN <= hits <= _CNG_BLOCKS_MAX:
            return [ToneEvent(ToneKind.CNG, "", self._cng.start, self._cng.end)]
        return []

    def _follow_ced(self, is_seen: bool, start: int) -> list[ToneEvent]:
        _follow(self._ced, is_seen, start)
        if is_seen and self._ced.hits == _CED_BLOCKS:
            return [ToneEvent(ToneKind.CED, "", self._ced.start, start + BLOCK)]
        return []


def _follow(burst: _Burst, is_seen: bool, start: int) -> int:
    """Follow one burst by one block; returns its length in blocks when it has just ended, else 0."""
    if is_seen:
        if burst.hits == 0:
            burst.start = max(start - BLOCK, 0)
        burst.hits, burst.misses, burst.end = burst.hits + 1, 0, start + BLOCK
        return 0
    burst.misses += bool(burst.hits)
    if burst.misses <= 1:
        return 0
    ended, burst.hits, burst.misses = burst.hits, 0, 0
    return ended
