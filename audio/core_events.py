"""Events of the media core, as `audio.types` has them. Pure."""

import math
import sys
from collections.abc import Callable
from ipaddress import ip_address

from audio.dtmf import KEYS
from audio.types import (
    TICKS_PER_S,
    AudioLost,
    Channel,
    ControlPressed,
    DigitPressed,
    DigitSource,
    FaxHeard,
    LegId,
    MediaEvent,
    MediaResumed,
    MediaStopped,
    MediaUnauthentic,
    PromptEnded,
    SecretEntered,
    SourceMoved,
    SourceRefused,
    StreamReanchored,
    TapId,
    VoiceHeard,
)


def _unpacked(keys: int) -> str:
    """Return the keys of an entry: four bits each, how many from bit 48 on."""
    return "".join(KEYS[keys >> 4 * i & 15] for i in range(keys >> 48))


def _address(is_v6: int, first: int, second: int) -> str:
    """Return the IP literal whose bytes lie in two numbers of this machine's."""
    data = b"".join(half.to_bytes(8, sys.byteorder, signed=True) for half in (first, second))
    return str(ip_address(data if is_v6 else data[:4]))


_SOURCES = (DigitSource.RFC4733, DigitSource.INBAND)
_MAKERS: dict[int, Callable[[int, int, int, int, int], MediaEvent]] = {
    1: lambda i, a, b, c, at: DigitPressed(leg=LegId(i), digit=chr(a) if a else None, source=_SOURCES[b], at_ns=at),
    2: lambda i, a, b, c, at: ControlPressed(leg=LegId(i), keys="*" + chr(a), source=_SOURCES[b], at_ns=at),
    3: lambda i, a, b, c, _: PromptEnded(leg=LegId(i), tag=a, packets_sent=b, packets_due=c >> 1, complete=bool(c & 1)),
    4: lambda i, a, b, c, _: MediaStopped(leg=LegId(i), silent_s=a / 1000),
    5: lambda i, a, b, c, _: MediaResumed(leg=LegId(i)),
    6: lambda i, a, b, c, _: StreamReanchored(tap=TapId(i), channel=Channel(a), position=b),
    7: lambda i, a, b, c, _: AudioLost(tap=TapId(i), channel=Channel(a), start=b, end=c),
    8: lambda i, a, b, c, _: FaxHeard(
        leg=LegId(i), kind="ced" if a else "cng", pause_s=b / TICKS_PER_S if b >= 0 else math.inf
    ),
    9: lambda i, a, b, c, at: SecretEntered(
        leg=LegId(i),
        prefix="*" + chr(a),
        digits=_unpacked(b),
        is_complete=bool(c & 1),
        source=_SOURCES[c >> 1],
        at_ns=at,
    ),
    10: lambda i, a, b, c, _: MediaUnauthentic(leg=LegId(i), packets=a),
    11: lambda i, a, b, c, _: SourceRefused(
        leg=LegId(i), ip=_address(a & 1, b, c), port=a >> 1 & 0xFFFF, packets=a >> 17
    ),
    13: lambda i, a, b, c, _: SourceMoved(leg=LegId(i), ip=_address(a & 1, b, c), port=a >> 1),
    12: lambda i, a, b, c, _: VoiceHeard(leg=LegId(i)),
}
"""How the core's events (enum event_kind in audio/core/core.h) read in the vocabulary."""


def event_of(raw: tuple[int, int, int, int, int, int]) -> MediaEvent:
    """Return an event as the core drains it: its kind, leg or tap, what it says (a, b, c), and when a key was over."""
    kind, *fields = raw
    return _MAKERS[kind](*fields)
