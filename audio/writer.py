"""The pausable writer: drains every tap about once a second, analyses, and hands the blocks to their sinks.

Threads: `start`, `add`, `finish` and `close` are called from the call thread (any one thread) and never block on a
disk; everything else - drain, analysis, `append`, `sync`, and the callbacks - runs on the one writer thread.
Callbacks must only hand over (for the daemon: `reactor.submit`).

A tap is drained in the slot of the second that its turn gives it, so that a thousand taps are spread over the whole
second. Plaintext lives in one buffer, wiped after each use.

A sink that refuses a block is reported once and tried again with every drain: what it refuses meanwhile is counted as
lost, and its tap is drained all the same, so that its ring neither fills nor is written. When it takes blocks again the
recording goes on. A sink whose sync failed is left alone for good - what the disk has of it nobody knows - and so is
one that fails with anything but an OSError, which is a bug: logged once. The others go on in any case.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from audio._relay import survey
from audio.block_analysis import BlockAnalyser
from audio.types import TapId
from audio.written import BlockSink, OnDone, SinkError, WrittenRecording

_log = logging.getLogger(__name__)

_IDLE_S = 1.0
"""How often the thread says that it lives (`PausableWriter.marked_s`) while nothing is recorded, seconds."""

_SLOTS = 20
"""Parts of a period; a tap belongs to one of them."""


class TapDrain(Protocol):
    """What the writer needs of the media core (`audio.taps`)."""

    def drain(self, tap: TapId, out: bytearray | memoryview, *, is_final: bool = False) -> tuple[int, bool]:
        """Fill ``out`` with a block; return its length and whether more waits. KeyError for a tap that is gone."""

    def silenced(self, tap: TapId) -> list[tuple[int, int]]:
        """Take the spans, in ticks, that were silenced since the last time. KeyError for a tap that is gone."""

    def packets(self, tap: TapId) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return, left then right, the packets received and lost while the gate was open. KeyError if it is gone."""

    def release(self, tap: TapId) -> None:
        """Wipe and free the tap. KeyError if it is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterOptions:
    """How often the writer works.

    Attributes:
        period_s: Seconds between two drains of a tap, in (0, 10].
        sync_every_s: Seconds between two syncs of a recording, to the nearest drain. Each has its own time: all of them
            at once would keep every other file of the disk waiting.
        buffer_bytes: Size of the plaintext buffer; larger backlogs are drained in several blocks.
        max_recordings: More are refused by `add`.
        judges_speech: False leaves speech to what the peaks alone tell, to measure what judging costs.
    """

    period_s: float = 1.0
    sync_every_s: float = 5.0
    buffer_bytes: int = 256 * 1024
    max_recordings: int = 4096
    judges_speech: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterCounters:
    """Totals since the start; ``late_periods`` counts slots of the clock that were missed.

    ``lag_s`` is how long the slot that is due now has waited for the thread, seconds.
    """

    recordings: int
    blocks: int
    bytes: int
    failures: int
    late_periods: int
    lag_s: float


class WriterFullError(Exception):
    """As many recordings as the writer may hold are open; nothing was added."""


OnFailure = Callable[[str, Exception], None]


class PausableWriter:
    """Owns the writer thread and every open recording's way to its sink.

    Attributes:
        marked_s: When the thread last ended an operation, successful or not, by `time.monotonic`: an append, a sync,
            the end of a recording, a look for work. It has been in one operation since.
        thread_id: The kernel's id of the thread; 0 before it runs.
    """

    def __init__(
        self,
        taps: TapDrain,
        *,
        on_failure: OnFailure,
        on_sync: Callable[[float], None] = lambda _seconds: None,
        options: WriterOptions | None = None,
    ) -> None:
        self._taps = taps
        self._on_failure, self._on_sync = on_failure, on_sync
        self._options = options or WriterOptions()
        self._view = memoryview(bytearray(self._options.buffer_bytes))
        self._analyser = BlockAnalyser(judges_speech=self._options.judges_speech)
        self._zeros = memoryview(bytes(self._options.buffer_bytes))
        self._wake = threading.Condition()
        self._open: dict[str, WrittenRecording] = {}
        self._turns: tuple[dict[str, WrittenRecording], ...] = tuple({} for _ in range(_SLOTS))
        """The open ones again, by their slot."""
        self._finishing: list[WrittenRecording] = []
        self._is_closing = False
        self._slot, self._due_s = 0, time.monotonic()
        self._blocks = self._bytes = self._failures = self._late = 0
        self.marked_s, self.thread_id = self._due_s, 0
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    @property
    def counters(self) -> WriterCounters:
        """Return the totals; exact once the thread has stopped."""
        return WriterCounters(
            recordings=len(self._open) + len(self._finishing),
            blocks=self._blocks,
            bytes=self._bytes,
            failures=self._failures,
            late_periods=self._late,
            lag_s=max(time.monotonic() - self._due_s, 0.0),
        )

    def start(self) -> None:
        """Start the thread; once."""
        self.marked_s = time.monotonic()
        self._thread.start()

    def add(self, key: str, tap: TapId, sink: BlockSink) -> None:
        """Write what ``tap`` hands out to ``sink`` from now on.

        Raises:
            WriterFullError: ``max_recordings`` are open.
            ValueError: The key is in use.
        """
        with self._wake:
            if key in self._open:
                raise ValueError(f"recording {key} is being written already")
            if len(self._open) >= self._options.max_recordings:
                raise WriterFullError(f"{len(self._open)} recordings are being written")
            slot = min(range(_SLOTS), key=lambda slot: len(self._turns[slot]))
            recording = WrittenRecording(key=key, tap=tap, sink=sink, slot=slot)
            self._open[key] = self._turns[slot][key] = recording
            self._wake.notify()

    def finish(self, key: str, on_done: OnDone) -> None:
        """Drain to the end, release the tap, and call ``on_done`` on the writer thread.

        The sink is left open and unsynced: closing it is the durable act of its owner.

        Raises:
            KeyError: No such recording, or it is being finished already.
        """
        with self._wake:
            recording = self._open.pop(key)
            del self._turns[recording.slot][key]
            recording.on_done = on_done
            self._finishing.append(recording)
            self._wake.notify()

    def close(self, timeout_s: float = 10.0) -> bool:
        """Finish every open recording's drain, stop the thread and wipe the buffer; True if it stopped in time.

        Recordings that were never finished are drained to their end and synced; nobody is called for them.
        """
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        if self._thread.ident is None:
            self._finish_rest()
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def turn(self) -> float:
        """Do what is due, and return when the next slot is, monotonic seconds.

        For the thread's loop, and for tests that turn the clock of a writer that is never started.
        """
        finishing, turn = self._take_due()
        for recording in finishing:
            self._finish(recording)
            self.marked_s = time.monotonic()
        now = self.marked_s = time.monotonic()
        if now < self._due_s:
            return self._due_s
        for recording in turn:
            self._drain(recording, is_final=False)
            if now - recording.synced_s >= self._options.sync_every_s - self._options.period_s / 2:
                self._sync(recording)
        slot_s = self._options.period_s / _SLOTS
        self._slot, self._due_s, behind = _next_turn(self._slot, self._due_s, slot_s)
        self._late += behind
        return self._due_s

    def _run(self) -> None:
        self.thread_id = threading.get_native_id()
        self._due_s = time.monotonic()
        while not self._is_closing:
            self.turn()
            self._sleep()
        self._finish_rest()

    def _sleep(self) -> None:
        """Sleep until the slot's time, a finish or the end; without recordings until there is one, or `_IDLE_S`."""
        with self._wake:
            is_idle = not self._open
            if is_idle:  # no slot is due meanwhile
                self._due_s = time.monotonic() + _IDLE_S
            self._wake.wait_for(
                lambda: self._finishing or self._is_closing or (is_idle and self._open),
                timeout=max(self._due_s - time.monotonic(), 0),
            )
            if is_idle:
                self._due_s = time.monotonic()

    def _take_due(self) -> tuple[list[WrittenRecording], list[WrittenRecording]]:
        """Return the recordings to be finished, and those whose slot it is."""
        with self._wake:
            finishing, self._finishing = self._finishing, []
            return finishing, list(self._turns[self._slot].values())

    def _finish_rest(self) -> None:
        with self._wake:
            rest = [*self._finishing, *self._open.values()]
            self._finishing.clear()
            self._open.clear()
            for turn in self._turns:
                turn.clear()
        for recording in rest:
            self._finish(recording)
        self._wipe(len(self._view))

    def _finish(self, recording: WrittenRecording) -> None:
        self._drain(recording, is_final=True)
        try:
            recording.note_packets(self._taps.packets(recording.tap))
            self._taps.release(recording.tap)
        except KeyError:
            _log.warning("tap of recording %s was gone before its end", recording.key)
        if recording.on_done is None:
            self._sync(recording)
            return
        finished = recording.finished()
        on_done, recording.on_done = recording.on_done, None  # who waited is let go of here, not with the next end
        try:
            on_done(finished)
        except Exception:  # noqa: BLE001  # a bug of one call's must not stop the others
            _log.exception("end of recording %s", recording.key)

    def _drain(self, recording: WrittenRecording, *, is_final: bool) -> None:
        has_more = True
        while has_more:
            try:
                length, has_more = self._taps.drain(recording.tap, self._view, is_final=is_final)
                if silenced := self._taps.silenced(recording.tap):
                    recording.silence(silenced)
            except KeyError:
                self._break(recording, OSError("the tap is gone"))
                return
            if length == 0:
                return
            try:
                self._take(recording, length)
            finally:
                self._wipe(length)
                self.marked_s = time.monotonic()

    def _wipe(self, length: int) -> None:
        self._view[:length] = self._zeros[:length]

    def _take(self, recording: WrittenRecording, length: int) -> None:
        if recording.is_broken:
            return
        with self._view[:length] as block:
            try:
                found = survey(block)
                if not self._append(recording, block, found[0]):
                    recording.refuse(block)
                    return
                self._analyser.take(recording.analysis, block, found)
                if found[2]:
                    recording.lose_in(block)
            except Exception as error:  # noqa: BLE001  # a bug of one recording's must not stop the others
                self._break(recording, error)
                return
        recording.is_dirty = True
        self._blocks += 1
        self._bytes += length

    def _append(self, recording: WrittenRecording, block: memoryview, end: int) -> bool:
        """Give a block to its sink; tell whether it is kept, now or with the next one."""
        try:
            recording.sink.append(block, end)
        except OSError as error:
            self._stall(recording, error)
            return isinstance(error, SinkError) and error.is_taken
        if recording.is_stalled:
            recording.is_stalled = False
            recording.lose_refused()
            _log.warning("recording %s is written again", recording.key)
        return True

    def _sync(self, recording: WrittenRecording) -> None:
        recording.synced_s = time.monotonic()
        if recording.is_broken or recording.is_stalled or not recording.is_dirty:
            return
        try:
            recording.sink.sync()
        except Exception as error:  # noqa: BLE001  # as in _take
            if isinstance(error, SinkError) and not error.is_taken:
                self._stall(recording, error)
            else:
                self._break(recording, error)
            return
        finally:
            self.marked_s = time.monotonic()
        self._on_sync(time.monotonic() - recording.synced_s)
        recording.is_dirty = False

    def _stall(self, recording: WrittenRecording, error: OSError) -> None:
        if not recording.is_stalled:
            recording.is_stalled = True
            self._report(recording, error)

    def _break(self, recording: WrittenRecording, error: Exception) -> None:
        if recording.is_broken:
            return
        recording.is_broken = True
        if not recording.is_stalled:
            self._report(recording, error)

    def _report(self, recording: WrittenRecording, error: Exception) -> None:
        self._failures += 1
        if not isinstance(error, OSError):
            _log.error("writing recording %s", recording.key, exc_info=error)
        try:
            self._on_failure(recording.key, error)
        except Exception:  # noqa: BLE001  # as above
            _log.exception("failure of recording %s could not be reported", recording.key)


def _next_turn(slot: int, due: float, slot_s: float) -> tuple[int, float, int]:
    """Return the next slot, when it is due, and how many slots were too late to keep their time.

    A writer that fell behind takes every slot in order, so that no tap misses its turn, but starts its clock anew.
    """
    due += slot_s
    behind = max(int((time.monotonic() - due) / slot_s), 0)
    return (slot + 1) % _SLOTS, due + behind * slot_s, behind
