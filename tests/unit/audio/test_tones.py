"""The C detector and its numpy reference decide the same; digits are found, speech-like sound is not."""

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from audio.codecs import decode
from audio.prompts import hold_tone, paused_tone, refused_tone, resumed_tone, ringback, still_paused_tone
from audio.types import Codec
from benchmarks.tone_reference import BLOCK, FREQUENCIES_HZ, KEYPAD, ToneDetector, ToneEvent, ToneKind

CORE = Path(__file__).parents[3] / "audio" / "core"
Signal = NDArray[np.int16]


class RawEvent(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_int),
        ("digit", ctypes.c_char),
        ("start", ctypes.c_int64),
        ("end", ctypes.c_int64),
        ("pause", ctypes.c_int64),
    )


class CDetector:
    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._state = ctypes.create_string_buffer(4096)
        library.tones_init(self._state)

    def feed(self, samples: Signal) -> list[ToneEvent]:
        samples = np.ascontiguousarray(samples)
        out = (RawEvent * (4 + len(samples) // BLOCK))()
        pointer = samples.ctypes.data_as(ctypes.c_void_p)
        return self._events(
            out, self._library.tones_feed(self._state, pointer, ctypes.c_size_t(len(samples)), out, len(out))
        )

    def skip(self, count: int) -> list[ToneEvent]:
        out = (RawEvent * 8)()
        return self._events(out, self._library.tones_skip(self._state, ctypes.c_int64(count), out, len(out)))

    @staticmethod
    def _events(out: "ctypes.Array[RawEvent]", count: int) -> list[ToneEvent]:
        return [
            ToneEvent(ToneKind(raw.kind), raw.digit.decode().strip("\0"), raw.start, raw.end, raw.pause)
            for raw in out[:count]
        ]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    built = tmp_path_factory.mktemp("tones") / "tones.so"
    subprocess.run(
        ["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", built, CORE / "tones.c"],
        check=True,
    )
    return ctypes.CDLL(str(built))


def sines(milliseconds: float, *tones: tuple[float, float]) -> NDArray[np.float64]:
    times = np.arange(round(milliseconds * 8)) / 8000
    return sum((level * np.sin(2 * np.pi * frequency * times) for frequency, level in tones), np.zeros(len(times)))


def key_tones(
    key: str, level: float = 3000, *, twist_db: float = 0.0, detune: float = 0.0
) -> list[tuple[float, float]]:
    row = next(i for i, keys in enumerate(KEYPAD) if key in keys)
    column = KEYPAD[row].index(key)
    tilt = 10 ** (twist_db / 40)
    return [
        (FREQUENCIES_HZ[row] * (1 + detune), level / tilt),
        (FREQUENCIES_HZ[4 + column] * (1 + detune), level * tilt),
    ]


def pcm(*parts: NDArray[np.float64]) -> Signal:
    return np.clip(np.rint(np.concatenate(parts)), -32768, 32767).astype(np.int16)


def digits(events: list[ToneEvent]) -> str:
    return "".join(event.digit for event in events if event.kind is ToneKind.DIGIT_START)


ALL_KEYS = "".join(KEYPAD)


@pytest.mark.parametrize("level", [150, 3000, 16000])
@pytest.mark.parametrize("twist_db", [-4.0, 0.0, 4.0])
@pytest.mark.parametrize("detune", [-0.015, 0.0, 0.015])
def test_every_key_of_forty_milliseconds_is_found(
    library: ctypes.CDLL, level: float, twist_db: float, detune: float
) -> None:
    detector = CDetector(library)
    gap = np.zeros(350)
    tones = [key_tones(key, level, twist_db=twist_db, detune=detune) for key in ALL_KEYS]
    signal = pcm(np.zeros(77), *[part for tone in tones for part in (sines(50, *tone), gap)])
    assert digits(detector.feed(signal)) == ALL_KEYS


def test_the_trace_covers_the_tone(library: ctypes.CDLL) -> None:
    for lead in range(800, 800 + BLOCK, 7):
        started, ended = CDetector(library).feed(pcm(np.zeros(lead), sines(60, *key_tones("5")), np.zeros(800)))
        assert (started.kind, ended.kind) == (ToneKind.DIGIT_START, ToneKind.DIGIT_END)
        assert lead - 2 * BLOCK <= started.start == ended.start <= lead
        assert lead + 480 - BLOCK <= ended.end <= lead + 480 + 2 * BLOCK


def speech_like(milliseconds: int, level: float) -> NDArray[np.float64]:
    """Return sound whose level moves from syllable to syllable, as that of speech does."""
    rng = np.random.default_rng(7)
    gains = np.repeat(10 ** (rng.uniform(-20, 0, milliseconds // 20 + 1) / 20), 160)[: milliseconds * 8]
    return gains * rng.standard_normal(len(gains)) * level


def mixed_signal() -> Signal:
    rng = np.random.default_rng(5)
    parts = []
    for i in range(240):
        tone = sines(
            rng.uniform(20, 90),
            *key_tones(
                ALL_KEYS[i % 16], rng.uniform(50, 9000), twist_db=rng.normal(0, 5), detune=rng.uniform(-0.025, 0.025)
            ),
        )
        parts += [tone, np.zeros(rng.integers(0, 600))]
    parts += [sines(500, (1100, 2000)), np.zeros(8000), sines(2200, (2100, 2000)), sines(900, (1100, 2000))]
    parts += [speech_like(1500, 1500)]
    signal = np.concatenate(parts)
    return pcm(signal + rng.standard_normal(len(signal)) * rng.uniform(0, 400, len(signal)))


def test_c_and_numpy_decide_the_same_whatever_the_pieces(library: ctypes.CDLL) -> None:
    signal = mixed_signal()
    expected = ToneDetector().feed(signal)
    assert len(digits(expected)) > 80
    assert {event.kind for event in expected} == set(ToneKind)
    assert CDetector(library).feed(signal) == expected
    detector, rng, events, at = CDetector(library), np.random.default_rng(6), [], 0
    while at < len(signal):
        step = int(rng.integers(0, 400))
        events += detector.feed(signal[at : at + step])
        at += step
    assert events == expected


def test_skipping_is_feeding_silence(library: ctypes.CDLL) -> None:
    for count in (1, 50, 101, 102, 103, 500, 80_001):
        skipping, fed = CDetector(library), ToneDetector()
        tone = pcm(sines(55, *key_tones("7")))
        expected = [*fed.feed(tone), *fed.feed(np.zeros(count, np.int16)), *fed.feed(tone), *fed.feed(tone)]
        assert [*skipping.feed(tone), *skipping.skip(count), *skipping.feed(tone), *skipping.feed(tone)] == expected


def test_a_drop_out_of_ten_milliseconds_is_one_key(library: ctypes.CDLL) -> None:
    signal = pcm(sines(60, *key_tones("3")), np.zeros(80), sines(60, *key_tones("3")), np.zeros(800))
    assert digits(CDetector(library).feed(signal)) == "3"


@pytest.mark.parametrize(
    "tones",
    [
        [(697, 3000)],
        [(697, 3000), (1209, 300)],
        [(697, 3000), (770, 3000), (1209, 3000)],
        [(697, 3000), (1209, 3000), (1000, 6000)],
        [(697, 40), (1209, 40)],
        [(733, 3000), (1270, 3000)],
        [(697 * 1.026, 3000), (1209, 3000)],
        [(697, 3000), (1209 * 0.975, 3000)],
        [(697 * 1.012, 3000), (1209 * 0.988, 3000)],
        [(697, 3000), (1209, 3000), (2600, 3300)],
        [(350, 3000), (440, 3000)],
    ],
    ids=[
        "row alone", "twist 20 dB", "two rows", "third tone louder", "too quiet", "off frequency", "row off by 2.6 %",
        "column off by 2.5 %", "row and column off in opposite ways", "38 % of the energy elsewhere", "dial tone",
    ],
)  # fmt: skip
def test_what_is_no_digit(library: ctypes.CDLL, tones: list[tuple[float, float]]) -> None:
    assert digits(CDetector(library).feed(pcm(sines(500, *tones)))) == ""


def test_two_tones_that_swell_and_fade_are_no_digit(library: ctypes.CDLL) -> None:
    steady = sines(1000, *key_tones("5"))
    swell = np.where(np.arange(len(steady)) // BLOCK % 2, 1.0, 0.45)
    assert digits(CDetector(library).feed(pcm(steady))) == "5"
    assert digits(CDetector(library).feed(pcm(steady * swell))) == ""


def found_in_noise(library: ctypes.CDLL, milliseconds: float, *, noise_db: float, twist_db: float = 0.0) -> int:
    rng = np.random.default_rng(9)
    found = 0
    for key in ALL_KEYS * 4:
        tone = sines(milliseconds, *key_tones(key, twist_db=twist_db))
        signal = np.concatenate([np.zeros(rng.integers(200, 400)), tone, np.zeros(1000)])
        signal += rng.standard_normal(len(signal)) * np.sqrt((tone * tone).mean()) / 10 ** (noise_db / 20)
        found += digits(CDetector(library).feed(pcm(signal))) == key
    return found


@pytest.mark.parametrize(
    ("twist_db", "noise_db"), [(0.0, 5.0), (8.0, 11.0), (-8.0, 11.0)], ids=["noise", "twist", "reverse twist"]
)
def test_what_is_less_clean_has_to_last_longer(library: ctypes.CDLL, twist_db: float, noise_db: float) -> None:
    assert found_in_noise(library, 40, noise_db=30) == 64
    assert found_in_noise(library, 40, noise_db=noise_db, twist_db=twist_db) < 40
    assert found_in_noise(library, 100, noise_db=noise_db, twist_db=twist_db) > 56


def test_fax_tones(library: ctypes.CDLL) -> None:
    def kinds(signal: Signal) -> list[ToneKind]:
        return [event.kind for event in CDetector(library).feed(signal)]

    assert kinds(pcm(sines(500, (1100, 2000)), np.zeros(24000), sines(500, (1100, 2000)), np.zeros(999))) == [
        ToneKind.CNG,
        ToneKind.CNG,
    ]
    assert kinds(pcm(sines(3000, (2100, 2000)), np.zeros(999))) == [ToneKind.CED]
    half = sines(450, (2100, 2000))
    reversed_often = [half, -half] * 3
    assert kinds(pcm(*reversed_often, np.zeros(999))) == [ToneKind.CED], "phase reversals of a modem"
    assert kinds(pcm(sines(1500, (1100, 2000)), np.zeros(999))) == []
    assert kinds(pcm(sines(1900, (2100, 2000)), np.zeros(999))) == [], "no machine ends its answering tone so soon"


def modem(milliseconds: int) -> NDArray[np.float64]:
    """Return V.21 data, 300 bit/s at 1650 and 1850 Hz, in bursts as a fax sends them."""
    rng = np.random.default_rng(11)
    bits = np.repeat(rng.integers(0, 2, milliseconds * 3 // 10 + 1), 27)[: milliseconds * 8]
    burst = np.where(np.arange(len(bits)) % 9600 < 8000, 2000.0, 0.0)
    return burst * np.sin(2 * np.pi * np.cumsum(np.where(bits, 1650, 1850)) / 8000)


@pytest.mark.parametrize(
    ("signal", "is_voice"),
    [
        (speech_like(2000, 3000), True),
        (speech_like(2000, 600), True),
        (speech_like(5000, 1500) + sines(5000, (2100, 8000)), True),
        (sines(2000, (2100, 6000)), False),
        (sines(2000, (1120, 6000)), False),
        (modem(5000), False),
        (np.random.default_rng(3).standard_normal(40_000) * 2000, False),
        (np.zeros(16_000), False),
    ],
    ids=["speech", "quiet speech", "speech under a tone", "answering tone", "1120 Hz", "modem", "noise", "silence"],
)
def test_a_voice_is_told_from_what_holds_its_level(
    library: ctypes.CDLL, signal: NDArray[np.float64], is_voice: bool
) -> None:
    kinds = [event.kind for event in CDetector(library).feed(pcm(signal))]
    assert (kinds.count(ToneKind.VOICE) > 1) is is_voice
    assert is_voice or ToneKind.VOICE not in kinds


@pytest.mark.parametrize("make", [ringback, paused_tone, resumed_tone, refused_tone, still_paused_tone, hold_tone])
def test_our_own_tones_are_nothing_to_the_detector(library: ctypes.CDLL, make) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    prompt = make()
    samples = decode(Codec.PCMA, prompt.audio[Codec.PCMA])
    for shift in (0, 17, 51, 90):
        detector = CDetector(library)
        heard = detector.skip(shift) + detector.feed(samples) + detector.skip(800)
        assert [event for event in heard if event.kind is not ToneKind.VOICE] == [], "two notes may beat like a voice"
