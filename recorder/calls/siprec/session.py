"""A recording session as its parts see it."""

from abc import abstractmethod

from recorder.calls.recorded_part import RecordedPart
from recorder.calls.rules.siprec import Verdict
from sip.events import CallOffered


class CopiedCall(RecordedPart):
    """The recorded part of a call that a client copies to us.

    Attributes:
        offered: The INVITE of its session.
    """

    offered: CallOffered

    @abstractmethod
    def decided(self, verdict: Verdict) -> None:
        """Assign the call to the extension that a verdict names."""
