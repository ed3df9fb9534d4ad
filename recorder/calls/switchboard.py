"""What a call needs of the other calls and of the routes. `recorder.calls.control.Control` is the real one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from audio.types import LegId as MediaLegId
from recorder.calls.recordable import RecordableCall
from recorder.calls.rules.transfer import Occupant
from recorder.calls.sip_call import SipCall
from recorder.rules.routing import Route, in_order
from sip.events import LegId
from sip.options import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a call goes on: its route, and the targets in the order in which they are tried."""

    route: Route
    targets: tuple[Address, ...]
    loop_mark: str

    @classmethod
    def on(
        cls,
        route: Route,
        dead: frozenset[Address],
        loop_mark: str,
        locate: Callable[[Address], tuple[Address, ...]],
    ) -> "Way":
        """Return the way that a route gives: where its targets' names lead, with dead ones last."""
        found = dict.fromkeys(address for target in route.targets for address in locate(target))
        return cls(route=route, targets=in_order(tuple(found), dead), loop_mark=loop_mark)


class Switchboard(Protocol):
    """The doors of the control that a call may use. Call thread only."""

    def adopt(self, leg: LegId, call: SipCall) -> None:
        """Have the events of a leg come to a call from now on."""

    def adopt_media(self, leg: MediaLegId, call: RecordableCall) -> None:
        """Have what the media core sees on a leg come to a call from now on."""

    def ended(self, call: SipCall) -> None:
        """Forget a call: nothing of it is left but what is being filed."""

    def is_inside(self, address: Address) -> bool:
        """Tell whether an address is of a peer on our side of the recorder."""

    def way_to(self, number: str, source: Address) -> Way | None:
        """Return how a number is reached by somebody at an address, or None: nothing leads there."""

    def ways_to_newcomer(self, number: str, source: Address) -> tuple[Way, ...]:
        """Return how somebody is called into a call at the wish of a peer, best first; none: nothing leads there."""

    def may_transfer_to(self, number: str, route: Route) -> bool:
        """Tell whether a transfer or redirection may dial a number on a route; one that may not raises an alarm."""

    def occupant(self, number: str) -> Occupant:
        """Return who is at a number, as one who has heard no notice."""

    def is_known(self, number: str) -> bool:
        """Tell whether a number, however it is written, is that of an extension, a mailbox or an emergency service."""
