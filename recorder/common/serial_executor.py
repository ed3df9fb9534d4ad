"""One thread that does work in order, for work that may block on a disk; results are futures.

The call thread never waits for a disk. It hands work to one of these threads: *act-writer* writes pauses and audit
entries that somebody waits for; *opening* makes containers before the ring buffer of a new call is full; *filing*
closes them and writes the index; *orders* stores orders to erase in a database that may be remote.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_log = logging.getLogger(__name__)
_P = ParamSpec("_P")
_T = TypeVar("_T")


class SerialExecutor:
    """Does one thing after another, in order, on one thread."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self.failures = 0

    def submit(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> "Future[_T]":
        """Queue work; a failure is logged once and becomes the future's exception."""
        future = self._pool.submit(work, *args, **kwargs)
        future.add_done_callback(self._report)
        return future

    def close(self) -> None:
        """Finish the queued work, then end the thread."""
        self._pool.shutdown(wait=True)

    def _report(self, future: "Future[_T]") -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self.failures += 1
            _log.error("%s: %s: %s", self._name, type(error).__name__, error)


def after(first: "Future[None]", start: "Callable[[], Future[None]]") -> "Future[None]":
    """Start something when a future is done, with or without success; return a future of it."""
    done: Future[None] = Future()
    first.add_done_callback(lambda _: start().add_done_callback(lambda ended: _pass_on(ended, done)))
    return done


def after_all(first: "Future[None]", *others: "Future[None]") -> "Future[None]":
    """Return a future that is done when all of several are; with the first failure, in their order, if any."""
    if not others:
        return first
    done: Future[None] = Future()

    def go_on(ended: "Future[None]") -> None:
        if ended.exception() is not None:
            _pass_on(ended, done)
        else:
            after_all(*others).add_done_callback(lambda last: _pass_on(last, done))

    first.add_done_callback(go_on)
    return done


def _pass_on(ended: "Future[None]", done: "Future[None]") -> None:
    error = ended.exception()
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(None)
