"""Daemons of tests are forked from a loaded one in whatever test, but not where a test changes the environment."""

import os
import resource
import subprocess
from pathlib import Path

import pytest

from tests.helpers import preloaded


@pytest.mark.parametrize(
    ("variable", "kind"), [("PYTEST_CURRENT_TEST", preloaded.Daemon), ("RECORDER_TOKEN", subprocess.Popen)]
)
def test_it_is_forked_unless_the_environment_was_changed(
    variable: str, kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preloaded.run(["--help"], stdin="", timeout_s=60)
    monkeypatch.setenv(variable, "other than it was")
    log = tmp_path / "log"
    process = preloaded.start(["--help"], log)
    assert process.wait(60) == 0
    assert isinstance(process, kind)
    assert log.read_text().strip()


def test_a_command_is_waited_for_by_whoever_has_a_thousand_descriptors() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(2048, limits[1]), limits[1]))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        assert preloaded.run(["--help"], timeout_s=60).returncode == 0
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
