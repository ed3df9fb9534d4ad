"""Runs the commands that a page of docs/ shows, as they are written, in bash.

A block ```` ```console ```` has commands after ``$ `` and what they print below. All blocks of a page are one script,
so that a variable that one sets is there in the next. `recorder` is a small program that has its words run in the
test's own process: to load the recorder would take a second for each. A comment such as ``<!-- call: 2001 -->`` stands
where the reader does something with a phone.
"""

import contextlib
import os
import re
import shlex
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from typer.testing import CliRunner

from recorder.access.totp import code_of, step_of
from recorder.cli.cli import app
from recorder.common.clock import utc_now

_BLOCK = re.compile(r"^( *)```console\n(.*?)^ *```|^<!-- (call|hang up)(?:: (\d+))? -->", re.DOTALL | re.MULTILINE)
_PASSED_ON = ("RECORDER_HOME", "RECORDER_TOKEN", "PATH")
_ASKED = {
    ("init",): "--password-file", ("login",): "--password-file", ("users", "add"): "--new-password-file",
}  # fmt: skip
"""The commands that ask for a password, and the option that gives what a person types."""
_ROOT = Path(__file__).parents[2]
_CLIENT = """\
import posix, sys
from _socket import AF_UNIX, SHUT_WR, socket
line = socket(AF_UNIX)
line.connect(bytes(1) + posix.environ[b"GUIDE_SOCKET"])
words = [word.encode("utf-8", "surrogateescape") for word in sys.argv[1:]]
set_here = [b"=".join(one) for one in posix.environ.items()]
line.sendall(bytes(1).join([posix.getcwdb(), b"%d" % len(words), *words, *set_here]))
line.shutdown(SHUT_WR)
told = b""
while part := line.recv(65536):
    told += part
code, out, err = told.split(bytes(1))
sys.stdout.buffer.write(out)
sys.stdout.flush()
sys.stderr.buffer.write(err)
sys.exit(int(code))
"""
"""Loads what is built into Python alone: `json`, `os` and `socket` would take 15 ms more for each command."""


@dataclass(frozen=True)
class Step:
    """A command of a page, and the lines that the page shows below it."""

    command: str
    shown: tuple[str, ...] = ()


def steps_of(text: str) -> list[Step]:
    """Return the commands of a page in order; a line that ends in a backslash goes on in the next one."""
    steps: list[Step] = []
    for found in _BLOCK.finditer(text):
        if found[3]:
            steps.append(Step(" ".join(["recorder", f"@{found[3].replace(' ', '-')}", *filter(None, [found[4]])])))
        else:
            steps += _of_block(textwrap.dedent(found[2]))
    return steps


def _of_block(block: str) -> Iterator[Step]:
    for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        whole = re.match(r"(?:.*\\\n)*.*\n", command)
        assert whole is not None
        yield Step(whole[0].rstrip("\n"), tuple(filter(str.strip, command[whole.end() :].splitlines())))


def is_like(shown: str, said: str) -> bool:
    """Return whether a line that a page shows is like one that was printed.

    Blanks count as one. Numbers, ids and times differ from run to run, and ``...`` stands for anything.
    """
    parts = (_stable(part) for part in shown.split("..."))
    return re.fullmatch(".*".join(map(re.escape, parts)), _stable(said)) is not None


def _stable(text: str) -> str:
    return re.sub(r"\b[0-9a-f]*\d(?:[\w:+.-]*\w)?", "0", " ".join(text.split()))


@dataclass(frozen=True)
class Done:
    """What became of a step: its exit code and what it printed."""

    step: Step
    code: int
    said: str

    @property
    def problem(self) -> str:
        """What is wrong, as a sentence; empty if it did what the page says."""
        if self.code:
            return f"$ {self.step.command}\nends with {self.code}: {self.said}"
        said = self.said.splitlines()
        missing = [line for line in self.step.shown if not any(is_like(line, one) for one in said)]
        return f"$ {self.step.command}\ndoes not print {missing}, but: {self.said}" if missing else ""


