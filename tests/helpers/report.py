"""What a run of the tests says beyond passed and failed: which were slow, and what the daemons of a failed one logged.

A pytest plugin; `tests/conftest.py` loads it. A rare failure must be found from the one run in which it happened.
"""

import itertools
import weakref
from collections.abc import Generator
from pathlib import Path
from typing import Any, Protocol

import pytest

SLOW_S = 5.0
LINES = 80
"""Of each log, the last ones."""
_logs: "weakref.WeakSet[Logs]" = weakref.WeakSet()


class Logs(Protocol):
    """Something that writes a log while it runs."""

    @property
    def log(self) -> Path:
        """Return the file."""


def watch(source: Logs) -> None:
    """Show the end of a log with each test that fails while its source exists."""
    _logs.add(source)


def forget(source: Logs) -> None:
    """Show its log no more."""
    _logs.discard(source)


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-LINES:])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the logs to the report of a test that failed."""
    report = yield
    if report.failed:
        for log in sorted({source.log for source in list(_logs)}):
            if log.exists():
                report.sections.append((f"end of {log}", _tail(log)))
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Count and name the tests that took longer than SLOW_S, set-up and end included."""
    spent: dict[str, float] = {}
    for report in itertools.chain.from_iterable(terminalreporter.stats.values()):
        if hasattr(report, "duration") and hasattr(report, "nodeid"):
            spent[report.nodeid] = spent.get(report.nodeid, 0.0) + report.duration
    slow = sorted(((seconds, name) for name, seconds in spent.items() if seconds > SLOW_S), reverse=True)
    terminalreporter.section(f"{len(slow)} of {len(spent)} tests were slower than {SLOW_S:g} s")
    for seconds, name in slow:
        terminalreporter.line(f"{seconds:7.1f} s  {name}")
