"""Kamailio in front of the recorder with the configuration of deploy/kamailio: calls are recorded, or go round it."""

import itertools
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.exactness import heard_frames, is_gapless, kept_of
from tests.helpers.exchange import user_of
from tests.helpers.kamailio import PATIENT, UNASKED
from tests.helpers.kamailio_site import KAMAILIO, KamailioSite
from tests.helpers.recorder_home import HANGS_S, RecorderHome, eventually
from tests.helpers.sip_peer import Answer, Call, Caller, Message, State
from tests.helpers.voices import TICKS_PER_S, Studio, Voice

pytestmark = pytest.mark.peer
_numbers = itertools.count(1)


class Line(KamailioSite):
    """A site with one recorder, whose calls have voices."""

    def __init__(self, folder: Path, studio: Studio) -> None:
        super().__init__(folder, ["recorder"], answer=self._speak)
        self.studio = studio
        self.voices: dict[str, Voice] = {}

    @property
    def home(self) -> RecorderHome:
        return self.homes[0]

    def _speak(self, invite: Message) -> Answer:
        voice = self.voices.get(user_of(invite))
        return Answer(status=404) if voice is None else replace(Answer(after_s=0.05), media=voice.media())

    def call(self, *, number: str = "2001") -> tuple[str, Call, Voice, Voice]:
        """Have the trunk place a call; returns its number, its leg and both voices."""
        name = f"0163297{next(_numbers):04d}"
        left, right = self.studio.voice(), self.studio.voice()
        self.voices[name] = right
        return name, self.caller.invite(self.proxy.address, number, from_number=name, media=left.media()), left, right


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """All but Kamailio, which goes on until a test wants one with other names."""
    with Studio() as studio, Line(tmp_path_factory.mktemp("kamailio"), studio) as made:
        yield made


@pytest.fixture
def line(parties: Line) -> Line:
    """With a Kamailio that does not take a recorder for dead that gets no CPU for a moment."""
    return parties.fronted(PATIENT)


@pytest.fixture
def unasked_line(parties: Line) -> Line:
    """With a Kamailio that learns from calls alone how the recorder is."""
    return parties.fronted({**PATIENT, **UNASKED})


@pytest.fixture
def impatient_line(parties: Line) -> Line:
    """The same, but a call waits for as long as is delivered."""
    return parties.fronted(UNASKED)


@pytest.fixture
def delivered_line(parties: Line) -> Line:
    """With a Kamailio that has the times that are delivered."""
    return parties.fronted({})


def all_of(sock: socket.socket) -> Iterator[bytes]:
    """Yield the datagrams that wait in a socket."""
    sock.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            yield sock.recv(65535)


def talk(left: Voice, seconds: float) -> None:
    goal = left.sent[-1][0] + seconds * TICKS_PER_S
    eventually(lambda: left.sent[-1][0] >= goal, "the voice goes on")


def is_recorded(line: Line) -> bool:
    """Tell whether a new call goes through the recorder."""
    name, first, _, _ = line.call()
    first.wait_confirmed(HANGS_S)
    second = line.arrived(name)
    first.hang_up()
    first.wait_ended()
    return second.invite.value("X-Not-Recorded") == ""


def test_a_call_runs_through_kamailio_and_the_recorder_and_is_exact(line: Line) -> None:
    name, first, left, right = line.call()
    first.wait_confirmed(HANGS_S)
    left.talk(first.remote_media)
    second = line.arrived(name)
    second.wait_for(lambda call: call.state is State.CONFIRMED, HANGS_S)
    right.talk(second.remote_media)
    eventually(lambda: [c for c in line.home.calls() if c["phase"] == "joined"], "the call is joined")
    assert second.invite.value("X-Not-Recorded") == ""
    assert second.invite.value("X-Way") == ""
    assert any(KAMAILIO in route for route in second.invite.values("Record-Route"))
    talk(left, 1.5)
    second.hang_up()
    first.wait_ended()
    left.hush()
    right.hush()
    row = line.home.row_of(name)
    assert (row["outcome"], row["reason"]) == ("recorded", "officer_hung_up")
    caller, officer, _ = line.home.copy(str(row["id"]))
    assert len(kept_of(caller, left).spans) == len(kept_of(officer, right).spans) == 1
    assert is_gapless(heard_frames(left, right))


