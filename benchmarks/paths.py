"""A media path under test: a child process that relays pairs of streams, and the load that runs through it.

A child is given ``PAIRS`` as its last argument, reads one line ``a_port b_port`` per pair (where the parties listen)
and writes one line ``a_port b_port`` per pair (where they send to); it relays until its standard input ends.
"""

import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from benchmarks.machine import cpu_of_family_ms
from benchmarks.streams import ALAW, Delays, Jitter, Load, Totals, delays, jitter, open_socket, totals

_DRAIN_S, _WARM_UP_S, _END_S = 0.5, 1.0, 10.0
STEADY_AFTER_S = 8.0
"""From when on a path that records does all its work: for the first 5 s a stream is in the look-back alone, and nothing
of it is drained, sealed or written."""


class PathError(Exception):
    """A media path did not start or ended by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """What was measured while nothing changed.

    Attributes:
        cpu_ms_per_call_second: CPU of the measured process, and of those that it started.
        load_cpu_ms_per_call_second: CPU of this process meanwhile, which sends and checks the packets.
        delay_ms: Delays, or None when nothing arrived.
        jitter_ms: Jitter that the path added, or None when nothing arrived.
        seconds: How long it was.
    """

    cpu_ms_per_call_second: float
    load_cpu_ms_per_call_second: float
    delay_ms: Delays | None
    jitter_ms: Jitter | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PathResult:
    """What one run measured.

    Attributes:
        steady: In the steady state.
        packets: Counters over the whole run, warm-up included.
    """

    steady: Steady
    packets: Totals


def await_steady() -> None:
    """Wait until whoever records what has just begun does all its work."""
    time.sleep(STEADY_AFTER_S)


def measure_steady(load: Load, pid: int, *, calls: int, seconds: float) -> Steady:
    """Wait so many seconds and return what a process took meanwhile to carry the load.

    Raises:
        ProcessLookupError: There is no such process.
    """
    before, varied, own_before_s, began = load.histogram(), load.variations(), time.process_time(), time.monotonic()
    cpu_before = cpu_of_family_ms(pid)
    time.sleep(seconds)
    cpu_after = cpu_of_family_ms(pid)
    after, own_after_s, ended = load.histogram(), time.process_time(), time.monotonic()
    call_seconds = calls * (ended - began)
    return Steady(
        cpu_ms_per_call_second=round((cpu_after - cpu_before) / call_seconds, 4),
        load_cpu_ms_per_call_second=round(1000 * (own_after_s - own_before_s) / call_seconds, 4),
        delay_ms=delays(after, before),
        jitter_ms=jitter(load.variations(), varied),
        seconds=round(ended - began, 3),
    )


class MediaPath:
    """A running child with its pairs; leaving the context ends it."""

    def __init__(self, command: Sequence[str], pairs: int) -> None:
        self._pairs = pairs
        self._child = subprocess.Popen([*command, str(pairs)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._sockets = [open_socket() for _ in range(2 * pairs)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        for pipe in (self._child.stdin, self._child.stdout):
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # it ended before it had read everything: told by _connect already
        try:
            self._child.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        for opened in self._sockets:
            opened.close()

    def run(self, *, seconds: float, threads: int = 1, is_recording: bool = False) -> PathResult:
        """Run the streams through the path until it is steady, and for ``seconds`` more.

        Raises:
            PathError: The child ended before the run was over.
        """
        remotes = self._connect()
        with ExitStack() as stack:
            load = Load(capacity=2 * self._pairs, threads=threads)
            stack.callback(load.close)
            for stream, (opened, remote) in enumerate(zip(self._sockets, remotes, strict=True)):
                load.add_stream(stream, opened, remote, pt=ALAW, peer=stream ^ 1)
                load.begin(stream)
            load.start()
            time.sleep(_WARM_UP_S)
            if is_recording:
                await_steady()
            return self._measure(load, seconds)

    def _connect(self) -> list[tuple[str, int]]:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        ports = [opened.getsockname()[1] for opened in self._sockets]
        lines = "".join(f"{a} {b}\n" for a, b in zip(ports[::2], ports[1::2], strict=True))
        try:
            self._child.stdin.write(lines)
            self._child.stdin.flush()
        except BrokenPipeError as error:
            raise PathError("The media path ended before it took its pairs; its words are on stderr.") from error
        answers = [self._child.stdout.readline().split() for _ in range(self._pairs)]
        if any(len(answer) != 2 for answer in answers):
            raise PathError("The media path ended before it answered; its words are on stderr.")
        return [("127.0.0.1", int(port)) for answer in answers for port in answer]

    def _measure(self, load: Load, seconds: float) -> PathResult:
        steady = measure_steady(load, self._child.pid, calls=self._pairs, seconds=seconds)
        streams = range(2 * self._pairs)
        for stream in streams:
            load.cease(stream)
        time.sleep(_DRAIN_S)
        if self._child.poll() is not None:
            raise PathError(f"The media path ended by itself (exit {self._child.returncode}).")
        return PathResult(steady=steady, packets=totals(load, streams))
