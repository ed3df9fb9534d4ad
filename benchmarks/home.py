"""A recorder of its own for a benchmark: a temporary home and the daemon in it, by the command line only."""

import collections
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import numpy as np
import soundfile

from benchmarks.machine import end
from recorder.access.signing import Signer
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.config.toml_tables import ConfigError
from recorder.control.headers import ACTOR_HEADER
from recorder.control.links import signed_headers
from recorder.recordings.home_stores import open_index
from storage.audit import AuditLog
from storage.errors import StorageError
from storage.rows import row_to_json
from storage.types import Search

_MOST_ROWS = 1_000_000
_START_S, _END_S, _COMMAND_S = 30.0, 30.0, 60.0
_ADMIN = "bench"
_PASSWORD = "seven tall cranes over the harbour"  # noqa: S105 - of a home that is deleted with its folder


_NOTICE_RATE = 8000
IN_KERNEL = ("kernel_interfaces = []", 'kernel_interfaces = ["lo"]')
"""An edit of the configuration: the kernel relays what comes by loopback."""
_MAX_CALLS = 1000
"""Of the configuration that `recorder init` writes."""
_LEAST_RELAYED = 0.8


class HomeError(Exception):
    """The recorder could not be set up, did not start or refused a command; the message says what it said."""


def recorder_command() -> list[str]:
    """Return the start of the ``recorder`` command line: the script beside this interpreter, or its module."""
    script = Path(sys.executable).with_name("recorder")
    return [str(script)] if script.exists() else [sys.executable, "-m", "recorder"]


