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
_TWIST = 10
_HARMONIC_PERCENT = 20
_HARMONIC_CLEAR_HZ = 150
_FAX_PERCENT = 60
_SHARP = 6
_TILT = 4
_STEADY = 2
_OFFSET_PERMILLE = 20
_APART_PERMILLE = 16
_TURN_SHIFT = 12
_TURN = 1 << _TURN_SHIFT
_TURN_PER_HZ = 52_224
_ATAN_BEND = 178
_POINTS_ENOUGH = 6
_EVIDENCE = ((93, 6, 6), (84, 6, 2), (77, 3, 1), (67, 2, 1))
_GAP_BLOCKS = 2
_CNG_BLOCKS_MIN = 30
_CNG_BLOCKS_MAX = 48
_TRACE_PERCENT = 30
_TRACE_BLOCKS = 4
_CED_BLOCKS = 157
_VOICE_SHARE = 64
_VOICE_BLOCKS = 24
_VOICE_SWING = 80
_VOICE_STEP = 16


class ToneKind(enum.IntEnum):
    """What was heard; the numbers of ``enum tones_kind``."""

    DIGIT_START = 1
    DIGIT_END = 2
    CNG = 3
    CED = 4
    VOICE = 5


@dataclass(frozen=True, slots=True)
class ToneEvent:
    """What was heard: positions are samples fed, ``start`` its first trace, ``end`` its last; ``digit`` may be "".

    ``pause``, of CNG: samples since its tone was last there before the burst, -1 if it never was.
    """

    kind: ToneKind
    digit: str
    start: int
    end: int
    pause: int = -1


def _tables() -> NDArray[np.int64]:
    """Return cosine and sine of the ten tones and of the harmonics of the first eight; shape (18, 2, BLOCK)."""
    frequencies = np.array([*FREQUENCIES_HZ, *(2 * f for f in FREQUENCIES_HZ[:8])])
    turns = (frequencies[:, None] * np.arange(BLOCK)) % 8000 / 8000
    waves = np.stack([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)], axis=1)
    tables: NDArray[np.int64] = np.rint(_AMPLITUDE * waves).astype(np.int64)
    return tables


_TABLES = _tables()


def _turns() -> list[tuple[int, int]]:
    """Return cosine and sine of the phase by which each tone of a digit advances in a block."""
    turns = (np.array(FREQUENCIES_HZ[:8]) * BLOCK) % 8000 / 8000
    waves = np.rint(2**_TURN_SHIFT * np.stack([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)], axis=1))
    return [(int(cosine), int(sine)) for cosine, sine in waves]


_TURNS = _turns()


@dataclass(frozen=True, slots=True)
class _Spectrum:
    """Real part, imaginary part and power of each row of ``_TABLES`` in a block."""

    parts: list[list[int]]
    powers: list[int]


def _spectrum_of(block: NDArray[np.int64]) -> _Spectrum:
    parts = _TABLES @ block
    return _Spectrum(parts.tolist(), [int(value) >> _SHIFT for value in (parts * parts).sum(axis=1)])


@dataclass(frozen=True, slots=True)
class _View:
    """What a block showed of the two tones of its digit: row, then column."""

    key: str
    tones: tuple[int, int]
    parts: tuple[list[int], list[int]]
    powers: tuple[int, int]
    energy: int
    is_sharp: bool


def _peak(powers: list[int], factor: int) -> int | None:
    best = max(range(4), key=lambda i: powers[i])
    return best if all(i == best or powers[i] * factor <= powers[best] for i in range(4)) else None


def _view_of(energy: int, spectrum: _Spectrum) -> _View | None:
    powers = spectrum.powers
    row, column = _peak(powers[:4], _PEAK), _peak(powers[4:8], _PEAK)
    if row is None or column is None:
        return None
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
    if not is_digit:
        return None
    tones = (row, 4 + column)
    parts = (spectrum.parts[tones[0]], spectrum.parts[tones[1]])
    is_sharp = _peak(powers[:4], _SHARP) is not None and _peak(powers[4:8], _SHARP) is not None
    return _View(KEYPAD[row][column], tones, parts, (low, high), energy, is_sharp)


