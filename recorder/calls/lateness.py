"""How long what the call thread does now has waited for it: a pause counts from when it was asked for."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Lateness:
    """Knows when what is done now was asked for. On the call thread only."""

    def __init__(self) -> None:
        self._asked_ns = 0

    @contextmanager
    def since(self, asked_ns: int) -> Iterator[None]:
        """Have what is done meanwhile count from a time on the monotonic clock; 0: from when it is done."""
        before, self._asked_ns = self._asked_ns, asked_ns
        try:
            yield
        finally:
            self._asked_ns = before

    @property
    def asked_ns(self) -> int:
        """Return when what is done now was asked for, on the monotonic clock."""
        return self._asked_ns or time.monotonic_ns()

    @property
    def seconds(self) -> float:
        """Return for how long it has waited, at least 0."""
        return max(time.monotonic_ns() - self.asked_ns, 0) / 1e9
