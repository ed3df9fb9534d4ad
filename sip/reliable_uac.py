"""Reliable provisional responses, client side: acknowledges those to our INVITE (RFC 3262 section 4).

Component of a leg. Call thread only. Knows sippy; see `sip.reactor`.
"""

import re

from sip.dialog import Dialog
from sip.events import Body
from sip.leg_dialog import LegDialog
from sip.message import RawMessage
from sip.message_io import MAX_FORKS, RELIABLY
from sip.offer_answer_state import Negotiation
from sip.reactor import Sippy

_RSEQ = re.compile(r"\s*(\d{1,10})\s*")


class ReceivedReliably:
    """The reliable provisional responses to our INVITE; each early dialog has its own sequence numbers."""

    def __init__(self, dialog: LegDialog, negotiation: Negotiation) -> None:
        self._dialog = dialog
        self._negotiation = negotiation
        self._last: dict[str, int] = {}
        self._offer: tuple[Dialog, str] | None = None
        self._has_answered = False

    @property
    def has_offer(self) -> bool:
        """Tell whether a provisional response brought the far side's offer, and we have not answered it."""
        return self._offer is not None

    def take(self, response: Sippy, message: RawMessage, *, is_offer_ours: bool) -> bool:
        """Take a provisional response; return whether it is new.

        A response with an offer is acknowledged by `answer`, others at once.
        """
        rseq = _RSEQ.fullmatch(message.value("rseq") or "")
        tag = message.tag("to")
        if RELIABLY not in message.option_tags("require") or rseq is None or tag is None:
            return True
        number = int(rseq.group(1))
        if number != self._last.get(tag, number - 1) + 1:
            return False  # a retransmission, or an earlier response is missing (section 4)
        if tag not in self._last and len(self._last) >= MAX_FORKS:
            return False
        self._last[tag] = number
        early = self._dialog.forked(tag, response, self._dialog.cseq)
        rack = f"{number} {message.cseq} INVITE"
        if message.body and not is_offer_ours and not self._has_answered:
            self._offer, self._has_answered = (early, rack), True
        else:
            self._negotiation.is_early_settled = self._negotiation.is_early_settled or bool(message.body)
            self._acknowledge(early, rack, None)
        return True

    def answer(self, body: Body | None) -> None:
        """Answer the offer of a provisional response in its PRACK (section 5)."""
        if self._offer is not None:
            (early, rack), self._offer = self._offer, None
            self._negotiation.is_early_settled = True
            self._acknowledge(early, rack, body)

    def _acknowledge(self, early: Dialog, rack: str, body: Body | None) -> None:
        early.cseq = self._dialog.cseq  # all early dialogs share one CSeq, which the answered dialog continues
        self._dialog.start(early.new_request("PRACK", body=body, headers=[("RAck", rack)]), None)
        self._dialog.cseq = early.cseq
