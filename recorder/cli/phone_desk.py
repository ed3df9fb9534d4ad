"""What `recorder phone` does with keys and events: one call at a time. No terminal and no sound device here."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from recorder.cli.terminal import Key
from recorder.demo.phones.messages import PhoneError, PhoneEvent

HELP = "p pause · r resume · 0-9 * # keys · m mute · a answer · h hang up · q quit"
_DIGITS = frozenset("0123456789*#")
_BUSY, _CANCELLED, _NO_REPLY = 486, 487, 408


class DeskDevice(Protocol):
    """A program as a phone at a desk (`recorder.demo.phones.device`)."""

    def do_call(self, uri: str, wav: str | None) -> None:
        """Call a URI."""

    def do_answer(self) -> None:
        """Answer the call that rings; without one, do nothing."""

    def do_hang_up(self) -> None:
        """End or refuse the call, if there is one."""

    def do_send_dtmf(self, digits: str) -> None:
        """Send RFC 4733 events."""


class DeskState(StrEnum):
    """Where the phone's call stands."""

    IDLE = "waiting for a call"
    CALLING = "calling"
    RINGING = "ringing there"
    RUNG = "ringing here"
    ANSWERED = "connected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the phone is to do.

    Attributes:
        pause_keys: Keys that pause a recording.
        resume_keys: Keys that resume it.
        answer_after_s: When a call is answered without a key, seconds; None waits for one.
        ring_s: When a call that nobody answers is given up, seconds.
        talk_s: When a call is ended, seconds after it was answered; without end by default.
    """

    pause_keys: str
    resume_keys: str
    answer_after_s: float | None = None
    ring_s: float = 60.0
    talk_s: float = math.inf


@dataclass(slots=True, kw_only=True)
class Call:
    """A call: with whom, how it went.

    Attributes:
        uri: The other side.
        is_outgoing: Whether we called.
        began_at: When it began, monotonic seconds.
        answered_at: When it was answered; None if it was not.
        ended_at: When it ended; None while it lasts.
        status: SIP status of its end; 0 while it lasts.
        reason: Why it failed, in words; "" if it was answered.
        has_rung: Whether the other side said that it rings.
        is_given_up: Whether nobody answered in time.
    """

    uri: str
    is_outgoing: bool
    began_at: float
    answered_at: float | None = None
    ended_at: float | None = None
    status: int = 0
    reason: str = ""
    has_rung: bool = False
    is_given_up: bool = False

    def talked_s(self, now: float) -> float:
        """Return how long it has been answered, or was, seconds."""
        return 0.0 if self.answered_at is None else (self.ended_at or now) - self.answered_at


@dataclass(slots=True)
class Desk:
    """A phone and the person at it.

    Attributes:
        device: The phone.
        settings: What it is to do.
        say: Tells the person a line.
        mute: Sends silence, or no longer; returns whether it does now.
        state: Where the call stands.
        call: The present call, or the last one.
        is_over: Whether the phone is to end.
    """

    device: DeskDevice
    settings: Settings
    say: Callable[[str], None]
    mute: Callable[[], bool]
    clock: Callable[[], float] = time.monotonic
    state: DeskState = DeskState.IDLE
    call: Call | None = None
    is_over: bool = False
    _ends_after_call: bool = field(default=False)

    def dial(self, uri: str) -> None:
        """Call somebody; the phone ends with that call.

        Raises:
            PhoneError: The address cannot be called.
        """
        self._ends_after_call = True
        self.state, self.call = DeskState.CALLING, Call(uri=uri, is_outgoing=True, began_at=self.clock())
        self.say(f"calling {uri}")
        self.device.do_call(uri, None)

    def take(self, event: PhoneEvent) -> None:
        """Take an event of the phone."""
        match event.name:
            case "incoming":
                self.state, self.call = DeskState.RUNG, Call(uri=event.text, is_outgoing=False, began_at=self.clock())
                self.say(f"{event.text} is calling: a answers, h refuses")
            case "early" if self.call is not None and self.state is DeskState.CALLING:
                self.state, self.call.has_rung = DeskState.RINGING, True
                self.say("ringing")
            case "confirmed" if self.call is not None:
                self.state, self.call.answered_at = DeskState.ANSWERED, self.clock()
                self.say("connected")
            case "digit":
                self.say("the other side pressed a key")  # which one may be a card's
            case "disconnected" if self.call is not None:
                self._end(self.call, event)

    def _end(self, call: Call, event: PhoneEvent) -> None:
        self.state, call.ended_at, call.status = DeskState.IDLE, self.clock(), event.code
        if call.answered_at is None:
            call.reason = self._why_not(call, event)
        else:
            self.say(f"ended after {call.talked_s(self.clock()):.0f} s")
        self.is_over = self.is_over or self._ends_after_call
        if call.answered_at is None and not call.is_outgoing:
            self.say("the call was not answered")

    def _why_not(self, call: Call, event: PhoneEvent) -> str:
        if call.is_given_up and call.has_rung:
            return f"{call.uri} did not answer within {self.settings.ring_s:g} s"
        if call.is_given_up or event.code == _NO_REPLY:
            return (
                f"nothing replies at {call.uri}: check address and port, that the recorder runs, and that this "
                "phone's address is in the networks of a [[peer]]"
            )
        if event.code == _CANCELLED:
            return f"the call to {call.uri} was given up before it was answered"
        return f"{call.uri} refused the call: {event.code} {event.text}".rstrip()

    def press(self, key: str) -> None:
        """Do what a key says; other keys do nothing."""
        if key in _DIGITS:
            self._send(key, "")
        elif key == "p":
            self._send(self.settings.pause_keys, "pause")
        elif key == "r":
            self._send(self.settings.resume_keys, "resume")
        elif key == "m":
            self.say("muted" if self.mute() else "not muted")
        elif key in ("a", Key.ENTER):
            self.device.do_answer()
        elif key == "h":
            self.device.do_hang_up()
        elif key == "q":
            self.quit()

    def quit(self) -> None:
        """End the call and the phone."""
        if self.call is not None and self.call.answered_at is None:
            self.call.reason = self.call.reason or f"the call to {self.call.uri} was given up before it was answered"
        self.is_over = self.state is DeskState.IDLE
        self._ends_after_call = True
        self.device.do_hang_up()

    def _send(self, digits: str, what: str) -> None:
        if self.state is not DeskState.ANSWERED:
            self.say("keys can be sent once the call is answered")
            return
        try:
            self.device.do_send_dtmf(digits)
        except PhoneError as error:
            self.say(str(error))
            return
        if what:
            self.say(f"{what}: sent {digits}")

    def tick(self) -> None:
        """Do what is due: answer, give up, hang up."""
        call, now = self.call, self.clock()
        if call is None or call.ended_at is not None:
            return
        waited_s, after_s = now - call.began_at, self.settings.answer_after_s
        if self.state is DeskState.RUNG and after_s is not None and waited_s >= after_s:
            self.device.do_answer()
        elif self.state in (DeskState.CALLING, DeskState.RINGING) and waited_s >= self.settings.ring_s:
            if not call.is_given_up:
                call.is_given_up = True
                self.device.do_hang_up()
        elif self.state is DeskState.ANSWERED and call.talked_s(now) >= self.settings.talk_s:
            self.device.do_hang_up()
