"""Daemons forked from a process that has loaded the recorder already.

To load the recorder takes seconds of CPU, and a run of the tests starts hundreds of daemons. A run has one process that
is started as `recorder run` is and loads the modules of daemon and console, while the tests are collected. It forks
once for each pytest worker, and that child forks for each daemon of the worker: what comes then is what the program
does. It is a process of its own because pytest and its workers have threads, and a fork copies only one. Its program is
`tests.helpers.loader_process`; here is what starts it, and asks it for forks.

Tests of how a process starts, and of what is in its memory, start the program itself.
"""

import atexit
import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from recorder.common.process_hardening import wiping_environment
from tests.helpers import loader_process
from tests.helpers.loader_process import MODULES, SCRIPT

ROOT = Path(__file__).parents[2]
User = tuple[int, int] | tuple[int, int, str]
"""Number, group, and a home that it sees as the daemon's unit lets it."""
_ADDRESS = "TESTS_LOADER"
"""Environment variable: where the process that loads the recorder listens, for programs that tests start."""
_loaders: "list[Loader]" = []
"""Kept, as workers forget what is to be done at the end: the process must not be taken for garbage in them."""


class Daemon:
    """A child of a `Preloaded`, with the part of the interface of `subprocess.Popen` that tests use.

    Attributes:
        pid: The process.
        returncode: As `subprocess.Popen.returncode`; None while it runs or nobody has asked.
    """

    def __init__(self, pid: int, parent: "Preloaded") -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._parent = parent
        self._pidfd = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs; negative is the signal that ended it."""
        return self._code_within(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; return its exit code.

        Raises:
            subprocess.TimeoutExpired: It still runs.
        """
        code = self._code_within(timeout)
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(f"recorder run (process {self.pid})", timeout)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._pidfd, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _code_within(self, timeout_s: float | None) -> int | None:
        if self.returncode is None and self._has_ended(timeout_s):
            self.returncode = self._parent.code_of(self.pid)
            os.close(self._pidfd)
        return self.returncode

    def _has_ended(self, timeout_s: float | None) -> bool:
        poll = select.poll()  # select() takes no descriptor above 1023, and the leak suite has more
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))


