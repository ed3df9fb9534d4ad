"""A recording session as its parts see it."""

from abc import abstractmethod

from recorder.calls.gate_acts import GateActs
from recorder.calls.keypad import Keypad
from recorder.calls.recordable import RecordableCall
from recorder.calls.recording import Recording
from recorder.calls.rules.siprec import Verdict
from sip.events import CallOffered


class CopiedCall(RecordableCall):
    """A call that a client copies to us.

    Attributes:
        offered: The INVITE of its session.
        recording: Its recording.
        gate: What is done to that.
        keypad: Its keys.
    """

    offered: CallOffered
    recording: Recording
    gate: GateActs
    keypad: Keypad

    @abstractmethod
    def decided(self, verdict: Verdict) -> None:
        """Assign the call to the extension that a verdict names."""
