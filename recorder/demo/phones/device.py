"""Interface of a program as a phone; the phone's process drives it."""

from collections.abc import Callable
from typing import Protocol

from recorder.demo.phones.messages import PhoneEvent

Say = Callable[[PhoneEvent], None]
"""Reports an event to the parent."""


class Device(Protocol):
    """A program as a phone. Its ``do_...`` methods are the commands; they raise an error with a reason."""

    @property
    def port(self) -> int:
        """The SIP port that it listens on."""

    def turn(self) -> None:
        """Handle what has happened; wait at most some milliseconds for it."""

    def shut_down(self) -> None:
        """End the call, finish the recording and end the program."""

    def do_call(self, uri: str, wav: str | None) -> None:
        """Call a URI."""

    def do_auto_answer(self, after_s: float, wav: str | None) -> None:
        """Answer incoming calls."""

    def do_reject(self) -> None:
        """Refuse incoming calls."""

    def do_play(self, wav: str) -> None:
        """Send a WAV in the call."""

    def do_record(self, wav: str) -> None:
        """Record received audio."""

    def do_send_dtmf(self, digits: str) -> None:
        """Send RFC 4733 events."""

    def do_hold(self, is_held: bool) -> None:
        """Hold the far side, or take it off hold."""

    def do_hang_up(self) -> None:
        """End the call, if there is one."""
