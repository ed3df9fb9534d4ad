"""A call as its transfers see it, and what they need of the other calls."""

import logging
from abc import abstractmethod
from typing import Protocol

from recorder.calls.call_services import CallServices
from recorder.calls.dial_plan import RouteChoice
from recorder.calls.rules.call_events import Event, Side
from recorder.calls.rules.call_progress import CallProgress
from recorder.calls.rules.transfer import Party
from recorder.calls.sip_call import SipCall
from recorder.calls.transfer_media import TransferMedia
from recorder.rules.routing import Route
from sip.events import CallOffered, LegId, LegRefused, ReferReceived

_log = logging.getLogger(__name__)


class TransferIntake(Protocol):
    """Takes in calls that are transferred to a nominated extension."""

    def transfer_in(
        self, call: "TransferableCall", side: Side, event: ReferReceived, choice: RouteChoice
    ) -> int | None:
        """Have a call that is passed on go to a nominated extension; return the status that refuses it, if any."""

    def pick_up(self, call: "TransferableCall", side: Side, event: CallOffered) -> int | None:
        """Have a nominated extension take the place of a side of a call that is passed on; as `transfer_in`."""


class TransferableCall(SipCall):
    """A call of which a side may be replaced.

    Attributes:
        services: The daemon's parts.
        progress: Its place in the table.
        offered: The INVITE.
        media: Offers to and answers of transfer targets.
    """

    services: CallServices
    progress: CallProgress
    offered: CallOffered
    media: TransferMedia

    @abstractmethod
    def apply(self, event: Event) -> None:
        """Feed the table and do what it says."""

    @abstractmethod
    def party_at(self, side: Side) -> Party:
        """Return who is on a side."""

    @abstractmethod
    def seat(self, side: Side, party_at: Party) -> None:
        """Put a party on a side."""

    @property
    @abstractmethod
    def is_talking(self) -> bool:
        """Tell whether the sides are joined, nobody is about to be replaced, and nobody is lent to another call."""

    @abstractmethod
    def was_called(self, side: Side) -> bool:
        """Tell whether the party on a side was called, by the caller or for a transfer."""

    @abstractmethod
    def borrow(self, side: Side, lender: "TransferableCall", theirs: Side, *, teller: LegId) -> None:
        """Have a party of another call take the place of a side."""

    @abstractmethod
    def note_refusal(self, event: LegRefused) -> None:
        """Raise the alarm where a refusal speaks of a setting, not of the person called."""

    @abstractmethod
    def number_on(self, route: Route, number: str) -> str:
        """Return what to dial: the route's form of a number."""

    def goes_by(self, *numbers: str, is_claim: bool = False) -> None:
        """Note numbers that a party of the call goes by; only recordings have a use for them.

        Args:
            numbers: The numbers.
            is_claim: A peer says so, who may say it of any number (see `Identities.add`).
        """

    @property
    def ring_s(self) -> float | None:
        """Return how long B may ring, or None for as long as it likes."""
        return None

    @property
    def is_reliable(self) -> bool:
        """Tell whether B may send provisional responses that are acknowledged (RFC 3262)."""
        return True

    def relate(self, other: "TransferableCall") -> None:
        """Note that another call and this one belong together; only recordings have anything to note."""
        _log.debug("two calls became one")
