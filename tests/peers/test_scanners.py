"""sipvicious and sipsak at a real recorder: strangers get nothing, peers get sane answers, and nothing breaks."""

import math
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.helpers.exchange import Exchange, Talk, exchange
from tests.helpers.recorder_home import eventually

pytestmark = pytest.mark.peer
STRANGER, PEER = "127.0.0.9", "127.0.0.1"
REACHED = {"svmap": "council-call-recorder", "svwar": "method not allowed", "svcrack": "unknown response"}
"""What each says of our answer to a peer, so that one that never got as far does not pass for harmless."""

FOUND = re.compile(r"\|\s*(127\.0\.0\.1:\d+|\d{4,5})\s*\|")


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("scanned"), edits=(("max_passed = 5000", "max_passed = 50"),)) as made:
        yield made


@pytest.fixture(scope="module")
def beside(lines: Exchange) -> Talk:
    """A call that stands all the while."""
    talk = lines.call()
    for voice in (talk.left, talk.right):
        voice.stream *= 10  # longer than all that goes on beside it
    talk.join()
    return talk


def run(folder: Path, *words: str, until: str = "", cut_s: float = math.inf) -> str:
    """Run a scanner with a home of its own to its end, or until it has said something, or is cut short; return all."""
    program = shutil.which(words[0])
    assert program is not None, f"{words[0]} is not there: `make setup` installs it"
    path = folder / "said"
    with path.open("wb") as log:
        process = subprocess.Popen(
            [program, *words[1:]],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
    cut_s += time.monotonic()

    def said() -> str:
        return path.read_bytes().decode("utf-8", "replace")

    def is_done() -> bool:
        return process.poll() is not None or bool(until and until in said()) or time.monotonic() > cut_s

    try:
        eventually(is_done, f"{words[0]} is done")
    finally:
        process.kill()
        process.wait()
    return said()


def maps(port: str, source: str) -> list[tuple[str, ...]]:
    return [("svmap", "-b", source, "-p", port, "-m", method, "127.0.0.1") for method in ("OPTIONS", "INVITE")]


def guesses(port: str) -> list[tuple[str, ...]]:
    """These two speak from 127.0.0.1 whatever address they are given."""
    return [
        ("svwar", "-p", port, "-e", "2000-2030", "-m", "REGISTER", "--force", "--maximumtime", "30", "127.0.0.1"),
        ("svcrack", "-p", port, "-u", "2001", "-r", "1000-1030", "--maximumtime", "30", "127.0.0.1"),
    ]


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize("number", range(2))
def test_a_stranger_finds_nothing(lines: Exchange, tmp_path: Path, number: int) -> None:
    before = lines.home.health()
    said = run(tmp_path, *maps(str(lines.home.sip[1]), STRANGER)[number])
    assert not FOUND.findall(said), said
    after = lines.home.health()
    assert after["signalling"].get("untrusted", 0) > before["signalling"].get("untrusted", 0), "it did try"
    assert after["counts"]["offered"] == before["counts"]["offered"]


@pytest.fixture(scope="module")
def scans(
    lines: Exchange,
    beside: Talk,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[list[tuple[str, Future[str]]]]:
    """The scans of a peer, all at the same time: most of each is waiting. `beside` is there before them."""
    port = str(lines.home.sip[1])
    with ThreadPoolExecutor(4) as pool:
        started = []
        for words in (*maps(port, PEER), *guesses(port)):
            until = REACHED["svcrack"] if words[0] == "svcrack" else ""  # it does not end by itself
            folder = tmp_path_factory.mktemp(words[0])
            started.append((words[0], pool.submit(run, folder, *words, until=until)))
        yield started


@pytest.mark.parametrize("number", range(4))
def test_from_a_peer_a_scan_learns_no_extension_and_harms_nothing(
    lines: Exchange, scans: list[tuple[str, Future[str]]], number: int
) -> None:
    program, scan = scans[number]
    said = scan.result()
    assert "Traceback" not in lines.home.said
    assert REACHED[program] in said, said
    if program in ("svwar", "svcrack"):
        assert not [found for found in FOUND.findall(said) if ":" not in found], "no number is told from another"


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize(
    ("mode", "says"),
    [
        (("-F", "-e", "400"), "flood end reached"),
        (("-R", "-t", "40"), ""),  # it may be cut short before it says anything
        (("-T",), "SIP/2.0 200 OK"),
        (("-vv",), "SIP/2.0 200 OK"),
    ],
)
def test_sipsak_floods_and_spoils_requests(lines: Exchange, tmp_path: Path, mode: tuple[str, ...], says: str) -> None:
    cut_s = math.inf if says else 4.0
    said = run(tmp_path, "sipsak", *mode, "-s", f"sip:2001@127.0.0.1:{lines.home.sip[1]}", cut_s=cut_s)
    assert says in said, said
    assert "Traceback" not in lines.home.said

    def is_well() -> bool:  # while the flood is being answered, the call thread may not have time for health
        answer = lines.home.live.get("/api/health")
        return answer.status_code == httpx2.codes.OK and answer.json()["calls"] >= 1

    eventually(is_well, "the recorder answers again, and the call beside goes on")


def test_the_call_beside_took_no_harm(lines: Exchange, beside: Talk) -> None:
    beside.talk_for(0.3)
    assert beside.hang_up()["outcome"] == "recorded"
    assert lines.home.health()["counts"]["faults"] == 0
    assert lines.home.health()["signalling"]["untrusted"] >= 2
