"""One answer for all who ask at the same time: many pages hear of a change at once, and ask for the same."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Fetches for whoever asks, once for all who asked before the fetching began: nobody gets an answer that is older.

    Args:
        fetch: Blocks; what it raises is raised to all who share it.
    """

    def __init__(self, fetch: Callable[[], T]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._fetching = threading.Lock()
        self._next: Future[T] | None = None

    def get(self) -> T:
        """Return what was fetched after this was called."""
        with self._lock:
            is_first, answer = self._next is None, self._next or Future()
            self._next = answer
        if is_first:
            self._answer(answer)
        return answer.result()

    def _answer(self, answer: "Future[T]") -> None:
        with self._fetching:
            with self._lock:
                self._next = None  # whoever comes from now on is answered by the next one
            try:
                answer.set_result(self._fetch())
            except Exception as error:  # noqa: BLE001 - it is raised to whoever asked
                answer.set_exception(error)
