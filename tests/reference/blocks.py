"""Blocks of runs as a tap hands them out (docs/media-core.md). Pure."""

import struct
from collections.abc import Iterable

from audio.blocks import HEADER, KIND_ANCHOR, KIND_AUDIO, KIND_LOST, AudioRun, ClockAnchor, LostRange, Record


def _encoded(record: Record) -> bytes:
    try:
        match record:
            case AudioRun():
                head = HEADER.pack(KIND_AUDIO, record.channel, record.codec, 0, len(record.payload), record.start, 0)
                return head + bytes(record.payload)
            case ClockAnchor():
                return HEADER.pack(
                    KIND_ANCHOR, record.channel, record.codec, 0, record.timestamp, record.position, record.arrival_ns
                )
            case LostRange():
                return HEADER.pack(KIND_LOST, record.channel, 0, 0, record.ticks, record.start, 0)
    except struct.error as error:
        raise ValueError(f"a field of the record is out of range: {error}") from None


def encode_block(records: Iterable[Record]) -> bytes:
    """Return the block of these records, in the order given; ValueError for a field out of range."""
    return b"".join(_encoded(record) for record in records)
