"""A wall clock that is far from the end of a day and of a month, for tests whose subject is one of them.

A test that reads which day or month it is, and then runs a command that reads it again, holds only if neither ends
between the two. The clock of a process can be set; those of a daemon and of other processes cannot.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest


@contextmanager
def mid_month() -> Iterator[None]:
    """Have this process read a clock that goes on from noon of the 15th of this month, UTC, while this is open.

    It is the clock of `recorder.common.clock`, not that of ``datetime.now``.
    """
    real = time.time
    noon = datetime.fromtimestamp(real(), UTC).replace(day=15, hour=12, minute=0, second=0, microsecond=0)
    ahead_s = noon.timestamp() - real()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: real() + ahead_s)
        yield
