"""Several streams (SSRCs) on one port: the one that speaks is heard, and a silent one does not take its place."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from audio.relay import Relay
from audio.types import Codec, LegMedia
from tests.helpers.turned_line import FRAME, MS, START_NS, Line, Source, turned_relay
from tests.reference.rtp import parse_rtp

VOICE, OTHER, SILENCE = 0x11, 0x2A, 0xD5


class Port:
    """A leg that is recorded and bridged, and a peer that sends several streams from one port."""

    def __init__(self, relay: Relay) -> None:
        self.line = Line(relay)
        self.streams = {value: Source(value) for value in (VOICE, OTHER, SILENCE)}
        self.hearer = Source(0)
        self.peer = Source(0)
        other = relay.open_leg()
        for leg, source in ((self.line.leg, self.peer), (other, self.hearer)):
            relay.set_media(leg, LegMedia(remote=source.address, codec=Codec.PCMA, send_pt=8, receive_pt=8))
        relay.bridge(self.line.leg, other)
        self.line.open_tap(other)
        self.heard: list[tuple[int, int, int]] = []

    def close(self) -> None:
        for source in (*self.streams.values(), self.hearer, self.peer):
            source.socket.close()

    def send(self, ms: int, *values: int, says: int | None = None) -> None:
        """Let these streams send a frame every 20 ms for a while, 5 ms apart; ``says``: the only one that speaks."""
        for _ in range(ms // 20):
            for value in values:
                stream = self.streams[value]
                stream.socket, kept = self.peer.socket, stream.socket
                self.line.send(stream, payload=bytes([value if says in (None, value) else SILENCE]) * FRAME)
                stream.socket = kept
                self.line.now_ms += 5
            self.line.now_ms += 20 - 5 * len(values)
            self.line.relay.turn(START_NS + self.line.now_ms * MS)
        self._listen()

    def _listen(self) -> None:
        while True:
            try:
                packet = parse_rtp(self.hearer.socket.recv(4096))
            except BlockingIOError:
                return
            self.heard.append((packet.sequence, packet.timestamp, packet.payload[0]))

    def frames(self, value: int) -> int:
        """Return how many frames of a value the other side has heard."""
        return sum(payload == value for _, _, payload in self.heard)


@pytest.fixture
def port() -> Iterator[Port]:
    with turned_relay() as relay, closing(Port(relay)) as made:
        yield made


@pytest.mark.parametrize("order", [(VOICE, SILENCE), (SILENCE, VOICE)])
def test_a_voice_is_heard_and_kept_beside_a_silent_stream(port: Port, order: tuple[int, int]) -> None:
    port.send(4000, *order)
    kept = port.line.kept()
    assert kept[VOICE] == 200 * FRAME
    assert kept.get(SILENCE, 0) <= 2 * FRAME
    assert port.frames(VOICE) == 200
    assert port.frames(SILENCE) <= 2


def test_a_voice_that_pauses_is_heard_again_from_its_first_word(port: Port) -> None:
    port.send(1000, SILENCE, VOICE)
    port.send(3000, SILENCE)  # the voice's phone leaves silence out
    port.send(1000, SILENCE, VOICE)
    assert port.line.kept()[VOICE] == 100 * FRAME
    assert port.frames(VOICE) == 100


def test_two_people_who_talk_in_turn_are_both_heard(port: Port) -> None:
    for speaker in (VOICE, OTHER, VOICE, OTHER):
        port.send(1000, VOICE, OTHER, says=speaker)
    kept = port.line.kept()
    for value in (VOICE, OTHER):
        assert kept[value] >= 100 * FRAME - 2 * 10 * FRAME, "200 ms of silence at most before each takes over"
        assert port.frames(value) >= 80
    assert sum(kept.values()) <= 4.2 * 8000, "two streams never double the length"


def test_two_that_talk_at_once_never_double_the_length(port: Port) -> None:
    port.send(1000, VOICE)
    port.send(2000, VOICE, OTHER)
    assert port.line.kept()[VOICE] >= 50 * FRAME
    assert port.frames(VOICE) == 150, "no word is left out of what is heard"


def test_a_stream_that_follows_another_is_heard_at_once(port: Port) -> None:
    port.send(1000, VOICE)
    port.send(1000, OTHER)
    assert port.line.kept() == {VOICE: 50 * FRAME, OTHER: 50 * FRAME}
    assert (port.frames(VOICE), port.frames(OTHER)) == (50, 50)


@pytest.mark.parametrize("is_steady", [True, False], ids=["silent between", "nothing between"])
def test_an_occasional_loud_packet_takes_nobody_who_speaks_out_of_the_recording(port: Port, *, is_steady: bool) -> None:
    for _ in range(20):
        port.send(20, VOICE, OTHER)
        port.send(480, VOICE, *([OTHER] if is_steady else []), says=VOICE)
    kept = port.line.kept()
    assert kept[VOICE] >= (500 - 10) * FRAME, "200 ms, before it is known that the first has not ended"
    assert kept[OTHER] <= 2 * FRAME
    assert port.frames(VOICE) == 500
    assert port.frames(OTHER) == 20, "who listens gets both"


def test_a_word_from_a_stream_that_was_silent_takes_nobody_who_speaks_out_of_the_recording(port: Port) -> None:
    port.send(1000, VOICE, OTHER, says=VOICE)
    for _ in range(16):
        port.send(20, VOICE, OTHER)
        port.send(480, VOICE, OTHER, says=VOICE)
    assert port.line.kept() == {VOICE: 450 * FRAME}
    assert (port.frames(VOICE), port.frames(OTHER)) == (450, 16), "who listens gets both"
