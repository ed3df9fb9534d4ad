"""Which tests go together to one worker, and in which order they are handed out. Pure."""

from collections import Counter, deque
from collections.abc import Sequence

import pytest

ORDER = ("leak", "browser", "peers", "crash", "integration", "policy", "fuzz", "virtual", "unit")
"""Folders, from those whose tests wait for phones, browsers and disks to those whose tests calculate."""

WHOLE = ("browser", "policy")
"""Folders each of which goes to one worker."""
LAST = "unit"
"""The folder that is handed out when all others are: its files take no second each, so all workers end together."""
PART = 25
"""Tests of a file that go to one worker, if they share nothing."""
_OWN = ("function", "session")
"""Scopes of fixtures that tests of a file do not share, or not more than tests of other files."""

WORKER = "TESTS_WORKER"
"""Environment variable: the number of the worker that a process belongs to."""


def rank(folder: str) -> int:
    """Return the place of a folder in the order."""
    return ORDER.index(folder) if folder in ORDER else len(ORDER)


class Units:
    """Tests that go to one worker together, so that their daemon or server is made once.

    The tests of a file with a fixture of their own go together; those of another file in parts. The whole browser
    folder goes together: it has one browser. So does the policy folder: it has one recorder. The runs of the leak suite
    are independent of each other and the longest of all, and go to several.

    Every other worker takes units from the beginning of `ORDER`, the others from its end: so neither do all wait at a
    time, nor do all calculate. The small files of `LAST` come when there are no others.

    Args:
        items: The tests, sorted by `rank`.
    """

    def __init__(self, items: Sequence[pytest.Item]) -> None:
        shared = {_file(item) for item in items if _shares(item)}
        seen: Counter[str] = Counter()
        units: dict[str, list[int]] = {}
        for index, item in enumerate(items):
            file = _file(item)
            unit = file if file in shared else f"{file} {seen[file] // PART}"
            seen[file] += 1
            units.setdefault(_whole(item.nodeid) or unit, []).append(index)
        last = [name for name in units if _folder(name) == LAST]
        self._last = deque(units.pop(name) for name in last)
        self._left = deque(units.values())

    def next(self, *, from_end: bool) -> list[int]:
        """Return the tests of the next unit, by their index; none when all are handed out."""
        units = self._left or self._last
        if not units:
            return []
        return units.pop() if from_end else units.popleft()


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def _folder(name: str) -> str:
    return name.partition("/")[2].partition("/")[0]


def _whole(nodeid: str) -> str:
    """Return the name of the unit of a test that goes with other files', or not with its own; else nothing."""
    folder = _folder(nodeid)
    if folder in WHOLE:
        return folder
    if "/test_leak_calls.py" in nodeid:
        return nodeid.partition("[")[2] or nodeid
    return ""


def _shares(item: pytest.Item) -> bool:
    """Tell whether a test has a fixture that others of its file have as well."""
    fixtures = item._fixtureinfo.name2fixturedefs.values()  # type: ignore[attr-defined]
    return any(one.scope not in _OWN for definitions in fixtures for one in definitions)
