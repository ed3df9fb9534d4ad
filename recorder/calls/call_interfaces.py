"""What a call and its parts know of each other. The parts are given these, so that no two modules import each other."""

from abc import ABC, abstractmethod
from typing import Protocol

from recorder.calls.call_parties import CallParties
from recorder.calls.call_services import CallServices
from recorder.calls.component import Component
from recorder.calls.dial_plan import RouteChoice
from recorder.calls.rules.call_events import After, Command, Event, Side
from recorder.calls.rules.call_progress import CallProgress
from recorder.calls.rules.transfer import Party
from recorder.calls.sip_call import SipCall
from recorder.calls.transfer_media import TransferMedia
from sip.events import (
    Body,
    CallOffered,
    Header,
    IdentityChanged,
    InfoReceived,
    LegAnswered,
    LegId,
    LegRang,
    LegRefused,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
    ReferReceived,
)

ACCOUNT_REFUSALS = frozenset({401, 407})
"""Final answers that ask for an account: we have none there, or it is not taken."""


class TransferIntake(Protocol):
    """Takes in calls that are transferred to a nominated extension."""

    def transfer_in(
        self, call: "TransferableCall", side: Side, event: ReferReceived, choice: RouteChoice
    ) -> int | None:
        """Have a passthrough call go to a nominated extension; return the status that refuses it, if any."""

    def pick_up(self, call: "TransferableCall", side: Side, event: CallOffered) -> int | None:
        """Have a nominated extension take the place of a side of a passthrough call; as `transfer_in`."""


class TransferableCall(SipCall):
    """A call between two sides, of which one may be replaced.

    Attributes:
        services: The daemon's parts.
        progress: Its place in the table.
        offered: The INVITE.
        parties: Who is on its sides.
        media: How its media goes.
    """

    services: CallServices
    progress: CallProgress
    offered: CallOffered
    parties: CallParties
    media: "MediaPath"

    @abstractmethod
    def apply(self, event: Event) -> None:
        """Apply an event to the table, and do what it says."""

    @abstractmethod
    def put_party(self, side: Side, party: Party) -> None:
        """Put a party on a side."""

    @abstractmethod
    def note_numbers(self, *numbers: str, is_claim: bool = False) -> None:
        """Note numbers that a party goes by: a recording is found by them.

        Args:
            numbers: The numbers.
            is_claim: A peer says so, who may say it of any number (see `Identities.add`).
        """

    @property
    @abstractmethod
    def is_talking(self) -> bool:
        """Tell whether the sides are joined, nobody is about to be replaced, and nobody is lent to another call."""

    @abstractmethod
    def take_from(self, side: Side, lender: "TransferableCall", theirs: Side, *, referrer: LegId) -> None:
        """Have a party of another call take the place of a side."""

    @abstractmethod
    def headers_for(self, side: Side, headers: tuple[Header, ...]) -> tuple[Header, ...]:
        """Return the headers of one side as the other may have them."""

    @abstractmethod
    def identify(self, side: Side, headers: tuple[Header, ...]) -> None:
        """Tell a side who is at the other end now."""

    @abstractmethod
    def hang_up(self, side: Side, reason: str | None = None) -> None:
        """End a side's leg."""


class MediaPath(Component[TransferableCall], ABC):
    """What a call does with offers, answers and commands that concern media.

    Attributes:
        target: Offers to and answers of a transfer target.
    """

    target: TransferMedia

    # --- what is said to B, and what B says

    @property
    def ring_s(self) -> float | None:
        """Return how long B may ring, seconds; None: as long as it likes."""
        return None

    @property
    def is_reliable(self) -> bool:
        """Tell whether B may send provisional responses that are acknowledged (RFC 3262)."""
        return True

    @abstractmethod
    def offer_to_b(self) -> Body | None:
        """Return the body of the INVITE to B.

        Raises:
            PortsExhaustedError: No ports are left.
        """

    @abstractmethod
    def rang(self, event: LegRang) -> None:
        """Handle B's ringing."""

    @abstractmethod
    def answered(self, event: LegAnswered) -> None:
        """Handle B's answer."""

    def refused(self, event: LegRefused) -> None:
        """Handle a refusal by B or by a transfer target; there may be another one to try."""

    def b_ended(self) -> None:
        """Release what belonged to a B that came to nothing."""

    # --- sessions that change

    @abstractmethod
    def reoffered(self, side: Side, event: OfferReceived) -> None:
        """Handle a side's offer to change the session."""

    @abstractmethod
    def offer_answered(self, side: Side, event: OfferAnswered) -> None:
        """Handle a side's answer to an offer of ours."""

    @abstractmethod
    def offer_refused(self, side: Side, event: OfferRefused) -> None:
        """Handle a side's refusal of an offer of ours."""

    @abstractmethod
    def info(self, side: Side, event: InfoReceived) -> None:
        """Handle an INFO of a side."""

    # --- who is there

    @abstractmethod
    def renamed(self, side: Side, event: IdentityChanged) -> None:
        """Handle another name on a side's leg."""

    @abstractmethod
    def replaced(self, side: Side, after: After) -> None:
        """Handle a transfer target that has taken a side."""

    # --- commands of the table

    @abstractmethod
    def do(self, command: Command) -> None:
        """Do a command that concerns media."""

    def refuse_a(self, status: int, said: LegRefused | None, headers: tuple[Header, ...] = ()) -> None:
        """Refuse A's INVITE; what the far side said is passed on in its own words.

        Args:
            status: Why.
            said: What the far side refused with last; None: nothing.
            headers: Where it said nothing: headers of the refusal.
        """
        call, phrase = self._call, ""
        if call.legs.a is None:
            return
        if status in ACCOUNT_REFUSALS:  # our account there, which is no business of A's
            status, phrase = 403, "Forbidden"
        elif said is not None and said.status == status:
            phrase, headers = said.phrase or phrase, said.headers
        call.services.endpoint.refuse(call.legs.a, status, phrase, headers=headers)
        call.legs.end(Side.A)

    def finish(self, end: str) -> None:
        """Release the media, and settle the recording where there is one."""
