"""Where numbers lead, by routes and peers, and who is at them. Call thread only."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from recorder.calls.call_services import CallServices
from recorder.calls.rules.transfer import Party, PartyStatus
from recorder.rules.policy import extension_of
from recorder.rules.routing import NumberKind, Peer, Route, find_peer, find_route, in_order, routes_to_transfer_target
from sip.events import CallOffered, TargetChanged
from sip.options import Address

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteChoice:
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
    ) -> "RouteChoice":
        """Return the way that a route gives: where its targets' names lead, with dead ones last."""
        found = dict.fromkeys(address for target in route.targets for address in locate(target))
        return cls(route=route, targets=in_order(tuple(found), dead), loop_mark=loop_mark)


class DialPlan:
    """Routes, peers and numbers, as they are configured now.

    Args:
        services: The daemon's parts.
        loop_mark: What this recorder writes into the marker header; its own mark coming back is a loop.
    """

    def __init__(self, services: CallServices, loop_mark: str) -> None:
        self._services = services
        self.loop_mark = loop_mark
        self._dead: set[Address] = set()

    def target_changed(self, event: TargetChanged) -> None:
        """Note that a target answers, or does not."""
        word = "answers again" if event.is_alive else "does not answer"
        _log.warning("target %s %s", event.target, word)
        (self._dead.discard if event.is_alive else self._dead.add)(event.target)

    def peer(self, address: Address) -> Peer | None:
        """Return the peer at an address, or None."""
        try:
            return find_peer(self._services.config.peer, address.host)
        except ValueError:  # a host name: nothing is known of it
            return None

    def is_inside(self, address: Address) -> bool:
        """Tell whether an address is of a peer on our side of the recorder."""
        peer = self.peer(address)
        return peer is not None and peer.is_inside

    def route_to(self, number: str, source: Address) -> RouteChoice | None:
        """Return how a number is reached by somebody at an address, or None: nothing leads there."""
        peer = self.peer(source)
        route = find_route(self._services.config.route, peer=peer.name if peer else None, number=number)
        return self._choice_on(route) if route else None

    @property
    def unroutable(self) -> RouteChoice | None:
        """Return a choice without targets, for a call that no route takes; None where there is no route at all."""
        routes = self._services.config.route
        return RouteChoice(route=routes[0], targets=(), loop_mark="") if routes else None

    def routes_to_target(self, number: str, source: Address) -> tuple[RouteChoice, ...]:
        """Return how somebody is called into a call at the wish of a peer, best first; none: nothing leads there."""
        peer, there = self.peer(source), self.party_at(number)
        routes = routes_to_transfer_target(
            self._services.config.route,
            peer=peer.name if peer else None,
            number=number,
            kind=self._kind_of(there),
            leads_inside=self._leads_inside,
        )
        return tuple(map(self._choice_on, routes))

    def may_transfer_to(self, number: str, route: Route) -> bool:
        """Tell whether a transfer or redirection may dial a number on a route; one that may not raises an alarm."""
        if self._is_ours_as_written(number) or self._services.config.transfers.may_dial(number, route):
            return True
        _log.warning("a transfer to a number that is denied on route %s is refused", route.name)
        self._services.alarm("transfer_denied")
        return False

    def _is_ours_as_written(self, number: str) -> bool:
        """Tell whether a number is in the configuration exactly so, or an emergency number, which nothing may stop.

        What a PBX makes of separators is for it to say, so that one with them is looked up in what may not be dialled.
        """
        config = self._services.config
        return config.emergency.has(number) or number in config.extensions or number in config.voicemail.numbers

    def _kind_of(self, there: Party) -> NumberKind:
        if there.is_emergency:
            return NumberKind.EMERGENCY
        return NumberKind.OURS if there.extension is not None or there.is_mailbox else NumberKind.UNKNOWN

    def _choice_on(self, route: Route) -> RouteChoice:
        return RouteChoice.on(route, frozenset(self._dead), self.loop_mark, self._services.locate)

    def party_at(self, number: str) -> Party:
        """Return who is at a number, as one who has heard no notice."""
        config = self._services.config
        is_emergency = config.emergency.has(number)
        extension = None if is_emergency else extension_of(config.nominated, number)
        is_mailbox = not is_emergency and extension is None and config.voicemail.has(number)
        return Party(number=number, extension=extension, is_emergency=is_emergency, is_mailbox=is_mailbox)

    def is_known(self, number: str) -> bool:
        """Tell whether a number, however it is written, is that of an extension, a mailbox or an emergency service."""
        return self.party_at(number).status is not PartyStatus.UNTOLD

    def rung_inside(self, event: CallOffered) -> str | None:
        """Return the number that rings, as the route writes it, where a target of that is a peer inside; else None.

        One is enough: which target answers shows later, and a call too many that is recorded hears the notice.
        """
        peer, number = self.peer(event.source), event.request_user
        route = find_route(self._services.config.route, peer=peer.name if peer else None, number=number)
        may_ring_inside = route is not None and any(map(self.is_inside, self._targets_of(route)))
        return route.dialled(number) if route is not None and may_ring_inside else None

    def _leads_inside(self, route: Route) -> bool:
        """Tell whether all targets of a route are peers on our side of the recorder."""
        return all(map(self.is_inside, self._targets_of(route)))

    def _targets_of(self, route: Route) -> tuple[Address, ...]:
        return self._choice_on(route).targets or route.targets
