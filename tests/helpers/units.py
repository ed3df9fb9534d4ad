"""Which tests go together to one worker, and in which order they are handed out. Pure."""

from collections import deque
from collections.abc import Iterable

import pytest

ORDER = ("leak", "browser", "peers", "crash", "integration", "policy", "fuzz", "virtual", "unit")
"""Folders, from those whose tests wait for phones, browsers and disks to those whose tests calculate."""

WHOLE = ("browser", "policy")
"""Folders each of which goes to one worker."""

WORKER = "TESTS_WORKER"
"""Environment variable: the number of the worker that a process belongs to."""


def rank(folder: str) -> int:
    """Return the place of a folder in the order."""
    return ORDER.index(folder) if folder in ORDER else len(ORDER)


class Units:
    """Tests that go to one worker together, so that their daemon or server is made once.

    The tests of a file go together, and the whole browser folder: it has one browser. So does the policy folder: it has
    one recorder. The runs of the leak suite are independent of each other and the longest of all, and go to several.

    Every other worker takes units from the beginning of `ORDER`, the others from its end: so neither do all wait at a
    time, nor do all calculate.

    Args:
        items: The tests, sorted by `rank`.
    """

    def __init__(self, items: Iterable[pytest.Item]) -> None:
        units: dict[str, list[int]] = {}
        for index, item in enumerate(items):
            units.setdefault(_unit(item.nodeid), []).append(index)
        self._left = deque(units.values())

    def next(self, *, from_end: bool) -> list[int]:
        """Return the tests of the next unit, by their index; none when all are handed out."""
        if not self._left:
            return []
        return self._left.pop() if from_end else self._left.popleft()


def _unit(nodeid: str) -> str:
    folder = nodeid.partition("/")[2].partition("/")[0]
    if folder in WHOLE:
        return folder
    if "/test_leak_calls.py" in nodeid:
        return nodeid.partition("[")[2] or nodeid
    return nodeid.partition("::")[0]
