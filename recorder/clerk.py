"""A thread of our own for work that may block on a disk, with its results as futures.

The call thread never waits for a disk. It hands the work to a clerk: the *clerk* proper writes pauses and audit
entries, which somebody is waiting for; *opening* makes containers, before the ring of a new call is full; *filing*
closes them and writes the index, which may take its time.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_log = logging.getLogger(__name__)
_P = ParamSpec("_P")
_T = TypeVar("_T")


class Clerk:
    """Does one thing after another, in order, on one thread."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self.failures = 0

    def submit(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> "Future[_T]":
        """Queue work; a failure is logged once and is the future's exception."""
        future = self._pool.submit(work, *args, **kwargs)
        future.add_done_callback(self._report)
        return future

    def close(self) -> None:
        """Do what is queued, then end the thread."""
        self._pool.shutdown(wait=True)

    def _report(self, future: "Future[_T]") -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self.failures += 1
            _log.error("%s: %s: %s", self._name, type(error).__name__, error)
