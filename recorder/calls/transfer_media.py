"""The media of a call, as its transfers use them."""

from abc import ABC, abstractmethod

from recorder.calls.rules.call_events import Side
from sip.events import Body, CallOffered
from sip.offer_answer import LocalStream
from sip.sdes import Srtp


class TransferMedia(ABC):
    """Offers to and answers of somebody who is to take the place of a side.

    After `answered` and `called`, `Transfers.ready` or `Transfers.failed` follows.
    """

    @abstractmethod
    def offer(self, host: str | None, srtp: Srtp, session: LocalStream | None = None) -> Body | None:
        """Return the offer to a transfer target, None to have them make it.

        Args:
            host: Where their signalling comes from; None where it is not known.
            srtp: Whether their audio is to be encrypted; OPTIONAL is as that of the one who stays.
            session: What our descriptions on their leg were so far, where another call lends it: they go on.

        Raises:
            PortsExhaustedError: No ports are left.
        """

    @abstractmethod
    def answered(self, body: Body | None) -> None:
        """Take the transfer target's answer, or the offer that they were asked for."""

    @abstractmethod
    def called(self, event: CallOffered) -> None:
        """Take the offer of a transfer target who calls, and answer."""

    @abstractmethod
    def drop(self) -> None:
        """Give back what a transfer target who will not be joined had."""

    def srtp_of(self, side: Side) -> Srtp:
        """Return whether a side's audio is encrypted; what does not come here is not known to be."""
        return Srtp.OFF

    def session_of(self, side: Side) -> LocalStream | None:
        """Return what our descriptions to a side are; None where they are not ours."""
        return None
