"""A call that we stand in, as the parts see it that have to do with its media."""

from abc import abstractmethod

from recorder.calls.parties import Parties
from recorder.calls.recordable import RecordableCall
from recorder.calls.rules.call import Side
from recorder.calls.rules.transfer import Occupant
from sip.options import Address


class BridgedCall(RecordableCall):
    """A call whose sides talk through the media core.

    Attributes:
        parties: The media of each side.
        people: Who is on its sides.
        dialled: Whom B was dialled as.
        far: Where B was dialled.
    """

    parties: Parties
    people: dict[Side, Occupant]
    dialled: str
    far: Address | None

    @abstractmethod
    def seat(self, side: Side, occupant: Occupant) -> None:
        """Put a party on a side."""

    @abstractmethod
    def bridge(self, *, is_early: bool = False) -> None:
        """Let the sides hear one another."""
