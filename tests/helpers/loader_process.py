"""The process that loads the recorder, and what it forks: the program that `tests.helpers.preloaded` starts.

It imports nothing of the tests, as an installed package may be called `tests`.
"""

import atexit
import codecs
import ctypes
import functools
import gc
import importlib
import importlib.util
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

from recorder.__main__ import main
from recorder.cli.cli import Commands
from recorder.cli.tree import NOUNS
from recorder.control.peercred import peer_of
from recorder.recordings.home_rights import WRITTEN

ROOT = Path(__file__).parents[2]
_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
SCRIPT = "script"
"""In the place of a command: what follows is the path of a Python program, and its words."""
MODULES = "modules"
"""In the place of a command: see `preloaded.modules_loaded`."""
LOADED = (
    "recorder.cli.cli", "recorder.service.run_daemon", "recorder.cli.service", "recorder.service.run_console",
    "anyio._backends._asyncio",  # each console would load it with its first request
)  # fmt: skip


def compile_pages() -> None:
    """Compile all pages, for this process and those that are forked from it: it takes a second of CPU."""
    from recorder.web.page_templates import page_templates  # noqa: PLC0415 - see `preloaded.modules_loaded`

    templates = page_templates(ZoneInfo("UTC"), "#000000")
    for name in templates.list_templates(extensions=("html",)):
        templates.get_template(name)


def make_commands() -> None:
    """Make all commands, for this process and those that are forked from it: with what they import, a second of CPU."""
    for noun in ("", *NOUNS):
        dict(Commands(noun))


def make_tones() -> None:
    """Make the tones that each daemon plays, for the processes that are forked from this one."""
    from audio.prompts import TONES  # noqa: PLC0415 - see `preloaded.modules_loaded`

    for tone in TONES:
        tone()


def serve() -> list[str] | None:
    """Fork, or say how a child ended, for each line of standard input; the first one is the environment.

    Returns:
        In a child: the words of its command line. In the parent: None, once there are no more requests.
    """
    os.environ.clear()
    os.environ.update(json.loads(sys.stdin.readline()))
    running: set[int] = set()
    for line in sys.stdin:
        request = json.loads(line)
        if "pid" in request:
            running.discard(request["pid"])
            answer = os.waitstatus_to_exitcode(os.waitpid(request["pid"], 0)[1])
        else:
            answer = os.fork()
            if answer == 0:
                _open(*request["files"])
                if "environment" in request:
                    os.environ.clear()
                    os.environ.update(request["environment"])
                if request.get("network") is not None:
                    enter(request["network"])
                if request.get("user") is not None:
                    become(*request["user"])
                return list(request["words"])
            running.add(answer)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    return None


def fork_for_each_connection(listener: socket.socket) -> bool:
    """Fork for each connection of this user until standard input ends.

    Returns:
        In a child: True; its standard input and output are the connection. In the parent: False.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    while True:
        ready, _, _ = select.select([sys.stdin, listener], [], [])
        if sys.stdin in ready:
            return False
        connection, _ = listener.accept()
        if not is_ours(connection):
            connection.close()
            continue
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            os.dup2(connection.fileno(), 0)
            os.dup2(connection.fileno(), 1)
            connection.close()
            return True
        connection.close()


def is_ours(connection: socket.socket) -> bool:
    """Tell whether this user connected: an abstract address has no mode, so every user of the machine can."""
    uid, _ = peer_of(connection)
    return uid == os.getuid()


def enter(network: str) -> None:
    """Have this process, which has one thread, in a network namespace."""
    with Path(network).open("rb") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "a network namespace")


def become(uid: int, gid: int, home: str = "") -> None:
    """Be another user for good, as the units run it: its own group has its number, and it is in one more.

    With ``home`` it sees this home as the daemon's unit lets it: read-only but for the folders that both users write.
    The Python in use may lie where that user cannot read: what it loads late is loaded now.
    """
    for name in ("unicode_escape", "idna", "latin_1", "ascii", "utf_8_sig"):
        codecs.lookup(name)
    importlib.import_module("_strptime")
    if home:
        _protect(home)
    os.setgroups([gid])
    os.setgid(uid)
    os.setuid(uid)


def _protect(home: str) -> None:
    """Do to a home what systemd does for ProtectSystem=strict and ReadWritePaths: bind mounts, seen by this process."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "a namespace of mounts")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    for folder, right in ((home, "ro"), *((f"{home}/{name}", "rw") for name in WRITTEN)):
        subprocess.run(["mount", "--bind", folder, folder], check=True)
        subprocess.run(["mount", "-o", f"remount,bind,{right}", folder], check=True)


def end_without_freeing(program: Callable[[], object]) -> None:
    """Run a program, and end the process as the interpreter does, but free no object.

    To free what a fork shares with its parent copies it first: 90 ms of CPU for each daemon and command.
    """
    try:
        program()
        code = 0
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise  # a message to print
        code = end.code or 0
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are no daemons
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def watch_results() -> None:
    """Check what commands print; loaded by its path, as an installed package may be called `tests`."""
    found = importlib.util.spec_from_file_location("json_results", Path(__file__).with_name("json_results.py"))
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    module.watch()


def _open(given: str, output: str, errors: str) -> None:
    """Open standard input, output and error anew; the requests and answers of the parent are closed thereby."""
    for number, (path, flags) in enumerate(((given, os.O_RDONLY), (output, _APPEND), (errors, _APPEND))):
        file = os.open(path, flags, 0o666)
        os.dup2(file, number)
        os.close(file)


if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    gc.disable()  # what is loaded is no garbage
    modules: dict[str, list[str]] = {}
    for name in LOADED:
        importlib.import_module(name)
        modules[name] = [*sys.modules]
    compile_pages()
    make_commands()
    make_tones()
    watch_results()
    gc.freeze()
    words = serve() if fork_for_each_connection(socket.socket(fileno=int(sys.argv[1]))) else None
    if words is not None and words[0] == SCRIPT:
        sys.argv[:] = words[1:]
        gc.enable()
        end_without_freeing(functools.partial(runpy.run_path, words[1], run_name="__main__"))
    elif words == [MODULES]:
        end_without_freeing(lambda: print(json.dumps(modules)))  # noqa: T201 - to who asked
    elif words is not None:
        sys.argv[:] = ["recorder", *words]
        end_without_freeing(main)
