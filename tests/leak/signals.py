"""What is sent in a call of the leak suite: ordinary audio, secret audio, and what lies between. Pure (numpy).

Secret audio is one maximal-length sequence over GF(127): every four symbols in a row occur at one place only of its
260 million, so a few samples tell that they are secret, whose they are, and when they were said. Symbol k is one code
of A-law and one of mu-law that turn into one another, so the sequence survives a conversion; `tests.leak.search` finds
it in bytes of either law and in linear samples. Every voice has a stretch of the sequence to itself.
"""

import random
from functools import cache

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

PCMU, PCMA = 0, 8
PRIME, STEP_NEAR, STEP_FAR = 127, 2, 17
"""s[n + 4] = 2 s[n + 1] + 17 s[n] (mod 127): its period is 127**4 - 1."""
ORDER = 4
STRETCH = 112_000
"""Symbols a voice has: fourteen seconds."""
MOST_VOICES = (PRIME**ORDER - 1) // STRETCH


def _linear() -> dict[int, NDArray[np.int32]]:
    """Return the 16-bit sample of each code (ITU-T G.711): written anew, for a table of the recorder proves less."""
    codes = np.arange(256)
    mu = ~codes & 0xFF
    magnitude = ((mu & 15) * 8 + 132 << ((mu >> 4) & 7)) - 132
    ulaw = np.where(mu & 0x80, -magnitude, magnitude)
    a = codes ^ 0x55
    exponent, mantissa = (a >> 4) & 7, a & 15
    level = np.where(exponent == 0, mantissa * 16 + 8, mantissa * 16 + 264 << np.maximum(exponent - 1, 0))
    return {PCMU: ulaw.astype(np.int32), PCMA: np.where(a & 0x80, level, -level).astype(np.int32)}


LINEAR = _linear()


def _nearest(source: int, target: int) -> Bytes:
    found: Bytes = np.abs(LINEAR[source][:, None] - LINEAR[target][None, :]).argmin(axis=1).astype(np.uint8)
    return found


def _alphabet() -> dict[int, Bytes]:
    """Return the codes of both laws for each symbol: pairs that are nearest to one another either way."""
    to_mu, to_a = _nearest(PCMA, PCMU), _nearest(PCMU, PCMA)
    stable = [a for a in range(256) if to_a[to_mu[a]] == a and a not in (0x55, 0xD5) and to_mu[a] not in (0x7F, 0xFF)]
    # Not the codes next to silence: a secret must be heard, and never look like what stands where nothing was kept.
    loud = [a for a in stable if abs(int(LINEAR[PCMA][a])) >= 64]
    random.Random(127).shuffle(loud)
    chosen = np.array(loud[:PRIME], np.uint8)
    assert len(set(to_mu[chosen].tolist())) == len(chosen) == PRIME
    return {PCMA: chosen, PCMU: to_mu[chosen]}


ALPHABET = _alphabet()


def _multiply(u: list[int], v: list[int]) -> list[int]:
    """Return the product of two polynomials modulo x^4 = 2 x + 17."""
    product = [0] * 7
    for i, x in enumerate(u):
        for j, y in enumerate(v):
            product[i + j] += x * y
    for degree in (6, 5, 4):
        top = product[degree] % PRIME
        product[degree - 3] += top * STEP_NEAR
        product[degree - 4] += top * STEP_FAR
    return [x % PRIME for x in product[:ORDER]]


@cache
def _state_at(position: int) -> tuple[int, ...]:
    """Return four symbols of the sequence from a position; it begins 0, 0, 0, 1."""
    power, base, e = [1, 0, 0, 0], [0, 1, 0, 0], position
    while e:
        power = _multiply(power, base) if e & 1 else power
        base, e = _multiply(base, base), e >> 1
    out = []
    for _ in range(ORDER):
        out.append(power[3])  # the first four symbols are 0, 0, 0, 1: the coefficient of x^3
        power = _multiply(power, [0, 1, 0, 0])
    return tuple(out)


def secret_symbols(voices: list[int]) -> Bytes:
    """Return the stretches of some voices, one a row, values in [0, 127)."""
    assert all(0 <= voice < MOST_VOICES for voice in voices)
    states = np.array([_state_at(voice * STRETCH) for voice in voices], np.float32).reshape(-1, ORDER)
    out = (states @ _coefficients()).astype(np.uint32) % PRIME  # sums below 4 * 127**2: exact as float32
    return out.astype(np.uint8)


@cache
def _coefficients() -> NDArray[np.float32]:
    """Return how each symbol of a stretch, a column, depends on its first `ORDER` ones, a row each."""
    known = np.eye(ORDER, dtype=np.int64)
    while known.shape[1] < STRETCH:
        # The rows of the next ORDER symbols make the step by as many symbols as are known.
        after = known[:, -ORDER:]
        step = np.empty((ORDER, ORDER), np.int64)
        for k in range(ORDER):
            step[:, k] = (STEP_NEAR * after[:, 1] + STEP_FAR * after[:, 0]) % PRIME
            after = np.column_stack((after[:, 1:], step[:, k]))
        known = np.hstack((known, step @ known % PRIME))
    return known[:, :STRETCH].astype(np.float32)


def secret_codes(symbols: Bytes, law: int) -> bytes:
    """Return symbols as bytes of a law."""
    return ALPHABET[law][symbols].tobytes()


_PLAIN = bytes(0x54 if code == 0xD5 else 0x7E if code == 0xFF else code for code in range(256))


def plain_stream(rng: random.Random, ticks: int) -> bytes:
    """Return ordinary audio: random bytes, none of them the byte of silence of either law."""
    return rng.randbytes(ticks).translate(_PLAIN)


_DTMF_HZ = {
    key: (row, column)
    for row, keys in zip((697, 770, 852, 941), ("123A", "456B", "789C", "*0#D"), strict=True)
    for column, key in zip((1209, 1336, 1477, 1633), keys, strict=True)
}


def tone_codes(key: str, first_tick: int, ticks: int, law: int) -> bytes:
    """Return part of a key's tone: -8 dBm0 in all, phase by the tick, so that parts join."""
    at = (first_tick + np.arange(ticks)) / 8000
    low, high = _DTMF_HZ[key]
    samples = 6000 * (np.sin(2 * np.pi * low * at) + np.sin(2 * np.pi * high * at))
    codes: Bytes = np.abs(samples[:, None] - LINEAR[law][None, :]).argmin(axis=1).astype(np.uint8)
    return codes.tobytes()
