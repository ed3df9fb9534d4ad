"""Daemons of tests are forked from a loaded one in whatever test, but not where a test changes the environment."""

import json
import os
import resource
import socket
import subprocess
import sys
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


@pytest.mark.skipif(os.getuid() != 0, reason="becoming another user takes root")
@pytest.mark.parametrize(("uid", "answers"), [(0, 1), (65_534, 0)], ids=["root", "nobody"])
def test_only_the_user_of_the_tests_has_commands_run(uid: int, answers: int) -> None:
    """The address is abstract: every user of the machine can connect, and what is run runs as root."""
    address = preloaded.load()
    child = os.fork()
    if child == 0:
        code = 2
        try:
            code = _answers(address, uid)
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == answers


def _answers(address: bytes, uid: int) -> int:
    """Ask for a command as a user; return how many process ids were answered."""
    os.setuid(uid)
    request = {"words": ["--help"], "files": [os.devnull] * 3}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(address)
        try:
            for document in (dict(os.environ), request):
                connection.sendall(json.dumps(document).encode() + b"\n")
            return len(connection.makefile("rb").readline().split())
        except (BrokenPipeError, ConnectionResetError):
            return 0


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


ENDINGS = {
    "pass": (0, ""), "sys.exit()": (0, ""), "sys.exit(3)": (3, ""), "sys.exit('no room')": (1, "no room"),
    "raise ValueError('bad')": (1, "ValueError: bad"),
}  # fmt: skip


@pytest.mark.parametrize("last", ENDINGS)
def test_a_forked_program_ends_as_any_other(last: str) -> None:
    program = f"""
import atexit, sys, threading, time, types
sys.modules["tests"] = types.ModuleType("tests")  # another distribution installs a package of that name
sys.modules["tests"].__path__ = [{str(preloaded.ROOT / "tests")!r}]
from tests.helpers.loader_process import end_without_freeing
def program():
    atexit.register(print, "at exit")
    threading.Thread(target=lambda: (time.sleep(0.1), print("thread"))).start()
    print("begins")
    {last}
end_without_freeing(program)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=preloaded.ROOT, capture_output=True, text=True, timeout=60, check=False)
    code, said = ENDINGS[last]
    assert (done.returncode, done.stdout.split("\n")) == (code, ["begins", "thread", "at exit", ""]), done.stderr
    assert said in done.stderr


def test_a_program_runs_with_its_words_and_without_the_environment_of_a_daemon(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import os, sys\nprint(sys.argv[1:], 'PYTHONMALLOC' in os.environ)\nsys.exit(3)\n")
    done = preloaded.run_script(program, ("a", "b"), timeout_s=60)
    assert (done.returncode, done.stdout) == (3, f"['a', 'b'] {'PYTHONMALLOC' in os.environ}\n"), done.stderr
    talking = tmp_path / "talking.py"
    talking.write_text("import sys\nprint('x', end='', flush=True)\nprint(sys.stdin.read().upper())\n")
    script = preloaded.Script(talking)
    script.given.write(b"heard")
    script.given.close()
    assert script.said.read() == b"HEARD\n"
    script.close()
    talking.write_text("raise SystemExit(1)")
    with pytest.raises(AssertionError, match=r"talking.py did not start"):
        preloaded.Script(talking)
