"""A running daemon: what it forbids to itself, and what its memory and its log hold after a call with secrets in it.

The secrets are audio of a pause, audio that is kept (sealed by then), digits by RFC 4733 and by INFO, and bodies that
hold a card number. The caller's number is no secret to the memory, and is the needle that must be found.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from recorder.common.garbage_collection import COLLECT_EVERY_S
from recorder.common.process_hardening import (
    descriptors_needed,
    locked_bytes,
    locked_bytes_per_call,
    wiping_environment,
)
from recorder.config.reading import read_config
from tests.helpers import short_passes
from tests.helpers.exchange import Exchange, Talk, exchange
from tests.helpers.process_memory import can_search, search
from tests.helpers.recorder_home import RecorderHome, eventually
from tests.helpers.voices import FRAME, TICKS_PER_S, Voice

LOOK_BACK_S = 2.5
HUGE_PAGE = 2 << 20
EDITS = (("look_back_s = 5.0", f"look_back_s = {LOOK_BACK_S}"), ("erase_s = 3.0", "erase_s = 1.0"))
NUMBER, CARD = "01632960555", "4929739182645037"
RELAY, PLAIN, OWN = "application/dtmf-relay", "application/dtmf", "application/vnd.example.card"


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("hygiene"), is_started=False, is_started_anew=True, edits=EDITS) as made:
        made.home.start(words=("--verbose",))
        yield made


@dataclass
class Secrets:
    """What was sent, by kind."""

    paused: dict[str, bytes] = field(default_factory=dict)
    kept: dict[str, bytes] = field(default_factory=dict)
    digits: dict[str, bytes] = field(default_factory=dict)


def spoken(voice: Voice, side: str, since: int, until: int) -> dict[str, bytes]:
    """Return 32 bytes out of every frame that a voice sent between two ticks."""
    ticks = [tick for tick, _ in list(voice.sent) if since <= tick < until]
    return {f"{side}{tick}": voice.stream[tick + 40 : tick + 72] for tick in ticks}


def now(voice: Voice) -> int:
    return voice.sent[-1][0] + FRAME


def send_digits(talk: Talk) -> dict[str, bytes]:
    """Send the card number by every carrier; returns what would be found of it."""
    talk.left.press(CARD[:6])
    for number, digit in enumerate(CARD):
        talk.first.request("INFO", f"Signal={digit}\r\nDuration=1{number:02d}7\r\n".encode(), RELAY)
        talk.first.request("INFO", digit.encode(), PLAIN)
    for body_type, body in (
        (OWN, f"pan={CARD}"),
        (RELAY, f"Signal={CARD}\r\nDuration=100\r\n"),
        (PLAIN, f"{CARD}\r\n"),
    ):
        talk.first.request("INFO", body.encode(), body_type)
    eventually(lambda: len(talk.first.replies_to("INFO")) == 2 * len(CARD) + 3, "every INFO is answered", timeout_s=8)
    relayed = {
        f"Signal={digit}": f"Signal={digit}\r\nDuration=1{number:02d}7".encode() for number, digit in enumerate(CARD)
    }
    return {"card": CARD.encode(), "card UTF-16": CARD.encode("utf-16-le"), **relayed}


@pytest.fixture(scope="module")
def secrets(lines: Exchange) -> Secrets:
    """Make the call; it is over and filed when this returns."""
    return secrets_of_call(lines)


def secrets_of_call(lines: Exchange) -> Secrets:
    """Make a call in which secrets are said and sent, and return them; it is over and filed when this returns."""
    talk, sent = lines.call(from_number=NUMBER), Secrets()
    call = talk.join()
    talk.talk_for(2)
    lines.home.act(f"/api/calls/{call}/pause").raise_for_status()
    begun = [(voice, now(voice) + 2 * FRAME) for voice in (talk.left, talk.right)]
    sent.digits = send_digits(talk)
    talk.talk_for(2)
    for voice, tick in begun:
        sent.paused |= spoken(voice, str(voice.port), tick, now(voice) - 2 * FRAME)
    lines.home.act(f"/api/calls/{call}/resume").raise_for_status()
    assert talk.wait_phase("joined")["state"] == "recording"
    begun = [(voice, now(voice) + TICKS_PER_S // 5) for voice in (talk.left, talk.right)]
    talk.talk_for(LOOK_BACK_S + 2)
    for voice, tick in begun:
        sent.kept |= spoken(voice, str(voice.port), tick, now(voice) - TICKS_PER_S // 5)
    row = talk.hang_up()
    assert row["recorded_s"] > 3, "nothing was kept, so nothing is shown"
    assert len(sent.paused) > 50
    assert len(sent.kept) > 100
    return sent


def proc(home: RecorderHome, name: str) -> str:
    return Path(f"/proc/{home.pid}/{name}").read_text()


def locked_apart(home: RecorderHome) -> int:
    """Return the bytes of the regions that are locked and in no core file: rings."""
    total, size = 0, 0
    for line in proc(home, "smaps").splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            first, last = line.split()[0].split("-")
            size = int(last, 16) - int(first, 16)
        elif line.startswith("VmFlags:") and {"lo", "dd"} <= set(line.split()):
            total += size
    return total


def test_no_core_file_and_freed_memory_wiped(lines: Exchange) -> None:
    limit = next(line for line in proc(lines.home, "limits").splitlines() if line.startswith("Max core file size"))
    assert limit.split()[4:6] == ["0", "0"]
    environment = dict(pair.partition("=")[::2] for pair in proc(lines.home, "environ").split("\0") if pair)
    assert environment == wiping_environment(environment)


def test_no_call_waits_for_a_larger_table_of_descriptors(lines: Exchange) -> None:
    places = next(line for line in proc(lines.home, "status").splitlines() if line.startswith("FDSize"))
    assert int(places.split()[1]) >= descriptors_needed(read_config(lines.home.config).limits.max_calls)


def test_the_rings_of_a_call_are_locked_and_no_larger_than_site_check_counts(lines: Exchange) -> None:
    first = lines.call()  # legs and taps keep their places for the next call
    first.join()
    first.hang_up()
    eventually(lambda: lines.home.health()["media"]["legs"] == 0, "the first call has ended")
    before = locked_apart(lines.home)
    assert before // HUGE_PAGE in (1, 4), "of the next call: its rings, and where everything is locked the rest"
    talk = lines.call()
    talk.join()
    locked = locked_apart(lines.home) - before
    rings = lines.home.health()["media"]["ring_bytes"]
    assert 2 * LOOK_BACK_S * TICKS_PER_S < rings <= locked_bytes_per_call(LOOK_BACK_S)
    assert rings < HUGE_PAGE
    assert locked_bytes(0, LOOK_BACK_S, threads=0) == 2 * HUGE_PAGE, "one that is in use, and one made ahead"
    assert locked < HUGE_PAGE, "the rings lie in what was locked before the call"
    talk.hang_up()
    eventually(lambda: locked_apart(lines.home) == before, "the rings are given back")


def test_nothing_of_the_call_is_left_in_memory_but_its_row(lines: Exchange, secrets: Secrets) -> None:
    search_for(secrets, lines.home)


@pytest.mark.long  # `make test` searches after full passes
def test_nothing_of_the_call_is_left_in_memory_after_short_passes_either(tmp_path: Path) -> None:
    with exchange(tmp_path, is_started=False, is_started_anew=True, edits=EDITS) as made:
        made.home.start(before=(sys.executable, short_passes.__file__))
        sent = secrets_of_call(made)
        time.sleep(COLLECT_EVERY_S)
        search_for(sent, made.home)


def search_for(secrets: Secrets, home: RecorderHome) -> None:
    """Search the daemon's memory for everything but the caller's number, which must be found."""
    if not can_search(home.pid):
        pytest.skip("the memory of another process may not be read here")
    needles = {
        **{f"paused {name}": needle for name, needle in secrets.paused.items()},
        **{f"kept {name}": needle for name, needle in secrets.kept.items()},
        **{f"digits {name}": needle for name, needle in secrets.digits.items()},
        "number": NUMBER.encode(),
    }
    found = search(home.pid, needles)
    assert [hit for hit in found if hit.needle == "number"], "what is there is not found: the search shows nothing"
    left = [(hit.needle, hit.region, hit.around) for hit in found if hit.needle != "number"]
    assert not left, f"{len(left)} traces, such as {left[:3]}"


KNOWN = r"\d{8}T\d{6}Z-\S+|\]:\d+|:\d+|server process \[\d+\]"
"""Digits of a log that are no secret: ids of calls, ports, and uvicorn's process."""


