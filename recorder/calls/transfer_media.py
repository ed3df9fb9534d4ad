"""The interface of a call's media for its transfers."""

from abc import ABC, abstractmethod

from recorder.calls.rules.call_events import Side
from sip.events import Body, CallOffered
from sip.offer_answer import LocalStream
from sip.sdes import Srtp


class TransferMedia(ABC):
    """The media of a transfer target.

    `answered` and `called` lead to `Transfers.ready` or `Transfers.failed`.
    """

    @abstractmethod
    def offer(self, host: str | None, srtp: Srtp, session: LocalStream | None = None) -> Body | None:
        """Return the offer to a transfer target; None asks the target to make the offer.

        Args:
            host: The host that their SIP messages come from; None if it is not known.
            srtp: Whether their audio is encrypted; OPTIONAL is as that of the party who stays.
            session: The recorder's last description on their leg, if it comes from another call: the new description
                continues it (RFC 3264 section 8).

        Raises:
            PortsExhaustedError: No ports are left.
        """

    @abstractmethod
    def answered(self, body: Body | None) -> None:
        """Handle the transfer target's answer, or the offer that they were asked to make."""

    @abstractmethod
    def called(self, event: CallOffered) -> None:
        """Handle the INVITE of a transfer target who calls the recorder, and answer it."""

    @abstractmethod
    def drop(self) -> None:
        """Release the media of a transfer target who will not be joined."""

    def srtp_of(self, side: Side) -> Srtp:
        """Return whether a side's audio is encrypted; OFF if the recorder does not have the media."""
        return Srtp.OFF

    def session_of(self, side: Side) -> LocalStream | None:
        """Return the recorder's description to a side; None if the recorder does not write it."""
        return None
