"""The recorded part of a call that we stand in, as the parts see it that have to do with its media."""

from recorder.calls.call_media import CallMedia
from recorder.calls.call_parties import CallParties
from recorder.calls.legs import Legs
from recorder.calls.recorded_part import RecordedPart


class BridgedCall(RecordedPart):
    """A call whose sides talk through the media core.

    Attributes:
        sides: The media of each side.
        parties: Who is on its sides.
        legs: Its SIP legs.
    """

    sides: CallMedia
    parties: CallParties
    legs: Legs
