"""`recorder phone`: what keys and events do, in virtual time, without a telephone."""

from collections.abc import Callable

import numpy as np
import pytest

from recorder.cli.phone_desk import Desk, DeskState, Settings
from recorder.cli.phone_display import bar, lines_of, words
from recorder.demo.phones.line import SILENT_DB, Line, level_db
from recorder.demo.phones.line_ends import FRAME, Tone
from recorder.demo.phones.messages import PhoneError, PhoneEvent

URI = "sip:2001@127.0.0.1:5060"


class Device:
    """A telephone that writes down what it is told to do."""

    def __init__(self) -> None:
        self.did: list[tuple[str, ...]] = []

    def do_call(self, uri: str, wav: str | None) -> None:
        if "bad" in uri:
            raise PhoneError("not an address")
        self.did.append(("call", uri))

    def do_answer(self) -> None:
        self.did.append(("answer",))

    def do_hang_up(self) -> None:
        self.did.append(("hang up",))

    def do_send_dtmf(self, digits: str) -> None:
        self.did.append(("send", digits))


class Room:
    """A desk, its telephone, what it said, and the time."""

    def __init__(self, **settings: float) -> None:
        self.device, self.said, self.now = Device(), list[str](), 0.0
        self.is_muted = False
        self.desk = Desk(
            self.device, Settings(pause_keys="*5", resume_keys="*6", **settings), self.said.append, self.mute,
            clock=lambda: self.now,
        )  # fmt: skip

    def mute(self) -> bool:
        self.is_muted = not self.is_muted
        return self.is_muted

    def happens(self, name: str, code: int = 0, text: str = "") -> None:
        self.desk.take(PhoneEvent(name=name, code=code, text=text))

    def at(self, now: float) -> None:
        self.now = now
        self.desk.tick()


@pytest.fixture
def connected() -> Room:
    room = Room()
    room.desk.dial(URI)
    room.happens("early", 180)
    room.happens("confirmed", 200)
    room.device.did.clear()
    return room


def test_keys_in_a_call(connected: Room) -> None:
    for key in "pr5*#":
        connected.desk.press(key)
    assert connected.device.did == [("send", digits) for digits in ("*5", "*6", "5", "*", "#")]
    assert connected.said[-2:] == ["pause: sent *5", "resume: sent *6"]
    connected.desk.press("m")
    assert connected.is_muted
    assert connected.said[-1] == "muted"
    connected.desk.press("x")
    assert len(connected.device.did) == 5


def test_keys_without_a_call_are_not_sent() -> None:
    room = Room()
    room.desk.dial(URI)
    room.desk.press("p")
    room.desk.press("7")
    assert room.device.did == [("call", URI)]
    assert room.said[-1] == "keys can be sent once the call is answered"


def test_a_call_that_is_answered_ends_the_phone(connected: Room) -> None:
    connected.at(12.5)
    connected.happens("disconnected", 200, "OK")
    assert connected.desk.is_over
    call = connected.desk.call
    assert call is not None
    assert (call.talked_s(99), call.reason, call.status) == (12.5, "", 200)


@pytest.mark.parametrize(
    ("code", "text", "says"),
    [
        (486, "Busy Here", f"{URI} refused the call: 486 Busy Here"),
        (408, "Request Timeout", f"nothing replies at {URI}"),
        (487, "", "given up before it was answered"),
    ],
)
def test_why_a_call_was_not_answered(code: int, text: str, says: str) -> None:
    room = Room()
    room.desk.dial(URI)
    room.happens("disconnected", code, text)
    assert room.desk.is_over
    assert room.desk.call is not None
    assert says in room.desk.call.reason


def test_a_call_that_nobody_answers_is_given_up() -> None:
    room = Room(ring_s=20)
    room.desk.dial(URI)
    room.happens("early", 180)
    room.at(19.9)
    assert room.device.did == [("call", URI)]
    room.at(20)
    room.at(21)
    assert room.device.did == [("call", URI), ("hang up",)], "once"
    room.happens("disconnected", 487, "Request Terminated")
    assert room.desk.call is not None
    assert room.desk.call.reason == f"{URI} did not answer within 20 s"


def test_a_call_to_which_nothing_replies_is_given_up() -> None:
    room = Room(ring_s=20)
    room.desk.dial(URI)
    room.at(20)
    room.happens("disconnected", 487, "Request Terminated")
    assert room.desk.call is not None
    assert f"nothing replies at {URI}" in room.desk.call.reason
    assert "networks of a [[peer]]" in room.desk.call.reason


def test_a_call_that_comes_in() -> None:
    room = Room(answer_after_s=3)
    room.happens("incoming", text="sip:02079460000@127.0.0.1")
    assert room.desk.state is DeskState.RUNG
    room.at(2.9)
    assert not room.device.did
    room.at(3)
    assert room.device.did == [("answer",)]
    room.happens("confirmed", 200)
    room.happens("disconnected", 200)
    assert (room.desk.state, room.desk.is_over) == (DeskState.IDLE, False)
    room.happens("incoming", text="sip:2@h")
    room.desk.press("enter")
    room.desk.press("h")
    assert room.device.did[1:] == [("answer",), ("hang up",)]
    room.desk.press("q")
    assert not room.desk.is_over, "the call is ended first"
    room.happens("disconnected", 486)
    assert room.desk.is_over


def test_quitting_without_a_call() -> None:
    room = Room()
    room.desk.press("q")
    assert room.desk.is_over


def test_quitting_before_the_answer() -> None:
    room = Room()
    room.desk.dial(URI)
    room.desk.quit()
    assert room.desk.call is not None
    assert "given up before it was answered" in room.desk.call.reason
    assert room.device.did[-1] == ("hang up",)


def test_talking_time_is_over(connected: Room) -> None:
    settings: Callable[..., Settings] = Settings
    connected.desk.settings = settings(pause_keys="*5", resume_keys="*6", talk_s=2)
    connected.at(1.9)
    assert not connected.device.did
    connected.at(2)
    assert connected.device.did == [("hang up",)]


def test_levels_and_what_a_terminal_shows(connected: Room) -> None:
    assert level_db(np.zeros(FRAME, dtype=np.int16)) == SILENT_DB
    assert level_db(np.full(FRAME, -32768, dtype=np.int16)) == 0
    assert (bar(0), bar(-30), bar(-99)) == ("█" * 20, "█" * 10 + "░" * 10, "░" * 20)
    assert (words(SILENT_DB), words(-13.4)) == ("silent", "-13 dBFS")
    line = Line(Tone(440))
    assert len(line.next()) == FRAME
    level = line.sent.read_db()
    assert -15 < level < -12
    assert line.sent.read_db() == SILENT_DB, "the level since it was last read"
    line.is_muted = True
    assert not line.next().any()
    shown = lines_of(connected.desk, level, SILENT_DB)
    assert "connected  0:00" in shown
    assert "heard  ░" in shown
