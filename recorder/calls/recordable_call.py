"""The interface of a call's recorded part for its recording: parties, keys, confirmations to the officer.

Implemented for a recorded call and for a recording session (SIPREC).
"""

from abc import ABC, abstractmethod
from concurrent.futures import Future

from audio.types import LegId as MediaLegId
from audio.types import MediaEvent, Prompt
from recorder.calls.call_clock import CallClock
from recorder.calls.call_services import CallServices
from recorder.calls.rules.call_events import Event, Side
from recorder.calls.rules.call_progress import CallProgress
from recorder.calls.rules.keys_by_side import keys_act
from recorder.calls.rules.transfer import Party
from recorder.rules.pausing import PauseState
from recorder.rules.policy import Extension
from sip.events import Body
from storage.types import NoticeProof, RecordingId, RecordingRow


class RecordableCall(ABC):
    """A call that has a recording."""

    id: RecordingId
    services: CallServices
    clock: CallClock
    progress: CallProgress

    # --- parties

    @property
    @abstractmethod
    def caller(self) -> str:
        """Return the caller's number."""

    @property
    @abstractmethod
    def called(self) -> str:
        """Return the dialled number."""

    @property
    @abstractmethod
    def numbers(self) -> frozenset[str]:
        """Return the nominated extensions that are on the call now."""

    @property
    @abstractmethod
    def officer_extension(self) -> str:
        """Return the extension on the officer's side; on an internal call that is one of two."""

    @property
    @abstractmethod
    def ends(self) -> tuple[Party, Extension] | None:
        """Return the outside party and the officer's extension now; None if not both are known."""

    @property
    @abstractmethod
    def is_held(self) -> bool:
        """Tell whether a party has put the call on hold (SIP hold)."""

    @property
    @abstractmethod
    def proof(self) -> NoticeProof:
        """Return the proof that the notice was played."""

    def has_keys(self, side: Side) -> bool:
        """Tell whether key sequences of a side control the recording."""
        return keys_act(side, officer=self.progress.officer, there=None)

    def extension_on(self, side: Side) -> str:
        """Return the nominated extension on a side; `officer_extension` if there is none."""
        return self.officer_extension

    # --- output

    @property
    @abstractmethod
    def is_listed(self) -> bool:
        """Tell whether the call is in the list of live calls."""

    @abstractmethod
    def publish(self) -> None:
        """Publish the call's state, if the call is listed and anybody watches."""

    @abstractmethod
    def tell_officer(self, sound: Prompt, side: Side | None = None) -> None:
        """Play a confirmation to the officer on a side, if possible; None is the officer's side."""

    @abstractmethod
    def pass_info(self, side: Side, body: Body) -> None:
        """Send an INFO of one side on to the other."""

    # --- events

    @abstractmethod
    def apply(self, event: Event) -> None:
        """Apply an event to the call's table, if it has one."""

    @abstractmethod
    def receive_media(self, event: MediaEvent, leg: MediaLegId) -> None:
        """Handle an event of one of the call's media legs."""

    @abstractmethod
    def adopt_media(self, leg: MediaLegId) -> None:
        """Hand the events of a media leg to this call from now on."""

    @abstractmethod
    def close(self, end: str) -> None:
        """Close the media legs, then the recording."""

    # --- additions for one kind of call

    def complete_row(self, row: RecordingRow) -> RecordingRow:
        """Return the recording's row with the fields that only this kind of call has."""
        return row

    def store_elsewhere(self, state: PauseState, reasons: list[str]) -> "list[Future[None]]":
        """Store the pause state in further registers; the futures are done when it is on disk."""
        return []
