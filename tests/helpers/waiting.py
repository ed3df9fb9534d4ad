"""Waiting for what other processes and threads do."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
HANGS_S = 60.0
"""How long is waited for what has no time of its own: no expectation, only the end of a test that hangs."""


def eventually(
    probe: Callable[[], T | None],
    what: str,
    *,
    timeout_s: float = HANGS_S,
    besides: Callable[[], float] = lambda: 0.0,
) -> T:
    """Poll until ``probe`` gives something true and return it; fails naming ``what``.

    ``timeout_s`` is given where how long it takes is what is tested; the default only ends a test that hangs.
    ``besides``: seconds that do not count, as those in which the kernel ran others in the place of who is waited for.
    """
    began = asked_s = time.monotonic()
    while not (value := probe()):
        passed, uncounted = time.monotonic() - began, besides()
        assert passed - uncounted < timeout_s, f"{what}: not within {timeout_s:g} s, and {uncounted:.1f} s without CPU"
        # A probe that costs CPU, such as opening an index, must not take it from who is waited for.
        time.sleep(min(max(0.04, 2 * (time.monotonic() - asked_s)), 0.25))
        asked_s = time.monotonic()
    return value
