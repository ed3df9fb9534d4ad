"""A value that takes long to find out, such as by a query: the newest one, found out on a thread of its own."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lately(Generic[T]):
    """Returns the newest value at once, and finds out the next one when it is old. Any thread may use it.

    Args:
        find: Returns the value; may block. If it raises, the value is not known.
        every_s: Age at which a value is old, seconds.
        clock: Monotonic clock, seconds.
    """

    def __init__(self, find: Callable[[], T], every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._find, self._every_s, self._clock = find, every_s, clock
        self._value: T | None = None
        self._found_s = float("-inf")
        self._is_finding = threading.Lock()

    @property
    def value(self) -> T | None:
        """Return the newest value; None before the first one, and after a failure."""
        if self._clock() - self._found_s >= self._every_s and self._is_finding.acquire(blocking=False):
            threading.Thread(target=self._find_out, name="lately", daemon=True).start()
        return self._value

    def _find_out(self) -> None:
        try:
            self._value = self._find()
        except Exception:  # noqa: BLE001 - a database that does not answer: the value is not known
            self._value = None
        finally:
            self._found_s = self._clock()
            self._is_finding.release()
