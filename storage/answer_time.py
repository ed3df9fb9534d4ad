"""How long a database server may take to answer, for the statements of one block on one thread."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_until: ContextVar[float | None] = ContextVar("until", default=None)


@contextmanager
def answer_within(seconds: float) -> Iterator[None]:
    """Limit the time that a server may take for all statements of the block; SQLite has its own limit.

    A connection that takes longer is closed, and its statement fails.
    """
    mine, before = time.monotonic() + seconds, _until.get()
    token = _until.set(mine if before is None else min(mine, before))
    try:
        yield
    finally:
        _until.reset(token)


def left_s() -> float | None:
    """Return the seconds that are left, 0 or more; None if there is no limit."""
    until = _until.get()
    return None if until is None else max(until - time.monotonic(), 0.0)
