"""Which digits the detector misses: every key under one condition at a time, and card numbers as people key them."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import soxr

from audio.codecs import encode
from audio.types import Codec
from benchmarks.tone_channel import RATE, Law, Samples, Signal, at_level, coded, rms_of, white
from benchmarks.tone_listener import CoreDetector, low_band
from benchmarks.tone_reference import FREQUENCIES_HZ, KEYPAD, ToneKind
from benchmarks.tone_speech import spoken
from benchmarks.tone_statistics import proportion
from recorder.rules.card_digits import CardRule

DURATIONS_MS = (40, 50, 70, 100)
KEYS = "".join(KEYPAD)
_PACKET = 160
_LEAD, _TAIL = 1000, 1400
_G722_RATE = 16_000
_TALKERS = ("en-gb", "en-gb+f2", "en-us+m3", "en-gb-scotland+f4", "en-gb-x-rp+m7", "cy+f1")
_TALK = (
    "I am reading this card out to you now, so would you write it down? The long number across the middle is the one "
    "you want, and then the date under it. No, not that one, the other one. Hold on, my glasses are in the kitchen. "
    "Right. Yes. Well, I said to her, you can pay over the telephone, they have a machine for it, you press the keys."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How digits are sent; levels and noise as they reach the recorder.

    Attributes:
        name: In the tables.
        level_dbm0: Of each tone: a range from which one is drawn for each digit.
        twist_db: The column above the row.
        offset_percent: Of both frequencies.
        disturbance: What else is on the line: "white", "babble", "talker" or "" for nothing.
        snr_db: Power of the two tones over that of the disturbance.
        drops_packet: A packet of 20 ms inside the tone is lost.
        codec: What the line is coded with.
    """

    name: str
    level_dbm0: tuple[float, float] = (-28.0, -8.0)
    twist_db: float = 0.0
    offset_percent: float = 0.0
    disturbance: str = ""
    snr_db: float = 0.0
    drops_packet: bool = False
    codec: Codec = Codec.PCMA


CONDITIONS = (
    Condition(name="clean, A-law"),
    Condition(name="clean, mu-law", codec=Codec.PCMU),
    Condition(name="clean, G.722 (lower band)", codec=Codec.G722),
    *(Condition(name=f"level {level:g} dBm0 a tone", level_dbm0=(level, level)) for level in (-3, -30, -35, -40, -45)),
    *(Condition(name=f"twist {twist:+g} dB", twist_db=twist) for twist in (4, -4, 8, -8)),
    *(Condition(name=f"frequencies {offset:+g} %", offset_percent=offset) for offset in (1.5, -1.5)),
    *(
        Condition(name=f"{what} {snr} dB below", disturbance=kind, snr_db=snr)
        for what, kind in (("white noise", "white"), ("babble", "babble"), ("one talker", "talker"))
        for snr in (20, 15, 10, 5, 0)
    ),
    Condition(name="20 ms lost inside the tone", drops_packet=True),
    Condition(
        name="twist -4 dB, -1.5 %, noise 20 dB", twist_db=-4, offset_percent=-1.5, disturbance="white", snr_db=20
    ),
)


def key_signal(
    key: str, samples: int, rng: np.random.Generator, *, rms: float, twist_db: float = 0.0, offset_percent: float = 0.0
) -> Signal:
    """Return the two tones of a key, phases at random; ``rms`` is that of each tone without twist."""
    row = next(index for index, keys in enumerate(KEYPAD) if key in keys)
    times = np.arange(samples) / RATE * (1 + offset_percent / 100)
    tilt = 10 ** (twist_db / 40)
    phases = rng.uniform(0, 2 * np.pi, 2)
    low = np.sin(2 * np.pi * FREQUENCIES_HZ[row] * times + phases[0])
    high = np.sin(2 * np.pi * FREQUENCIES_HZ[4 + KEYPAD[row].index(key)] * times + phases[1])
    return np.asarray(rms * np.sqrt(2) * (low / tilt + high * tilt), np.float64)


