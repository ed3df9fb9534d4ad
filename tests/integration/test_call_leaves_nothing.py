"""What a call leaves behind once it is over and filed: nothing that only Python's collector could free."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import counting_daemon
from tests.helpers.exchange import Exchange, exchange
from tests.helpers.recorder_home import eventually
from tests.helpers.sip_peer import Answer

CALLS = 5
FEW = 20
"""Objects that may be left of so many calls: of what is done now and then. Each call once left over 300."""


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Exchange]:
    with exchange(tmp_path, is_started=False) as lines:
        lines.home.start(script=(Path(counting_daemon.__file__),))
        yield lines


def left(lines: Exchange) -> dict[str, Any]:
    """Have the daemon say what is there, by type, and what of it only the collector can free."""
    path = lines.home.root / counting_daemon.FILE
    path.unlink(missing_ok=True)
    os.kill(lines.home.pid, signal.SIGUSR2)
    eventually(path.exists, "the daemon has counted")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def act(lines: Exchange, call: str, what: str) -> None:
    """Pause or resume as an officer's console does."""
    lines.home.act(f"/api/calls/{call}/{what}").raise_for_status()


def one_of_each(lines: Exchange, *acts: str) -> None:
    """Have a call in which something is done, and one that is given up while it rings, come and go."""
    talk = lines.call()
    call = talk.join()
    for what in acts:
        act(lines, call, what)
    talk.talk_for(0.3)
    talk.hang_up()
    given_up = lines.call(number="2999999", answer=Answer(after_s=30))
    given_up.wait_second()
    given_up.first.hang_up()
    given_up.first.wait_ended(8)


def none_alive(lines: Exchange) -> bool:
    return not any(left(lines)["alive"].values())


def test_a_call_that_is_over_leaves_nothing_to_the_collector(lines: Exchange) -> None:
    one_of_each(lines, "pause", "resume")
    assert left(lines)["legs"] != [0], "the collector is told of legs that have just ended"
    eventually(lambda: none_alive(lines), "the first call is forgotten", timeout_s=10)
    assert left(lines)["legs"] == [0]
    for _ in range(CALLS):
        one_of_each(lines)
    last: dict[str, Any] = {}
    expected: dict[str, int] = {}

    def is_forgotten() -> bool:
        found = left(lines)
        expected.update(found["expected"])
        for name, count in found["garbage"].items():
            last[name] = last.get(name, 0) + count
        return not any(found["alive"].values())

    eventually(is_forgotten, "every leg, call and recording is freed without the collector", timeout_s=20)
    assert sum(last.values()) <= FEW, last
    calls, recorded = 2 * (CALLS + 1), CALLS + 1
    assert (expected["Call"], expected["Leg"], expected["LegDialog"]) == (calls, 2 * calls, 2 * calls)
    assert (expected["RecordedCall"], expected["Keypad"], expected["PartyMedia"]) == (recorded, recorded, 2 * recorded)
