"""A recorder of its own for a benchmark: a temporary home and the daemon in it, by the command line only."""

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

import httpx
import numpy as np
import soundfile

_START_S, _END_S, _COMMAND_S = 30.0, 30.0, 60.0
_ADMIN = "bench"
_PASSWORD = "seven tall cranes over the harbour"  # noqa: S105 - of a home that is deleted with its folder


_NOTICE_RATE = 8000


class HomeError(Exception):
    """The recorder could not be set up, did not start or refused a command; the message says what it said."""


def recorder_command() -> list[str]:
    """Return the start of the ``recorder`` command line: the script beside this interpreter, or its function."""
    script = Path(sys.executable).with_name("recorder")
    return [str(script)] if script.exists() else [sys.executable, "-c", "from recorder.cli import main; main()"]


class RecorderHome:
    """A recorder that runs in a new home; leaving the context ends it and deletes the home."""

    def __init__(
        self, *, sip: str, next_hop: str, extensions: Sequence[str], media_ports: tuple[int, int], notice_s: float
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="recorder-bench-"))
        self.root = self._folder / "home"
        self._log = (self._folder / "recorder.log").open("w+b")
        self._daemon: subprocess.Popen[bytes] | None = None
        try:
            self._init(sip, next_hop, extensions, media_ports)
            self._set_notice(notice_s)
            self._daemon = subprocess.Popen(
                [*recorder_command(), "run", "-C", str(self.root)], stdout=self._log, stderr=self._log
            )
            self._wait_healthy()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The daemon's process."""
        assert self._daemon is not None
        return self._daemon.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the daemon and delete the home. Idempotent."""
        if self._daemon is not None:
            self._daemon.terminate()
            try:
                self._daemon.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait()
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def find(self) -> list[dict[str, Any]]:
        """Return every recording's row, as ``recorder find --json`` gives them.

        Raises:
            HomeError: The command failed or its answer is not the document that it promises.
        """
        answer = self._run("find", "-C", str(self.root), "--json")
        try:
            document = json.loads(answer)
        except ValueError as error:
            raise HomeError(f"`recorder find --json` did not print JSON: {answer[:200]!r}") from error
        rows = document if isinstance(document, list) else document.get("recordings")
        if not isinstance(rows, list):
            raise HomeError(f"`recorder find --json` printed no list: {answer[:200]!r}")
        return rows

    def live_calls(self) -> int:
        """Return how many calls the daemon says it has.

        Raises:
            HomeError: It did not answer.
        """
        transport = httpx.HTTPTransport(uds=str(self.root / "recorder.sock"))
        try:
            with httpx.Client(transport=transport, base_url="http://recorder", timeout=10.0) as client:
                return int(client.get("/api/health").raise_for_status().json()["calls"])
        except (httpx.HTTPError, KeyError, ValueError) as error:
            raise HomeError(
                f"the daemon does not say how it is: {error}; its last words: {self._last_words()}"
            ) from error

    def _init(self, sip: str, next_hop: str, extensions: Sequence[str], media_ports: tuple[int, int]) -> None:
        password = self._folder / "password"
        password.write_text(_PASSWORD + "\n", encoding="utf-8")
        password.chmod(0o600)
        nominated = [word for extension in extensions for word in ("--extension", extension)]
        self._run(
            "init", str(self.root), "--sip", sip, "--next-hop", next_hop, *nominated,
            "--media-ports", f"{media_ports[0]}-{media_ports[1]}", "--console", "off",
            "--admin", _ADMIN, "--password-file", str(password),
        )  # fmt: skip

    def _set_notice(self, seconds: float) -> None:
        """Put a short message in the place of the spoken one: the calls are to be joined soon."""
        path = self._folder / "notice.wav"
        at = np.arange(round(seconds * _NOTICE_RATE)) / _NOTICE_RATE
        soundfile.write(path, 0.1 * np.sin(2 * np.pi * 500 * at), _NOTICE_RATE)
        self._run("notice", "set", "first", str(path), "-C", str(self.root))

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

    def _is_listening(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            return probe.connect_ex(str(self.root / "recorder.sock")) == 0

    def _last_words(self) -> str:
        self._log.seek(0)
        return self._log.read().decode("utf-8", "replace").strip()[-2000:]