class Loader:
    """The process that loads the recorder. It ends when its standard input does, which only who started it closes."""

    def __init__(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind("")  # a name of the kernel's choice, in no folder (unix(7), autobind)
        self._listener.listen()
        self.address: bytes = self._listener.getsockname()
        self._process = subprocess.Popen(
            [sys.executable, loader_process.__file__, str(self._listener.fileno())], stdin=subprocess.PIPE, cwd=ROOT,
            pass_fds=[self._listener.fileno()], env=_wiping(_environment()),
        )  # fmt: skip
        self._listener.close()  # who waits for a process that could not load the recorder is refused, and does not hang

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


class Preloaded:
    """A fork of the `Loader`'s process, which forks in its turn; it ends when its connection does."""

    def __init__(self, address: bytes) -> None:
        self.environment = _environment()
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(address)
        self._lines = self._socket.makefile("rw")
        self._send(_wiping(self.environment))

    def start(
        self, words: Sequence[str], output: Path, errors: Path, *, given: Path = Path(os.devnull),
        user: "User | None" = None, network: str | None = None,
    ) -> Daemon:  # fmt: skip
        """Fork a `recorder` with these words; what it says is appended to files, and ``given`` is its input.

        With ``user`` it becomes this user first, in this group beside its own; see `become`. With ``network``, the path
        of a network namespace, it runs there.
        """
        files = [str(given), str(output), str(errors)]
        return Daemon(self._ask(words=list(words), files=files, user=user, network=network), self)

    def start_script(self, path: Path, words: Sequence[str], output: Path, errors: Path, given: Path) -> Daemon:
        """Fork a process that runs a Python program as ``python PATH WORDS`` would, with what is loaded already."""
        files = [str(given), str(output), str(errors)]
        plain = self.environment  # it has no memory to wipe, and nor have processes that it starts
        return Daemon(self._ask(words=[SCRIPT, str(path), *words], files=files, environment=plain), self)

    def code_of(self, pid: int) -> int:
        """Return the exit code of a child that has ended."""
        return self._ask(pid=pid)

    def close(self) -> None:
        """End the process; children that still run are killed before this returns."""
        self._socket.shutdown(socket.SHUT_WR)
        self._lines.read()
        self._lines.close()
        self._socket.close()

    def _ask(self, **request: Any) -> int:
        with self._lock:
            self._send(request)
            return int(self._lines.readline())

    def _send(self, document: Any) -> None:
        self._lines.write(json.dumps(document) + "\n")
        self._lines.flush()


def _environment() -> dict[str, str]:
    """Return the environment that tests may change, without what pytest changes for each of them."""
    return {name: value for name, value in os.environ.items() if name not in {"PYTEST_CURRENT_TEST", _ADDRESS}}


def _wiping(environment: Mapping[str, str]) -> dict[str, str]:
    # A fork copies one thread, so there may be no other: numpy's linear algebra would start some.
    return {**wiping_environment(environment), "OPENBLAS_NUM_THREADS": "1"}


@functools.cache
def load() -> bytes:
    """Begin to load the recorder, once for this process and all programs that it starts; returns its address."""
    if _ADDRESS not in os.environ:
        loader = Loader()
        _loaders.append(loader)
        atexit.register(loader.close)
        os.environ[_ADDRESS] = loader.address.hex()
    return bytes.fromhex(os.environ[_ADDRESS])


@functools.cache
def _shared() -> Preloaded:
    preloaded = Preloaded(load())
    atexit.register(preloaded.close)
    return preloaded


def start_as(user: User, words: Sequence[str], log: Path) -> Daemon:
    """Start a `recorder` as another user, in a group beside its own; takes root and an unchanged environment."""
    return _shared().start(words, log, log, user=user)


def start(words: Sequence[str], log: Path, network: str | None = None) -> Daemon | subprocess.Popen[bytes]:
    """Start a `recorder` with these words by a fork, in a network namespace if the path of one is given.

    It is started anew if a test has changed the environment since the first.
    """
    if _shared().environment == _environment():
        return _shared().start(words, log, log, network=network)
    return start_anew(words, log, before=() if network is None else ("nsenter", f"--net={network}"))


def start_script(path: Path, words: Sequence[str], log: Path) -> Daemon:
    """Start a Python program by a fork, which may not need an environment of its own."""
    return _shared().start_script(path, words, log, log, Path(os.devnull))


def start_within(path: Path, words: Sequence[str], log: Path) -> Daemon:
    """Start a Python program by a fork, which runs a `recorder` in its own process: with memory that is wiped."""
    return _shared().start([SCRIPT, str(path), *words], log, log)


def run(
    words: Sequence[str], *, stdin: str = "", timeout_s: float, began: Callable[[int], object] = int
) -> subprocess.CompletedProcess[str]:
    """Run a `recorder` with these words to its end by a fork, as `subprocess.run` would.

    Args:
        words: Of its command line.
        stdin: Its input.
        timeout_s: It is killed after so long.
        began: Is told the process id at once.

    Raises:
        subprocess.TimeoutExpired: It took longer, and was killed.
    """
    with contextlib.ExitStack() as stack:
        # In memory: what stands nowhere is no trace of the command for those who look for traces.
        given, output, errors = (stack.enter_context(_in_memory(name)) for name in ("given", "output", "errors"))
        given.write(stdin)
        given.flush()
        process = _shared().start(words, _path(output), _path(errors), given=_path(given))
        began(process.pid)
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        return subprocess.CompletedProcess(list(words), code, output.read(), errors.read())


def modules_loaded() -> dict[str, set[str]]:
    """Return which modules a process has that has loaded each of `loader_process.LOADED`, one after another.

    They were loaded by the process of the `Loader`, which has before loaded no more of the recorder than it needs.
    """
    done = run([MODULES], timeout_s=60)
    return {name: set(found) for name, found in json.loads(done.stdout).items()}


class Script:
    """A Python program that runs in a fork, and with which one talks by pipes; a context manager.

    Its first byte says that it runs: it has to write one.

    Attributes:
        given: Its standard input.
        said: Its standard output, after the first byte.
    """

    def __init__(self, path: Path) -> None:
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        self.given, self.said = os.fdopen(ours_in, "wb"), os.fdopen(ours_out, "rb")
        files = [Path(f"/proc/{os.getpid()}/fd/{number}") for number in (theirs_out, sys.stderr.fileno(), theirs_in)]
        self._process = _shared().start_script(path, (), *files)
        started = self.said.read(1) if self._is_heard_or_over(ours_out) else b""
        os.close(theirs_in)  # they have opened them
        os.close(theirs_out)
        if not started:
            self.close()
        assert started, f"{path.name} did not start"

    def _is_heard_or_over(self, pipe: int) -> bool:
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        while not poll.poll(100):
            if self._process.poll() is not None:
                return False
        return True

    def close(self) -> None:
        """Close its input, and wait until it has ended."""
        self.given.close()
        self.said.read()
        self.said.close()
        self._process.wait()


def run_script(path: Path, words: Sequence[str], *, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run a Python program to its end by a fork, as `subprocess.run` would; it may not need an environment of its own.

    Raises:
        subprocess.TimeoutExpired: It took longer, and was killed.
    """
    with _in_memory("output") as output, _in_memory("errors") as errors:
        process = _shared().start_script(path, words, _path(output), _path(errors), Path(os.devnull))
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        return subprocess.CompletedProcess([str(path), *words], code, output.read(), errors.read())


def _in_memory(name: str) -> TextIO:
    return os.fdopen(os.memfd_create(name), "w+")


def _path(file: TextIO) -> Path:
    return Path(f"/proc/{os.getpid()}/fd/{file.fileno()}")


def start_anew(
    words: Sequence[str], log: Path, *, before: Sequence[str] = (), sources: Path = ROOT
) -> subprocess.Popen[bytes]:
    """Start a `recorder` as anybody would.

    Args:
        words: Of its command line.
        log: What it says is appended to it.
        before: Wraps the command, as `prlimit` does.
        sources: The folder of the sources; other than usual where they are broken on purpose.
    """
    command = [*before, sys.executable, "-m", "recorder", *words]
    with log.open("ab") as file:
        return subprocess.Popen(command, stdout=file, stderr=file, cwd=sources)
