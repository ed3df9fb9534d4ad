"""The interface of a call's recorded part for the registry, the acts of people and the lists of calls."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from audio.types import LegId as MediaLegId
from recorder.calls.acts import PendingAct
from recorder.calls.call_listing import CallListing
from recorder.calls.closing import close_after_last_packets
from recorder.calls.keypad import Keypad
from recorder.calls.recordable_call import RecordableCall
from recorder.calls.recording import Recording
from recorder.calls.recording_controls import RecordingControls


class SecondMessagePlayback(Protocol):
    """Plays the second message in one call."""

    @property
    def state(self) -> str:
        """Return ``off`` (there is none), ``playing``, ``played`` or ``ready``."""

    def play(self, by: str) -> PendingAct:
        """Play the message to the outside party from its beginning.

        Args:
            by: Who asked for it, as the audit log names them.

        Returns:
            The state of the recording, which does not change; the future is done.

        Raises:
            RefusedError: The message cannot be played now, or not in this kind of call.
        """


class RecordedPart(RecordableCall):
    """The recorded part of a call or of a recording session."""

    recording: Recording
    controls: RecordingControls
    keypad: Keypad
    second: SecondMessagePlayback
    listing: CallListing

    @property
    def parts(self) -> tuple[object, ...]:
        """Return the objects with the recording, keys and numbers of the call; see `SipCall.parts`."""
        return (self, self.recording, self.controls, self.keypad, self.listing)

    @property
    @abstractmethod
    def media_legs(self) -> Sequence[MediaLegId | None]:
        """Return the media legs that are open now; None for a party that has none."""

    def close_after_last_packets(self, end: str) -> None:
        """Close the media and the recording once the last packets of the call have been taken."""
        close_after_last_packets(self, end)
