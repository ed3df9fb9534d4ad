"""What goes to one worker together, and in which order."""

from types import SimpleNamespace
from typing import cast

import pytest

from tests.helpers.units import PART, Units


def item(name: str, *scopes: str) -> pytest.Item:
    """Return what `Units` reads of a test with fixtures of these scopes."""
    fixtures = {scope: (SimpleNamespace(scope=scope),) for scope in scopes}
    return cast(pytest.Item, SimpleNamespace(nodeid=name, _fixtureinfo=SimpleNamespace(name2fixturedefs=fixtures)))


def handed_out(names: list[tuple[str, ...]], *, from_end: bool = False) -> list[list[str]]:
    """Return all units in the order in which they are handed out at one side, by the names of their tests."""
    units = Units([item(*name) for name in names])
    given = []
    while unit := units.next(from_end=from_end):
        given.append([names[index][0] for index in unit])
    return given


def names_of(file: str, count: int) -> list[str]:
    return [f"{file}::test[{number}]" for number in range(count)]


def test_a_file_whose_tests_share_nothing_is_handed_out_in_parts() -> None:
    names = names_of("tests/integration/test_a.py", PART + 2)
    given = handed_out([(name, "function", "session") for name in names])
    assert given == [names[:PART], names[PART:]]


@pytest.mark.parametrize("scope", ["module", "class", "package"])
def test_a_file_of_whose_tests_one_shares_a_fixture_stays_whole(scope: str) -> None:
    names = names_of("tests/integration/test_a.py", PART + 2)
    assert handed_out([(names[0], "session"), (names[1], scope), *((name,) for name in names[2:])]) == [names]


def test_a_folder_with_one_recorder_stays_whole_and_runs_of_the_leak_suite_do_not() -> None:
    policy = ["tests/policy/test_a.py::test_one", "tests/policy/test_b.py::test_two"]
    leak = [
        f"tests/leak/test_leak_calls.py::{name}" for name in ("test_run[sockets]", "test_more[sockets]", "test_server")
    ]
    given = handed_out([(name, "module") for name in (*leak, *policy)])
    assert given == [leak[:2], leak[2:], policy]


@pytest.mark.parametrize("from_end", [False, True])
def test_pure_logic_comes_last_at_either_side(from_end: bool) -> None:
    names = ["tests/crash/test_a.py::test", "tests/unit/sip/test_b.py::test", "tests/virtual/test_c.py::test"]
    given = handed_out([(name,) for name in names], from_end=from_end)
    assert given[-1] == [names[1]]
    assert sorted(name for unit in given for name in unit) == names
