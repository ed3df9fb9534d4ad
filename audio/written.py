"""One recording on its way from the tap to its sink: what was kept of it, what was lost, how its sink fares. No I/O."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from audio.analysis import ChannelTotals, RecordingAnalysis
from audio.blocks import AudioRun, LostRange, decode_block
from audio.types import Channel, TapId

_MAX_LOST = 256
"""Ranges that are kept apart."""

MOST_SILENCED = 1000
"""Silenced spans that are kept apart; more are merged with their neighbours: a row has to fit its file."""


class SinkError(OSError):
    """A sink cannot write now.

    Attributes:
        is_taken: What the call was about is kept and written first by the next one. False: it was not taken.
    """

    def __init__(self, number: int, text: str, *, is_taken: bool) -> None:
        super().__init__(number, text)
        self.is_taken = is_taken


class BlockSink(Protocol):
    """Where the blocks of one recording go; in the daemon a sealed container."""

    def append(self, block: memoryview, end: int) -> None:
        """Take one block, in which the last audio or loss ends at the position ``end``; it is wiped after the call.

        OSError if it cannot be kept; SinkError may say that it waits.
        """

    def sync(self) -> None:
        """Make what was appended outlive a power cut.

        OSError if that failed; SinkError that is not taken if something that waits could not be written first.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRecording:
    """What a recording came to.

    Attributes:
        left: Peaks, speech and recorded seconds of the caller's side.
        right: The same of the officer's side.
        lost: Ranges that found no room in a ring or that the sink refused, in ticks, in order of their report.
        lost_beyond: Further ranges that were not kept apart.
        silenced: Spans [start, end) in ticks that were silenced for digits, ascending, disjoint.
        is_failed: Its sink failed and did not come back: nothing of the end was kept.
    """

    left: ChannelTotals
    right: ChannelTotals
    lost: tuple[LostRange, ...]
    lost_beyond: int
    is_failed: bool
    silenced: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class WrittenRecording:
    """One recording as the writer has it; touched by its thread only, but for ``on_done``, which is set under its lock.

    Attributes:
        key: Its name.
        tap: Where its audio comes from.
        sink: Where it goes.
        slot: When its turn is.
        analysis: What was kept, summed up.
        lost: Ranges that are lost.
        lost_beyond: How many more there were.
        silenced: Spans that are silenced.
        is_broken: It is left alone for good.
        is_stalled: Its sink refused the last block; it is tried again.
        is_dirty: Blocks were appended since the last sync.
        synced_s: When it was synced, monotonic.
        on_done: Who waits for its end.
    """

    key: str
    tap: TapId
    sink: BlockSink
    slot: int
    analysis: RecordingAnalysis = field(default_factory=RecordingAnalysis)
    lost: list[LostRange] = field(default_factory=list)
    lost_beyond: int = 0
    silenced: list[tuple[int, int]] = field(default_factory=list)
    is_broken: bool = False
    is_stalled: bool = False
    is_dirty: bool = False
    synced_s: float = field(default_factory=time.monotonic)
    on_done: "OnDone | None" = None
    _refused: tuple[int, int] | None = None

    def refuse(self, block: memoryview) -> None:
        """Count what is said in a block as refused."""
        runs = [record for record in decode_block(block) if isinstance(record, AudioRun)]
        if not runs:
            return
        start, end = min(run.start for run in runs), max(run.start + len(run.payload) for run in runs)
        since = self._refused[0] if self._refused else start
        self._refused = (min(since, start), end)

    def lose_refused(self) -> None:
        """Put what was refused with what was lost."""
        if self._refused is not None:
            start, end = self._refused
            for channel in Channel:
                self.lose(LostRange(channel=channel, start=start, ticks=end - start))
        self._refused = None

    def lose_in(self, block: memoryview) -> None:
        """Put what a block says was lost with the rest."""
        for record in decode_block(block):
            if isinstance(record, LostRange):
                self.lose(record)

    def lose(self, lost: LostRange) -> None:
        """Keep a lost range apart, or only count it if there are too many."""
        if len(self.lost) < _MAX_LOST:
            self.lost.append(lost)
        else:
            self.lost_beyond += 1

    def note_packets(self, packets: Iterable[tuple[int, int]]) -> None:
        """Take the numbers of packets received and lost, left then right."""
        for channel, (received, lost) in zip(self.analysis.channels, packets, strict=True):
            channel.set_packets(received, lost)

    def silence(self, spans: Iterable[tuple[int, int]]) -> None:
        """Note spans that are silenced, in ticks; what touches the last one, or is one too many, joins it."""
        for start, end in spans:
            last = self.silenced[-1] if self.silenced else None
            if last is not None and (start <= last[1] or len(self.silenced) >= MOST_SILENCED):
                self.silenced[-1] = (min(start, last[0]), max(end, last[1]))
            else:
                self.silenced.append((start, end))

    def finished(self) -> FinishedRecording:
        """Return what it came to."""
        self.lose_refused()
        left, right = self.analysis.totals()
        return FinishedRecording(
            left=left,
            right=right,
            lost=tuple(self.lost),
            lost_beyond=self.lost_beyond,
            is_failed=self.is_broken or self.is_stalled,
            silenced=tuple(self.silenced),
        )


OnDone = Callable[[FinishedRecording], None]
