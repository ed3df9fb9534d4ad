"""A recorder with calls that stand: set up once, their streams run whenever they are to be measured."""

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from benchmarks.home import HomeError
from benchmarks.loaded_recorder import loaded_recorder
from benchmarks.paths import PathResult, await_steady, measure_steady
from benchmarks.placed import PlacedCalls
from benchmarks.streams import Totals


class StandingCalls:
    """A recorder and calls through it, all joined and silent; leaving the context ends both.

    Args:
        calls: How many.
        rate: Placed a second.
        media_ports: Of the recorder; two recorders have two ranges.
        edits: Changes of its configuration.
        daemon: Command line that runs the daemon, if not that of ``recorder``.

    Raises:
        HomeError: The recorder could not be run, or a call was not joined.
    """

    def __init__(
        self,
        calls: int,
        *,
        rate: float,
        media_ports: tuple[int, int],
        edits: Sequence[tuple[str, str]] = (),
        daemon: Sequence[str] = (),
    ) -> None:
        self._before = Totals()
        with ExitStack() as stack:
            loaded = stack.enter_context(
                loaded_recorder(PlacedCalls(calls), ports=media_ports, edits=edits, daemon=daemon)
            )
            self.home, self.placed = loaded.home, loaded.placed
            loaded.place_all(rate)
            self._before = self.placed.cease()
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def run(self, *, seconds: float) -> PathResult:
        """Let the streams run until they are written too, and then for as long as is measured.

        Raises:
            HomeError: A call ended meanwhile, or the daemon did not answer.
        """
        placed = self.placed
        placed.resume()
        await_steady()
        steady = measure_steady(placed.load, self.home.pid, calls=placed.count, seconds=seconds)
        standing = min(placed.standing(), self.home.live_calls())
        sums = placed.cease()
        if standing < placed.count:
            raise HomeError(f"only {standing} of {placed.count} calls still stand")
        packets, self._before = sums - self._before, sums
        return PathResult(steady=steady, packets=packets)
