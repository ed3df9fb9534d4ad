"""The INVITE that was offered to us: ringing, answering and refusing it (RFC 3261 section 13.3). Part of a leg.

Call thread only. Knows sippy; see `sip.reactor`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sippy.SipFrom import SipFrom
from sippy.SipTo import SipTo

from sip.events import Body, Header, LegEnded, OfferAnswered
from sip.identity import Identity
from sip.leg_state import Move, State
from sip.message import RawMessage
from sip.part import Part
from sip.reactor import Sippy
from sip.reliable import SentReliably
from sip.wires import ALLOW, RELIABLY, SUPPORTED, body_of

if TYPE_CHECKING:
    from sip.dialog import Leg


class Invited(Part):
    """The first INVITE of an offered leg.

    Attributes:
        key: From tag, CSeq and branch of the INVITE, to know it again.
        is_offer_ours: It has no offer, so that ours is due, and has not been answered.
        reliable: Provisional responses that the peer acknowledges.
    """

    def __init__(self, leg: "Leg") -> None:
        super().__init__(leg)
        self.key: tuple[str | None, int, str | None] = (None, 0, None)
        self._request: Sippy = None
        self._transaction: Sippy = None
        self._message: RawMessage | None = None
        self._due: tuple[Body | None, Sequence[Header]] | None = None
        self.is_offer_ours = False
        self.reliable = SentReliably(leg, self)

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
        leg.identity = Identity.of(message)
        self.key = (leg.remote_tag, message.cseq, message.branch)
        leg.remote_cseq = message.cseq
        leg.sippy_call_id = request.getHFBody("call-id").getCopy()
        leg.routes = [route.getCopy() for route in request.getHFBodys("record-route")]
        local = request.getHFBody("to").getCopy()
        local.setTag(leg.local_tag)
        leg.local = SipFrom(address=local.getUri())
        leg.remote = SipTo(address=request.getHFBody("from").getUri().getCopy())
        self._request, self._transaction, self._message = request, transaction, message
        self.is_offer_ours = not message.body
        leg.offers.remote = body_of(message)
        leg.learn_abilities(message)
        if transaction.r487 is not None:
            transaction.r487.getHFBody("to").setTag(leg.local_tag)
        leg.wires.respond(request, transaction, 100)
        return None, self._on_cancel, self._on_unacked

    def ring(self, status: int, body: Body | None, headers: Sequence[Header]) -> None:
        """Send a provisional response: reliably when the peer requires it, or when it makes the offer."""
        if self._leg.state is not State.OFFERED or self._message is None:
            return
        is_offer = not self._message.body and body is not None
        if RELIABLY in self._message.option_tags("require") or (is_offer and self._is_known(RELIABLY)):
            self.reliable.send(status, body, headers)
        else:
            # An offer in a response that is not acknowledged is none (RFC 3261 section 13.2.1).
            self.provisional(status, None if is_offer else body, headers)

    def provisional(self, status: int, body: Body | None, headers: Sequence[Header]) -> None:
        """Send a provisional response as it is."""
        self._leg.offers.local = body or self._leg.offers.local
        self.reply(status, body=body, headers=[("Allow", ALLOW), *headers], contact=self._leg.contact())

    @property
    def last_sent(self) -> tuple[Sippy, ...]:
        """Return what sends the last response again: server, text and address."""
        return self._transaction.userv, self._transaction.data, self._transaction.address

    def _is_known(self, tag: str) -> bool:
        message = self._message
        return message is not None and tag in (*message.option_tags("supported"), *message.option_tags("require"))

    def answer(self, body: Body | None, headers: Sequence[Header]) -> None:
        """Send 200, as soon as no session description before it awaits its PRACK (RFC 3262 section 3)."""
        if self.reliable.holds_answer:
            self._due = (body, headers)
        elif self._leg.move(Move.ANSWER):
            assert self._message is not None
            self._leg.offers.local = body or self._leg.offers.local
            said = None if self.reliable.has_description else body
            self.reliable.close()
            own = [("Allow", ALLOW), ("Supported", SUPPORTED), *self._leg.session_timer.agree(self._message)]
            self.reply(200, body=said, headers=[*own, *headers], contact=self._leg.contact(), ack_cb=self._on_ack)

    def answer_if_due(self) -> None:
        """Send the 200 that had to wait, if there is one."""
        due, self._due = self._due, None
        if due is not None:
            self.answer(*due)

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

    def overtaken(self) -> None:
        """Take it that the peer has our 200, since it goes on to another offer; its ACK is late or lost.

        Where the ACK has to bring the answer to an offer of ours there is nothing to go on from yet.
        """
        leg = self._leg
        if leg.state is State.CONFIRMING and not self.is_offer_ours and leg.move(Move.ACKED):
            self._request = self._message = None
            leg.wires.transactions.afterwards(leg.offers.next)  # ours come after the one that is being taken

    def _on_ack(self, _request: Sippy) -> None:
        leg = self._leg
        is_leaving = leg.state is State.LEAVING
        if not leg.move(Move.ACKED):
            return
        self._request = self._message = None  # answered for good: a call that stands has some hundred objects fewer
        if is_leaving:
            leg.send_bye(leg.parting_reason)
            return
        if self.is_offer_ours:
            leg.offers.remote = body_of(leg.wires.transactions.current)
            leg.emit(OfferAnswered(leg=leg.id, body=leg.offers.remote))
        leg.offers.next()

    def _on_unacked(self) -> None:
        is_leaving = self._leg.state is State.LEAVING
        if self._leg.is_recorder and not is_leaving and not self.is_offer_ours and self._leg.move(Move.ACKED):
            self._request = self._message = None
            self._leg.probe()  # what the client sends would be lost if it were there after all
        elif self._leg.move(Move.UNACKED):
            self._leg.send_bye(None)
            if not is_leaving:
                self._leg.emit(LegEnded(leg=self._leg.id, cause="timeout", reason=None))
