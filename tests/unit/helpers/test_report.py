"""What a run says of slow tests and of the logs behind a failure."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.helpers import report


@dataclass(eq=False)
class Source:
    log: Path


@dataclass
class Report:
    failed: bool
    sections: list[tuple[str, str]] = field(default_factory=list)


def reported(made: Report) -> Report:
    hook: Any = report.pytest_runtest_makereport(None)  # type: ignore[arg-type]
    next(hook)
    with pytest.raises(StopIteration) as ended:
        hook.send(made)
    assert ended.value.value == made
    return made


def test_a_failure_shows_the_end_of_each_log_and_a_pass_shows_none(tmp_path: Path) -> None:
    source = Source(tmp_path / "daemon.log")
    source.log.write_text("".join(f"line {number}\n" for number in range(report.LINES + 5)))
    report.watch(source)
    shown = dict(reported(Report(failed=True)).sections)[f"end of {source.log}"]
    assert shown.splitlines()[0] == "line 5"
    assert shown.splitlines()[-1] == f"line {report.LINES + 4}"
    assert reported(Report(failed=False)).sections == []


def test_a_log_is_shown_no_more_once_its_source_is_gone(tmp_path: Path) -> None:
    source = Source(tmp_path / "daemon.log")
    source.log.write_text("gone\n")
    report.watch(source)
    del source
    assert f"end of {tmp_path / 'daemon.log'}" not in dict(reported(Report(failed=True)).sections)


def test_slow_tests_are_counted_and_named_with_all_of_their_time() -> None:
    lines: list[str] = []
    parts = [("slow", 3.0), ("slow", 2.5), ("quick", 4.9)]
    reports: list[Any] = [SimpleNamespace(nodeid=name, duration=seconds) for name, seconds in parts]
    reporter = SimpleNamespace(stats={"": [*reports, SimpleNamespace()]}, section=lines.append, line=lines.append)
    report.pytest_terminal_summary(reporter)
    assert lines == ["1 of 2 tests were slower than 5 s", "    5.5 s  slow"]