def test_no_number_and_no_digits_in_the_log_though_it_tells_of_the_signalling(
    lines: Exchange, secrets: Secrets
) -> None:
    said = lines.home.said
    assert "INVITE sip:" in said, "the log tells nothing of the signalling: this test shows nothing"
    for secret in (NUMBER, NUMBER[1:], CARD, "Signal=", "pan="):
        assert secret not in said, secret
    assert not re.findall(r"(?<![\w.:-])\d{5,}", re.sub(KNOWN, "", said)), "a run of digits"


def test_no_digits_in_any_file_of_the_home_and_numbers_only_in_metadata(lines: Exchange, secrets: Secrets) -> None:
    with_number = []
    for path in sorted(lines.home.root.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            assert CARD.encode() not in content, path
            assert b"Signal=" not in content, path
            if NUMBER.encode() in content:
                with_number.append(path.relative_to(lines.home.root).as_posix())
    assert set(with_number) <= {"index.sqlite", "index.sqlite-wal"}, with_number
    assert with_number, "the number is nowhere: this test shows nothing"


def test_a_rootless_container_may_not_lock_more_than_its_limit() -> None:
    limited = ("unshare", "--user", "--map-root-user", "prlimit", "--memlock=65536:65536")
    program = "from recorder.common.process_hardening import can_lock; print(can_lock(10, 5.0))"
    said = subprocess.run([*limited, sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"
