"""The pausable writer with real threads, reference taps and files: blocks, failures, ends, and a thousand taps."""

import errno
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from audio._relay import peaks, survey
from audio.block_analysis import reference_peaks
from audio.blocks import AudioRun, ClockAnchor, LostRange, Record, decode_block
from audio.codecs import encode
from audio.types import Channel, Codec, TapId
from audio.writer import PausableWriter, WriterFullError, WriterOptions
from audio.written import FinishedRecording, SinkError
from tests.reference.blocks import encode_block
from tests.reference.tap import ReferenceTap

SPEECH = encode(Codec.PCMA, (8000 * np.sin(np.arange(160) * 2 * np.pi * 500 / 8000)).astype(np.int16))


class Taps:
    """Reference taps behind the core's interface, on a clock that goes on with the packets."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now_ns = 0
        self.taps: dict[TapId, ReferenceTap] = {}
        self.drains: list[tuple[float, TapId]] = []
        self.threads: set[str] = set()
        self.released: list[TapId] = []
        self.buffers: set[int] = set()
        self.last_out: bytearray | memoryview = bytearray()

    def open(self, number: int, *, ring_ticks: int = 1 << 17) -> TapId:
        tap = TapId(number)
        self.taps[tap] = ReferenceTap(opened_ns=0, look_back_ticks=800, ring_ticks=ring_ticks)
        return tap

    def speak(self, tap: TapId, channel: Channel, packet: int) -> None:
        with self._lock:
            self.now_ns = packet * 20_000_000
            self.taps[tap].receive(
                channel,
                ssrc=1 + channel,
                sequence=packet,
                timestamp=160 * packet,
                payload=SPEECH,
                codec=Codec.PCMA,
                arrival_ns=self.now_ns,
            )

    def drain(self, tap: TapId, out: bytearray | memoryview, *, is_final: bool = False) -> tuple[int, bool]:
        with self._lock:
            self.drains.append((time.monotonic(), tap))
            self.threads.add(threading.current_thread().name)
            self.last_out = out
            block = self.taps[tap].drain(self.now_ns, is_final=is_final)
        out[: len(block)] = block
        return len(block), False

    def silenced(self, tap: TapId) -> list[tuple[int, int]]:
        return []

    def packets(self, tap: TapId) -> tuple[tuple[int, int], tuple[int, int]]:
        return (40, 2), (30, 1)

    def release(self, tap: TapId) -> None:
        del self.taps[tap]
        self.released.append(tap)


class FileSink:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.syncs = 0

    def append(self, block: memoryview, end: int) -> None:
        with self.path.open("ab") as file:
            file.write(block)

    def sync(self) -> None:
        self.syncs += 1


class FullSink(FileSink):
    def append(self, block: memoryview, end: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


class NarrowSink(FileSink):
    """Refuses blocks while it is told to; the first that it refuses waits, as a sealed container's does."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.is_full = False
        self.waiting = b""

    def append(self, block: memoryview, end: int) -> None:
        if self.is_full:
            is_taken, self.waiting = not self.waiting, self.waiting or bytes(block)
            raise SinkError(errno.ENOSPC, "No space left on device", is_taken=is_taken)
        waiting, self.waiting = self.waiting, b""
        super().append(memoryview(waiting + bytes(block)), end)

    def sync(self) -> None:
        if self.waiting:
            raise SinkError(errno.ENOSPC, "No space left on device", is_taken=False)
        super().sync()


class UnsyncedSink(FileSink):
    def sync(self) -> None:
        raise OSError(errno.EIO, "Input/output error")


class BrokenSink(FileSink):
    def append(self, block: memoryview, end: int) -> None:
        raise RuntimeError("a bug")


def wait_until(is_true: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.005)


class Bench:
    def __init__(self) -> None:
        self.taps = Taps()
        self.failures: list[tuple[str, Exception]] = []
        self.writer = PausableWriter(
            self.taps,
            on_failure=lambda key, error: self.failures.append((key, error)),
            options=WriterOptions(period_s=0.2, sync_every_s=0.3, buffer_bytes=1 << 17, max_recordings=1000),
        )

    def finish(self, key: str) -> FinishedRecording:
        done: list[FinishedRecording] = []
        self.writer.finish(key, done.append)
        wait_until(lambda: bool(done))
        return done[0]


@pytest.fixture
def approvers() -> Iterator[Bench]:
    approvers = Bench()
    approvers.writer.start()
    yield approvers
    assert approvers.writer.close()


