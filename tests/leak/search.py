"""Finds secrets in bytes, whatever they are: memory, database pages, logs, audio. Pure (numpy).

Audio: in A-law, in mu-law, and as 16-bit little-endian samples of either, at any alignment. `RUN` symbols in a row
that obey the recurrence of `tests.leak.signals` are a hit if they stand in a stretch that was handed out; by chance
that happens less than once in 10**13 bytes. Digits: twelve in a row of a number that was keyed, as text, as UTF-16 or
UTF-32, as a list (``4, 9, 2``), or as event codes one, two, four or eight bytes apart.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.leak.signals import ALPHABET, LINEAR, ORDER, PCMA, PCMU, PRIME, STEP_FAR, STEP_NEAR, Bytes

RUN = 10
"""Samples in a row that are certain to be found: 1.25 ms."""
DIGITS = 12
"""Digits in a row of a longer number that are certain to be found; none may hold three noughts in a row."""
CHUNK = 4 << 20
_OVERLAP = 8 * DIGITS
"""Bytes that a secret of the shortest length takes at most."""
_BLOCK = 16 << 10
_OUTSIDE = 255
_LONGEST = 65536
_BEGINNING = 4
"""Digits by which most of what is no number is told."""
_FEW = 3
"""Runs side by side that are looked up one by one."""

_ALONE = re.compile(r"(?<![\w.:,/+-])[0-9](?![\w.:/-]|,\d)|(?<=Signal=)[0-9]\b|(?<=')[0-9](?=')|(?<==)[0-9]\b")
_VARYING = re.compile(r"[0-9]+")

Bits = NDArray[np.uint64]
_TEXT_STRIDES = (1, 2, 3, 4, 5)
_CODE_STRIDES = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Hit:
    """A secret that was found.

    Attributes:
        offset: Byte of the searched data at which it begins.
        form: ``alaw``, ``ulaw``, ``linear16``, ``digits`` or ``event codes``.
        length: Samples, or digits, in a row.
        voice: Whose stretch it is of, or the number's index.
        index: Which sample of the stretch, or digit of the number, it begins with.
    """

    offset: int
    form: str
    length: int
    voice: int
    index: int


def _symbol_tables() -> dict[str, Bytes]:
    tables = {}
    for name, law in (("alaw", PCMA), ("ulaw", PCMU)):
        table = np.full(256, _OUTSIDE, np.uint8)
        table[ALPHABET[law]] = np.arange(PRIME)
        tables[name] = table
    return tables


def _linear_table() -> Bytes:
    table = np.full(65536, _OUTSIDE, np.uint8)
    for law in (PCMU, PCMA):
        table[LINEAR[law][ALPHABET[law]].astype(np.int16).view(np.uint16)] = np.arange(PRIME)
    return table


_SYMBOLS = _symbol_tables()


_KNOWN = bytes(
    sum(1 << number for number, table in enumerate(_SYMBOLS.values()) if table[code] < PRIME) for code in range(256)
)
"""For each byte a bit for each law, set where it is a symbol of it."""


def symbols_of(codes: Bytes, law: int) -> Bytes:
    """Return the symbols of codes of a law; 255 for one that is in no alphabet."""
    return _SYMBOLS["alaw" if law == PCMA else "ulaw"][codes]


_LINEAR = _linear_table()


def _bits(found: NDArray[np.bool_]) -> Bits:
    """Pack truths into words of 64, the first one lowest; the last word is filled with false ones."""
    packed = np.packbits(found, bitorder="little").tobytes()
    return np.frombuffer(packed + bytes(-len(packed) % 8), "<u8")


def _all_of(bits: Bits, count: int, stride: int = 1) -> Bits:
    """Return where ``count`` truths in a row, ``stride`` apart, are all true; none are after the last.

    64 places at a time: to compare bytes took most of the CPU of a run.
    """
    out, have = bits, 1
    while have < count:
        step = min(have, count - have)
        shift = np.uint64(step * stride)
        later = out >> shift
        later[:-1] |= out[1:] << (np.uint64(64) - shift)
        later &= out
        out = later
        have += step
    return out


def _where(bits: Bits) -> NDArray[np.int64]:
    """Return the places of what is true, in order."""
    words = np.flatnonzero(bits != 0)
    at = np.flatnonzero(np.unpackbits(bits[words].view(np.uint8), bitorder="little").view(np.bool_))
    places: NDArray[np.int64] = words[at >> 6] * 64 + (at & 63)
    return places


def _may_begin(values: NDArray[np.uint8] | NDArray[np.uint16]) -> Bits:
    """Return where a run may begin: not with `ORDER` that are the same, as much of what is no audio does."""
    return ~_all_of(_bits(np.append(values[1:] == values[:-1], False)), ORDER - 1)


def _written(chunk: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield what is not blocks of nothing but noughts, and where it begins: half of a process's memory is such blocks.

    A secret has no three noughts in a row, so what it has of them at the edge of a block lies within `_OVERLAP` bytes.
    """
    padded = chunk + bytes(-len(chunk) % _BLOCK)
    is_written = np.frombuffer(padded, np.uint64).reshape(-1, _BLOCK // 8).any(axis=1)
    edges = np.flatnonzero(np.diff(is_written, prepend=False, append=False)) * _BLOCK
    for first, last in edges.reshape(-1, 2).tolist():
        begins = max(first - _OVERLAP, 0)
        yield begins, chunk[begins : last + _OVERLAP]


def _obeying(at: NDArray[np.int64], symbols: "_Symbols") -> NDArray[np.int64]:
    """Return the places at which `RUN` symbols in a row, none of them `_OUTSIDE`, obey the recurrence."""
    for due in range(ORDER, RUN):
        if not len(at):
            break
        wide = STEP_NEAR * symbols.at(at + due - ORDER + 1).astype(np.uint16)
        wide += STEP_FAR * symbols.at(at + due - ORDER).astype(np.uint16)
        at = at[wide % PRIME == symbols.at(at + due)]
    return at


def _inside(at: NDArray[np.int64], symbols: "_Symbols") -> NDArray[np.int64]:
    """Return the places at which `RUN` symbols in a row are none of them `_OUTSIDE`, and do not begin all the same."""
    for k in range(RUN):
        at = at[symbols.at(at + k) < PRIME]
    first = symbols.at(at)
    return at[np.any([symbols.at(at + k) != first for k in range(1, ORDER)], axis=0)]


class _Symbols:
    """Bytes or words as symbols, of which only those are looked up that are asked for."""

    def __init__(self, values: NDArray[np.uint8] | NDArray[np.uint16], table: Bytes) -> None:
        self._values, self._table = values, table

    def at(self, places: NDArray[np.int64]) -> Bytes:
        """Return the symbols at some places; 255 for what is in no alphabet."""
        return self._table[self._values[places]]

    def part(self, start: int, length: int) -> bytes:
        """Return symbols in a row, fewer at the end."""
        return self._table[self._values[start : start + length]].tobytes()


class Finder:
    """Searches for the secrets that were handed out so far.

    Attributes:
        searched: Bytes that were searched.
        strangers: Runs that obey the recurrence and belong to no stretch that was handed out.
    """

    def __init__(self) -> None:
        self._stretches: dict[int, bytes] = {}
        self._shortest = sys.maxsize
        self._numbers: list[str] = []
        self._windows: dict[int, tuple[int, int]] = {}
        self._sorted = np.zeros(0, np.uint64)
        self._begins = np.zeros(10**_BEGINNING, np.bool_)
        self.searched = 0
        self.strangers = 0

    def add_voice(self, voice: int, symbols: Bytes) -> None:
        """Take a voice's stretch for a secret."""
        self._stretches[voice] = symbols.tobytes()
        self._shortest = min(self._shortest, len(symbols))

    def add_number(self, number: str) -> int:
        """Take a number that is keyed for a secret; one of fewer than `DIGITS` digits is not searched for."""
        index = len(self._numbers)
        self._numbers.append(number)
        for at in range(len(number) - DIGITS + 1):
            self._windows[int(number[at : at + DIGITS])] = (index, at)
        self._sorted = np.array(sorted(self._windows), np.uint64)
        self._begins[self._sorted // np.uint64(10 ** (DIGITS - _BEGINNING))] = True
        return index

    # --- searching

    def find(self, data: bytes | bytearray | memoryview, *, has_linear: bool = True) -> list[Hit]:
        """Return every secret in some bytes, the longest run at each place."""
        found: list[Hit] = []
        view = memoryview(data).cast("B") if not isinstance(data, memoryview) else data
        for start in range(0, max(len(view), 1), CHUNK):
            chunk = bytes(view[start : start + CHUNK + _OVERLAP])
            self.searched += min(len(chunk), CHUNK)
            for at, part in _written(chunk):
                found += (
                    Hit(start + at + hit.offset, hit.form, hit.length, hit.voice, hit.index)
                    for hit in self._find_in(part, has_linear)
                    if at + hit.offset < CHUNK
                )
        return found

    def _find_in(self, chunk: bytes, has_linear: bool) -> Iterator[Hit]:
        codes = np.frombuffer(chunk, np.uint8)
        known = np.frombuffer(chunk.translate(_KNOWN), np.uint8)
        may_begin = _may_begin(codes)
        for number, (form, table) in enumerate(_SYMBOLS.items()):
            at = _where(_all_of(_bits(known & (1 << number)), RUN) & may_begin)
            yield from self._audio(at, _Symbols(codes, table), form, 1, 0)
        for shift in (0, 1) if has_linear else ():
            words = np.frombuffer(chunk, np.uint16, (len(chunk) - shift) // 2, shift)
            # Of the 16-bit samples of either law the last two bits are clear, and 0 is no symbol.
            at = _where(_all_of(_bits((words & 3 == 0) & (words != 0)), RUN) & _may_begin(words))
            symbols = _Symbols(words, _LINEAR)
            yield from self._audio(_inside(at, symbols), symbols, "linear16", 2, shift)
        yield from self._digits(codes)

    def _audio(self, at: NDArray[np.int64], symbols: _Symbols, form: str, width: int, shift: int) -> Iterator[Hit]:
        upto = -1
        for place in self._own(_obeying(at, symbols), symbols):
            if place < upto:
                continue
            located = self.locate(symbols.part(place, RUN))
            if located is None:
                self.strangers += 1
                continue
            voice, index = located
            length = _common(symbols.part(place, _LONGEST), self._stretches[voice][index : index + _LONGEST])
            upto = place + length - RUN + 1
            yield Hit(place * width + shift, form, length, voice, index)

    def _own(self, at: NDArray[np.int64], symbols: _Symbols) -> Iterator[int]:
        """Yield the places of runs, without most of those that belong to no stretch: proofs read what others said.

        Runs side by side are one piece of the sequence. A piece that neither begins nor ends in a stretch has nothing
        of one, unless a whole one is within it.
        """
        for part in np.split(at, np.flatnonzero(np.diff(at) != 1) + 1):
            ends = [] if len(part) < _FEW or len(part) >= self._shortest - RUN else [int(part[0]), int(part[-1])]
            if ends and all(self.locate(symbols.part(end, RUN)) is None for end in ends):
                self.strangers += len(part)
            else:
                yield from part.tolist()

    def locate(self, symbols: bytes) -> tuple[int, int] | None:
        """Return voice and index of some symbols in a row, at least `ORDER`, or None."""
        for voice, stretch in self._stretches.items():
            index = stretch.find(symbols)
            if index >= 0:
                return voice, index
        return None

    def _digits(self, values: Bytes) -> Iterator[Hit]:
        if not len(self._sorted):
            return
        for form, base, strides in (("digits", 48, _TEXT_STRIDES), ("event codes", 0, _CODE_STRIDES)):
            digits = values - np.uint8(base)
            is_digit, is_nought = _bits(digits < 10), _bits(digits == 0)
            for stride in strides:
                if len(values) <= stride * (DIGITS - 1):
                    continue
                # No number has three noughts in a row (`tests.leak.plan`), and memory is full of them.
                there = _all_of(is_digit, DIGITS, stride) & ~_all_of(is_nought, 3, stride)
                yield from self._numbers_at(digits, _where(there), stride, form)

    def _numbers_at(self, digits: Bytes, at: NDArray[np.int64], stride: int, form: str) -> Iterator[Hit]:
        seen: set[int] = set()
        for part in np.array_split(at, len(at) // 500_000 + 1) if len(at) else ():
            begins = np.zeros(len(part), np.uint16)
            for k in range(_BEGINNING):
                begins = begins * np.uint16(10) + digits[part + k * stride]
            part = part[self._begins[begins]]  # noqa: PLW2901 - of few is there more to compare
            value = np.zeros(len(part), np.uint64)
            for k in range(DIGITS):
                value = value * np.uint64(10) + digits[part + k * stride]
            place = np.searchsorted(self._sorted, value)
            place[place == len(self._sorted)] = 0
            for where in np.flatnonzero(self._sorted[place] == value).tolist():
                number, index = self._windows[int(value[where])]
                if number not in seen:  # the first window of each: the others are beside it
                    seen.add(number)
                    yield Hit(int(part[where]), form, DIGITS, number, index)

    def number(self, index: int) -> str:
        """Return a number that was handed out."""
        return self._numbers[index]


def _common(a: bytes, b: bytes) -> int:
    size = min(len(a), len(b))
    differs = np.flatnonzero(np.frombuffer(a[:size], np.uint8) != np.frombuffer(b[:size], np.uint8))
    return int(differs[0]) if len(differs) else size


def digits_said(lines: Iterable[str], number: str) -> str | None:
    """Tell whether a log says the digits of a number one by one; return the kind of line that does.

    Digits that stand alone are gathered by the line without them. If the number is found in order in what one kind of
    line says, that kind of line is the leak; what comes in between may be other calls' digits.
    """
    said: dict[str, list[str]] = {}
    for line in lines:
        alone = _ALONE.findall(line)
        if alone:
            said.setdefault(_VARYING.sub("#", line), []).extend(alone)
    for kind, digits in said.items():
        rest = iter(digits)
        if all(digit in rest for digit in number):
            return kind
    return None
