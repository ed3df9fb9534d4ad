"""The interface of a bridged call's recorded part, for the components that use its media."""

from recorder.calls.call_media import CallMedia
from recorder.calls.call_parties import CallParties
from recorder.calls.legs import Legs
from recorder.calls.recorded_part import RecordedPart


class BridgedCall(RecordedPart):
    """The recorded part of a call whose sides are bridged by the media core."""

    sides: CallMedia
    parties: CallParties
    legs: Legs
