"""A command as a process of its own: how it ends, and what its start does not load."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.preloaded import modules_loaded
from tests.helpers.recorder_home import ROOT, run_apart

HEAVY = {
    "fastapi",
    "uvicorn",
    "jinja2",
    "weasyprint",
    "soundfile",
    "soxr",
    "sippy",
    "alembic",
    "numpy",
    "Crypto",
    "psycopg",
    "botocore",
    "cryptography",
}
_LOADED = """
import atexit, gc, sys
from recorder.__main__ import main
sys.argv = ["recorder", *sys.argv[1:]]
atexit.register(lambda: print(len(gc.get_objects())))
def collected(): return sum(one["collections"] for one in gc.get_stats()[1:])
before = collected()
try:
    main()
finally:
    print(" ".join(sorted(name for name in sys.modules if "." not in name)))
    print(gc.isenabled(), collected() - before, len(gc.get_objects()) > 100)
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "recorder", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)


def test_a_process_says_and_returns_what_a_command_does(tmp_path: Path) -> None:
    done = run("find", "--as", "x", "--json", "-C", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "run `recorder init`" in " ".join(done.stderr.split())
    assert run_apart("pause", "--help").returncode == 0
    assert run_apart("no-such-command").returncode == 2


OTHERS = ("calls", "resume --extension 2001 --as x")
"""Of the same module as pausing."""


@pytest.mark.parametrize(
    "command",
    ["pause --extension 2001", "users list --as x", *(pytest.param(one, marks=pytest.mark.long) for one in OTHERS)],
)
def test_who_pauses_does_not_wait_for_what_writes_pdf(tmp_path: Path, command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, *command.split(), "-C", str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode in (1, 2), done.stderr
    names, collecting, left = done.stdout.splitlines()
    loaded = set(names.split())
    assert collecting == "True 0 True", "it looked through what was loaded, or collects nothing"
    assert int(left) < 100, "the interpreter looks through everything at its end"
    assert {"typer", "recorder"} <= loaded
    assert not loaded & HEAVY


def test_daemon_and_console_load_nothing_that_they_do_not_need() -> None:
    """In the process that daemons are forked from; the console adds what it needs beside the daemon."""
    loaded = modules_loaded()
    daemon, both = loaded["recorder.service.run_daemon"], loaded["recorder.service.run_console"]
    assert {"fastapi", "sippy"} <= daemon
    of_others = {"httpx2", "alembic", "authlib", "holidays", "jinja2", "weasyprint", "recorder.web"}
    assert not daemon & of_others, "an HTTP client, or a part of the console"
    assert not daemon & _OF_SEVERAL_MACHINES
    assert {"fastapi", "jinja2"} <= both
    assert not both & _OF_SEVERAL_MACHINES - {"cryptography.x509"}, "OpenID Connect needs x509"


_OF_SEVERAL_MACHINES = {"psycopg", "botocore", "cryptography.x509", "recorder.recordings.object_work"}
