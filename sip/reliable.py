"""Provisional responses that are acknowledged (RFC 3262), each way. Parts of a leg; numbers are never shared by legs.

Call thread only. Knows sippy; see `sip.reactor`.
"""

import random
import re
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sip.events import Body, Header, LegEnded, OfferAnswered
from sip.leg_state import Move, State
from sip.message import RawMessage
from sip.part import Part
from sip.reactor import Cancellable, Sippy
from sip.requests import Dialog
from sip.transactions import T1_S
from sip.wires import MAX_FORKS, RELIABLY, body_of

if TYPE_CHECKING:
    from sip.dialog import Leg
    from sip.invited import Invited

_RACK = re.compile(r"\s*(\d{1,10})\s+(\d{1,10})\s+(\S+)")
_RSEQ = re.compile(r"\s*(\d{1,10})\s*")


@dataclass(slots=True)
class _Sent:
    """A provisional response that awaits its PRACK."""

    rseq: int
    body: Body | None
    timer: Cancellable | None = None


class SentReliably(Part):
    """The provisional responses of an offered leg that the peer must acknowledge: one at a time, in order.

    Attributes:
        has_description: One of them had a session description: no other response to the INVITE may have one.
    """

    def __init__(self, leg: "Leg", invited: "Invited") -> None:
        super().__init__(leg)
        self.has_description = False
        self._invited: Invited = weakref.proxy(invited)
        self._rseq = random.SystemRandom().randrange(1, 1 << 31)
        self._open: _Sent | None = None
        self._waiting: list[tuple[int, Body | None, Sequence[Header]]] = []

    @property
    def holds_answer(self) -> bool:
        """Tell whether a 2xx has to wait: the session description of a provisional response is not acknowledged."""
        return self._open is not None and self._open.body is not None

    def send(self, status: int, body: Body | None, headers: Sequence[Header]) -> None:
        """Send a provisional response and send it again until its PRACK comes."""
        if self._open is not None:
            self._waiting.append((status, body, headers))
            return
        body = None if self.has_description else body
        self.has_description = self.has_description or body is not None
        self._open = _Sent(self._rseq, body)
        own = [("Require", RELIABLY), ("RSeq", str(self._rseq))]
        self._invited.provisional(status, body, [*own, *headers])
        self._rseq += 1
        self._again(self._open, self._invited.last_sent, T1_S, 0.0)

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
            self._leg.wires.transactions.transmitData(*wire)
        if waited_s + wait_s > 64 * T1_S:
            sent.timer = self._leg.wires.reactor.call_later(max(0.0, 64 * T1_S - waited_s), self._give_up)
            return
        args = (sent, wire, wait_s * 2, waited_s + wait_s)
        sent.timer = self._leg.wires.reactor.call_later(wait_s, self._again, *args)

    def _give_up(self) -> None:
        """End a call whose caller does not acknowledge (section 3)."""
        if self._leg.move(Move.REFUSE):
            self._invited.reply(504)
            self._leg.emit(LegEnded(leg=self._leg.id, cause="timeout", reason=None))

    def on_prack(self, request: Sippy, transaction: Sippy, message: RawMessage) -> Sippy:
        """Take a PRACK; answers what sippy wants of a request hook."""
        leg, sent = self._leg, self._open
        rack = _RACK.match(message.value("rack") or "")
        expected = (str(sent.rseq), str(self._invited.key[1]), "INVITE") if sent is not None else None
        if sent is None or rack is None or (rack.group(1), rack.group(2), rack.group(3).upper()) != expected:
            leg.respond(request, transaction, 481)
            return None
        if sent.timer is not None:
            sent.timer.cancel()
        self._open = None
        body = body_of(message)
        if body is not None and (sent.body is None or not self._invited.is_offer_ours):
            leg.offers.take(request, transaction, message)  # an offer in a PRACK (section 5)
            self._go_on()
            return None, None, None
        leg.respond(request, transaction, 200)
        if sent.body is not None:
            leg.offers.is_early_settled = True
            if self._invited.is_offer_ours:
                self._invited.is_offer_ours = False
                leg.offers.remote = body or leg.offers.remote
                leg.emit(OfferAnswered(leg=leg.id, body=body))
        self._go_on()
        return None

    def _go_on(self) -> None:
        if self._waiting and self._leg.state is State.OFFERED:
            self.send(*self._waiting.pop(0))
        self._invited.answer_if_due()


class ReceivedReliably(Part):
    """The provisional responses to our INVITE that we must acknowledge; each early dialog has its own numbers."""

    def __init__(self, leg: "Leg") -> None:
        super().__init__(leg)
        self._last: dict[str, int] = {}
        self._offer: tuple[Dialog, str] | None = None
        self._has_answered = False

    @property
    def has_offer(self) -> bool:
        """Tell whether the far side's offer came in a provisional response, and awaits our answer."""
        return self._offer is not None

    def take(self, response: Sippy, message: RawMessage, *, is_offer_ours: bool) -> bool:
        """Take a provisional response; tells whether it is new. It is acknowledged, unless it asks for our answer."""
        rseq = _RSEQ.fullmatch(message.value("rseq") or "")
        tag = message.tag("to")
        if RELIABLY not in message.option_tags("require") or rseq is None or tag is None:
            return True
        number = int(rseq.group(1))
        if number != self._last.get(tag, number - 1) + 1:
            return False  # sent again, or one before it is missing (section 4)
        if tag not in self._last and len(self._last) >= MAX_FORKS:
            return False
        self._last[tag] = number
        early = self._leg.forked(tag, response, self._leg.cseq)
        rack = f"{number} {message.cseq} INVITE"
        if message.body and not is_offer_ours and not self._has_answered:
            self._offer, self._has_answered = (early, rack), True
        else:
            self._leg.offers.is_early_settled = self._leg.offers.is_early_settled or bool(message.body)
            self._acknowledge(early, rack, None)
        return True

    def answer(self, body: Body | None) -> None:
        """Answer the offer of a provisional response in its PRACK (section 5)."""
        if self._offer is not None:
            (early, rack), self._offer = self._offer, None
            self._leg.offers.is_early_settled = True
            self._acknowledge(early, rack, body)

    def _acknowledge(self, early: Dialog, rack: str, body: Body | None) -> None:
        early.cseq = self._leg.cseq  # one row of numbers for all: the dialog that is answered goes on from here
        self._leg.start(early.new_request("PRACK", body=body, headers=[("RAck", rack)]), None)
        self._leg.cseq = early.cseq
