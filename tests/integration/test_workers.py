"""Workers that share the tests: each test is run once, and a worker that dies is told and replaced."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PLUGIN = """
import sys, types
sys.modules["tests"] = types.ModuleType("tests")  # another distribution installs a package of that name
sys.modules["tests"].__path__ = [{path!r}]
pytest_plugins = ["tests.helpers.workers"]

from tests.helpers import preloaded, workers
preloaded.load = workers._prepare_once = lambda: None  # none of these tests starts a recorder or shows a page
"""
_HEAD = """
import os, signal, pytest

@pytest.fixture(scope="session")
def mine(tmp_path_factory):
    made = tmp_path_factory.mktemp("mine")
    yield made
    with open({said!r}, "a") as file:
        print("end", os.getpid(), file=file)
"""
_TEST = """
def test_{name}(mine, tmp_path):
    with open({said!r}, "a") as file:
        print("ran", {name!r}, os.getpid(), mine, file=file)
    {then}
"""


class Project:
    """A folder of tests of two files that write down who ran them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said = folder / "said"
        (folder / "conftest.py").write_text(_PLUGIN.format(path=str(ROOT / "tests")))

    def write(self, name: str, **then: str) -> None:
        """Write a file of tests, each with what it does last."""
        head = _HEAD.format(said=str(self.said))
        tests = [_TEST.format(said=str(self.said), name=test, then=last) for test, last in then.items()]
        (self.folder / f"test_{name}.py").write_text(head + "".join(tests))

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run them with two workers."""
        command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", str(self.folder)]
        command += ["-p", "no:cacheprovider", "--workers", "2", *words, str(self.folder)]
        return subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=ROOT, check=False)

    def ran(self) -> list[list[str]]:
        """Return name, process and session folder of each test that was begun."""
        return [line.split()[1:] for line in self.said.read_text().splitlines() if line.startswith("ran")]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder)


def test_each_test_is_run_once_and_each_worker_makes_its_own_fixtures(project: Project) -> None:
    project.write("a", one="pass", two="print('seen'); assert 1 == 2")
    project.write("b", three="pass", four="pytest.skip('not today')")
    done = project.run()
    assert done.returncode == 1, done.stderr
    assert re.search(r"1 failed, 2 passed, 1 skipped", done.stdout), done.stdout
    assert "seen" in done.stdout
    assert "assert 1 == 2" in done.stdout
    ran = project.ran()
    assert sorted(name for name, _, _ in ran) == ["four", "one", "three", "two"]
    of = {name: (pid, folder) for name, pid, folder in ran}
    assert of["one"] == of["two"], "the tests of a file have one worker and one session"
    assert of["three"] == of["four"]
    assert len(set(of.values())) == 2
    assert project.said.read_text().count("end") == 2, "each session's fixtures were ended"


def test_a_worker_that_dies_fails_its_test_and_the_others_are_run(project: Project) -> None:
    project.write("a", one="pass", two="os.kill(os.getpid(), signal.SIGKILL)", three="pass")
    project.write("b", four="pass")
    done = project.run()
    assert done.returncode == 1, done.stderr
    assert re.search(r"1 failed, 3 passed", done.stdout), done.stdout
    assert re.search(r"test_two .*worker \d ended in it: exit code -9", done.stdout.replace("\n", " ")), done.stdout
    assert sorted(name for name, _, _ in project.ran()) == ["four", "one", "three", "two"]


def test_after_the_first_failure_no_more_is_handed_out(project: Project) -> None:
    project.write("a", one="assert False", two="pass")
    project.write("b", three="assert False", four="pass")
    done = project.run("-x")
    assert done.returncode == 1, done.stdout
    assert {name for name, _, _ in project.ran()} <= {"one", "three"}
