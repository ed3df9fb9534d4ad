"""The interface of a recording session's recorded part, for its components."""

from abc import abstractmethod

from recorder.calls.recorded_part import RecordedPart
from recorder.calls.rules.siprec import SessionDecision
from sip.events import CallOffered


class CopiedCall(RecordedPart):
    """The recorded part of a recording session."""

    offered: CallOffered

    @abstractmethod
    def apply_decision(self, decision: SessionDecision) -> None:
        """Assign the session to the extension of a decision."""
