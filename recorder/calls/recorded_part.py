"""The recorded part of a call, as the registry, the acts of people and the lists of calls see it."""

from typing import Protocol

from recorder.calls.acts import Act
from recorder.calls.call_listing import CallListing
from recorder.calls.keypad import Keypad
from recorder.calls.recordable_call import RecordableCall
from recorder.calls.recording import Recording
from recorder.calls.recording_controls import RecordingControls


class SecondMessagePlayback(Protocol):
    """The second message of a call, of whatever kind."""

    @property
    def state(self) -> str:
        """Return how it stands: ``off`` there is none, ``playing``, ``played`` or ``ready``."""

    def play(self, by: str) -> Act:
        """Begin to play it to the outside party, from its beginning.

        Args:
            by: Who asks, as the audit log names them.

        Returns:
            How the recording stands, which nothing of this changes; done already.

        Raises:
            RefusedError: It cannot be played now, or not in such a call.
        """


class RecordedPart(RecordableCall):
    """What a recorded call or a recording session has beside its legs.

    Attributes:
        recording: Its recording.
        controls: What people and rules do to the recording.
        keypad: Its keys.
        second: Its second message.
        listing: What people may see of it.
    """

    recording: Recording
    controls: RecordingControls
    keypad: Keypad
    second: SecondMessagePlayback
    listing: CallListing
