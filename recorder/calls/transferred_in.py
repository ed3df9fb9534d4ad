"""A call that was passed through and goes to a nominated extension: rung first, then announced, then recorded (ADR 16).

Until the officer answers, everything stays as it was; then the party who stays gets media here, by a re-INVITE, and
hears the notice while the officer is held. Call thread only.
"""

import logging
from dataclasses import replace
from typing import Any

from audio.types import PortsExhaustedError
from recorder.calls.media_errors import MediaError
from recorder.calls.passthrough_call import PassthroughCall
from recorder.calls.recorded_call import RecordedCall
from recorder.calls.rules.call_events import Answered, CallState, Refused, Side
from sip.events import CallOffered, Header, LegRang, OfferAnswered, OfferRefused

_log = logging.getLogger(__name__)


def offer_in_place(origin: PassthroughCall, stays: Side, number: str) -> CallOffered:
    """Return what the party who stays would have offered us, had they called the number.

    Args:
        origin: Their call until now.
        stays: Their side of it.
        number: The nominated extension that they get.
    """
    leg = origin.legs.of(stays)
    assert leg is not None
    offered = replace(origin.offered, leg=leg, request_user=number, to_user=number, body=None, replaced_leg=None)
    if stays is Side.A:
        return offered
    return replace(
        offered, from_user=origin.party_at(stays).number, from_display="", asserted_user=None, headers=(), origin=""
    )


class TransferredInCall(RecordedCall):
    """The call that they have from then on; A is the party who stays, B the officer.

    Args:
        origin: Their call until now.
        picker: The INVITE of an officer who takes the call; None: the officer is called.
        more: As `RecordedCall`.
    """

    def __init__(self, *args: Any, origin: PassthroughCall, picker: CallOffered | None, **more: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **more)
        self._origin = origin
        self._picker = picker
        self.legs.a = None  # it is the other call's until the officer has answered

    def open_first(self) -> None:
        """Open the media of the party who stays, and keep ports for the officer.

        Raises:
            PortsExhaustedError: No ports are left.
        """
        self.sides[Side.A].signals_from = None
        self.sides[Side.B].reserve()
        try:
            self.sides.open(self.sides[Side.A])
        except PortsExhaustedError:
            self.sides[Side.B].close()
            raise

    def rang(self, event: LegRang) -> None:
        """Tell the transferor."""
        self._origin.transfers.tell(event.status)

    def _dial(self, index: int) -> None:
        picker = self._picker
        if picker is None:
            super()._dial(index)
            return
        party, self.legs.b = self.sides[Side.B], picker.leg
        self.board.adopt(picker.leg, self)
        try:
            self.sides.take_offer_of(party, picker)
            answer = party.answer_first(())
        except MediaError as error:
            _log.info("call %s: %s", self.id, error)
            self.services.endpoint.refuse(picker.leg, 488, "")
            self.legs.end(Side.B)
            self.apply(Refused(488))
            return
        self.services.endpoint.answer(picker.leg, answer)
        if party.is_settled:
            self.apply(Answered())

    def offer_answered(self, side: Side, event: OfferAnswered) -> None:
        """Take the answer to an offer of ours; that of an officer who took the call is their answer to it."""
        was_settled = self.sides[side].is_settled
        super().offer_answered(side, event)
        if side is Side.B and not was_settled and self.progress.state is CallState.RINGING_FIRST:
            self.apply(Answered())

    def offer_refused(self, side: Side, event: OfferRefused) -> None:
        """End a call whose party does not come to us: nobody would hear anything."""
        super().offer_refused(side, event)
        if not self.sides[side].is_settled:
            self.stop("no_media")

    def _answer_a(self) -> None:
        leg = self._origin.transfers.hand_over()
        assert leg is not None
        self.legs.a = leg
        self.board.adopt(leg, self)
        self.services.endpoint.offer(leg, self.sides[Side.A].answer_first(self.sides[Side.B].codecs))
        self.announcer.listen_for_keys()

    def _refuse(self, status: int, headers: tuple[Header, ...] = ()) -> None:
        self._origin.transfers.failed(status)
