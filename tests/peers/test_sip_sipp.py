"""Calls between two sipp through a SipEndpoint that joins its legs: an independent stack on either side."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ports import free_port, wait_until_bound
from tests.helpers import sip_process
from tests.helpers.recorder_home import HANGS_S

SCENARIOS = Path(__file__).parent / "scenarios"
pytestmark = pytest.mark.peer


def scenario(name: str) -> list[str]:
    return ["-sn", name] if name in ("uac", "uas") else ["-sf", str(SCENARIOS / f"{name}.xml")]


def sipp(folder: Path, name: str, port: int, calls: int, *more: str) -> subprocess.Popen[bytes]:
    with (folder / f"{name}.out").open("wb") as screen:
        command = ["sipp", *scenario(name), "-i", "127.0.0.1", "-p", str(port), "-m", str(calls)]
        command += ["-timeout", f"{HANGS_S:g}"]
        command += ["-nostdin", "-trace_err", "-error_file", str(folder / f"{name}.err"), *more]
        return subprocess.Popen(command, stdout=screen, stderr=subprocess.STDOUT, cwd=folder)


def story(folder: Path, name: str) -> str:
    error = folder / f"{name}.err"
    return error.read_text(errors="replace")[-2000:] if error.exists() else (folder / f"{name}.out").read_text()[-2000:]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[sip_process.EndpointProcess]:
    with sip_process.EndpointProcess() as made:
        yield made


@pytest.mark.parametrize(
    ("caller", "officer", "calls"),
    [
        ("uac", "uas", 20),
        ("uac_hold_update_info", "uas_talks", 1),
        ("uac_cancel", "uas_cancelled", 1),
        ("uac_refused", "uas_busy", 1),
    ],
)
def test_call_through(
    endpoint: sip_process.EndpointProcess, tmp_path: Path, caller: str, officer: str, calls: int
) -> None:
    port = free_port()
    uas = sipp(tmp_path, officer, port, calls)
    try:
        wait_until_bound(port, "udp")
        endpoint.do("b2bua", to=["127.0.0.1", port])
        host, sip_port = endpoint.address
        uac = sipp(tmp_path, caller, free_port(), calls, f"{host}:{sip_port}", "-d", "100", "-s", "2001")
        assert uac.wait(HANGS_S) == 0, story(tmp_path, caller)
        assert uas.wait(HANGS_S) == 0, story(tmp_path, officer)
    finally:
        if uas.poll() is None:
            uas.kill()
            uas.wait()
