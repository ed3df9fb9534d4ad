"""The recorded part of a call, as its recording sees it: who is on it, who has keys, how its officer is told something.

A recorded call has one beside its media. A recording session (SIPREC) has one beside its lines.
"""

from abc import ABC, abstractmethod
from concurrent.futures import Future

from audio.types import LegId as MediaLegId
from audio.types import MediaEvent, Prompt
from recorder.calls.call_clock import CallClock
from recorder.calls.call_services import CallServices
from recorder.calls.rules.call_events import Event, Side
from recorder.calls.rules.call_progress import CallProgress
from recorder.calls.rules.transfer import Party
from recorder.rules.pausing import PauseState
from recorder.rules.policy import Extension
from sip.events import Body
from storage.types import NoticeProof, RecordingId, RecordingRow


class RecordableCall(ABC):
    """What a recording needs to know of its call.

    Attributes:
        id: Of the recording.
        services: The daemon's parts.
        clock: Of the call.
        progress: Its place in the table.
    """

    id: RecordingId
    services: CallServices
    clock: CallClock
    progress: CallProgress

    # --- who is on it

    @property
    @abstractmethod
    def caller(self) -> str:
        """Return the number that calls."""

    @property
    @abstractmethod
    def called(self) -> str:
        """Return the number that was dialled."""

    @property
    @abstractmethod
    def numbers(self) -> frozenset[str]:
        """Return the nominated extensions that are on the call now."""

    @property
    @abstractmethod
    def officer_extension(self) -> str:
        """Return the extension of the officer who has the keys, which on an internal call is one of two."""

    @property
    @abstractmethod
    def ends(self) -> tuple[Party, Extension] | None:
        """Return the outside party and the officer's extension now; None where they are not both known."""

    @property
    @abstractmethod
    def is_held(self) -> bool:
        """Tell whether one of the sides is on hold."""

    @property
    @abstractmethod
    def proof(self) -> NoticeProof:
        """Return what is known of the notice."""

    def has_keys(self, side: Side) -> bool:
        """Tell whether an officer is on a side, whose keys act."""
        return side is self.progress.officer

    def extension_on(self, side: Side) -> str:
        """Return the extension on a side; the one with the keys where there is none."""
        return self.officer_extension

    # --- what is told to whom

    @property
    @abstractmethod
    def is_listed(self) -> bool:
        """Tell whether people may see the call."""

    @abstractmethod
    def publish(self) -> None:
        """Publish how the call is now, if people may see it."""

    @abstractmethod
    def tell_officer(self, sound: Prompt, side: Side | None = None) -> None:
        """Play a confirmation to the officer on a side, where there is a way to; None: to the one with the keys."""

    @abstractmethod
    def pass_info(self, side: Side, body: Body) -> None:
        """Send an INFO of one side on to the other."""

    # --- what happens to it

    @abstractmethod
    def apply(self, event: Event) -> None:
        """Apply an event to the call's table."""

    @abstractmethod
    def receive_media(self, event: MediaEvent, leg: MediaLegId) -> None:
        """Handle an event of one of the call's media legs."""

    @abstractmethod
    def adopt_media(self, leg: MediaLegId) -> None:
        """Have the events of a media leg come to this call from now on."""

    @abstractmethod
    def close(self, end: str) -> None:
        """Close the media legs, then the recording."""

    # --- what is written down beside what every recording has

    def complete_row(self, row: RecordingRow) -> RecordingRow:
        """Return the row of the recording with what is known of this kind of call."""
        return row

    def store_elsewhere(self, state: PauseState, reasons: list[str]) -> "list[Future[None]]":
        """Store elsewhere how the recording stands; done when it is on disk."""
        return []
