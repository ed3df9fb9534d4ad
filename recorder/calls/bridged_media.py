"""The media of a recorded call: the recorder answers each side's offers, and the media core bridges the sides.

`recorder.calls.party_media` has the media of one side: its session descriptions and its media leg. Call thread only.
"""

import logging
import time

from recorder.calls.answering_party import AnsweringParty
from recorder.calls.call_interfaces import MediaPath, TransferableCall
from recorder.calls.dial_plan import DialPlan
from recorder.calls.dialling import Dialling
from recorder.calls.group_acts import GroupActs
from recorder.calls.hold_rule import HoldRule
from recorder.calls.joining import Joining
from recorder.calls.media_errors import MediaError
from recorder.calls.recorded_call import RecordedCall
from recorder.calls.rules.call_events import (
    After,
    AnswerA,
    CallState,
    Command,
    Join,
    JoinEarly,
    PlayTo,
    Rang,
    Refused,
    Ring,
    Side,
    StopPlaying,
)
from recorder.calls.rules.codec_choice import still_bridged
from recorder.calls.rules.identities import numbers_in
from recorder.calls.transfer_requests import TransferRequests
from recorder.calls.transfer_target import TransferTarget
from recorder.calls.transferring import Transfers
from recorder.rules.outcome import MEDIA_REFUSALS
from sip.events import (
    Body,
    Header,
    IdentityChanged,
    InfoReceived,
    LegAnswered,
    LegRang,
    LegRefused,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
)
from sip.header_policy import identity_in

_log = logging.getLogger(__name__)


