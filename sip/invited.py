"""The INVITE that was offered to us: ringing, answering and refusing it (RFC 3261 section 13.3). Part of a leg.

Call thread only. Knows sippy; see `sip.reactor`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sippy.SipFrom import SipFrom
from sippy.SipTo import SipTo

from sip.events import Body, Header, LegEnded, OfferAnswered
from sip.leg_state import Move, State
from sip.message import RawMessage
from sip.reactor import Sippy
from sip.wires import ALLOW, SUPPORTED, body_of

if TYPE_CHECKING:
    from sip.dialog import Leg


class Invited:
    """The first INVITE of an offered leg.

    Attributes:
        key: From tag, CSeq and branch of the INVITE, to know it again.
    """

    def __init__(self, leg: "Leg") -> None:
        self.key: tuple[str | None, int, str | None] = (None, 0, None)
        self._leg = leg
        self._request: Sippy = None
        self._transaction: Sippy = None
        self._message: RawMessage | None = None
        self._is_offer_ours = False

    def begin(self, request: Sippy, transaction: Sippy, message: RawMessage) -> Sippy:
        """Begin a leg with an INVITE of the peer; 100 goes out. Answers what sippy wants of a request hook.

        Raises:
            ValueError: The INVITE has no usable Contact.
        """
        leg = self._leg
        leg.learn_target(request)
        leg.state = State.OFFERED
        leg.call_id = message.call_id
        leg.remote_tag = message.tag("from")
        self.key = (leg.remote_tag, message.cseq, message.branch)
        leg.remote_cseq = message.cseq
        leg.sippy_call_id = request.getHFBody("call-id").getCopy()
        leg.routes = [route.getCopy() for route in request.getHFBodys("record-route")]
        local = request.getHFBody("to").getCopy()
        local.setTag(leg.local_tag)
        leg.local = SipFrom(address=local.getUri())
        leg.remote = SipTo(address=request.getHFBody("from").getUri().getCopy())
        self._request, self._transaction, self._message = request, transaction, message
        self._is_offer_ours = not message.body
        leg.offers.remote = body_of(message)
        leg.learn_abilities(message)
        if transaction.r487 is not None:
            transaction.r487.getHFBody("to").setTag(leg.local_tag)
        leg.wires.respond(request, transaction, 100)
        return None, self._on_cancel, self._on_unacked

    def ring(self, status: int, body: Body | None) -> None:
        """Send a provisional response."""
        if self._leg.state is State.OFFERED:
            self._leg.offers.local = body or self._leg.offers.local
            self.reply(status, body=body, contact=self._leg.contact())

    def answer(self, body: Body | None) -> None:
        """Send 200."""
        if self._leg.move(Move.ANSWER):
            assert self._message is not None
            self._leg.offers.local = body or self._leg.offers.local
            headers = [("Allow", ALLOW), ("Supported", SUPPORTED), *self._leg.session_timer.agree(self._message)]
            self.reply(200, body=body, headers=headers, contact=self._leg.contact(), ack_cb=self._on_ack)

    def refuse(self, status: int, reason: str, headers: Sequence[Header]) -> None:
        """Send a final response that is not a success."""
        if self._leg.move(Move.REFUSE):
            self.reply(status, reason=reason, headers=headers)

    def reply(self, status: int, **more: Sippy) -> None:
        """Send a response to the INVITE."""
        self._leg.wires.respond(self._request, self._transaction, status, tag=self._leg.local_tag, **more)

    def _on_cancel(self, _rtime: Sippy, _request: Sippy) -> None:
        is_expired = _request is None
        if self._leg.move(Move.PEER_CANCEL):
            reason = None if is_expired else self._leg.wires.transactions.current.value("reason")
            self._leg.emit(LegEnded(leg=self._leg.id, cause="timeout" if is_expired else "cancel", reason=reason))

    def _on_ack(self, _request: Sippy) -> None:
        leg = self._leg
        is_leaving = leg.state is State.LEAVING
        if not leg.move(Move.ACKED):
            return
        if is_leaving:
            leg.send_bye(leg.parting_reason)
            return
        if self._is_offer_ours:
            leg.offers.remote = body_of(leg.wires.transactions.current)
            leg.emit(OfferAnswered(leg=leg.id, body=leg.offers.remote))
        leg.offers.next()

    def _on_unacked(self) -> None:
        is_leaving = self._leg.state is State.LEAVING
        if self._leg.move(Move.UNACKED):
            self._leg.send_bye(None)
            if not is_leaving:
                self._leg.emit(LegEnded(leg=self._leg.id, cause="timeout", reason=None))
