"""The register of an endpoint's legs, by number, by dialog and by INVITE. Call thread only, except `kept`."""

import itertools
from collections.abc import Callable, Collection

from sip.endpoint_services import EndpointServices
from sip.events import LegId
from sip.leg import Leg
from sip.leg_state import LegState
from sip.message import RawMessage
from sip.reactor import Reactor
from sip.transfer import Replaces

LINGER_S = 33.0
"""How long an ended leg still answers late 2xx, BYE and retransmissions: 64 * T1 (RFC 3261 section 17) and a second,
since the timeout for the ACK of its last response comes after 64 * T1 too."""


class LegRegister:
    """The legs, and those that ended less than `LINGER_S` ago.

    Attributes:
        when_removed: Called with the parts of each leg that is removed, `LINGER_S` after its end.
    """

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._ids = itertools.count(1)
        self._legs: dict[LegId, Leg] = {}
        self._lingering: dict[LegId, Leg] = {}
        self._dialogs: dict[tuple[str, str], Leg] = {}
        self._invites: dict[tuple[str, str | None], Leg] = {}
        self.when_removed: Callable[..., object] | None = None

    @property
    def kept(self) -> int:
        """Number of legs in the register, those that ended less than `LINGER_S` ago included. Any thread."""
        return len(self._legs) + len(self._lingering)

    def make(self, services: EndpointServices) -> Leg:
        """Return a new leg; `add` enters it into the register."""
        return Leg(LegId(next(self._ids)), services, self._linger)

    def add(self, leg: Leg) -> None:
        """Enter a leg, unless it has ended already."""
        dialog = leg.dialog
        if dialog.state is LegState.ENDED:
            return
        self._legs[dialog.id] = leg
        self._dialogs[dialog.call_id, dialog.local_tag] = leg

    def add_offered(self, leg: Leg) -> None:
        """Enter a leg that an INVITE of the peer began."""
        self.add(leg)
        self._invites[leg.dialog.call_id, leg.dialog.remote_tag] = leg

    def get(self, leg: LegId) -> Leg | None:
        """Return a leg that has not ended."""
        return self._legs.get(leg)

    def get_lingering(self, leg: LegId) -> Leg | None:
        """Return a leg that has not ended, or ended less than `LINGER_S` ago."""
        return self._legs.get(leg) or self._lingering.get(leg)

    def of_request(self, message: RawMessage) -> Leg | None:
        """Return the leg of a request, by its tags; of an INVITE without a To tag, the leg that it began before."""
        local_tag, remote_tag = message.tag("to"), message.tag("from")
        if local_tag is not None:
            leg = self._dialogs.get((message.call_id, local_tag))
            return leg if leg is not None and leg.dialog.remote_tag in (None, remote_tag) else None
        return self.of_invite(message) if message.method in ("INVITE", "CANCEL") else None

    def of_invite(self, message: RawMessage) -> Leg | None:
        """Return the leg that an INVITE began, also if the message came by another path (another branch)."""
        leg = self._invites.get((message.call_id, message.tag("from")))
        return leg if leg is not None and leg.invited.invite.key[1] == message.cseq else None

    def of_response(self, message: RawMessage) -> Leg | None:
        """Return the leg whose request a response answers."""
        return self._dialogs.get((message.call_id, message.tag("from") or ""))

    def named_by(self, replaces: Replaces) -> Leg | None:
        """Return the leg whose dialog a Replaces names."""
        leg = self._dialogs.get((replaces.call_id, replaces.to_tag))
        return leg if leg is not None and leg.dialog.remote_tag == replaces.from_tag else None

    def find(self, replaces: Replaces) -> LegId | None:
        """Return the id of the leg whose dialog a Replaces names."""
        leg = self.named_by(replaces)
        return None if leg is None else leg.dialog.id

    def close(self, keep: Collection[LegId]) -> None:
        """End all legs except those to keep."""
        for leg in list(self._legs.values()):
            if leg.dialog.id not in keep:
                leg.close()
        self._legs.clear()

    def _linger(self, leg: Leg) -> None:
        self._legs.pop(leg.dialog.id, None)
        self._lingering[leg.dialog.id] = leg
        self._reactor.call_later(LINGER_S, self._remove, leg)

    def _remove(self, leg: Leg) -> None:
        dialog = leg.dialog
        self._lingering.pop(dialog.id, None)
        self._dialogs.pop((dialog.call_id, dialog.local_tag), None)
        if self._invites.get((dialog.call_id, dialog.remote_tag)) is leg:
            del self._invites[dialog.call_id, dialog.remote_tag]
        if self.when_removed is not None:
            self.when_removed(*leg.parts)
