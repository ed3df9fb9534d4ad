"""Shares one fetch among callers: many pages hear of a change at once and ask for the same."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Fetches once for all callers that asked before the fetch began, so that no caller gets an older answer.

    Args:
        fetch: Blocks; its exception is raised in all callers that share it.
    """

    def __init__(self, fetch: Callable[[], T]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._fetching = threading.Lock()
        self._next: Future[T] | None = None

    def get(self) -> T:
        """Return the result of a fetch that began after this call."""
        with self._lock:
            is_first, answer = self._next is None, self._next or Future()
            self._next = answer
        if is_first:
            self._answer(answer)
        return answer.result()

    def _answer(self, answer: "Future[T]") -> None:
        with self._fetching:
            with self._lock:
                self._next = None  # later callers wait for the next fetch
            try:
                answer.set_result(self._fetch())
            except Exception as error:  # noqa: BLE001 - raised in all callers
                answer.set_exception(error)
