"""Invariant: a parser raises its documented errors and nothing else, and ends soon, whatever bytes it is given.

Guided by coverage: an input that reaches a new pair of lines joins the corpus of the run. Everything follows from the
seed, so that a run can be made again. What breaks the invariant is made smaller, and stands in the result.
"""

import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from benchmarks.mutate import mutate

SAVED = Path(__file__).parents[1] / "data" / "fuzz"
"""What once broke a parser, a folder for each target; the tests give it all of it again."""

SOON_S = 2.0
"""Seconds of CPU: no input of a datagram's size may keep a parser for longer; the slowest we know takes 0.05 s."""

_TRACED_EVERY = 4
"""Every fourth input is traced, which takes ten times as long as to run it."""


class TooSlowError(Exception):
    """An input kept the target for longer than `SOON_S`."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One parser.

    Attributes:
        name: Its folder below ``tests/data/fuzz``.
        seeds: Inputs to begin with.
        run: Gives it one input; asserts what holds of the result.
        errors: What it is documented to raise.
        files: Parts of paths of the source files whose lines are counted.
        tokens: Words of its language.
    """

    name: str
    seeds: Sequence[bytes]
    run: Callable[[bytes], object]
    errors: tuple[type[Exception], ...] = ()
    files: tuple[str, ...] = ()
    tokens: Sequence[bytes] = ()


@dataclass
class Result:
    """What a run came to."""

    target: str
    seed: int
    runs: int = 0
    edges: int = 0
    corpus: int = 0
    seconds: float = 0.0
    crash: bytes | None = None
    error: str = ""


@dataclass
class _Coverage:
    """Pairs of lines that were run one after the other, in the files of a target."""

    files: tuple[str, ...]
    seen: set[tuple[CodeType, int, int]] = field(default_factory=set)
    _last: int = 0

    def grew(self, run: Callable[[], object]) -> bool:
        """Run something and tell whether it went where nothing went before."""
        before = len(self.seen)
        sys.settrace(self._enter)
        try:
            run()
        finally:
            sys.settrace(None)
        return len(self.seen) > before

    def _enter(self, frame: FrameType, _event: str, _arg: Any) -> Callable[..., Any] | None:
        return self._line if any(part in frame.f_code.co_filename for part in self.files) else None

    def _line(self, frame: FrameType, event: str, _arg: Any) -> Callable[..., Any]:
        if event == "line":
            self.seen.add((frame.f_code, self._last, frame.f_lineno))
            self._last = frame.f_lineno
        return self._line


@contextmanager
def soon() -> Iterator[None]:
    """Raise `TooSlowError` in the main thread when the body takes too long; regular expressions notice as well."""

    def late(_number: int, _frame: FrameType | None) -> None:
        raise TooSlowError(f"not done within {SOON_S:g} s of CPU")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, SOON_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def problem_of(target: Target, data: bytes) -> str:
    """Give a target one input; return what is wrong, or ""."""
    try:
        with soon():
            target.run(data)
    except target.errors:
        return ""
    except Exception as error:  # noqa: BLE001 - anything that is not documented is the finding
        return f"{type(error).__name__}: {error}"[:300]
    return ""


def fuzz(
    target: Target, *, seed: int, seconds: float, on_progress: Callable[[Result], None] = lambda _: None
) -> Result:
    """Fuzz one target for a while, or until something is found."""
    rng = random.Random(f"{seed}-{target.name}")
    result = Result(target=target.name, seed=seed)
    coverage = _Coverage(files=target.files)
    corpus: list[bytes] = []
    began, told = time.monotonic(), time.monotonic()
    for data in target.seeds:
        corpus.append(data)
        if _try(target, data, coverage, result, is_traced=True):
            return _finished(result, target, coverage, corpus, began)
    until = time.monotonic() + seconds
    while time.monotonic() < until or result.runs <= len(target.seeds):
        data = mutate(rng.choice(corpus), rng, corpus, target.tokens)
        before = len(coverage.seen)
        if _try(target, data, coverage, result, is_traced=result.runs % _TRACED_EVERY == 0):
            break
        if len(coverage.seen) > before:
            corpus.append(data)
        if time.monotonic() - told > 1:
            told = time.monotonic()
            result.edges, result.corpus, result.seconds = len(coverage.seen), len(corpus), told - began
            on_progress(result)
    return _finished(result, target, coverage, corpus, began)


def _try(target: Target, data: bytes, coverage: _Coverage, result: Result, *, is_traced: bool) -> bool:
    """Give the target one input; tell whether it broke the invariant."""
    result.runs += 1
    found = [""]

    def run() -> None:
        found[0] = problem_of(target, data)

    if is_traced and target.files:
        coverage.grew(run)
    else:
        run()
    if found[0]:
        result.crash, result.error = data, found[0]
    return bool(found[0])


def _finished(result: Result, target: Target, coverage: _Coverage, corpus: Sequence[bytes], began: float) -> Result:
    if result.crash is not None:
        result.crash = _smaller(target, result.crash, result.error)
    result.edges, result.corpus = len(coverage.seen), len(corpus)
    result.seconds = time.monotonic() - began
    return result


def _smaller(target: Target, data: bytes, error: str) -> bytes:
    """Cut from an input what its error does not need, for ten seconds of CPU at most."""
    kind, until, step = error.partition(":")[0], time.process_time() + 10, max(len(data) // 2, 1)
    while step >= 1 and time.process_time() < until:
        at = 0
        while at < len(data) and time.process_time() < until:
            shorter = data[:at] + data[at + step :]
            if problem_of(target, shorter).partition(":")[0] == kind:
                data = shorter
            else:
                at += step
        step //= 2
    return data
