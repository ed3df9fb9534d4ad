"""`recorder selftest` against a running daemon."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.exchange import Exchange, exchange
from tests.helpers.recorder_home import run

QUICK = (("look_back_s = 5.0", "look_back_s = 1.5"), ("erase_s = 3.0", "erase_s = 0.4"))


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("selftest"), edits=QUICK) as made:
        yield made


def selftest(lines: Exchange) -> dict[str, Any]:
    done = run("selftest", "-C", str(lines.home.root), "--json")
    print(done.stderr)
    print(done.stdout)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if report["passed"] else 1)
    return report


def test_a_recorder_that_works_passes_and_nothing_is_left(lines: Exchange) -> None:
    report = selftest(lines)
    assert report["passed"], report
    assert report["is_deleted"]