class RecorderHome:
    """A recorder that runs in a new home; leaving the context ends it and deletes the home."""

    def __init__(
        self,
        *,
        sip: str,
        next_hop: str,
        extensions: Sequence[str],
        media_ports: tuple[int, int],
        notice_s: float,
        console: str = "off",
        edits: Sequence[tuple[str, str]] = (),
        folder: Path | None = None,
        daemon: Sequence[str] = (),
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="recorder-bench-", dir=folder))
        self.root = self._folder / "home"
        self._is_in_kernel = IN_KERNEL in edits
        self._log = (self._folder / "recorder.log").open("w+b")
        self._daemon: subprocess.Popen[bytes] | None = None
        self._console: subprocess.Popen[bytes] | None = None
        try:
            self._init(sip, next_hop, extensions, media_ports, console)
            self._set_notice(notice_s)
            room = max(_MAX_CALLS, len(extensions))
            all_of_them = ('max_calls = "off"', f"max_calls = {room}")  # one peer makes every call
            self._edit([*edits, (f"max_calls = {_MAX_CALLS}", f"max_calls = {room}"), all_of_them])
            self._daemon = self._started([*(daemon or recorder_command()), "run"], stdin=subprocess.PIPE)
            self._wait_healthy()
            if console != "off":
                self._console = self._started([*recorder_command(), "console"])
                self._wait_listening(console)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The daemon's process."""
        assert self._daemon is not None
        return self._daemon.pid

    def tell(self, line: bytes) -> None:
        """Write a line to the daemon's standard input, for a ``daemon`` that listens to it."""
        assert self._daemon is not None
        assert self._daemon.stdin is not None
        self._daemon.stdin.write(line + b"\n")
        self._daemon.stdin.flush()

    @property
    def is_alive(self) -> bool:
        """Tell whether the daemon runs."""
        return self._daemon is not None and self._daemon.poll() is None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the daemon and the console and delete the home. Idempotent."""
        for process in (self._console, self._daemon):
            if process is not None:
                if process.stdin is not None:
                    process.stdin.close()
                end(process, _END_S)
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def find(self) -> list[dict[str, Any]]:
        """Return every recording's row, newest first, as ``recorder recordings list --json`` prints them.

        Raises:
            HomeError: The index cannot be read.
        """
        try:
            index = open_index(Home(self.root), read_config(self.root / "recorder.toml"))
            try:
                return [row_to_json(row) for row in index.each(Search(limit=_MOST_ROWS))]
            finally:
                index.close()
        except (StorageError, ConfigError, OSError) as error:
            raise HomeError(f"the index cannot be read: {error}") from error

    def wait_outcomes(self, calls: int, within_s: float) -> list[dict[str, Any]]:
        """Wait until so many calls have ended and have their outcome, or the time is over; return the rows there are.

        Raises:
            HomeError: As `find`.
        """
        deadline = time.monotonic() + within_s
        while True:
            rows = self.find()
            has_ended = [row for row in rows if row.get("outcome") and row.get("ended_at")]
            if len(has_ended) >= calls or time.monotonic() > deadline:
                return rows
            time.sleep(0.5)

    def verify_all(self) -> dict[str, int]:
        """Run ``recorder recordings verify --all`` and return how many recordings are ``good`` and how many ``bad``.

        Raises:
            HomeError: It did not say so.
        """
        words = [*recorder_command(), "recordings", "verify", "--all", "-C", str(self.root), "--json"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        try:
            found = collections.Counter("good" if one["ok"] else "bad" for one in json.loads(done.stdout))
        except ValueError as error:
            raise HomeError(
                f"`recorder recordings verify` did not print JSON: {done.stderr.strip()[-2000:]}"
            ) from error
        return {"good": found["good"], "bad": found["bad"]}

    def live_calls(self) -> int:
        """Return how many calls the daemon says it has.

        Raises:
            HomeError: It did not answer.
        """
        return int(self._ask("/api/health")["calls"])

    def calls(self) -> list[dict[str, Any]]:
        """Return the recorded calls in progress, as the daemon lists them.

        Raises:
            HomeError: It did not answer.
        """
        listed: list[dict[str, Any]] = self._ask("/api/calls")["calls"]
        return listed

    def health(self) -> dict[str, Any]:
        """Return what the daemon says of itself.

        Raises:
            HomeError: It did not answer.
        """
        return self._ask("/api/health")

    def relayed_share(self) -> float:
        """Return the share of what has come that the kernel relayed.

        Raises:
            HomeError: It was to (`IN_KERNEL`) and hardly did, so that figures are not what they are called; or the
                daemon did not answer.
        """
        media = self.health()["media"]
        share = float(round(media["relayed"] / max(media["received"], 1), 4))
        if self._is_in_kernel and share < _LEAST_RELAYED:
            raise HomeError(f"the kernel relayed {share:.0%} of the packets only; the log of the daemon says why")
        return share

    @property
    def said(self) -> str:
        """What daemon and console wrote to their log."""
        return (self._folder / "recorder.log").read_text(encoding="utf-8", errors="replace")

    def audited(self, act: str) -> int:
        """Return how many entries of an act the audit log has."""
        return sum(entry.act == act for entry in AuditLog(self.root / "audit").entries())

    def add_token(self, name: str, scope: str) -> str:
        """Make a token for the console and return its secret.

        Raises:
            HomeError: It was refused.
        """
        password = str(self._folder / "password")
        made = self._run(
            "tokens", "add", name, "--scope", scope, "-C", str(self.root), "--json",
            "--as", _ADMIN, "--password-file", password,
        )  # fmt: skip
        return str(json.loads(made)["token"])

    def signed(self, target: str) -> dict[str, str]:
        """Return the headers with which the daemon shows the benchmark everything at an address."""
        return signed_headers(Signer(self.root), "GET", target, {ACTOR_HEADER: "benchmark"})

    def _ask(self, path: str) -> dict[str, Any]:
        transport = httpx2.HTTPTransport(uds=str(self.root / "recorder.sock"))
        try:
            with httpx2.Client(transport=transport, base_url="http://recorder", timeout=10.0) as client:
                answer: dict[str, Any] = client.get(path, headers=self.signed(path)).raise_for_status().json()
                return answer
        except (httpx2.HTTPError, ValueError) as error:
            raise HomeError(
                f"the daemon does not say how it is: {error}; its last words: {self._last_words()}"
            ) from error

    def _started(self, command: Sequence[str], stdin: int | None = None) -> subprocess.Popen[bytes]:
        words = [*command, "-C", str(self.root)]
        return subprocess.Popen(words, stdin=stdin, stdout=self._log, stderr=self._log)

    def _init(
        self, sip: str, next_hop: str, extensions: Sequence[str], media_ports: tuple[int, int], console: str
    ) -> None:
        password = self._folder / "password"
        password.write_text(_PASSWORD + "\n", encoding="utf-8")
        password.chmod(0o600)
        nominated = [word for extension in extensions for word in ("--extension", extension)]
        self._run(
            "init", str(self.root), "--sip", sip, "--next-hop", next_hop, *nominated,
            "--media-ports", f"{media_ports[0]}-{media_ports[1]}", "--console", console,
            "--admin", _ADMIN, "--password-file", str(password),
        )  # fmt: skip
        unlimited = [(f"{key} = 20.0 ", f"{key} = 100000.0 ") for key in ("requests_per_s", "acts_per_s")]
        # Nobody is there to hold a telephone, and what is measured is not how often one may ask.
        self._edit(
            [('second_factor = "required"', 'second_factor = "off"'), ("limit_s = 600.0", "limit_s = 0.0"), *unlimited]
        )

    def _edit(self, edits: Sequence[tuple[str, str]]) -> None:
        path = self.root / "recorder.toml"
        text = path.read_text(encoding="utf-8")
        for old, new in edits:
            if old not in text:
                raise HomeError(f"{old!r} is not in the configuration")
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")

    def _set_notice(self, seconds: float) -> None:
        """Put a short message in the place of the spoken one: the calls are to be joined soon."""
        path = self._folder / "notice.wav"
        at = np.arange(round(seconds * _NOTICE_RATE)) / _NOTICE_RATE
        soundfile.write(path, 0.1 * np.sin(2 * np.pi * 500 * at), _NOTICE_RATE)
        self._run(
            "notices", "add", "first", str(path), "-C", str(self.root),
            "--as", _ADMIN, "--password-file", str(self._folder / "password"),
        )  # fmt: skip

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            [*recorder_command(), *words], capture_output=True, text=True, timeout=_COMMAND_S, check=False
        )
        if done.returncode != 0:
            raise HomeError(f"`recorder {words[0]}` failed (exit {done.returncode}): {done.stderr.strip()[-2000:]}")
        return done.stdout

    def _wait_healthy(self) -> None:
        assert self._daemon is not None
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if self._daemon.poll() is not None:
                raise HomeError(f"the daemon ended at its start (exit {self._daemon.returncode}): {self._last_words()}")
            if self._is_listening():
                self.live_calls()
                return
            time.sleep(0.1)
        raise HomeError(f"the daemon was not ready within {_START_S:g} s: {self._last_words()}")

    def _wait_listening(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                if probe.connect_ex((host, int(port))) == 0:
                    return
            time.sleep(0.1)
        raise HomeError(f"the console was not ready within {_START_S:g} s: {self._last_words()}")

    def _is_listening(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            return probe.connect_ex(str(self.root / "recorder.sock")) == 0

    def _last_words(self) -> str:
        self._log.seek(0)
        return self._log.read().decode("utf-8", "replace").strip()[-2000:]
