"""Polls the daemon's health on a thread of its own, and keeps how long an answer took."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from benchmarks.home import HomeError, RecorderHome


class HealthPoller:
    """Polls the daemon's health from `__enter__` to `__exit__`.

    Args:
        home: The recorder.
        on_polled: Called after each poll with the most calls seen.
        every_s: From the end of one poll to the next, seconds.

    Attributes:
        most_calls: Most calls at a time.
        unanswered: Polls that failed.
        slowest_s: Longest poll, seconds, failed ones included.
    """

    def __init__(
        self, home: RecorderHome, on_polled: Callable[[int], None] = lambda _calls: None, *, every_s: float = 1.0
    ) -> None:
        self.most_calls = self.unanswered = 0
        self.slowest_s = 0.0
        self._home, self._on_polled, self._every_s = home, on_polled, every_s
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="health")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _poll(self) -> None:
        is_over = False
        while not is_over:
            is_over = self._is_over.wait(self._every_s)
            polled_s = time.monotonic()
            try:
                self.most_calls = max(self.most_calls, self._home.live_calls())
            except HomeError:
                self.unanswered += 1  # the call thread did not answer in time
            self.slowest_s = max(self.slowest_s, time.monotonic() - polled_s)
            self._on_polled(self.most_calls)
