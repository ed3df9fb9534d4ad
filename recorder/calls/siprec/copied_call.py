"""A recording session as its parts see it."""

from abc import abstractmethod

from recorder.calls.recorded_part import RecordedPart
from recorder.calls.rules.siprec import SessionDecision
from sip.events import CallOffered


class CopiedCall(RecordedPart):
    """The recorded part of a call that a client copies to us.

    Attributes:
        offered: The INVITE of its session.
    """

    offered: CallOffered

    @abstractmethod
    def apply_decision(self, decision: SessionDecision) -> None:
        """Assign the call to the extension that a decision names."""
