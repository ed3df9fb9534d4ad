"""The INVITE of an offered leg, and our responses to it (RFC 3261 section 13.3). Component of a leg.

Call thread only. Knows sippy; see `sip.reactor`.
"""

from collections.abc import Sequence

from sippy.SipFrom import SipFrom
from sippy.SipTo import SipTo

from sip.events import Body, Header
from sip.identity import Identity
from sip.leg_dialog import LegDialog
from sip.leg_state import LegState
from sip.message import RawMessage
from sip.message_io import ALLOW, body_of
from sip.offer_answer_state import Negotiation
from sip.reactor import Sippy


class OfferedInvite:
    """The first INVITE of an offered leg.

    Attributes:
        key: From tag, CSeq and branch of the INVITE, to recognise a repetition.
        message: The INVITE, or None after its final answer.
        is_offer_ours: It has no offer, so that we make it, and our offer has not been answered.
    """

    def __init__(self, dialog: LegDialog, negotiation: Negotiation) -> None:
        self._dialog = dialog
        self._negotiation = negotiation
        self.key: tuple[str | None, int, str | None] = (None, 0, None)
        self.message: RawMessage | None = None
        self.is_offer_ours = False
        self._request: Sippy = None
        self._transaction: Sippy = None

    def begin(self, request: Sippy, transaction: Sippy, message: RawMessage) -> None:
        """Begin a leg with an INVITE of the peer, and send 100.

        Raises:
            ValueError: The INVITE has no usable Contact.
        """
        dialog = self._dialog
        dialog.learn_target(request)
        dialog.state = LegState.OFFERED
        dialog.call_id = message.call_id
        dialog.remote_tag = message.tag("from")
        dialog.identity = Identity.of(message)
        self.key = (dialog.remote_tag, message.cseq, message.branch)
        dialog.remote_cseq = message.cseq
        dialog.sippy_call_id = request.getHFBody("call-id").getCopy()
        dialog.routes = [route.getCopy() for route in request.getHFBodys("record-route")]
        local = request.getHFBody("to").getCopy()
        local.setTag(dialog.local_tag)
        dialog.local = SipFrom(address=local.getUri())
        dialog.remote = SipTo(address=request.getHFBody("from").getUri().getCopy())
        self._request, self._transaction, self.message = request, transaction, message
        self.is_offer_ours = not message.body
        self._negotiation.remote = body_of(message)
        dialog.learn_abilities(message)
        transaction.local_tag = dialog.local_tag
        dialog.services.respond(request, transaction, 100)

    def provisional(self, status: int, body: Body | None, headers: Sequence[Header]) -> None:
        """Send an unreliable provisional response."""
        self._negotiation.local = body or self._negotiation.local
        self.reply(status, body=body, headers=[("Allow", ALLOW), *headers], contact=self._dialog.contact())

    def reply(self, status: int, **more: Sippy) -> None:
        """Send a response to the INVITE."""
        dialog = self._dialog
        dialog.services.respond(self._request, self._transaction, status, tag=dialog.local_tag, **more)

    @property
    def last_sent(self) -> tuple[Sippy, ...]:
        """Server, text and address of the last response, to send it again."""
        return self._transaction.userv, self._transaction.data, self._transaction.address

    def let_go(self) -> None:
        """Release the INVITE after its final answer; this frees some hundred objects of each call."""
        self._request = self.message = None
