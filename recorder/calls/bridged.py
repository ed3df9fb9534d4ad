"""A call that we stand in, as the parts see it that have to do with its media."""

from abc import abstractmethod

from recorder.calls.call_media import CallMedia
from recorder.calls.recordable import RecordableCall
from recorder.calls.rules.call_events import Side
from recorder.calls.rules.transfer import Party
from sip.options import Address


class BridgedCall(RecordableCall):
    """A call whose sides talk through the media core.

    Attributes:
        sides: The media of each side.
        people: Who is on its sides.
        dialled: Whom B was dialled as.
        far: Where B was dialled.
    """

    sides: CallMedia
    people: dict[Side, Party]
    dialled: str
    far: Address | None

    @abstractmethod
    def seat(self, side: Side, party: Party) -> None:
        """Put a party on a side."""

    @abstractmethod
    def bridge(self, *, is_early: bool = False) -> None:
        """Let the sides hear one another."""
