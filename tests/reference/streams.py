"""Which of several streams (SSRCs) on one port is a leg's voice: the reference of audio/core/streams.c.

Pure. A source is its SSRC (RFC 3550 section 3): a stream that is silent must not take the place of one that speaks.
Rules: docs/media-core.md, Several streams.
"""

import enum
from collections import deque

from audio.codecs import ALAW_TO_LINEAR, MULAW_TO_LINEAR
from audio.types import Codec

LIVE_NS = 100_000_000
"""A stream that sent within this time still sends."""
SILENT_NS = 200_000_000
"""Silence of the chosen stream before another that speaks takes its place."""
VOICED_LEVEL = 260
"""Mean of linear 16 bit: -42 dBFS."""
MAX_STREAMS = 4


class Choice(enum.Enum):
    """What becomes of a packet of audio."""

    TAKEN = enum.auto()
    """It is of the chosen stream."""
    RETURNED = enum.auto()
    """Its stream is chosen, in the place of another."""
    BESIDE = enum.auto()
    """It speaks as the chosen stream does: forwarded, not recorded."""
    SILENT = enum.auto()
    """It is silent while the chosen stream goes on: dropped."""


def is_voiced(payload: bytes, codec: Codec) -> bool:
    """Tell whether a packet is louder than silence; silence of G.722 is one code over and over."""
    if codec is Codec.G722:
        return sum(code != payload[0] for code in payload[1:]) > len(payload) // 4
    linear = ALAW_TO_LINEAR if codec is Codec.PCMA else MULAW_TO_LINEAR
    return sum(abs(int(linear[code])) for code in payload) > VOICED_LEVEL * len(payload)


class Streams:
    """The streams that come at one leg."""

    def __init__(self) -> None:
        self._ssrc = 0
        self._newest_ns: int | None = None
        self._voiced_ns = 0
        self._is_shared = False
        self._others: deque[tuple[int, int]] = deque(maxlen=MAX_STREAMS)
        """SSRC and first packet of those that are not chosen."""

    def judge(self, ssrc: int, payload: bytes, codec: Codec, now_ns: int) -> Choice:
        """Decide on a packet that holds audio."""
        if self._newest_ns is not None and ssrc == self._ssrc:
            self._newest_ns = now_ns
            if self._is_shared and is_voiced(payload, codec):
                self._voiced_ns = now_ns
            return Choice.TAKEN
        if self._newest_ns is not None and now_ns - self._newest_ns < LIVE_NS:
            goes_on = self._newest_ns > self._first_seen(ssrc, now_ns)
            if not self._is_shared:
                self._voiced_ns = now_ns
            self._is_shared = True
            if not is_voiced(payload, codec):
                return Choice.SILENT
            if goes_on and now_ns - self._voiced_ns < SILENT_NS:
                return Choice.BESIDE
        choice = Choice.TAKEN if self._newest_ns is None else Choice.RETURNED
        if self._newest_ns is not None:
            self._first_seen(self._ssrc, self._newest_ns)
        self._ssrc, self._newest_ns, self._voiced_ns = ssrc, now_ns, now_ns
        return choice

    def _first_seen(self, ssrc: int, now_ns: int) -> int:
        for other, seen_ns in self._others:
            if other == ssrc:
                return seen_ns
        self._others.append((ssrc, now_ns))
        return now_ns
