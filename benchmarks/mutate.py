"""Ways to spoil an input. All randomness comes from the generator that is passed in."""

import random
from collections.abc import Callable, Sequence

MAX_BYTES = 70_000
"""Longer than any datagram; a size attack is made by repeating what is there."""

_NUMBERS = (
    b"0",
    b"1",
    b"-1",
    b"255",
    b"256",
    b"65535",
    b"65536",
    b"2147483648",
    b"4294967296",
    b"9" * 40,
    b"1e9",
    b"\xd9\xa1",
)
_BYTES = (
    0x00,
    0x01,
    0x09,
    0x0A,
    0x0D,
    0x20,
    0x22,
    0x25,
    0x2C,
    0x3A,
    0x3B,
    0x3C,
    0x3D,
    0x3E,
    0x5C,
    0x7F,
    0x80,
    0xC0,
    0xFF,
)

Mutator = Callable[[bytearray, random.Random, Sequence[bytes], Sequence[bytes]], None]


def mutate(data: bytes, rng: random.Random, corpus: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """Return a spoilt copy of an input; others of the corpus and the target's tokens are mixed in."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5, 9))):
        rng.choice(_MUTATORS)(changed, rng, corpus, tokens)
    return bytes(changed[:MAX_BYTES])


def _flip(data: bytearray, rng: random.Random, _corpus: Sequence[bytes], _tokens: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set(data: bytearray, rng: random.Random, _corpus: Sequence[bytes], _tokens: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice(_BYTES) if rng.random() < 0.5 else rng.randrange(256)


def _insert(data: bytearray, rng: random.Random, _corpus: Sequence[bytes], tokens: Sequence[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.choice(tokens) if tokens and rng.random() < 0.7 else rng.randbytes(rng.randrange(1, 9))


def _cut(data: bytearray, rng: random.Random, _corpus: Sequence[bytes], _tokens: Sequence[bytes]) -> None:
    start, end = _span(data, rng)
    del data[start:end]


def _tail(data: bytearray, rng: random.Random, _corpus: Sequence[bytes], _tokens: Sequence[bytes]) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _double(data: bytearray, rng: random.Random, _corpus: Sequence[bytes], _tokens: Sequence[bytes]) -> None:
    start, end = _span(data, rng)
    at = rng.randrange(len(data) + 1)
    data[at:at] = data[start:end]


def _repeat(data: bytearray, rng: random.Random, _corpus: Sequence[bytes], _tokens: Sequence[bytes]) -> None:
    start, end = _span(data, rng)
    part = bytes(data[start : min(end, start + 64)])
    if part:
        data[start:start] = part * rng.choice((8, 60, min(MAX_BYTES // len(part), 3000)))


def _splice(data: bytearray, rng: random.Random, corpus: Sequence[bytes], _tokens: Sequence[bytes]) -> None:
    other = rng.choice(corpus)
    at, start = rng.randrange(len(data) + 1), rng.randrange(len(other) + 1)
    data[at:] = other[start:]


def _swap_lines(data: bytearray, rng: random.Random, _corpus: Sequence[bytes], _tokens: Sequence[bytes]) -> None:
    lines = bytes(data).split(b"\n")
    one, two = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[two] = lines[two], lines[one]
    data[:] = b"\n".join(lines)


def _number(data: bytearray, rng: random.Random, _corpus: Sequence[bytes], _tokens: Sequence[bytes]) -> None:
    starts = [at for at, byte in enumerate(data[:4096]) if 0x30 <= byte <= 0x39]
    if not starts:
        return
    start = end = rng.choice(starts)
    while end < len(data) and 0x30 <= data[end] <= 0x39:
        end += 1
    data[start:end] = rng.choice(_NUMBERS)


def _span(data: bytearray, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 2, 4, 8, 16, 40, 200)))


_MUTATORS: tuple[Mutator, ...] = (
    _flip, _flip, _set, _insert, _insert, _cut, _tail, _double, _repeat, _splice, _swap_lines, _number, _number,
)  # fmt: skip
