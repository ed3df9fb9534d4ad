"""The dial plan: the routes to a number, and the party at a number. Call thread only."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from recorder.calls.call_services import CallServices
from recorder.calls.rules.transfer import Party, PartyStatus, tells_nothing
from recorder.rules.policy import extension_of
from recorder.rules.routing import NumberKind, Peer, Route, find_peer, find_route, in_order, routes_to_transfer_target
from sip.events import CallOffered, IdentityChanged, LegAnswered, TargetChanged
from sip.options import Address

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteChoice:
    """The route of a call, and the targets in the order in which they are dialled."""

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
        """Return the choice for a route: the resolved addresses of its targets, dead ones last."""
        found = dict.fromkeys(address for target in route.targets for address in locate(target))
        return cls(route=route, targets=in_order(tuple(found), dead), loop_mark=loop_mark)


class DialPlan:
    """The configured routes, peers and numbers.

    Args:
        loop_mark: The value of this recorder's loop marker header; a request that has it has looped.
    """

    def __init__(self, services: CallServices, loop_mark: str) -> None:
        self._services = services
        self.loop_mark = loop_mark
        self._dead: set[Address] = set()

    def target_changed(self, event: TargetChanged) -> None:
        """Note whether a target answers."""
        _log.warning("Target %s %s", event.target, "answers again" if event.is_alive else "does not answer")
        (self._dead.discard if event.is_alive else self._dead.add)(event.target)

    def peer(self, address: Address) -> Peer | None:
        """Return the peer at an address, or None."""
        try:
            return find_peer(self._services.config.peer, address.host)
        except ValueError:  # a host name
            return None

    def is_inside(self, address: Address) -> bool:
        """Tell whether an address is of a peer inside, on the officers' side of the recorder."""
        peer = self.peer(address)
        return peer is not None and peer.is_inside

    def route_to(self, number: str, source: Address) -> RouteChoice | None:
        """Return the route to a number for a request from an address; None if there is none."""
        peer = self.peer(source)
        route = find_route(self._services.config.route, peer=peer.name if peer else None, number=number)
        return self._choice_on(route) if route else None

    @property
    def without_targets(self) -> RouteChoice | None:
        """Return a choice without targets, for a call that has no route; None if no route is configured."""
        routes = self._services.config.route
        return RouteChoice(route=routes[0], targets=(), loop_mark="") if routes else None

    def routes_to_target(self, number: str, source: Address) -> tuple[RouteChoice, ...]:
        """Return the routes to a transfer target that a peer asks for, best first."""
        peer, party = self.peer(source), self.party_at(number)
        routes = routes_to_transfer_target(
            self._services.config.route,
            peer=peer.name if peer else None,
            number=number,
            kind=self._kind_of(party),
            leads_inside=self._leads_inside,
        )
        return tuple(map(self._choice_on, routes))

    def may_transfer_to(self, number: str, route: Route) -> bool:
        """Tell whether a transfer or redirection may dial a number on a route; raise the alarm if it may not."""
        if self._is_configured_exactly(number) or self._services.config.transfers.may_dial(number, route):
            return True
        _log.warning("A transfer to a number that is denied on route %s is refused", route.name)
        self._services.alarm("transfer_denied")
        return False

    def _is_configured_exactly(self, number: str) -> bool:
        """Tell whether a number is configured in exactly this form, or is an emergency number.

        A number with separators does not match: the PBX may read it as another number, so the rules for outside
        numbers apply to it.
        """
        config = self._services.config
        return config.emergency.has(number) or number in config.extensions or number in config.voicemail.numbers

    def _kind_of(self, party: Party) -> NumberKind:
        if party.is_emergency:
            return NumberKind.EMERGENCY
        return NumberKind.OURS if party.extension is not None or party.is_mailbox else NumberKind.UNKNOWN

    def _choice_on(self, route: Route) -> RouteChoice:
        return RouteChoice.on(route, frozenset(self._dead), self.loop_mark, self._services.locate)

    def party_at(self, number: str) -> Party:
        """Return the party at a number, who has not heard the notice."""
        config = self._services.config
        is_emergency = config.emergency.has(number)
        extension = None if is_emergency else extension_of(config.nominated, number)
        is_mailbox = not is_emergency and extension is None and config.voicemail.has(number)
        return Party(number=number, extension=extension, is_emergency=is_emergency, is_mailbox=is_mailbox)

    def named_by(self, event: IdentityChanged) -> str:
        """Return the name that counts of a party whom a peer names in a call: a nominated extension before others."""
        return self._first_nominated(event.users) or event.user if self.is_inside(event.source) else event.user

    def answering(self, event: LegAnswered) -> str | None:
        """Return the name that counts of the party who answered, None for no name: a nominated extension first.

        Only an answer of a peer inside may be asked.
        """
        return self._first_nominated(event.asserted_users) or event.asserted_user

    def _first_nominated(self, users: Iterable[str]) -> str | None:
        extensions = self._services.config.nominated
        return next((user for user in users if extension_of(extensions, user) is not None), None)

    def as_asserted(self, event: CallOffered) -> CallOffered:
        """Return an INVITE of a peer inside with the asserted user that counts; others as they are.

        A nominated extension counts before every other value, so that no order of headers hides it. Else the first
        P-Asserted-Identity counts, and Remote-Party-ID only where From names nobody.
        """
        if not event.asserted_users or not self.is_inside(event.source):
            return event
        found = self._first_nominated(event.asserted_users)
        if found is None and event.asserted_user is None and tells_nothing(event.from_user):
            found = event.asserted_users[0]
        return event if found is None else replace(event, asserted_user=found)

    def is_known(self, number: str) -> bool:
        """Tell whether a number, in any form, is an extension, a mailbox or an emergency number."""
        return self.party_at(number).status is not PartyStatus.UNTOLD

    def rung_inside(self, event: CallOffered) -> str | None:
        """Return the number that the route dials if at least one of its targets is a peer inside; else None.

        One target is enough: it is not known yet which one answers, and every recorded call hears the notice.
        """
        peer, number = self.peer(event.source), event.request_user
        route = find_route(self._services.config.route, peer=peer.name if peer else None, number=number)
        may_ring_inside = route is not None and any(map(self.is_inside, self._targets_of(route)))
        return route.dialled(number) if route is not None and may_ring_inside else None

    def _leads_inside(self, route: Route) -> bool:
        return all(map(self.is_inside, self._targets_of(route)))

    def _targets_of(self, route: Route) -> tuple[Address, ...]:
        return self._choice_on(route).targets or route.targets
