"""Blocks of runs: the content of audio frames. Layout: docs/media-core.md. Pure.

Positions count ticks of 1/8000 s from the opening of the tap; one tick is one byte.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

AUDIO, ANCHOR, LOST = 1, 2, 3
PCMU, PCMA, G722 = 0, 8, 9
TICKS_PER_S = 8000
_RUN = struct.Struct("<BBBBIQQ")
RUN_BYTES = _RUN.size
"""Size of a run without its payload."""


@dataclass(frozen=True, slots=True)
class Run:
    """One entry of a block.

    Attributes:
        kind: AUDIO, ANCHOR or LOST.
        channel: 0 left (caller), 1 right (officer).
        codec: PCMU, PCMA or G722; 0 when lost.
        length: Payload bytes, RTP timestamp, or ticks lost, by kind.
        start: Position of the first tick.
        aux: Arrival of an anchor, ns since the tap opened; else 0.
        payload: Bytes of the codec; empty unless AUDIO.
    """

    kind: int
    channel: int
    codec: int
    length: int
    start: int
    aux: int
    payload: memoryview


def parse(block: bytes | bytearray | memoryview) -> Iterator[Run]:
    """Yield the runs of a block in order.

    Raises:
        ValueError: The block is not a sequence of well-formed runs; the message says at which byte.
    """
    view = memoryview(block)
    offset = 0
    while offset < len(view):
        if len(view) - offset < _RUN.size:
            raise ValueError(f"the run at byte {offset} is cut")
        kind, channel, codec, zero, length, start, aux = _RUN.unpack_from(view, offset)
        if kind not in (AUDIO, ANCHOR, LOST) or channel > 1 or codec not in (PCMU, PCMA, G722) or zero:
            raise ValueError(f"the run at byte {offset} has an unknown kind, channel or codec")
        begin = offset + _RUN.size
        offset = begin + (length if kind == AUDIO else 0)
        if offset > len(view):
            raise ValueError(f"the run at byte {begin - _RUN.size} is longer than its block")
        yield Run(kind, channel, codec, length, start, aux, view[begin:offset])


def pack(
    kind: int, channel: int, codec: int, start: int, *, payload: bytes = b"", length: int = 0, aux: int = 0
) -> bytes:
    """Return the bytes of one run; ``length`` is ignored for AUDIO, which has a payload."""
    return _RUN.pack(kind, channel, codec, 0, len(payload) if kind == AUDIO else length, start, aux) + payload


def end_of_audio(block: bytes | bytearray | memoryview) -> int:
    """Return the position after the last tick of audio or loss in a block, 0 if it has none.

    Raises:
        ValueError: As `parse`.
    """
    return max((run.start + run.length for run in parse(block) if run.kind != ANCHOR), default=0)
