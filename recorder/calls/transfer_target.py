"""The media of a transfer target of a recorded call. Call thread only.

`recorder.calls.transferring` carries the transfer out.
"""

import logging

from audio.types import PortsExhaustedError
from recorder.calls.bridged_call import BridgedCall
from recorder.calls.component import Component
from recorder.calls.media_errors import MediaError
from recorder.calls.party_media import PartyMedia
from recorder.calls.rules.call_events import Side
from recorder.calls.transfer_media import TransferMedia
from recorder.calls.transferring import Transfers
from sip.events import Body, CallOffered
from sip.offer_answer import LocalStream
from sip.sdes import Srtp

_log = logging.getLogger(__name__)


class TransferTarget(Component[BridgedCall], TransferMedia):
    """The media of the current transfer target.

    Attributes:
        party: The target's media; None if there is no target.
    """

    def __init__(self, call: BridgedCall, transfers: Transfers) -> None:
        super().__init__(call)
        self._transfers = transfers
        self.party: PartyMedia | None = None

    def offer(self, host: str | None, srtp: Srtp, session: LocalStream | None = None) -> Body:
        """Open a media leg, and return an offer of the codecs that can be bridged to the party who stays."""
        self.party = party = self._call.sides.new("transfer target")
        party.continued = session
        party.signals_from = host
        return self._call.sides.offer_by(party, srtp, self._staying)

    def answered(self, body: Body | None) -> None:
        """Handle the transfer target's answer."""
        call, party = self._call, self.party
        assert party is not None
        try:
            if body is not None or not party.is_settled:
                party.take_answer(body)
        except MediaError as error:
            _log.info("call %s: %s", call.id, error)
            call.sides.refused(party)
            self._transfers.failed(488)
        else:
            self._transfers.ready()

    def called(self, event: CallOffered) -> None:
        """Answer the INVITE of a transfer target, if its offer can be bridged to the party who stays."""
        call = self._call
        self.party = party = call.sides.new("transfer target")
        try:
            call.sides.take_offer_of(party, event)
            answer = party.answer_invite(self._staying.usable)
        except (MediaError, PortsExhaustedError) as error:
            _log.info("call %s: %s", call.id, error)
            self._transfers.failed(488 if isinstance(error, MediaError) else 503)
            return
        call.services.endpoint.answer(event.leg, answer)
        if party.is_settled:
            self._transfers.ready()

    def take(self) -> PartyMedia | None:
        """Give up the target's media to the caller of this method; return None if there are none."""
        party, self.party = self.party, None
        return party

    def drop(self) -> None:
        """Close the transfer target's media."""
        party = self.take()
        if party is not None:
            party.close()

    def srtp_of(self, side: Side) -> Srtp:
        """Return whether a side's audio is encrypted."""
        return Srtp.REQUIRED if self._call.sides[side].is_secure else Srtp.OFF

    def session_of(self, side: Side) -> LocalStream | None:
        """Return the recorder's description to a side."""
        return self._call.sides[side].session

    @property
    def _staying(self) -> PartyMedia:
        call = self._call
        assert call.progress.transferor is not None
        return call.sides[call.progress.transferor.other]
