"""When the act in progress was requested: a pause takes effect from then, not from when the call thread runs it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Lateness:
    """The request time of the act that the call thread is running. Call thread only."""

    def __init__(self) -> None:
        self._asked_ns = 0

    @contextmanager
    def since(self, asked_ns: int) -> Iterator[None]:
        """Run the block as an act that was requested at a time, monotonic nanoseconds; 0 is now."""
        before, self._asked_ns = self._asked_ns, asked_ns
        try:
            yield
        finally:
            self._asked_ns = before

    @property
    def asked_ns(self) -> int:
        """Return the request time of the act in progress, monotonic nanoseconds; now if none is."""
        return self._asked_ns or time.monotonic_ns()

    @property
    def seconds(self) -> float:
        """Return how long the act in progress has waited for the call thread, at least 0."""
        return max(time.monotonic_ns() - self.asked_ns, 0) / 1e9