def test_what_is_said_is_written_and_summed_up(approvers: Bench, tmp_path: Path) -> None:
    tap, sink = approvers.taps.open(1), FileSink(tmp_path / "a")
    approvers.writer.add("a", tap, sink)
    for packet in range(300):
        approvers.taps.speak(tap, Channel.LEFT, packet)
        if packet < 20:
            approvers.taps.speak(tap, Channel.RIGHT, packet)
        if packet % 100 == 99:
            seen = len(approvers.taps.drains)
            wait_until(lambda seen=seen: len(approvers.taps.drains) > seen)  # type: ignore[misc]
    wait_until(lambda: sink.syncs > 0)
    finished = approvers.finish("a")
    runs = [record for record in decode_block(sink.path.read_bytes()) if isinstance(record, AudioRun)]
    left = b"".join(bytes(run.payload) for run in runs if run.channel is Channel.LEFT)
    assert left == SPEECH * 300
    assert len([run for run in runs if run.channel is Channel.LEFT]) > 1, "in several blocks"
    assert finished.left.recorded_s == 6.0
    assert finished.right.recorded_s == 0.4
    assert max(finished.left.peaks) == 8064 // 128
    assert not finished.is_failed
    assert finished.lost == ()
    assert approvers.taps.released == [tap]
    assert approvers.taps.threads == {"writer"}
    assert bytes(approvers.taps.last_out) == bytes(len(approvers.taps.last_out)), "plaintext is wiped"
    assert approvers.writer.counters.recordings == 0
    assert approvers.writer.counters.bytes == sink.path.stat().st_size