class Disturbances:
    """Noise, babble and a talker, made once."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        voices = [at_level(spoken(_TALK, voice=voice, pitch=30 + 9 * i), -20) for i, voice in enumerate(_TALKERS)]
        shortest = min(map(len, voices))
        self._talkers = np.concatenate(voices)
        self._babble = np.sum([voice[:shortest] for voice in voices], axis=0)

    def of(self, kind: str, length: int, rms: float) -> Signal:
        """Return a stretch of a kind, its active parts at ``rms``."""
        if kind == "white":
            return white(length, rms, self._rng)
        source = self._babble if kind == "babble" else self._talkers
        at = int(self._rng.integers(0, len(source) - length))
        stretch = source[at : at + length]
        return stretch * (rms / max(float(np.sqrt((stretch * stretch).mean())), 1.0))


@dataclass(slots=True)
class _Sent:
    """One digit on its stretch of line."""

    key: str
    signal: Signal
    start: int
    samples: int


def _send(
    condition: Condition, key: str, duration_ms: float, disturbances: Disturbances, rng: np.random.Generator
) -> _Sent:
    samples = round(duration_ms * RATE / 1000)
    start = _LEAD + int(rng.integers(0, _PACKET))
    rms = rms_of(rng.uniform(*condition.level_dbm0))
    tones = key_signal(key, samples, rng, rms=rms, twist_db=condition.twist_db, offset_percent=condition.offset_percent)
    length = -(-(start + samples + _TAIL) // _PACKET) * _PACKET
    signal = np.zeros(length)
    if condition.disturbance:
        power = float((tones * tones).mean()) / 10 ** (condition.snr_db / 10)
        signal += disturbances.of(condition.disturbance, length, float(np.sqrt(power)))
    signal[start : start + samples] += tones
    return _Sent(key, signal, start, samples)


def _received(signal: Signal, codec: Codec) -> Samples:
    if codec is not Codec.G722:
        return coded(signal, Law(codec))
    wide = np.clip(np.rint(soxr.resample(signal, RATE, _G722_RATE)), -32768, 32767).astype(np.int16)
    return low_band(encode(Codec.G722, wide))


def _found(sent: _Sent, condition: Condition, rng: np.random.Generator) -> str:
    samples = _received(sent.signal, condition.codec)
    if condition.drops_packet:
        first, last = -(-sent.start // _PACKET), (sent.start + sent.samples) // _PACKET
        lost = int(rng.integers(first, max(last, first + 1))) * _PACKET
        samples[lost : lost + _PACKET] = 0  # what the detector is told of a packet that never came
    events = CoreDetector().feed(samples)
    return "".join(event.digit for event in events if event.kind is ToneKind.DIGIT_START)


def misses(
    condition: Condition, duration_ms: float, count: int, disturbances: Disturbances, seed: int
) -> dict[str, Any]:
    """Send ``count`` digits, all keys in turn, and return how many were missed, doubled or taken for others."""
    rng = np.random.default_rng(seed)
    missed = doubled = others = 0
    for index in range(count):
        key = KEYS[index % len(KEYS)]
        found = _found(_send(condition, key, duration_ms, disturbances, rng), condition, rng)
        missed += key not in found
        doubled += found.count(key) > 1
        others += len(found.replace(key, ""))
    low, high = proportion(missed, count)
    return {
        "condition": condition.name,
        "duration_ms": duration_ms,
        "digits": count,
        "missed": missed,
        "missed_percent": round(100 * missed / count, 2),
        "percent_95": [round(100 * low, 2), round(100 * high, 2)],
        "doubled": doubled,
        "other_digits": others,
    }


def table(digits: int, disturbances: Disturbances, on_done: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """Yield `misses` for every condition and duration."""
    for number, condition in enumerate(CONDITIONS):
        on_done(condition.name)
        for duration_ms in DURATIONS_MS:
            yield misses(condition, duration_ms, digits, disturbances, seed=1000 * number + duration_ms)


def card_numbers(count: int, *, seed: int, alike: int = 1) -> dict[str, Any]:
    """Key card numbers of sixteen digits as callers do from their phones and return what became of them.

    The first ``alike`` digits are the same, the others at random. Each call: digits of 70 to 250 ms with 60 to 400 ms
    between them, each tone at -25 to -8 dBm0, twist -4 to +2 dB, frequencies within 0.5 %, white noise 20 to 45 dB
    below, one packet in a hundred lost, A-law or mu-law.
    """
    rng = np.random.default_rng(seed)
    missed = not_paused = 0
    paused_at: list[int] = []
    for _ in range(count):
        keys = "".join(rng.choice(list("0123456789"), 16))
        keys = keys[0] * alike + keys[alike:]
        found = _key_in(keys, rng)
        missed += sum(not hits for hits in found)
        rule = CardRule()
        pauses = [index for index, hits in enumerate(found) for at in hits if rule.count(at, heard=keys[index])]
        not_paused += not pauses
        paused_at += [pauses[0] + 1] if pauses else []
    low, high = proportion(missed, 16 * count)
    return {
        "numbers": count,
        "digits": 16 * count,
        "missed": missed,
        "missed_percent": round(100 * missed / (16 * count), 3),
        "percent_95": [round(100 * low, 3), round(100 * high, 3)],
        "not_paused": not_paused,
        "not_paused_upper_percent": round(100 * proportion(not_paused, count)[1], 2),
        "paused_at_digit": {"median": statistics.median(paused_at), "latest": max(paused_at)} if paused_at else None,
    }


def _key_in(keys: str, rng: np.random.Generator) -> list[list[int]]:
    """Return for each key of a call the times, ns, at which it was found."""
    call = replace(
        CONDITIONS[0], twist_db=rng.uniform(-4, 2), offset_percent=rng.uniform(-0.5, 0.5), snr_db=rng.uniform(20, 45)
    )
    rms = rms_of(rng.uniform(-25, -8))
    parts: list[Signal] = [np.zeros(_LEAD + int(rng.integers(0, _PACKET)))]
    spans: list[tuple[int, int]] = []
    for key in keys:
        samples, gap = round(rng.uniform(70, 250) * 8), round(rng.uniform(60, 400) * 8)
        start = sum(map(len, parts))
        spans.append((start, start + samples))
        tones = key_signal(key, samples, rng, rms=rms, twist_db=call.twist_db, offset_percent=call.offset_percent)
        parts += [tones, np.zeros(gap)]
    signal = np.concatenate([*parts, np.zeros(_TAIL)])
    signal += white(len(signal), rms * np.sqrt(2) / 10 ** (call.snr_db / 20), rng)
    samples_in = coded(signal, Law.A if rng.random() < 0.5 else Law.MU)
    for lost in np.nonzero(rng.random(len(samples_in) // _PACKET) < 0.01)[0]:
        samples_in[lost * _PACKET : (lost + 1) * _PACKET] = 0
    events = [event for event in CoreDetector().feed(samples_in) if event.kind is ToneKind.DIGIT_START]
    return [
        [event.end * 125_000 for event in events if event.digit == key and start - 300 <= event.start <= end]
        for key, (start, end) in zip(keys, spans, strict=True)
    ]
