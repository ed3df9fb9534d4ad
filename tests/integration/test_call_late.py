"""What was said while paused and arrives more than four seconds after the resume is in no recording, over the wire."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.exactness import Kept, kept_of
from tests.helpers.exchange import Exchange, Talk, exchange
from tests.helpers.voices import Voice

ERASE_S = 1.0
LATE_S = 4.2
"""Later than a timestamp is believed, and less than the look-back of 5 s: the place is still in memory."""


class SlowNetwork:
    """In place of a voice's socket: keeps packets back while it is told to."""

    def __init__(self, voice: Voice) -> None:
        self._socket = voice.socket
        self.is_holding = False
        self.held: list[tuple[bytes, Any]] = []
        voice.socket = self  # type: ignore[assignment]

    def sendto(self, data: bytes, address: Any) -> int:
        """Send, or keep back."""
        if not self.is_holding:
            return self._socket.sendto(data, address)
        self.held.append((data, address))
        return len(data)

    def deliver(self) -> None:
        """Bring what was kept back, all at once, twice."""
        for data, address in self.held * 2:
            self._socket.sendto(data, address)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


@pytest.fixture
def lines(tmp_path: Any) -> Iterator[Exchange]:
    with exchange(tmp_path, edits=[("erase_s = 3.0", f"erase_s = {ERASE_S}")]) as made:
        yield made


def kept_by(talk: Talk) -> tuple[Kept, Kept]:
    left, right, _ = talk.home.copy(talk.hang_up()["id"])
    return kept_of(left, talk.left), kept_of(right, talk.right)


def test_packets_of_the_pause_that_come_four_seconds_after_the_resume_are_dropped(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    networks = [SlowNetwork(voice) for voice in (talk.left, talk.right)]
    talk.talk_for(ERASE_S + 1.0)
    talk.home.act(f"/api/calls/{call}/pause").raise_for_status()
    paused_s = time.monotonic()
    for network in networks:
        network.is_holding = True
    talk.talk_for(0.5)
    for network in networks:
        network.is_holding = False
    talk.talk_for(0.2)
    resumed_s = time.monotonic()
    talk.home.act(f"/api/calls/{call}/resume").raise_for_status()
    open_s = time.monotonic()
    talk.talk_for(LATE_S)
    for network in networks:
        assert len(network.held) >= 20
        network.deliver()
    delivered_s = time.monotonic()
    talk.talk_for(0.6)
    for kept in kept_by(talk):  # every byte is what its voice said at that place, or silence
        assert kept.bytes_between(paused_s - ERASE_S + 0.02, resumed_s) == 0, "nothing of the pause"
        sent, whole = kept.frames_between(open_s + 0.05, delivered_s + 0.3)
        assert sent > 200
        assert whole == sent, "and all that was said after it"