def _angle(along: int, across: int) -> int:
    """Return the angle of a vector in 1/_TURN of a turn, within [-_TURN / 2, _TURN / 2]; right to 1/1500 of a turn."""
    small, large = sorted((abs(along), abs(across)))
    if large == 0:
        return 0
    ratio = small * _TURN // large
    angle = ratio * (_TURN // 8 * _TURN + _ATAN_BEND * (_TURN - ratio)) // (_TURN * _TURN)
    angle = _TURN // 4 - angle if abs(across) > abs(along) else angle
    angle = _TURN // 2 - angle if along < 0 else angle
    return -angle if across < 0 else angle


def _drift(before: _View, now: _View, i: int) -> int:
    """Return how much further a tone has turned from block to block than its frequency says, in 1/_TURN of a turn."""
    real, imaginary = (part >> _SHIFT // 2 for part in before.parts[i])
    next_real, next_imaginary = (part >> _SHIFT // 2 for part in now.parts[i])
    along = next_real * real + next_imaginary * imaginary
    across = next_real * imaginary - next_imaginary * real
    cosine, sine = _TURNS[now.tones[i]]
    return _angle((along * cosine + across * sine) >> _TURN_SHIFT, (across * cosine - along * sine) >> _TURN_SHIFT)


def _is_in_tune(now: _View, drifts: list[int]) -> bool:
    """Tell whether both frequencies are right, and off by about the same share, as when one clock makes them."""
    low, high = (FREQUENCIES_HZ[tone] for tone in now.tones)
    apart = abs(drifts[0] * high - drifts[1] * low)
    return (
        abs(drifts[0]) * 1000 <= low * _TURN_PER_HZ * _OFFSET_PERMILLE // 1000
        and abs(drifts[1]) * 1000 <= high * _TURN_PER_HZ * _OFFSET_PERMILLE // 1000
        and apart * 1000 <= low * high * _TURN_PER_HZ * _APART_PERMILLE // 1000
    )


def _share(view: _View, drifts: list[int]) -> int:
    """Return the percentage of a block's energy in its tones; what a frequency off the exact one hides is added."""
    held = sum(
        power + (power >> _TURN_SHIFT) * (4 * drift * drift >> _TURN_SHIFT)
        for power, drift in zip(view.powers, drifts, strict=True)
    )
    return held * 100 // (view.energy * _UNIT)


def _points(before: _View, now: _View) -> int:
    """Return the points for the same digit in two blocks in a row; 0 if it did not hold still."""
    if not before.is_sharp or not now.is_sharp:
        return 0
    for power, other in zip(before.powers, now.powers, strict=True):
        if max(power, other) > min(power, other) * _STEADY:
            return 0
    drifts = [_drift(before, now, i) for i in range(2)]
    if not _is_in_tune(now, drifts):
        return 0
    share = min(_share(before, drifts), _share(now, drifts))
    is_tilted = any(max(view.powers) > min(view.powers) * _TILT for view in (before, now))
    return next((tilted if is_tilted else even for percent, even, tilted in _EVIDENCE if share >= percent), 0)


@dataclass(slots=True)
class _Burst:
    """One fax tone: blocks in which it was seen, and since."""

    start: int = 0
    end: int = 0
    hits: int = 0
    misses: int = 0


@dataclass(slots=True)
class _Voice:
    """How the level of what is beside fax tones has moved from block to block."""

    level: int = 0
    swing: int = 0
    blocks: int = 0

    def follow(self, energy: int, end: int) -> list[ToneEvent]:
        """Follow the level by one block that ends at a sample; ``energy`` is 0 where there is nothing."""
        before, self.level = self.level, _level(energy) if energy else 0
        if not self.level or not before:
            return []
        self.swing += min(abs(self.level - before), _VOICE_STEP)
        self.blocks += 1
        if self.blocks < _VOICE_BLOCKS:
            return []
        is_voice, self.swing, self.blocks = self.swing >= _VOICE_SWING, 0, 0
        return [ToneEvent(ToneKind.VOICE, "", end - _VOICE_BLOCKS * BLOCK, end)] if is_voice else []


def _voice_energy(energy: int, spectrum: _Spectrum) -> int:
    """Return the energy of a block beside its fax tones, 0 where that is nothing to speak of."""
    rest = energy - spectrum.powers[8] // _UNIT - spectrum.powers[9] // _UNIT
    return rest if rest * _VOICE_SHARE >= energy and rest >= _ENERGY_MIN else 0


def _level(energy: int) -> int:
    """Return the level of an energy of ``_ENERGY_MIN`` at least, in steps of about an eighth of 3 dB."""
    bits = energy.bit_length()
    return 8 * bits + (energy >> (bits - 4) & 7)


class ToneDetector:
    """Finds tones in samples that come in pieces of any length; the pieces do not change the answer."""

    def __init__(self) -> None:
        self._pending = np.zeros(0, np.int64)
        self._position = 0
        self._view: _View | None = None
        self._candidate_start = 0
        self._evidence = 0
        self._digit = ""
        self._digit_start = 0
        self._digit_end = 0
        self._misses = 0
        self._cng = _Burst()
        self._ced = _Burst()
        self._trace_end = 0
        self._trace_blocks = 0
        self._cng_pause = -1
        self._voice = _Voice()

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
        view, is_cng, is_ced, is_trace, voice = None, False, False, False, 0
        if energy >= _ENERGY_MIN:
            spectrum = _spectrum_of(block)
            view = _view_of(energy, spectrum)
            is_cng, is_ced = (spectrum.powers[i] * 100 >= energy * _UNIT * _FAX_PERCENT for i in (8, 9))
            is_trace = spectrum.powers[8] * 100 >= energy * _UNIT * _TRACE_PERCENT
            voice = _voice_energy(energy, spectrum)
        self._gather_evidence(view, start)
        events = self._follow_digit(view.key if view else "", start + BLOCK)
        events += self._follow_cng(is_cng, start) + self._follow_ced(is_ced, start)
        self._follow_trace(is_there=is_trace, end=start + BLOCK)
        return events + self._voice.follow(voice, start + BLOCK)

    def _gather_evidence(self, view: _View | None, start: int) -> None:
        before, self._view = self._view, view
        if view is None or before is None or view.key != before.key:
            self._evidence, self._candidate_start = 0, max(start - BLOCK, 0)
        else:
            points = _points(before, view)
            self._evidence = min(self._evidence, _POINTS_ENOUGH) + points if points else 0

    def _follow_digit(self, seen: str, end: int) -> list[ToneEvent]:
        events: list[ToneEvent] = []
        is_new = bool(seen) and seen != self._digit and self._evidence >= _POINTS_ENOUGH
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
            return [ToneEvent(ToneKind.CNG, "", self._cng.start, self._cng.end, self._cng_pause)]
        return []

    def _follow_trace(self, *, is_there: bool, end: int) -> None:
        if self._cng.hits == 1 and not self._cng.misses:
            self._cng_pause = max(self._cng.start - self._trace_end, 0) if self._trace_end else -1
        self._trace_blocks = self._trace_blocks + 1 if is_there else 0
        if self._trace_blocks >= _TRACE_BLOCKS:
            self._trace_end = end

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