@dataclass
class GuideShell:
    """A shell in which pages are followed.

    Attributes:
        folder: Where commands are run.
        passwords: File with the password that people type when a command asks.
        acts: What happens instead of a command, by its first word.
        replaced: Texts of the page and what stands for them here, such as ports that are free.
        afterwards: What is done when a command has succeeded, by its first word.
        has_apps: People have authenticator apps: who is shown a secret types the code that the app makes of it.
    """

    folder: Path
    passwords: Path
    acts: Mapping[str, Callable[..., None]]
    replaced: Mapping[str, str] = field(default_factory=dict)
    afterwards: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    has_apps: bool = False
    _apps: dict[str, tuple[str, int]] = field(default_factory=dict)
    _secret: str = ""
    _failed: list[BaseException] = field(default_factory=list)

    def follow(self, steps: Sequence[Step], environment: Mapping[str, str]) -> list[Done]:
        """Run the commands of a page until one fails; returns what became of each that was run."""
        programs, answers = self.folder / ".programs", self.folder / ".answers"
        for made in (programs, answers):
            made.mkdir(parents=True)
        (programs / "recorder").write_text(f"#!{sys.executable} -IS\n{_CLIENT}")
        (programs / "recorder").chmod(0o700)
        script = "\n".join(
            f"{{ {step.command}\n}} > {shlex.quote(str(answers / str(n)))} 2>&1 || exit; echo > {answers}/{n}.done"
            for n, step in enumerate(steps)
        )
        address = f"recorder-guide-{os.getpid()}-{id(self)}"
        here = {"PATH": f"{programs}:{os.environ['PATH']}", "GUIDE_SOCKET": address, "RECORDER_TOKEN": ""}
        with socket.socket(socket.AF_UNIX) as line:
            line.bind(f"\0{address}")
            line.listen()
            line.settimeout(0.05)
            with subprocess.Popen(
                ["bash", "-o", "pipefail", "-c", script], cwd=self.folder, stdin=subprocess.DEVNULL,
                env={**os.environ, **here, **environment},
            ) as shell:  # fmt: skip
                self._serve(line, shell)
        if self._failed:
            raise self._failed[0]
        tried = [n for n in range(len(steps)) if (answers / str(n)).exists()]
        return [
            Done(steps[n], 0 if (answers / f"{n}.done").exists() else shell.returncode, (answers / str(n)).read_text())
            for n in tried
        ]

    def _serve(self, line: socket.socket, shell: "subprocess.Popen[bytes]") -> None:
        """Run what `recorder` is asked for until the shell has ended."""
        while shell.poll() is None:
            with contextlib.suppress(TimeoutError):
                asked, _ = line.accept()
                with asked:
                    with asked.makefile("rb") as question:
                        folder, count, *rest = question.read().decode().split("\0")
                    environment = dict(one.split("=", 1) for one in rest[int(count) :])
                    said = self._run(rest[: int(count)], folder, environment)
                    asked.sendall("\0".join(map(str, said)).encode())

    def _run(self, asked: Sequence[str], folder: str, environment: Mapping[str, str]) -> tuple[int, str, str]:
        """Run a command; returns its exit code and what it wrote to standard output and error."""
        words = [self._here(word) for word in asked]
        try:
            if words[0] in self.acts:
                self.acts[words[0]](*words[1:])
                return 0, "", ""
            for command, option in _ASKED.items():
                if tuple(words[: len(command)]) == command and option not in words:  # a person types it
                    words += [option, str(self.passwords)]
            env = {name: environment.get(name) for name in _PASSED_ON}
            env["RECORDER_HOME"] = self._here(environment.get("RECORDER_HOME", ""))
            if words[0] == "login" and self.has_apps:
                return self._login(words, env, folder)
            with contextlib.chdir(folder):
                done = CliRunner().invoke(app, words, prog_name="recorder", env=env)
            if done.exception is not None and not isinstance(done.exception, SystemExit):
                raise done.exception
            if not done.exit_code and words[0] in self.afterwards:
                self.afterwards[words[0]]()
        except Exception as error:  # noqa: BLE001 - the shell has to end first; `follow` raises it
            self._failed.append(error)
            return 70, "", repr(error)
        return done.exit_code, done.stdout, done.stderr

    def _here(self, word: str) -> str:
        for old, new in self.replaced.items():
            word = word.replace(old, new)
        return word

    def _login(self, words: Sequence[str], env: Mapping[str, str | None], folder: str) -> tuple[int, str, str]:
        """Sign in in a process of its own, with the next code of the app, which keeps the secret that is shown."""
        here = {**os.environ, **{name: value for name, value in env.items() if value is not None}}
        told = []
        with subprocess.Popen(
            [sys.executable, "-m", "recorder", *words], cwd=folder, env={**here, "PYTHONPATH": str(_ROOT)}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            for line in process.stderr:
                told.append(line)
                if line.startswith("secret: "):
                    self._secret = line.removeprefix("secret: ").replace(" ", "").strip()
                if line.startswith("Code of "):
                    who = line.split()[2].rstrip(",")
                    secret, last = self._apps.get(who, (self._secret, 0))
                    step = max(step_of(utc_now()), last + 1)  # each code works once; an app may be a code ahead
                    self._apps[who] = secret, step
                    process.stdin.write(f"{code_of(secret, step)}\n")
                    process.stdin.flush()
            token = process.stdout.read()
        return process.returncode, token, "".join(told)