class BridgedMedia(MediaPath):
    """The media of one recorded call."""

    target: TransferTarget

    def __init__(
        self,
        call: TransferableCall,
        recorded: RecordedCall,
        dialling: Dialling,
        transfers: Transfers,
        *,
        requests: TransferRequests,
        plan: DialPlan,
        groups: GroupActs,
    ) -> None:
        super().__init__(call)
        self._services = call.services
        self.recorded = recorded
        self._sides = recorded.sides
        self._dialling = dialling
        self._requests = requests
        self._plan = plan
        self._groups = groups
        self.target = TransferTarget(recorded, transfers)
        self._answering_party = AnsweringParty(call, dialling, plan, recorded.id)
        self._joining = Joining(recorded, recorded.recording, recorded.keypad)
        self._hold_rule = HoldRule(recorded.controls)
        self._awaits_ack: set[Side] = set()
        """Sides whose re-offer was empty: their answer comes in the ACK (RFC 3261 section 14.2)."""
        self._far_headers: tuple[Header, ...] = ()
        self._is_identity_sent = False

    # --- messages to and from B

    @property
    def ring_s(self) -> float | None:
        """Return how long the service lets B ring, seconds; None is no limit."""
        return self.recorded.recording.service.ring_s

    def offer_to_b(self) -> Body | None:
        """Open B's media leg, and return an offer of the codecs that can be bridged to A."""
        self._answering_party.dialled()
        party, far = self._sides[Side.B], self._dialling.far
        party.signals_from = far.host if far is not None else None
        return self._sides.offer_by(party, self._dialling.choice.route.srtp, self._sides[Side.A])

    def rang(self, event: LegRang) -> None:
        """Handle a provisional response of B; A hears B's early media, if there is any."""
        self._answering_party.rang()
        has_media = event.body is not None and self._sides.take_answer(Side.B, event.body)
        self._far_headers = event.headers
        self._call.note_numbers(*numbers_in(event.headers), is_claim=True)
        self._call.apply(Rang(has_media=has_media))

    def answered(self, event: LegAnswered) -> None:
        """Handle B's answer; if it cannot be bridged, hang up and treat B as refused."""
        call, party = self._call, self._sides[Side.B]
        self._far_headers = event.headers
        call.note_numbers(self._dialling.dialled, *event.asserted_users)
        call.note_numbers(*numbers_in(event.headers), is_claim=True)
        if (event.body is None and party.is_settled) or self._sides.take_answer(Side.B, event.body):
            call.apply(self._answering_party.answered(event))
        else:
            self._sides.refused(party)
            call.hang_up(Side.B)
            self.b_ended()
            call.apply(Refused(488))

    def refused(self, event: LegRefused) -> None:
        """Raise the alarm if the recorder's offer was refused: the caller has heard the notice by then."""
        if event.status in MEDIA_REFUSALS:
            self._sides.refused(self.target.party or self._sides[Side.B])

    def b_ended(self) -> None:
        """Close the media of a target that refused, and reserve ports for the next one."""
        self._sides[Side.B].renew()

    def acknowledged(self, side: Side) -> None:
        """Play the notice if it waited until A knows of the answer."""
        if side is Side.A:
            self.recorded.announcer.acknowledged()

    # --- re-offers

    def reoffered(self, side: Side, event: OfferReceived) -> None:
        """Answer a re-offer; a SIP hold in it is passed on to the other side (design section 3.5)."""
        leg = self._call.legs.of(side)
        assert leg is not None
        party, other = self._sides[side], self._sides[side.other]
        try:
            answer = party.answer_reoffer(event.body, other.codecs)
        except MediaError as error:
            _log.info("call %s: re-offer refused: %s", self.recorded.id, error)
            self._services.endpoint.refuse_offer(leg, 488)
            return
        self._services.endpoint.answer_offer(leg, answer)
        if event.body is None:
            self._awaits_ack.add(side)
        else:
            self._session_changed(side)

    def offer_answered(self, side: Side, event: OfferAnswered) -> None:
        """Handle the answer to the recorder's offer."""
        if event.body is not None and not self._sides.take_answer(side, event.body):
            _log.warning(
                "call %s: side %s answered an offer with media that cannot be bridged", self.recorded.id, side.value
            )
        if not self._sides[side].is_settled:
            self._call.stop("no_media")  # a delayed offer was not answered, so the side has no media
            return
        self.recorded.announcer.settled(side)
        if side in self._awaits_ack:
            self._awaits_ack.discard(side)
            self._session_changed(side)
        self._hold_rule.apply()

    def offer_refused(self, side: Side, event: OfferRefused) -> None:
        """Log the refusal; the session stays as it was (RFC 3261 section 14.1)."""
        _log.info("call %s: side %s refused a re-offer with %d", self.recorded.id, side.value, event.status)

    def info(self, side: Side, event: InfoReceived) -> None:
        """Hand an INFO to the keypad; out of scope, keys have no function, so it is passed on."""
        if self.recorded.recording.pause_reasons.is_away:
            self.recorded.pass_info(side, event.body)
        else:
            self.recorded.keypad.info(side, event.body)

    def _session_changed(self, side: Side) -> None:
        """Re-offer to the other side if the side's new direction or codecs require it."""
        other_leg, other = self._call.legs.of(side.other), self._sides[side.other]
        direction = self._sides[side].direction
        codecs = still_bridged(other.codecs, self._sides[side].codecs)
        is_changed = codecs != other.codecs or not other.has_direction(direction)
        if other_leg is not None and self._call.progress.was_joined and is_changed:
            self._services.endpoint.offer(other_leg, other.make_offer(codecs, direction))
        self.recorded.announcer.session_changed(side)
        self._hold_rule.apply()

    # --- parties

    def renamed(self, side: Side, event: IdentityChanged) -> None:
        """Handle a new identity: of the party who rings, or as a transfer."""
        if side is Side.B and self._call.progress.state in (CallState.RINGING, CallState.RINGING_FIRST):
            self._answering_party.named(event)
        else:
            self._requests.renamed(side, event)

    def replaced(self, side: Side, after: After) -> None:
        """Replace the side's media by the transfer target's."""
        party = self.target.take()
        assert party is not None
        self.recorded.second.cut_off()
        self._joining.replaced(after)
        self._sides.put(side, party)

    # --- commands of the table

    def do(self, command: Command) -> None:
        """Carry out a command that concerns media."""
        match command:
            case AnswerA():
                self._answer_a()
            case Ring():
                self._ring_a(command)
            case PlayTo():
                self.recorded.announcer.play(command)
            case StopPlaying():
                self._sides.stop_playing()
            case JoinEarly():
                self._bridge_early()
            case Join():
                self._join()
            case _:
                raise AssertionError(f"no rule for command {command}")

    def _answer_a(self) -> None:
        party, leg = self._sides[Side.A], self._call.legs.a
        assert leg is not None
        headers = self._call.headers_for(Side.A, self._far_headers)
        self._is_identity_sent = bool(headers)
        answer = party.answer_invite(self._sides[Side.B].codecs)
        self._services.endpoint.answer(leg, answer, is_ack_told=True, headers=headers)
        self.recorded.announcer.answered_a()
        self.recorded.announcer.listen_for_keys()

    def _ring_a(self, command: Ring) -> None:
        leg = self._call.legs.a
        assert leg is not None
        headers = self._call.headers_for(Side.A, self._far_headers)
        if not command.early:
            self._services.endpoint.ring(leg, headers=headers)
            return
        early = self._sides[Side.A].answer_invite(self._sides[Side.B].codecs)
        self._services.endpoint.ring(leg, status=183, body=early, headers=headers)
        self._bridge_early()

    def _bridge_early(self) -> None:
        """Bridge early media; a nominated extension that has not answered is heard, but hears nobody.

        Nothing is recorded before the answer. If the extension heard the caller, they could talk unrecorded.
        """
        self._sides.bridge(is_a_mute=self._call.parties[Side.B].extension is not None)

    def _join(self) -> None:
        call, recorded, recording = self._call, self.recorded, self.recorded.recording
        is_first = recording.joined_at is None
        if is_first:
            recording.joined_at = call.clock.now
            self._services.tallies.set_up.took(time.monotonic() - call.clock.began_s)
        recorded.fax.joining()
        recording.is_joining = is_first
        try:
            self._joining.join()
        finally:
            recording.is_joining = False
        if is_first and not self._is_identity_sent and self._plan.is_inside(call.offered.source):
            call.identify(Side.A, identity_in(self._far_headers))
        self._groups.joined(recorded.controls)
        recorded.publish()
        for side in Side:  # either may be on hold already, or a party who left put the other on hold
            self._session_changed(side)
        for side, body in recorded.early_info.take():
            recorded.pass_info(side, body)

    def finish(self, end: str) -> None:
        """Stop playing; close the media and the recording after the last packets."""
        recorded = self.recorded
        recorded.second.cut_off()
        self._sides.stop_playing()
        recorded.controls.end()
        recorded.close_after_last_packets(end)
