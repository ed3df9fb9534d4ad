"""The *block of runs*: what a tap hands out, and the plaintext of a container's audio frame.

Pure. The byte table is in docs/media-core.md; all numbers little-endian. Positions are ticks since the tap opened.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from audio.types import Channel, Codec

HEADER = struct.Struct("<BBBBIQQ")
KIND_AUDIO = 1
KIND_ANCHOR = 2
KIND_LOST = 3


class MalformedBlockError(ValueError):
    """A block that does not follow its table; the message says at which byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioRun:
    """Bytes of one codec that follow one another from ``start``; ``payload`` is a view into the block."""

    channel: Channel
    codec: Codec
    start: int
    payload: memoryview | bytes

    @property
    def end(self) -> int:
        """Return the position after the last byte."""
        return self.start + len(self.payload)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockAnchor:
    """Ties three clocks: at ``arrival_ns`` since the tap opened, RTP ``timestamp`` was at ``position``."""

    channel: Channel
    codec: Codec
    timestamp: int
    position: int
    arrival_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LostRange:
    """Ticks [start, start + ticks) of a channel that arrived but found no room."""

    channel: Channel
    start: int
    ticks: int


Record = AudioRun | ClockAnchor | LostRange


def decode_block(block: bytes | bytearray | memoryview) -> Iterator[Record]:
    """Yield the records of a block, payloads as views without a copy.

    A caller that wipes the block afterwards must have let go of them.

    Raises:
        MalformedBlockError: While iterating, at the first record that is cut or holds an unknown number.
    """
    view = memoryview(block)
    at = 0
    while at < len(view):
        if len(view) - at < HEADER.size:
            raise MalformedBlockError(f"record header of {HEADER.size} bytes at byte {at}, {len(view) - at} are left")
        kind, channel, codec, _zero, length, start, aux = HEADER.unpack_from(view, at)
        body = at + HEADER.size
        if channel > 1 or (kind != KIND_LOST and codec not in _CODECS):
            raise MalformedBlockError(f"channel {channel}, codec {codec} at byte {at} are unknown")
        if kind == KIND_AUDIO:
            if len(view) - body < length:
                raise MalformedBlockError(f"run of {length} bytes at byte {at}, {len(view) - body} are left")
            payload = view[body : body + length]
            yield AudioRun(channel=Channel(channel), codec=Codec(codec), start=start, payload=payload)
            body += length
        elif kind == KIND_ANCHOR:
            yield ClockAnchor(
                channel=Channel(channel), codec=Codec(codec), timestamp=length, position=start, arrival_ns=aux
            )
        elif kind == KIND_LOST:
            yield LostRange(channel=Channel(channel), start=start, ticks=length)
        else:
            raise MalformedBlockError(f"record kind {kind} at byte {at} is unknown")
        at = body


_CODECS = frozenset(Codec)
