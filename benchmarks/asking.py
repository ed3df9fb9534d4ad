"""How soon the daemon answers for its health while something else happens."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from benchmarks.home import HomeError, RecorderHome


class Asking:
    """Asks the daemon for its health now and then, on a thread of its own: calls are placed meanwhile.

    Args:
        home: The recorder.
        on_asked: Told after each answer how many calls there were at most.
        every_s: From one answer to the next question, seconds.

    Attributes:
        most: Most calls at a time.
        unconfirmed: How often the daemon did not answer.
        slowest_s: Longest time that an answer took, seconds.
    """

    def __init__(
        self, home: RecorderHome, on_asked: Callable[[int], None] = lambda _most: None, *, every_s: float = 1.0
    ) -> None:
        self.most = self.unconfirmed = 0
        self.slowest_s = 0.0
        self._home, self._on_asked, self._every_s = home, on_asked, every_s
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="asking")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _ask(self) -> None:
        is_over = False
        while not is_over:
            is_over = self._is_over.wait(self._every_s)
            asked_s = time.monotonic()
            try:
                self.most = max(self.most, self._home.live_calls())
            except HomeError:
                self.unconfirmed += 1  # the call thread did not answer in time
            self.slowest_s = max(self.slowest_s, time.monotonic() - asked_s)
            self._on_asked(self.most)
