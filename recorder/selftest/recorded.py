"""Reads the recording of a self-test with the run's own key: no private key of the site is needed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio.blocks import AudioRun, ClockAnchor, decode_block
from audio.types import Channel
from recorder.demo.phones.messages import RATE
from recorder.selftest.signals import Signal, linear
from storage.keys import OneTimeSeal
from storage.reader import RecordingReader
from storage.types import RecordingId

_DECAY = 2000
"""The gate's envelope falls by one tick in so many (docs/media-core.md, Time line of a channel)."""
_NS_PER_TICK = 1_000_000_000 // RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Leads:
    """How far a sender is ahead of the call's clock: between which bounds the gate's envelope was, ticks."""

    smallest: int
    largest: int

    @property
    def apart_s(self) -> float:
        """Return how far the bounds are apart, seconds: how exactly a moment is a position."""
        return (self.largest - self.smallest) / RATE


class SenderClock:
    """Says where the gate looked for a moment on one channel, by the channel's anchors.

    Positions count from the arrival of a stream's first packet. If that was read late, all that follow lie as much
    after the moments on the call's clock at which they arrived. The gate reckons with the largest lead so far, of which
    the anchors have one for about each second.
    """

    def __init__(self, anchors: Sequence[ClockAnchor]) -> None:
        self._anchors = sorted(
            (anchor.arrival_ns / _NS_PER_TICK, anchor.position, (anchor.timestamp - anchor.position) % (1 << 32))
            for anchor in anchors
        )

    def leads(self, moment_s: float) -> Leads:
        """Return the bounds of the envelope at a moment, seconds on the call's clock; 0 without anchors.

        An anchor is the largest lead of about a second, so the first one after the moment may have that of a packet
        from before it, or of a later one. If another stream begins there, its clock counts too.
        """
        moment = moment_s * RATE
        before = [one for one in self._anchors if one[0] <= moment]
        after = self._anchors[len(before) : len(before) + 1]
        stream = before[-1][2] if before else None
        of_stream = [(at, position - at) for at, position, clock in before if clock == stream]
        smallest = [max(lead - (moment - at) / _DECAY for at, lead in of_stream)] if of_stream else [0.0]
        largest = [lead for _, lead in of_stream] + [position - at for at, position, _ in after]
        smallest += [position - at for at, position, clock in after if clock != stream]
        return Leads(smallest=math.floor(min(smallest)), largest=math.ceil(max(largest, default=0.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The content of a recording.

    Attributes:
        left: The caller's channel; 0 where nothing was recorded.
        right: The officer's.
        clocks: The sender's clock of each.
        plain: Everything that is sealed in it and is not audio.
    """

    left: Signal
    right: Signal
    clocks: tuple[SenderClock, SenderClock]
    plain: bytes


def open_recorded(path: Path, recording: RecordingId, sealed: bytes, public: bytes, private: bytes) -> Recorded:
    """Open a recording of a self-test.

    Raises:
        StorageError: It is damaged, or sealed to another key.
        OSError: It cannot be read.
    """
    reader = RecordingReader(path, OneTimeSeal.open(sealed, public, private, recording))
    records = [record for block in reader.blocks() for record in decode_block(block)]
    runs = [record for record in records if isinstance(record, AudioRun)]
    anchors = [record for record in records if isinstance(record, ClockAnchor)]
    length = max((run.end for run in runs), default=0)
    channels = {channel: np.zeros(length) for channel in Channel}
    for run in runs:
        channels[run.channel][run.start : run.end] = linear(run.codec, bytes(run.payload))
    plain = repr((reader.head, list(reader.marks()), reader.end())).encode()
    left, right = (SenderClock([one for one in anchors if one.channel is channel]) for channel in Channel)
    return Recorded(
        left=channels[Channel.LEFT], right=channels[Channel.RIGHT], clocks=(left, right), plain=plain
    )  # fmt: skip
