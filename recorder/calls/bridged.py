"""A call that we stand in, as the parts see it that have to do with its media."""

from abc import abstractmethod

from recorder.calls.party import Party
from recorder.calls.recordable import RecordableCall
from recorder.calls.rules.call import Side
from recorder.calls.rules.transfer import Occupant
from sip.events import Body, CallOffered
from sip.options import Address
from sip.sdes import Srtp


class BridgedCall(RecordableCall):
    """A call whose sides talk through the media core.

    Attributes:
        parties: The media of each side.
        people: Who is on its sides.
        dialled: Whom B was dialled as.
        far: Where B was dialled.
    """

    parties: dict[Side, Party]
    people: dict[Side, Occupant]
    dialled: str
    far: Address | None

    @abstractmethod
    def seat(self, side: Side, occupant: Occupant) -> None:
        """Take it that somebody is on a side."""

    @abstractmethod
    def bridge(self, *, is_early: bool = False) -> None:
        """Let the sides hear one another."""

    @abstractmethod
    def new_party(self, name: str) -> Party:
        """Return a party of this call, without media yet."""

    @abstractmethod
    def take_offer_of(self, party: Party, event: CallOffered) -> None:
        """Take what somebody's INVITE offers, and open a party's ports for it."""

    @abstractmethod
    def offer_by(self, party: Party, wanted: Srtp, other: Party) -> Body:
        """Open a party's ports, and return the offer to it of what can be bridged to another."""

    @abstractmethod
    def media_refused(self, party: Party) -> None:
        """Say that the far side does not take what a party was offered."""
