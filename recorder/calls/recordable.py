"""A call as its recording sees it: who is on it, who has keys, how its officer is told something."""

from abc import abstractmethod
from concurrent.futures import Future

from audio.types import LegId as MediaLegId
from audio.types import MediaEvent, Prompt
from recorder.calls.call_services import CallServices
from recorder.calls.rules.call_events import Event, Side
from recorder.calls.rules.call_progress import CallProgress
from recorder.calls.rules.transfer import Party
from recorder.calls.sip_call import SipCall
from recorder.rules.pausing import PauseState
from recorder.rules.policy import Extension
from sip.events import Body
from storage.types import NoticeProof, RecordingId, RecordingRow


class RecordableCall(SipCall):
    """A call with a recording: one that we stand in, or a recording session that a client copies to us.

    Attributes:
        id: Of its recording.
        services: The daemon's parts.
        progress: Its place in the table.
    """

    id: RecordingId
    services: CallServices
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
    def tell(self) -> None:
        """Tell those who watch how the call is now, if people may see it."""

    @abstractmethod
    def tell_officer(self, sound: Prompt, side: Side | None = None) -> None:
        """Play a confirmation to the officer on a side, where there is a way to; None: to the one with the keys."""

    @abstractmethod
    def pass_info(self, side: Side, body: Body) -> None:
        """Send an INFO of one side on to the other."""

    # --- what happens to it

    @abstractmethod
    def apply(self, event: Event) -> None:
        """Feed the table."""

    @abstractmethod
    def receive_media(self, event: MediaEvent, leg: MediaLegId) -> None:
        """Take what the media core saw on one of the call's legs."""

    @abstractmethod
    def close(self, end: str) -> None:
        """Close the media legs, then the recording."""

    # --- what is written down beside what every recording has

    def described(self, row: RecordingRow) -> RecordingRow:
        """Return the row of the recording with what is known of this kind of call."""
        return row

    def kept_also(self, state: PauseState, reasons: list[str]) -> "list[Future[None]]":
        """Write down elsewhere how the recording stands; done when it is on disk."""
        return []
