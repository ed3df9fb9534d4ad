"""Interfaces between a call and its components, so that no two modules import each other."""

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
"""Final responses that ask for credentials: the recorder has none for the target, or they are wrong."""


class TransferIntake(Protocol):
    """Makes a passthrough call a recorded one when it is transferred to a nominated extension."""

    def transfer_in(
        self, call: "TransferableCall", side: Side, event: ReferReceived, choice: RouteChoice
    ) -> int | None:
        """Dial a nominated extension that a REFER names; return the status to refuse with, or None."""

    def pick_up(self, call: "TransferableCall", side: Side, event: CallOffered) -> int | None:
        """Replace a side by a nominated extension that sent an INVITE with Replaces; return as `transfer_in`."""


class TransferableCall(SipCall):
    """A call between two sides, either of which a transfer may replace."""

    services: CallServices
    progress: CallProgress
    offered: CallOffered
    parties: CallParties
    media: "MediaPath"

    @abstractmethod
    def apply(self, event: Event) -> None:
        """Apply an event to the table, and carry out the commands that it returns."""

    @abstractmethod
    def put_party(self, side: Side, party: Party) -> None:
        """Put a party on a side."""

    @abstractmethod
    def note_numbers(self, *numbers: str, is_claim: bool = False) -> None:
        """Note numbers of a party, by which the recording can be found.

        Args:
            numbers: The numbers.
            is_claim: A peer asserted them without proof (see `Identities.add`).
        """

    @property
    @abstractmethod
    def is_talking(self) -> bool:
        """Tell whether the sides are joined, no transfer is under way, and no leg was given to another call."""

    @abstractmethod
    def take_from(self, side: Side, other: "TransferableCall", other_side: Side, *, referrer: LegId) -> None:
        """Replace the party on a side by a party of another call (attended transfer).

        Args:
            side: The side whose party is replaced.
            other: The other call.
            other_side: The side of the other call whose party comes in.
            referrer: The leg whose REFER asked for it; it gets the NOTIFYs.
        """

    @abstractmethod
    def headers_for(self, side: Side, headers: tuple[Header, ...]) -> tuple[Header, ...]:
        """Return the headers of the other side that a side may receive."""

    @abstractmethod
    def identify(self, side: Side, headers: tuple[Header, ...]) -> None:
        """Send a side the identity headers of the party on the other side."""

    @abstractmethod
    def hang_up(self, side: Side, reason: str | None = None) -> None:
        """End a side's leg."""


class MediaPath(Component[TransferableCall], ABC):
    """Handles a call's offers, answers and the commands that concern media.

    Attributes:
        target: The media of a transfer target.
    """

    target: TransferMedia

    # --- messages to and from B

    @property
    def ring_s(self) -> float | None:
        """Return how long B may ring, seconds; None is no limit."""
        return None

    @property
    def is_reliable(self) -> bool:
        """Tell whether B may send reliable provisional responses (RFC 3262)."""
        return True

    @abstractmethod
    def offer_to_b(self) -> Body | None:
        """Return the body of the INVITE to B.

        Raises:
            PortsExhaustedError: No ports are left.
        """

    @abstractmethod
    def rang(self, event: LegRang) -> None:
        """Handle a provisional response of B."""

    @abstractmethod
    def answered(self, event: LegAnswered) -> None:
        """Handle B's answer."""

    def refused(self, event: LegRefused) -> None:
        """Handle a refusal by B or by a transfer target; another target may be tried next."""

    def b_ended(self) -> None:
        """Release the media of a B that refused or could not be bridged."""

    def acknowledged(self, side: Side) -> None:
        """Handle that a side knows of the recorder's answer to its INVITE."""

    # --- re-offers

    @abstractmethod
    def reoffered(self, side: Side, event: OfferReceived) -> None:
        """Handle a side's offer to change the session."""

    @abstractmethod
    def offer_answered(self, side: Side, event: OfferAnswered) -> None:
        """Handle a side's answer to the recorder's offer."""

    @abstractmethod
    def offer_refused(self, side: Side, event: OfferRefused) -> None:
        """Handle a side's refusal of the recorder's offer."""

    @abstractmethod
    def info(self, side: Side, event: InfoReceived) -> None:
        """Handle an INFO of a side."""

    # --- parties

    @abstractmethod
    def renamed(self, side: Side, event: IdentityChanged) -> None:
        """Handle a new identity on a side's leg."""

    @abstractmethod
    def replaced(self, side: Side, after: After) -> None:
        """Handle that a transfer target has replaced the party on a side."""

    # --- commands of the table

    @abstractmethod
    def do(self, command: Command) -> None:
        """Carry out a command that concerns media."""

    def refuse_a(self, status: int, refusal: LegRefused | None, headers: tuple[Header, ...] = ()) -> None:
        """Refuse A's INVITE, with the phrase and headers of the last refusal where its status is the same.

        Args:
            status: The status.
            refusal: The last refusal by a target, or None.
            headers: The headers to send if there is no such refusal.
        """
        call, phrase = self._call, ""
        if call.legs.a is None:
            return
        if status in ACCOUNT_REFUSALS:  # it concerns the recorder's credentials, not A's
            status, phrase = 403, "Forbidden"
        elif refusal is not None and refusal.status == status:
            phrase, headers = refusal.phrase or phrase, refusal.headers
        call.services.endpoint.refuse(call.legs.a, status, phrase, headers=headers)
        call.legs.end(Side.A)

    def finish(self, end: str) -> None:
        """Release the media, and close the recording if there is one."""