def test_a_call_out_goes_to_the_trunk(line: Line) -> None:
    # The scripted trunk takes no calls, and says so: its 480 shows where the call went.
    call = line.officer.invite(line.proxy.address, "01632970000", from_number="2001")
    call.wait_ended()
    assert call.status == 480
    taken = line.caller.incoming()
    assert [user_of(one.invite) for one in taken] == ["2001"]


def test_calls_go_round_a_recorder_that_drains_and_those_it_has_go_on(line: Line) -> None:
    name, first, left, right = line.call()  # its officer is dialled after the notice, when the recorder drains
    first.wait_confirmed(HANGS_S)
    left.talk(first.remote_media)
    line.home.act("/api/drain").raise_for_status()
    try:

        def is_led_round_at_once() -> bool:
            before = line.home.health()["drain"]["refused"]
            number, call, _, _ = line.call()
            call.wait_confirmed(HANGS_S)
            assert line.arrived(number).invite.value("X-Not-Recorded") == "no recorder"
            call.hang_up()
            call.wait_ended()
            return bool(line.home.health()["drain"]["refused"] == before)

        eventually(is_led_round_at_once, "Kamailio sends it no more calls")
        second = line.arrived(name)
        second.wait_for(lambda call: call.state is State.CONFIRMED, HANGS_S)
        right.talk(second.remote_media)
        talk(left, 1.0)
    finally:
        line.home.act("/api/drain/cancel").raise_for_status()
    second.hang_up()
    first.wait_ended()
    left.hush()
    right.hush()
    assert line.home.row_of(name)["outcome"] == "recorded"
    eventually(lambda: is_recorded(line), "calls go through the recorder again")


def test_strangers_get_no_reply_from_kamailio_either(line: Line) -> None:
    with Caller(("127.0.0.99", 0)) as stranger:
        call = stranger.invite(line.proxy.address, "2001", from_number="0163")
        with pytest.raises(TimeoutError):
            call.wait_ended(0.6)
        assert not call.received


def test_a_call_that_a_recorder_refuses_as_it_drains_goes_round_it(unasked_line: Line) -> None:
    line = unasked_line
    line.home.act("/api/drain").raise_for_status()
    try:
        name, call, _, _ = line.call()
        call.wait_confirmed(HANGS_S)
        assert line.arrived(name).invite.value("X-Not-Recorded") == "no recorder", "tried, refused, led round"
        call.hang_up()
        call.wait_ended()
        assert line.home.health()["drain"]["refused"] == 1
    finally:
        line.home.act("/api/drain/cancel").raise_for_status()
    assert is_recorded(line)


def test_a_call_waits_for_a_recorder_that_does_not_answer_and_the_next_does_not(impatient_line: Line) -> None:
    line = impatient_line
    line.home.kill()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(line.home.sip)

        def tries_of_a_call() -> int:
            """Return how many INVITEs of a call came to where the recorder was, before it went on to the PBX."""
            name, first, _, _ = line.call()
            first.wait_confirmed(HANGS_S)
            second = line.arrived(name)
            assert second.invite.value("X-Not-Recorded") == "no recorder"
            first.hang_up()
            first.wait_ended()
            return sum(data.startswith(b"INVITE ") and name.encode() in data for data in all_of(silent))

        # Kamailio sends at 0, 0.5 and 1.5 s (RFC 3261 section 17.1.1.2), and the time-out is 1.5 s.
        assert 1 <= tries_of_a_call() <= 3, "a moment of silence, and then straight on"
        assert tries_of_a_call() == 0, "it is known to be dead and not waited for"

    line.home.start()


def test_calls_come_back_to_a_recorder_that_answers_again(delivered_line: Line) -> None:
    line = delivered_line
    line.home.kill()
    eventually(lambda: not line.proxy.gives_calls_to(), "it is known to be dead though no call was tried there")
    assert not is_recorded(line)
    line.home.start()
    eventually(lambda: is_recorded(line), "calls go through the recorder again")
