"""A running console: no core file, freed memory wiped, and nothing of a request in its log or memory afterwards."""

import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from benchmarks.ports import free_port
from recorder.common.garbage_collection import COLLECT_EVERY_S
from recorder.common.process_hardening import wiping_environment
from tests.helpers.process_memory import can_search, search
from tests.helpers.recorder_home import HANGS_S, ROOT, RecorderHome, eventually

NUMBER = "01632960777"


class Running:
    """A console and where it is."""

    def __init__(self, child: "subprocess.Popen[bytes]", log: Path, url: str) -> None:
        self.child, self.log, self.url = child, log, url

    def proc(self, name: str) -> str:
        return Path(f"/proc/{self.child.pid}/{name}").read_text()


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("console")
    home = RecorderHome(folder, next_hop="127.0.0.1:9")
    port = free_port()
    home.edit('[console]\nlisten = "off"', f'[console]\nlisten = "127.0.0.1:{port}"')
    path = folder / "console.log"
    with path.open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "recorder", "console", "-C", str(home.root), "--verbose"],
            stdout=log, stderr=log, cwd=ROOT,
        )  # fmt: skip
    running = Running(child, path, f"http://127.0.0.1:{port}")

    def is_ready() -> bool:
        assert child.poll() is None, path.read_text()[-2000:]
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        eventually(is_ready, "the console listens")
        yield running
    finally:
        home.close()
        child.send_signal(signal.SIGTERM)
        child.wait(HANGS_S)


def test_no_core_file_and_freed_memory_wiped(console: Running) -> None:
    limit = next(line for line in console.proc("limits").splitlines() if line.startswith("Max core file size"))
    assert limit.split()[4:6] == ["0", "0"]
    environment = dict(pair.partition("=")[::2] for pair in console.proc("environ").split("\0") if pair)
    assert environment == wiping_environment(environment)


def test_a_request_leaves_neither_its_token_nor_a_number(console: Running) -> None:
    secret = secrets.token_hex(24)
    with httpx2.Client(base_url=console.url, timeout=HANGS_S) as client:
        answer = client.get("/api/recordings", params={"number": NUMBER}, headers={"Authorization": f"Bearer {secret}"})
        assert answer.status_code == 401
        # A thread that served a request holds on to it until it serves the next one.
        answer = client.get("/recordings", params={"number": NUMBER, "operator": ""})
        assert (answer.status_code, answer.headers["location"][:8]) == (303, "/sign-in")
        for _ in range(3):
            assert client.get("/api/recordings").status_code == 401
    said = console.log.read_text()
    assert "Uvicorn running" in said, "the log tells nothing: this test shows nothing"
    assert NUMBER not in said
    assert secret not in said
    if not can_search(console.child.pid):
        pytest.skip("the memory of another process may not be read here")
    needles = {"token": secret.encode(), "number": NUMBER.encode(), "known": str(console.log.parent / "home").encode()}

    def found() -> set[str]:
        return {hit.needle for hit in search(console.child.pid, needles)}

    # A closed connection's objects refer to one another: they go with the next collection.
    eventually(lambda: found() == {"known"}, "token and number are gone", timeout_s=2 * COLLECT_EVERY_S)
