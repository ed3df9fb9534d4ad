"""The detector that ships, fed offline: the C code inside ``audio._relay``, called directly."""

import ctypes
import time
from dataclasses import dataclass, field

import numpy as np

import audio._relay
from benchmarks.tone_channel import RATE, Samples
from benchmarks.tone_reference import BLOCK, ToneEvent, ToneKind
from recorder.rules.card_digits import CardRule

_STATE_BYTES = 4096
_NS_PER_SAMPLE = 1_000_000_000 // RATE


class _RawEvent(ctypes.Structure):
    """``struct tones_event`` of audio/core/tones.h."""

    _fields_ = (
        ("kind", ctypes.c_int),
        ("digit", ctypes.c_char),
        ("start", ctypes.c_int64),
        ("end", ctypes.c_int64),
        ("pause", ctypes.c_int64),
    )


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(audio._relay.__file__)
    library.tones_init.argtypes = [ctypes.c_void_p]
    library.tones_init.restype = None
    library.tones_feed.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int]
    library.tones_skip.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int]
    library.g722_init.argtypes = [ctypes.c_void_p]
    library.g722_init.restype = None
    library.g722_decode_low.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
    library.g722_decode_low.restype = None
    return library


_LIBRARY = _library()


class CoreDetector:
    """The core's detector with the interface of `benchmarks.tone_reference.ToneDetector`."""

    def __init__(self) -> None:
        self._state = ctypes.create_string_buffer(_STATE_BYTES)
        _LIBRARY.tones_init(self._state)

    def feed(self, samples: Samples) -> list[ToneEvent]:
        """Take samples (int16, 8000 Hz, any length) and return what was recognised, in order."""
        samples = np.ascontiguousarray(samples, np.int16)
        out = (_RawEvent * (4 + len(samples) // BLOCK))()
        return _events(out, _LIBRARY.tones_feed(self._state, samples.ctypes.data, len(samples), out, len(out)))

    def skip(self, count: int) -> list[ToneEvent]:
        """Pass over samples that never arrived."""
        out = (_RawEvent * 8)()
        return _events(out, _LIBRARY.tones_skip(self._state, count, out, len(out)))


def low_band(data: bytes) -> Samples:
    """Return G.722 (64 kbit/s) as the core hears it: the lower half of its band, 8000 Hz."""
    state = ctypes.create_string_buffer(_STATE_BYTES)
    _LIBRARY.g722_init(state)
    out = np.empty(len(data), np.int16)
    _LIBRARY.g722_decode_low(state, data, len(data), out.ctypes.data)
    return out


def _events(out: "ctypes.Array[_RawEvent]", count: int) -> list[ToneEvent]:
    return [
        ToneEvent(ToneKind(raw.kind), raw.digit.decode().strip("\0"), raw.start, raw.end, raw.pause)
        for raw in out[:count]
    ]


@dataclass(frozen=True, slots=True)
class FalseDigit:
    """A digit that nobody pressed: in which clip, at which second of it."""

    clip: str
    digit: str
    at_s: float


@dataclass(slots=True)
class Listener:
    """Hears one party through many calls and keeps what was taken for a key, with the default card rule behind it.

    The clips of a listener follow one another with half a second between them, far closer than calls do: digits of
    neighbouring clips may add up to a card pause, which is the strict way to count.

    Attributes:
        heard_s: Seconds of clips so far.
        digits: Every digit found.
        card_pauses: How often the card rule would have paused the recording, counted afresh after each.
        masked_card_pauses: The same on a masked leg, where the rule is not told the keys and so cannot see that they
            are all the same.
        fax_tones: CNG and CED found.
        cpu_s: CPU time that the detector took.
    """

    detector: CoreDetector = field(default_factory=CoreDetector)
    rule: CardRule = field(default_factory=CardRule)
    masked_rule: CardRule = field(default_factory=CardRule)
    heard_s: float = 0.0
    digits: list[FalseDigit] = field(default_factory=list)
    card_pauses: list[str] = field(default_factory=list)
    masked_card_pauses: list[str] = field(default_factory=list)
    fax_tones: int = 0
    cpu_s: float = 0.0
    _position: int = 0

    def hear(self, clip: str, samples: Samples) -> str:
        """Take one clip and return the digits found in it."""
        began = time.process_time()
        found = self.detector.feed(samples) + self.detector.skip(RATE // 2)
        self.cpu_s += time.process_time() - began
        for event in found:
            if event.kind is ToneKind.DIGIT_START:
                self.digits.append(FalseDigit(clip, event.digit, round((event.start - self._position) / RATE, 2)))
                self._count(clip, event)
            self.fax_tones += event.kind in {ToneKind.CNG, ToneKind.CED}
        self._position += len(samples) + RATE // 2
        self.heard_s += len(samples) / RATE
        return "".join(event.digit for event in found if event.kind is ToneKind.DIGIT_START)

    def _count(self, clip: str, event: ToneEvent) -> None:
        at_ns = event.start * _NS_PER_SAMPLE
        if self.rule.count(at_ns, heard=event.digit):
            self.card_pauses.append(clip)
            self.rule.forget()
        if self.masked_rule.count(at_ns):
            self.masked_card_pauses.append(clip)
            self.masked_rule.forget()
