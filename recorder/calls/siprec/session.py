"""A recording session as its parts see it."""

from abc import abstractmethod

from recorder.calls.keypad import Keypad
from recorder.calls.recordable import RecordableCall
from recorder.calls.recording import Recording
from recorder.calls.recording_controls import RecordingControls
from recorder.calls.rules.siprec import Verdict
from sip.events import CallOffered


class CopiedCall(RecordableCall):
    """A call that a client copies to us.

    Attributes:
        offered: The INVITE of its session.
        recording: Its recording.
        controls: What is done to that.
        keypad: Its keys.
    """

    offered: CallOffered
    recording: Recording
    controls: RecordingControls
    keypad: Keypad

    @abstractmethod
    def decided(self, verdict: Verdict) -> None:
        """Assign the call to the extension that a verdict names."""