def test_peaks_of_the_core_are_those_of_the_reference_and_g722_has_some(approvers: Bench, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    runs = [
        AudioRun(channel=channel, codec=codec, start=start, payload=rng.bytes(length))
        for channel in Channel
        for codec, start, length in ((Codec.PCMA, 100, 4000), (Codec.PCMU, 16_000, 801), (Codec.PCMA, 20_799, 1))
    ]
    block = encode_block(runs)
    for channel in Channel:
        assert flat(peaks(block, channel)) == flat(reference_peaks(block, channel))
    tap = approvers.taps.open(1)
    loud = encode(Codec.G722, (16000 * np.sin(np.arange(320) / 4)).astype(np.int16))
    approvers.taps.taps[tap].receive(
        Channel.LEFT, ssrc=1, sequence=0, timestamp=0, payload=loud, codec=Codec.G722, arrival_ns=0
    )
    approvers.writer.add("a", tap, FileSink(tmp_path / "a"))
    assert max(approvers.finish("a").left.peaks) > 60


def clipped(run: AudioRun) -> int:
    largest = {Codec.PCMA: (0x2A, 0xAA), Codec.PCMU: (0x00, 0x80), Codec.G722: ()}[run.codec]
    return sum(bytes(run.payload).count(code) for code in largest)


def last_anchor(records: list[Record], side: Channel) -> tuple[int, int]:
    anchors = [one for one in records if isinstance(one, ClockAnchor) and one.channel is side]
    return (anchors[-1].position, anchors[-1].arrival_ns) if anchors else (-1, 0)


def test_a_survey_of_a_block_is_what_its_records_say() -> None:
    rng = np.random.default_rng(7)
    for _ in range(50):
        records: list[Record] = []
        for _ in range(rng.integers(6)):
            channel, codec = Channel(int(rng.integers(2))), Codec(int(rng.choice(list(Codec))))
            start, length = int(rng.integers(1 << 40)), int(rng.integers(300))
            records += (
                AudioRun(channel=channel, codec=codec, start=start, payload=rng.bytes(length)),
                ClockAnchor(channel=channel, codec=codec, timestamp=start % 7, position=start + 999, arrival_ns=5),
                LostRange(channel=channel, start=start + 10, ticks=length),
            )[rng.integers(3) :]
        audio = [record for record in records if isinstance(record, AudioRun)]
        lost = [record for record in records if isinstance(record, LostRange)]
        expected = (
            max([run.end for run in audio] + [gap.start + gap.ticks for gap in lost], default=0),
            tuple(sum(len(run.payload) for run in audio if run.channel is channel) for channel in Channel),
            len(lost),
            tuple(sum({1 << run.codec for run in audio if run.channel is side and run.payload}) for side in Channel),
            tuple(sum(clipped(run) for run in audio if run.channel is side) for side in Channel),
            tuple(last_anchor(records, side) for side in Channel),
        )
        assert survey(encode_block(records)) == expected


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_a_block_with_a_number_that_nobody_knows_is_refused(at: int) -> None:
    block = bytearray(encode_block([AudioRun(channel=Channel.LEFT, codec=Codec.PCMA, start=0, payload=bytes(9))]))
    with pytest.raises(ValueError, match="survey"):
        survey(block[:-1])
    with pytest.raises(ValueError, match="survey"):
        survey(block[:20])
    block[at] = 77
    with pytest.raises(ValueError, match="survey"):
        survey(block)


def test_each_byte_of_both_laws_is_as_loud_as_the_reference_says() -> None:
    for codec in (Codec.PCMA, Codec.PCMU):
        for value in range(256):
            block = encode_block([AudioRun(channel=Channel.LEFT, codec=codec, start=0, payload=bytes([value]))])
            assert peaks(block, 0) == reference_peaks(block, 0)


def flat(slots: list[tuple[int, bytes]]) -> dict[int, int]:
    found: dict[int, int] = {}
    for first, values in slots:
        for i, value in enumerate(values):
            found[first + i] = max(value, found.get(first + i, 0))
    return {slot: value for slot, value in found.items() if value}


def test_a_failing_sink_is_told_once_and_stops_nobody_else(
    approvers: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sinks = {"full": FullSink(tmp_path / "f"), "broken": BrokenSink(tmp_path / "b"), "good": FileSink(tmp_path / "g")}
    taps = {key: approvers.taps.open(i) for i, key in enumerate(sinks)}
    for key, sink in sinks.items():
        approvers.writer.add(key, taps[key], sink)
    for packet in range(5):
        for tap in taps.values():
            approvers.taps.speak(tap, Channel.LEFT, packet)
        seen = len(approvers.taps.drains)
        wait_until(lambda seen=seen: len(approvers.taps.drains) > seen + 6)  # type: ignore[misc]
    results = {key: approvers.finish(key) for key in sinks}
    assert sorted(key for key, _error in approvers.failures) == ["broken", "full"]
    assert dict(approvers.failures)["full"].errno == errno.ENOSPC  # type: ignore[attr-defined]
    assert [results[key].is_failed for key in sinks] == [True, True, False]
    assert results["good"].left.recorded_s == 0.1
    assert [results[key].left.peaks != b"" for key in sinks] == [False, False, True], "what is not kept is not judged"
    assert (results["good"].left.packets, results["good"].right.packets_lost) == (40, 1)
    assert "broken" in caplog.text
    assert approvers.writer.counters.failures == 2


def test_a_sink_that_takes_blocks_again_is_written_again_and_what_it_refused_is_lost(
    approvers: Bench, tmp_path: Path
) -> None:
    tap, sink = approvers.taps.open(1), NarrowSink(tmp_path / "a")
    approvers.writer.add("a", tap, sink)

    def speak(packets: range) -> None:
        for packet in packets:
            for channel in Channel:
                approvers.taps.speak(tap, channel, packet)
        seen = len(approvers.taps.drains)
        wait_until(lambda: len(approvers.taps.drains) > seen + 1)

    speak(range(50))
    sink.is_full = True
    for start in (50, 100, 150, 200):
        speak(range(start, start + 50))
    sink.is_full = False
    speak(range(250, 300))
    finished = approvers.finish("a")
    assert [error.errno for _key, error in approvers.failures] == [errno.ENOSPC]  # type: ignore[attr-defined]
    assert not finished.is_failed
    assert {lost.channel for lost in finished.lost} == set(Channel)
    (start, ticks) = {(lost.start, lost.ticks) for lost in finished.lost}.pop()
    runs = [record for record in decode_block(sink.path.read_bytes()) if isinstance(record, AudioRun)]
    kept = {tick for run in runs if run.channel == 0 for tick in range(run.start, run.start + len(run.payload))}
    assert kept == set(range(300 * 160)) - set(range(start, start + ticks)), "what is not lost is there, and no more"
    assert 50 * 160 < start < 200 * 160 < start + ticks <= 250 * 160
    assert finished.left.recorded_s == len(kept) / 8000


def test_a_sink_whose_sync_failed_is_left_alone(approvers: Bench, tmp_path: Path) -> None:
    tap, sink = approvers.taps.open(1), UnsyncedSink(tmp_path / "a")
    approvers.writer.add("a", tap, sink)
    approvers.taps.speak(tap, Channel.LEFT, 0)
    approvers.taps.speak(tap, Channel.LEFT, 20)
    wait_until(lambda: bool(approvers.failures))
    size = sink.path.stat().st_size
    for packet in range(21, 60):
        approvers.taps.speak(tap, Channel.LEFT, packet)
    assert approvers.finish("a").is_failed
    assert sink.path.stat().st_size == size


def test_lost_ranges_reach_the_end(approvers: Bench, tmp_path: Path) -> None:
    tap = approvers.taps.open(1, ring_ticks=1024)
    for packet in range(10):
        approvers.taps.speak(tap, Channel.RIGHT, packet)
    approvers.writer.add("a", tap, FileSink(tmp_path / "a"))
    (lost,) = approvers.finish("a").lost
    assert isinstance(lost, LostRange)
    assert (lost.channel, lost.start, lost.ticks) == (Channel.RIGHT, 1024, 576)


def test_misuse_is_refused(approvers: Bench, tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "a")
    approvers.writer.add("a", approvers.taps.open(1), sink)
    with pytest.raises(ValueError, match="already"):
        approvers.writer.add("a", approvers.taps.open(2), sink)
    with pytest.raises(KeyError):
        approvers.writer.finish("b", lambda _finished: None)
    approvers.finish("a")
    with pytest.raises(KeyError):
        approvers.writer.finish("a", lambda _finished: None)


def test_a_callback_that_fails_stops_nobody_else(
    approvers: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number, key in enumerate("ab"):
        approvers.writer.add(key, approvers.taps.open(number), FileSink(tmp_path / key))
    approvers.writer.finish("a", lambda _finished: approvers.taps.threads.remove("nobody"))
    assert not approvers.finish("b").is_failed
    assert "end of recording a" in caplog.text


def test_close_drains_and_syncs_what_was_never_finished(tmp_path: Path) -> None:
    approvers = Bench()
    tap, sink = approvers.taps.open(1), FileSink(tmp_path / "a")
    approvers.taps.speak(tap, Channel.LEFT, 0)
    approvers.writer.add("a", tap, sink)
    approvers.writer.start()
    assert approvers.writer.close()
    assert sink.path.stat().st_size > 160
    assert sink.syncs == 1
    assert approvers.taps.released == [tap]


def test_a_thousand_taps_each_get_their_turn_spread_over_the_period(approvers: Bench, tmp_path: Path) -> None:
    for number in range(1000):
        approvers.writer.add(str(number), approvers.taps.open(number), FileSink(tmp_path / "none"))
    with pytest.raises(WriterFullError, match="1000"):
        approvers.writer.add("one more", TapId(1000), FileSink(tmp_path / "none"))
    approvers.taps.drains.clear()
    wait_until(lambda: len(approvers.taps.drains) >= 3000, seconds=20)
    drains = list(approvers.taps.drains[:3000])
    assert {tap for _at, tap in drains[:1100]} == set(approvers.taps.taps)
    most_in_a_slot = max(sum(abs(at - start) < 0.005 for at, _tap in drains[:1000]) for start, _tap in drains[:1000:50])
    assert most_in_a_slot < 600, "not all at once"


class StuckSink(FileSink):
    """Does not return from an operation until it is let go."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.is_in, self.is_let_go = threading.Event(), threading.Event()

    def append(self, block: memoryview, end: int) -> None:
        self.is_in.set()
        assert self.is_let_go.wait(20)
        super().append(block, end)


def test_the_writer_marks_the_end_of_each_operation_and_so_shows_that_it_is_stuck(tmp_path: Path) -> None:
    taps, sink = Taps(), StuckSink(tmp_path / "stuck")
    writer = PausableWriter(taps, on_failure=lambda *_: None, options=WriterOptions(period_s=0.2))
    writer.start()
    try:
        before_s = writer.marked_s
        wait_until(lambda: writer.marked_s > before_s)  # it looks for work
        tap = taps.open(1)
        for packet in range(100):
            taps.speak(tap, Channel.LEFT, packet)
        writer.add("stuck", tap, sink)
        assert sink.is_in.wait(5)
        stuck_s = writer.marked_s
        time.sleep(0.3)
        assert writer.marked_s == stuck_s
        sink.is_let_go.set()
        wait_until(lambda: writer.marked_s > stuck_s)
    finally:
        sink.is_let_go.set()
        writer.close()


class NotingSink(FileSink):
    """Notes whether the writer had marked the end of the operation before this one."""

    writer: ClassVar[PausableWriter]
    ended_s: ClassVar[float] = 0.0
    was_marked: ClassVar[list[bool]] = []

    def append(self, block: memoryview, end: int) -> None:
        self.note()

    def sync(self) -> None:
        self.note()

    @classmethod
    def note(cls) -> None:
        cls.was_marked.append(cls.writer.marked_s >= cls.ended_s)
        cls.ended_s = time.monotonic()


def test_each_operation_of_a_long_turn_is_marked(tmp_path: Path) -> None:
    """With a slow disk a turn of many recordings is long; that must not look as if the writer were stuck."""
    taps = Taps()
    options = WriterOptions(period_s=0.2, sync_every_s=0.2)
    writer = NotingSink.writer = PausableWriter(taps, on_failure=lambda *_: None, options=options)
    for number in range(1, 61):  # three of them in each slot
        tap = taps.open(number)
        for packet in range(100):
            taps.speak(tap, Channel.LEFT, packet)
        writer.add(str(number), tap, NotingSink(tmp_path / str(number)))
    writer.start()
    wait_until(lambda: len(NotingSink.was_marked) >= 120)  # an append and a sync of each
    writer.close()
    assert all(NotingSink.was_marked)
