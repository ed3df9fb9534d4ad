"""A call of a nominated extension: announced, bridged through the media core, recorded, pausable.

Runs on the call thread. `party_media` joins SDP and media legs, `recording_in_progress` keeps the audio, and the table
of `recorder.calls.rules.call_table` decides what is done.
"""

import logging
import time
from functools import partial
from typing import Any

from audio.types import (
    ControlPressed,
    DigitPressed,
    FaxHeard,
    MediaEvent,
    MediaResumed,
    MediaStopped,
    MediaUnauthentic,
    Prompt,
    PromptEnded,
    SecretEntered,
    SourceRefused,
    VoiceHeard,
)
from audio.types import LegId as MediaLegId
from recorder.calls.announcing import Announcer
from recorder.calls.answering import Answering
from recorder.calls.bridged import BridgedCall
from recorder.calls.call_media import CallMedia
from recorder.calls.call_row import listing_of
from recorder.calls.call_services import CallServices
from recorder.calls.dial_plan import DialPlan, RouteChoice
from recorder.calls.early_info import EarlyInfo
from recorder.calls.fax_watch import FaxWatch
from recorder.calls.group_acts import GroupActs
from recorder.calls.hold_rule import HoldRule
from recorder.calls.joining import Joining
from recorder.calls.keypad import Keypad, card_rule
from recorder.calls.live_call import LiveCall
from recorder.calls.media_errors import MediaError, source_refused
from recorder.calls.negotiation import still_bridged
from recorder.calls.probing import SilenceProbe
from recorder.calls.recording import CLOSING_S, Recording, silence_of
from recorder.calls.recording_controls import RecordingControls
from recorder.calls.registry import CallRegistry
from recorder.calls.rules.call_events import (
    After,
    AnswerA,
    CallState,
    Command,
    HangUp,
    Join,
    JoinEarly,
    PlayTo,
    Rang,
    Refused,
    Ring,
    Side,
    StopPlaying,
)
from recorder.calls.rules.call_progress import CallProgress
from recorder.calls.rules.identities import numbers_in, signalled_parties
from recorder.calls.rules.transfer import Party, parties_of
from recorder.calls.second_message import SecondMessage
from recorder.calls.transfer_target import TransferTarget
from recorder.calls.transferable import TransferableCall, TransferIntake
from recorder.rules.outcome import MEDIA_REFUSALS, Facts
from recorder.rules.policy import Extension, Nomination, recording_id
from sip.events import (
    Body,
    CallOffered,
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
from storage.types import NoticeProof

_log = logging.getLogger(__name__)


class RecordedCall(LiveCall, BridgedCall):
    """A `LiveCall` with media, a notice, and a recording."""

    def __init__(
        self,
        services: CallServices,
        offered: CallOffered,
        progress: CallProgress,
        choice: RouteChoice,
        nomination: Nomination,
        *,
        random_hex: str,
        thread: int,
        board: CallRegistry,
        plan: DialPlan,
        intake: TransferIntake,
        groups: GroupActs,
    ) -> None:
        calling = offered.asserted_user or offered.from_user
        is_claimed = not plan.is_inside(offered.source)
        people = parties_of(nomination, calling=calling, called=offered.request_user, is_claimed=is_claimed)
        super().__init__(services, offered, progress, choice, people=people, board=board, plan=plan, intake=intake)
        self.id = recording_id(self.clock.started_at, nomination.extension.number, random_hex)
        self.recording = recording = Recording(self, nomination, services.config.service_of(nomination.extension))
        recording.goes_by(signalled_parties(offered))
        recording.goes_by(numbers_in(offered.headers), is_claim=True)
        card = card_rule(services.config.pause)
        self.controls = RecordingControls(recording, card.forget)
        self.keypad = Keypad(self, self.controls, groups, card)
        self._groups = groups
        self._asked: set[Side] = set()
        self._far_headers: tuple[Header, ...] = ()
        self._is_told = False
        self.sides = CallMedia(self, board, thread)
        self.media: TransferTarget = TransferTarget(self, self.transfers)
        self._answering = Answering(self, plan)
        self._joining = Joining(self, recording, self.keypad)
        self.announcer = Announcer(self, recording.sounds)
        self.second = SecondMessage(self, recording)
        self._early_info = EarlyInfo()
        self._silence = SilenceProbe(self)
        self._hold_rule = HoldRule(self.controls)
        self._fax = FaxWatch(self, self.controls)

    # --- SIP events

    def rang(self, event: LegRang) -> None:
        """Let A hear B's early media, if it has any."""
        self._answering.rang()
        has_media = event.body is not None and self.sides.take_answer(Side.B, event.body)
        self._far_headers = event.headers
        self.goes_by(*numbers_in(event.headers), is_claim=True)
        self.apply(Rang(has_media=has_media))

    def answered(self, event: LegAnswered) -> None:
        """Take B's answer; one that cannot be bridged is hung up and counts as refused."""
        party = self.sides[Side.B]
        self._far_headers = event.headers
        self.goes_by(self.dialled, event.asserted_user or "")
        self.goes_by(*numbers_in(event.headers), is_claim=True)
        if (event.body is None and party.is_settled) or self.sides.take_answer(Side.B, event.body):
            self.apply(self._answering.answered(event))
        else:
            self.sides.refused(party)
            self._hang_up(HangUp(Side.B))
            self.leg_ended(Side.B)
            self.apply(Refused(488))

    def note_refusal(self, event: LegRefused) -> None:
        """Say so where it is our offer that was refused: callers have heard the notice by then."""
        super().note_refusal(event)
        if event.status in MEDIA_REFUSALS:
            self.sides.refused(self.media.party or self.sides[Side.B])

    def leg_ended(self, side: Side) -> None:
        """Close the media of a target that came to nothing: the next one gets its own, for which ports are kept."""
        if side is Side.B:
            self.sides[Side.B].renew()

    def reoffered(self, side: Side, event: OfferReceived) -> None:
        """Answer a re-offer ourselves; hold is passed on to the other side (design section 3.5)."""
        leg = self.legs.of(side)
        assert leg is not None
        party, other = self.sides[side], self.sides[side.other]
        try:
            answer = party.answer_reoffer(event.body, other.codecs)
        except MediaError as error:
            _log.info("call %s: re-offer refused: %s", self.id, error)
            self.services.endpoint.refuse_offer(leg, 488)
            return
        self.services.endpoint.answer_offer(leg, answer)
        if event.body is None:
            self._asked.add(side)  # the ACK says what it wants (RFC 3261 section 14.2)
        else:
            self._session_changed(side)

    def offer_answered(self, side: Side, event: OfferAnswered) -> None:
        """Take the answer to an offer of ours."""
        if event.body is not None and not self.sides.take_answer(side, event.body):
            _log.warning("call %s: side %s answered an offer with media that cannot be bridged", self.id, side.value)
        if not self.sides[side].is_settled:
            self.stop("no_media")  # a delayed offer that was never answered: nobody would ever hear anything
            return
        self.announcer.settled(side)
        if side in self._asked:
            self._asked.discard(side)
            self._session_changed(side)
        self._hold_rule.look()

    def offer_refused(self, side: Side, event: OfferRefused) -> None:
        """Go on as before (RFC 3261 section 14.1)."""
        _log.info("call %s: side %s refused a re-offer with %d", self.id, side.value, event.status)

    def info(self, side: Side, event: InfoReceived) -> None:
        """Give an INFO to the keypad; where nothing is recorded no key has a meaning."""
        if self.recording.pause_reasons.is_away:
            self.pass_info(side, event.body)
        else:
            self.keypad.info(side, event.body)

    def pass_info(self, side: Side, body: Body) -> None:
        """Send an INFO of one side on to the other, as soon as both are there."""
        other = self.legs.of(side.other)
        if not self.progress.was_joined:
            self._early_info.keep(side, body)
        elif other is not None:
            self.services.endpoint.send_info(other, body)

    # --- media events

    def receive_media(self, event: MediaEvent, leg: MediaLegId) -> None:
        """Take what the media core saw on one of the call's legs."""
        side = self.sides.side_of(leg)
        if side is None:
            return
        match event:
            case PromptEnded():
                meant = None if self.second.ended(event) else self.announcer.ended(side, event)
                if meant is not None:
                    self.apply(meant)
            case ControlPressed() if self.has_keys(side):
                self.keypad.control(event.keys, event.source, side)
            case SecretEntered() if self.has_keys(side):
                self.keypad.secret(event.prefix, event.digits if event.is_complete else None, event.source, side)
            case DigitPressed() if side is self.progress.outside:
                self.keypad.digit(event.digit, event.source)
            case FaxHeard() | VoiceHeard():
                self._fax.take(side, event)
            case MediaStopped():
                _log.warning("call %s: no RTP on side %s for %.0f s", self.id, side.value, event.silent_s)
                self._silence.fell_silent(side)
            case MediaResumed():
                _log.info("call %s: RTP again on side %s", self.id, side.value)
                self._silence.heard(side)
            case MediaUnauthentic():
                _log.error("call %s: %d packets of side %s are not under its key", self.id, event.packets, side.value)
                self.services.alarm("srtp_unauthentic")
            case SourceRefused():
                _log.warning("call %s: side %s: %s", self.id, side.value, source_refused(event))
            case _:
                pass

    # --- somebody takes the place of a side

    def renamed(self, side: Side, event: IdentityChanged) -> None:
        """Measure whoever is there now by the same rules as one who was called."""
        if side is Side.B and self.progress.state in (CallState.RINGING, CallState.RINGING_FIRST):
            self._answering.named(event)
        else:
            self.transfers.renamed(side, event)

    def replaced(self, side: Side, after: After) -> None:
        """Put the transfer target's media in the place of the side's."""
        party = self.media.take()
        assert party is not None
        self.second.cut_off()
        self._joining.replaced(after)
        self.sides.put(side, party)

    def goes_by(self, *numbers: str, is_claim: bool = False) -> None:
        """Note numbers that the recording is to be found by."""
        self.recording.goes_by(numbers, is_claim=is_claim)

    def relate(self, other: TransferableCall) -> None:
        """Note that a recording belongs to this one, and in that one that this belongs to it."""
        if isinstance(other, RecordedCall):
            self.recording.relates_to(other.id)
            other.recording.relates_to(self.id)

    def seat(self, side: Side, party: Party) -> None:
        """Put a party on a side."""
        if party.number != self.people[side].number:
            self.recording.identity_changed_s = time.monotonic()
        super().seat(side, party)

    @property
    def numbers(self) -> frozenset[str]:
        """Return the nominated extensions that are on the call now."""
        return frozenset(one.extension.number for one in self.people.values() if one.extension is not None)

    @property
    def officer_extension(self) -> str:
        """Return the extension that is on the side with the keys now."""
        there = self.people[self.progress.officer].extension
        return there.number if there is not None else self.recording.nomination.extension.number

    def has_keys(self, side: Side) -> bool:
        """Tell whether an officer is on a side, whose keys act: on an internal call on both."""
        return side is self.progress.officer or self.people[side].extension is not None

    def extension_on(self, side: Side) -> str:
        """Return the extension on a side; the one with the keys where there is none."""
        there = self.people[side].extension
        return there.number if there is not None else self.officer_extension

    @property
    def ends(self) -> tuple[Party, Extension] | None:
        """Return the outside party and the officer's extension now."""
        officer, outside = self.people[self.progress.officer].extension, self.people[self.progress.outside]
        is_whole = None not in (self.legs.a, self.legs.b)  # else a party of it is in another call already
        return (outside, officer) if officer is not None and is_whole else None

    @property
    def is_held(self) -> bool:
        """Tell whether one of the sides is on hold."""
        return self.sides.is_held

    def tell_officer(self, sound: Prompt, side: Side | None = None) -> None:
        """Play a confirmation to an officer; before the joining they hear other things, and nobody is told."""
        if self.progress.state is not CallState.JOINED:
            return
        self.sides[side or self.progress.officer].play(sound, tag=0)

    # --- commands

    @property
    def ring_s(self) -> float | None:
        """Return the service's time to ring."""
        return self.recording.service.ring_s

    def offer_to_b(self) -> Body | None:
        """Offer what can be bridged to A, from a leg of its own."""
        self._answering.dialled()
        party = self.sides[Side.B]
        party.signals_from = self.far.host if self.far is not None else None
        return self.sides.offer_by(party, self.choice.route.srtp, self.sides[Side.A])

    def do(self, command: Command) -> None:
        """Do what has to do with media."""
        match command:
            case AnswerA():
                self._answer_a()
            case Ring():
                self._ring_a(command)
            case PlayTo():
                self.announcer.play(command)
            case StopPlaying():
                self.sides.stop_playing()
            case JoinEarly():
                self.bridge(is_early=True)
            case Join():
                self._join()
            case _:
                raise AssertionError(f"no rule for command {command}")

    def _answer_a(self) -> None:
        party, leg = self.sides[Side.A], self.legs.a
        assert leg is not None
        headers = self.as_told_to(Side.A, self._far_headers)
        self._is_told = bool(headers)
        self.services.endpoint.answer(leg, party.answer_first(self.sides[Side.B].codecs), headers=headers)
        self.announcer.listen_for_keys()

    def _ring_a(self, command: Ring) -> None:
        leg = self.legs.a
        assert leg is not None
        headers = self.as_told_to(Side.A, self._far_headers)
        if not command.early:
            self.services.endpoint.ring(leg, headers=headers)
            return
        early = self.sides[Side.A].answer_first(self.sides[Side.B].codecs)
        self.services.endpoint.ring(leg, status=183, body=early, headers=headers)
        self.bridge(is_early=True)

    def bridge(self, *, is_early: bool = False) -> None:
        """Let the sides hear one another; a nominated extension that has not answered is heard, and hears nobody.

        Nothing is recorded before the answer, so that both would talk unrecorded where it only rings, with media.
        """
        self.sides.bridge(is_a_mute=is_early and self.people[Side.B].extension is not None)

    def _join(self) -> None:
        recording = self.recording
        is_first = recording.joined_at is None
        if is_first:
            recording.joined_at = self.clock.now
        self._fax.joining()
        recording.is_joining = is_first
        try:
            self._joining.join()
        finally:
            recording.is_joining = False
        if is_first and not self._is_told and self.plan.is_inside(self.offered.source):
            self.identify(Side.A, identity_in(self._far_headers))
        self._groups.joined(self.controls)
        self.tell()
        self._pass_sessions_on()
        for side, body in self._early_info.take():
            self.pass_info(side, body)

    def _pass_sessions_on(self) -> None:
        """Tell each side what the other does now: they may have held before, or whoever left held the one who stays."""
        for side in Side:
            self._session_changed(side)

    def _session_changed(self, side: Side) -> None:
        """Pass a side's new direction on to the other, and have the other send nothing that the side cannot take."""
        other_leg, other = self.legs.of(side.other), self.sides[side.other]
        direction = self.sides[side].direction
        codecs = still_bridged(other.codecs, self.sides[side].codecs)
        is_changed = codecs != other.codecs or not other.is_told(direction)
        if other_leg is not None and self.progress.was_joined and is_changed:
            self.services.endpoint.offer(other_leg, other.make_reoffer(direction, codecs))
        self.announcer.session_changed(side)
        self._hold_rule.look()

    # --- the end

    def finish(self, end: str) -> None:
        """Be silent; close media after the last packets, then the recording."""
        self.second.cut_off()
        self.sides.stop_playing()
        self.controls.end()
        self.services.scheduler.call_later(CLOSING_S, self.close, end)

    def close(self, end: str) -> None:
        """Close the media of both sides, and the recording."""
        recording, was_cut_off = self.recording, self.progress.was_cut_off
        outside, officer = (self.sides[side].codec_name for side in (self.progress.outside, self.progress.officer))
        legs = [party.media_leg for party in self.sides.values()]
        silent_s = silence_of(self.services.relay, legs) if was_cut_off else 0.0
        self.sides.close()
        facts = Facts(
            end=end,
            was_joined=self.progress.was_joined,
            blocked=recording.blocked,
            fault=recording.fault,
            is_cut_off=was_cut_off,
        )
        close = partial(recording.close, facts, (outside, officer), self.clock.now, silent_s=silent_s)
        self.controls.when_decided(recording.keep(close))

    # --- what is written down

    @property
    def caller(self) -> str:
        """Return the number that calls."""
        return self.offered.asserted_user or self.offered.from_user

    @property
    def called(self) -> str:
        """Return the number that was dialled."""
        return self.offered.request_user

    @property
    def proof(self) -> NoticeProof:
        """Return what is known of the notice that we played."""
        return self.announcer.proof(second_message=self.progress.second_played)

    @property
    def is_listed(self) -> bool:
        """Tell whether people may see the call."""
        return True

    def tell(self) -> None:
        """Tell those who watch how the call is now."""
        self.services.publish({"event": "call", **self.as_json()})

    def as_json(self) -> dict[str, Any]:
        """Return the call as `GET /api/calls` lists it."""
        conversation = self._groups.conversation(self.controls)
        return listing_of(self.recording, self.controls, second=self.second.state, conversation=conversation)
