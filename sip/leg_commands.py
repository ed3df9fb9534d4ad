"""Carries out the application's commands on legs (`sip.commands.SipCommands`). Call thread only."""

from collections.abc import Sequence

from sip.commands import OutgoingCall
from sip.endpoint_services import EndpointServices
from sip.events import Body, Header, LegId
from sip.leg_register import LegRegister


class LegCommands:
    """Implements `sip.commands.SipCommands`: finds the leg of a command; without a leg the command is ignored."""

    def __init__(self, legs: LegRegister, services: EndpointServices) -> None:
        self._legs = legs
        self._services = services

    def ring(self, leg: LegId, *, status: int = 180, body: Body | None = None, headers: Sequence[Header] = ()) -> None:
        """Send a provisional response to an offered leg."""
        if found := self._legs.get(leg):
            found.invited.ring(status, body, headers)

    def answer(
        self,
        leg: LegId,
        body: Body | None,
        *,
        is_recorder: bool = False,
        is_ack_told: bool = False,
        headers: Sequence[Header] = (),
    ) -> None:
        """Send 200 to an offered leg."""
        if found := self._legs.get(leg):
            found.dialog.is_recorder = is_recorder
            found.invited.is_ack_told = is_ack_told
            found.invited.answer(body, headers)

    def refuse(self, leg: LegId, status: int, phrase: str, *, headers: Sequence[Header] = ()) -> None:
        """Send a final non-2xx response to an offered leg."""
        if found := self._legs.get(leg):
            found.invited.refuse(status, phrase, headers)

    def dial(self, call: OutgoingCall) -> LegId:
        """Send an INVITE."""
        leg = self._legs.make(self._services)
        leg.inviting.begin(call)
        self._legs.add(leg)
        return leg.dialog.id

    def hang_up(self, leg: LegId, *, reason: str | None = None) -> None:
        """End a leg by BYE, CANCEL or 480, by its state."""
        if found := self._legs.get(leg):
            found.hang_up(reason)

    def offer(self, leg: LegId, body: Body | None) -> None:
        """Send a re-INVITE."""
        if found := self._legs.get(leg):
            found.offers.offer(body)

    def answer_offer(self, leg: LegId, body: Body | None) -> None:
        """Answer the open offer of the leg."""
        if found := self._legs.get(leg):
            found.offers.answer(body)

    def refuse_offer(self, leg: LegId, status: int = 488) -> None:
        """Refuse the open offer of the leg."""
        if found := self._legs.get(leg):
            found.offers.refuse(status)

    def send_info(self, leg: LegId, body: Body) -> None:
        """Send an INFO."""
        if found := self._legs.get(leg):
            found.send_info(body)

    def probe(self, leg: LegId) -> None:
        """Ask whether the peer still has the dialog."""
        if found := self._legs.get(leg):
            found.dialog.probe()

    def accept_refer(self, leg: LegId) -> None:
        """Answer a REFER with 202."""
        if found := self._legs.get(leg):
            found.referrals.accept()

    def refuse_refer(self, leg: LegId, status: int) -> None:
        """Refuse a REFER."""
        if found := self._legs.get(leg):
            found.referrals.refuse(status)

    def notify(self, leg: LegId, status: int, phrase: str = "") -> None:
        """Report the progress of a transfer, also on a leg that has ended since."""
        if found := self._legs.get_lingering(leg):
            found.referrals.notify(status, phrase)

    def identify(self, leg: LegId, headers: Sequence[Header]) -> None:
        """Tell a connected peer who it talks to now."""
        if found := self._legs.get(leg):
            found.identify(headers)
