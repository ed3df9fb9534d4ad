"""Reliable provisional responses, server side: those that the peer acknowledges (RFC 3262 section 3).

Component of a leg. Call thread only. Knows sippy; see `sip.reactor`.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sip.events import Body, Header, LegEnded, OfferAnswered
from sip.lean_transactions import T1_S
from sip.leg_dialog import LegDialog
from sip.leg_state import LegState, Move
from sip.message import RawMessage
from sip.message_io import RELIABLY, body_of
from sip.offer_answer_state import Negotiation
from sip.offered_invite import OfferedInvite
from sip.reactor import Cancellable, Sippy
from sip.reoffers import Reoffers

_RACK = re.compile(r"\s*(\d{1,10})\s+(\d{1,10})\s+(\S+)")


@dataclass(slots=True)
class _Sent:
    """A provisional response that awaits its PRACK."""

    rseq: int
    body: Body | None
    timer: Cancellable | None = None


class SentReliably:
    """The reliable provisional responses of an offered leg: one at a time, in order.

    Attributes:
        has_description: One of them had a session description, so no other response to the INVITE may have one.
    """

    def __init__(self, dialog: LegDialog, negotiation: Negotiation, invite: OfferedInvite, offers: Reoffers) -> None:
        self._dialog = dialog
        self._negotiation = negotiation
        self._invite = invite
        self._offers = offers
        self.has_description = False
        self._rseq: int | None = None
        self._open: _Sent | None = None
        self._waiting: list[tuple[int, Body | None, Sequence[Header]]] = []

    @property
    def holds_answer(self) -> bool:
        """Tell whether a 2xx must wait until a session description in a provisional response is acknowledged."""
        return self._open is not None and self._open.body is not None

    def send(self, status: int, body: Body | None, headers: Sequence[Header]) -> None:
        """Send a provisional response, and retransmit it until its PRACK comes."""
        if self._open is not None:
            self._waiting.append((status, body, headers))
            return
        body = None if self.has_description else body
        self.has_description = self.has_description or body is not None
        self._rseq = random.SystemRandom().randrange(1, 1 << 31) if self._rseq is None else self._rseq + 1
        self._open = _Sent(self._rseq, body)
        own = [("Require", RELIABLY), ("RSeq", str(self._rseq))]
        self._invite.provisional(status, body, [*own, *headers])
        self._again(self._open, self._invite.last_sent, T1_S, 0.0)

    def close(self) -> None:
        """Stop: a final response is sent, or the leg ends."""
        if self._open is not None and self._open.timer is not None:
            self._open.timer.cancel()
        self._open = None
        self._waiting.clear()

    def _again(self, sent: _Sent, wire: tuple[Sippy, ...], wait_s: float, waited_s: float) -> None:
        if self._open is not sent:
            return
        if waited_s > 0:
            self._dialog.services.transactions.transmitData(*wire)
        if waited_s + wait_s > 64 * T1_S:
            sent.timer = self._dialog.services.reactor.call_later(max(0.0, 64 * T1_S - waited_s), self._give_up)
            return
        args = (sent, wire, wait_s * 2, waited_s + wait_s)
        sent.timer = self._dialog.services.reactor.call_later(wait_s, self._again, *args)

    def _give_up(self) -> None:
        """End a leg whose peer does not acknowledge (section 3)."""
        if self._dialog.move(Move.REFUSE):
            self._invite.reply(504)
            self._dialog.emit(LegEnded(leg=self._dialog.id, cause="timeout", reason=None))

    def on_prack(self, request: Sippy, transaction: Sippy, message: RawMessage) -> Sippy:
        """Take a PRACK; return what sippy expects of a request hook."""
        dialog, sent = self._dialog, self._open
        rack = _RACK.match(message.value("rack") or "")
        expected = (str(sent.rseq), str(self._invite.key[1]), "INVITE") if sent is not None else None
        if sent is None or rack is None or (rack.group(1), rack.group(2), rack.group(3).upper()) != expected:
            dialog.respond(request, transaction, 481)
            return None
        if sent.timer is not None:
            sent.timer.cancel()
        self._open = None
        body = body_of(message)
        if body is not None and (sent.body is None or not self._invite.is_offer_ours):
            self._offers.take(request, transaction, message)  # an offer in a PRACK (section 5)
            self._go_on()
            return None, None, None
        dialog.respond(request, transaction, 200)
        if sent.body is not None:
            self._negotiation.is_early_settled = True
            if self._invite.is_offer_ours:
                self._invite.is_offer_ours = False
                self._negotiation.remote = body or self._negotiation.remote
                dialog.emit(OfferAnswered(leg=dialog.id, body=body))
        self._go_on()
        return None

    def _go_on(self) -> None:
        if self._waiting and self._dialog.state is LegState.OFFERED:
            self.send(*self._waiting.pop(0))
