"""A call that a SIPREC client copies to us (RFC 7866): we listen to its lines, and record what the rules permit.

Runs on the call thread. Everything that is done to the recording is the same code as of a call that we stand in
(`recorder.calls.recording`); which sessions are recorded, and which line is whose, is `recorder.calls.rules.siprec`'s.
We never send a re-INVITE of our own: many clients drop the session over one.
"""

import logging
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any

from audio.types import (
    ControlPressed,
    DigitPressed,
    MediaEvent,
    MediaUnauthentic,
    PortsExhaustedError,
    Prompt,
    SecretEntered,
    SourceRefused,
)
from audio.types import LegId as MediaLegId
from recorder.calls.call_clock import CallClock
from recorder.calls.call_row import listing_of
from recorder.calls.call_services import CallServices
from recorder.calls.group_acts import GroupActs
from recorder.calls.hold_rule import HoldRule
from recorder.calls.keypad import INFO_MASK_AFTER_S, INFO_MASK_BEFORE_S, Keypad, card_rule
from recorder.calls.legs import Legs
from recorder.calls.media_errors import MediaError, source_refused
from recorder.calls.recording import CLOSING_S, Recording, silence_of
from recorder.calls.registry import CallRegistry
from recorder.calls.rules.call_events import CallState, Side
from recorder.calls.rules.call_progress import CallProgress
from recorder.calls.rules.siprec import Stage, Verdict
from recorder.calls.second_message import NoSecondMessage
from recorder.calls.siprec.session import CopiedCall
from recorder.calls.siprec.session_controls import SessionGate
from recorder.calls.siprec.siprec_course import Course
from recorder.calls.siprec.siprec_lines import Lines
from recorder.calls.siprec.siprec_links import Links
from recorder.calls.siprec.siprec_names import Names, parts_of
from recorder.calls.siprec.siprec_rows import further_numbers, participants_of, proof_of, provisional, rules_of
from recorder.rules.outcome import Facts
from recorder.rules.pausing import PauseState
from recorder.rules.policy import NoticeWhen, recording_id
from recorder.rules.routing import Peer
from sip.events import (
    Body,
    CallOffered,
    InfoReceived,
    LegEnded,
    LegId,
    OfferAnswered,
    OfferReceived,
    ReferReceived,
    SipEvent,
)
from sip.siprec import is_metadata_type
from storage.types import NoticeProof, RecordingRow

_log = logging.getLogger(__name__)

LOST = "session_timeout"
"""How a session ends whose client does not answer any more."""
PROBE_AFTER = 5
"""A session in which nothing is heard is probed after so many times ``[media] dead_rtp_s``."""


class SiprecCall(CopiedCall):
    """One recording session."""

    def __init__(
        self,
        services: CallServices,
        offered: CallOffered,
        peer: Peer,
        links: Links,
        *,
        random_hex: str,
        thread: int,
        board: CallRegistry,
        groups: GroupActs,
    ) -> None:
        self.clock = CallClock()
        self.services = services
        self.offered = offered
        self.legs = Legs(a=offered.leg)
        self._peer = peer
        self._links = links
        self._board = board
        self._groups = groups
        self._leg = offered.leg
        self._parts = parts_of(offered.body)
        self._names = Names(offered)
        self._lines = Lines(self, board, thread, peer.media_from, peer.srtp)
        self._course = Course(self, peer, self._names, self._lines, self._parts.metadata)
        nomination = self._course.verdict.nomination or provisional(services.config, peer)
        self.progress = CallProgress(
            is_nominated=True, direction=nomination.direction, notice_when=NoticeWhen.BEFORE_RING, targets=0
        )
        self.id = recording_id(self.clock.started_at, nomination.extension.number, random_hex)
        self.recording = recording = Recording(self, nomination, rules_of(services.config, nomination.extension))
        recording.blocked = self._course.verdict.closed
        card = card_rule(services.config.pause)
        self.controls = SessionGate(recording, card.forget, links)
        self.keypad = Keypad(self, self.controls, groups, card)
        self.second = NoSecondMessage()
        self._hold_rule = HoldRule(self.controls)
        self._is_offer_ours = False

    # --- SIP events

    def begin(self) -> None:
        """Answer the INVITE.

        Raises:
            MediaError: Nothing in it can be recorded (488).
            PortsExhaustedError: No ports are left (503).
        """
        if self.offered.body is None:
            self._is_offer_ours = True
            self.services.endpoint.answer(self._leg, self._lines.offer(), is_recorder=True)
            self._probe_later()
            return
        if self._parts.sdp is None:
            raise MediaError("a recording session without a session description")
        answer = self._lines.take(Body(content=self._parts.sdp), self._course.record_state)
        self.services.endpoint.answer(self._leg, answer, is_recorder=True)
        self._look()
        self._probe_later()

    def receive(self, event: SipEvent, leg: LegId) -> None:
        """Take what happened on the session's leg."""
        if self._course.stage is Stage.ENDED:
            return
        match event:
            case LegEnded():
                self._over("session_ended" if event.cause == "bye" else f"session_{event.cause}")
            case OfferReceived():
                self._reoffered(event.body)
            case OfferAnswered():
                self._answered(event.body)
            case InfoReceived():
                self._info(event.body)
            case ReferReceived():
                self.services.endpoint.refuse_refer(self._leg, 603)
            case _:
                _log.debug("event %s has no place in a recording session", type(event).__name__)

    def _reoffered(self, body: Body | None) -> None:
        """Take a re-INVITE or UPDATE: of lines, of metadata, of both; an empty one gets the lines as they are."""
        endpoint = self.services.endpoint
        if body is None:
            endpoint.answer_offer(self._leg, Body(content=self._lines.content))
            return
        parts = parts_of(body)
        self._course.learn(parts.metadata)
        if parts.sdp is None:
            endpoint.answer_offer(self._leg, None)
        else:
            try:
                answer = self._lines.take(Body(content=parts.sdp), self._course.record_state)
            except (MediaError, PortsExhaustedError) as error:
                _log.info("recording session %s: a re-offer is refused: %s", self.id, error)
                endpoint.refuse_offer(self._leg, 488 if isinstance(error, MediaError) else 503)
                self._look()
                return
            endpoint.answer_offer(self._leg, answer)
        self._look()

    def _answered(self, body: Body | None) -> None:
        """Take the answer to our offer, or to the lines that an empty re-INVITE got: what the client will send."""
        parts = parts_of(body)
        self._course.learn(parts.metadata)
        try:
            self._take_answer(parts.sdp)
        except (MediaError, PortsExhaustedError) as error:
            _log.info("recording session %s: an answer cannot be used: %s", self.id, error)
            if self._is_offer_ours:
                self.stop("no_media")
                return
        self._is_offer_ours = False
        self._look()

    def _take_answer(self, content: bytes | None) -> None:
        if self._is_offer_ours:
            self._lines.take_answer(Body(content=content or b""))
        elif content is not None:
            self._lines.take(Body(content=content), self._course.record_state)

    def _info(self, body: Body) -> None:
        """Take an INFO: metadata, or a digit. Whose it is nobody says, so it is taken for the caller's."""
        if is_metadata_type(body.content_type) or body.content_type.lower().startswith("multipart/"):
            self._course.learn(parts_of(body).metadata)
            self._look()
        else:
            self.keypad.info(self.progress.outside, body)

    # --- who takes part, and what follows

    def _look(self) -> None:
        """Do what follows from who takes part and from the lines as they are now."""
        self._course.look()
        self._links.name(self.controls, self._names.sessions, self._names.groups)
        self._lines.drop_idle()
        self._hold_rule.look()
        self.tell()

    @property
    def is_listed(self) -> bool:
        """Tell whether people may see the session: one of nobody whose calls are recorded is nobody's business."""
        return self.recording.blocked is None or self._course.verdict.nomination is not None

    def decided(self, verdict: Verdict) -> None:
        """Assign the call to the extension that a verdict names."""
        assert verdict.nomination is not None
        self.progress.direction = verdict.nomination.direction
        self.recording.become(verdict.nomination, rules_of(self.services.config, verdict.nomination.extension))

    # --- media events

    def receive_media(self, event: MediaEvent, leg: MediaLegId) -> None:
        """Take what the media core saw on one of the lines."""
        sides = self._course.verdict.sides
        is_left, is_right = leg == self._lines.leg(sides.left), leg == self._lines.leg(sides.right)
        match event:
            case DigitPressed() if is_left:
                self.keypad.digit(event.digit, event.source)
            case DigitPressed() if is_right and not self._course.has_officers_keys:
                # It may be the caller: the core silences what is keyed on the left only.
                self.recording.mask_lately(INFO_MASK_BEFORE_S, INFO_MASK_AFTER_S)
                self.keypad.digit(event.digit, event.source)
            case ControlPressed() if is_right:
                self.keypad.control(event.keys, event.source, self.progress.officer)
            case SecretEntered() if is_right:
                digits = event.digits if event.is_complete else None
                self.keypad.secret(event.prefix, digits, event.source, self.progress.officer)
            case MediaUnauthentic():
                _log.error("recording session %s: %d packets of a line are not under its key", self.id, event.packets)
                self.services.alarm("srtp_unauthentic")
            case SourceRefused():
                _log.warning("recording session %s: %s", self.id, source_refused(event))
            case _:
                pass

    def kept_also(self, state: PauseState, reasons: list[str]) -> "list[Future[None]]":
        """Write down how the recording stands by the names of the session too."""
        return [self.services.sessions.put(self._names.sessions, self._names.groups, state=state, reasons=reasons)]

    def tell_officer(self, sound: Prompt, side: Side | None = None) -> None:
        """Do nothing: nobody hears us. The console shows how the recording stands."""

    def pass_info(self, side: Side, body: Body) -> None:
        """Do nothing: there is nobody behind us to pass an INFO on to."""

    def apply(self, event: object) -> None:
        """Do nothing: the keys of the notice are the client's business."""

    @property
    def is_held(self) -> bool:
        """Tell whether the client holds every line."""
        return self._lines.is_held

    # --- the end

    def stop(self, reason: str) -> None:
        """End the session from our side."""
        if self._course.stage is not Stage.ENDED:
            self.services.endpoint.hang_up(self._leg)
            self._over(reason)

    def refuse(self, status: int, end: str) -> None:
        """Refuse the INVITE, and file that nothing came of it."""
        headers = (("Retry-After", "5"),) if status == 503 else ()
        self.services.endpoint.refuse(self._leg, status, "", headers=headers)
        self.recording.blocked = None
        self._over(end)

    def _over(self, end: str) -> None:
        self._course.stage = Stage.ENDED
        self.progress.state, self.progress.end = CallState.ENDED, end
        self.finish(end)
        self._links.end(self.controls)
        self._board.ended(self)

    def finish(self, end: str) -> None:
        """Close the lines after their last packets, then the recording."""
        self.controls.end()
        self.services.scheduler.call_later(CLOSING_S, self.close, end)

    def close(self, end: str) -> None:
        """Close the lines, and the recording."""
        sides = self._course.verdict.sides
        codecs = (self._lines.codec_name(sides.left), self._lines.codec_name(sides.right))
        was_cut_off = end == LOST
        silent_s = silence_of(self.services.relay, self._lines.legs) if was_cut_off else 0.0
        self._lines.close()
        recording = self.recording
        facts = Facts(
            end=end,
            was_joined=self.progress.was_joined or recording.blocked is not None,
            blocked=recording.blocked,
            fault=recording.fault,
            is_cut_off=was_cut_off,
        )
        close = partial(recording.close, facts, codecs, self.clock.now, silent_s=silent_s)
        self.controls.when_decided(recording.keep(close))

    def _probe_later(self) -> None:
        self.services.scheduler.call_later(PROBE_AFTER * self.services.config.media.dead_rtp_s, self._probe)

    def _probe(self) -> None:
        """Ask the client whether it is still there, if nothing has come for long: a BYE may have been lost."""
        if self._course.stage is Stage.ENDED:
            return
        if self._lines.was_silent():
            self.services.endpoint.probe(self._leg)
        self._probe_later()

    # --- what is written down

    @property
    def caller(self) -> str:
        """Return the number that calls."""
        return self._course.verdict.caller

    @property
    def called(self) -> str:
        """Return the number that was called."""
        return self._course.verdict.called

    @property
    def proof(self) -> NoticeProof:
        """Return whose word it is that the notice was played."""
        return proof_of(self._peer)

    @property
    def numbers(self) -> frozenset[str]:
        """Return the nominated extensions that are on the call now."""
        recording = self.recording
        if recording.pause_reasons.is_away:
            return frozenset()
        both = (recording.nomination.extension, recording.nomination.second)
        return frozenset(one.number for one in both if one is not None)

    @property
    def officer_extension(self) -> str:
        """Return the extension of the officer who has the keys."""
        return self.recording.nomination.extension.number

    @property
    def ends(self) -> None:
        """Return None: which sessions are one conversation is known by their names."""
        return None

    def described(self, row: RecordingRow) -> RecordingRow:
        """Return a row with who took part."""
        names, extensions = self._names, self.services.config.extensions
        labels = names.labels(self._lines.labels)
        everyone = names.everyone.values() if self.is_listed else ()
        operators = self.recording.operators
        return replace(
            row,
            participants=participants_of(everyone, names.metadata, self._course.verdict, labels, extensions),
            numbers=further_numbers(everyone),
            remarks=tuple(sorted({*self._course.remarks, *row.remarks})),
            operators=tuple(filter(None, operators.names)),
            extensions=tuple(filter(None, operators.extensions)),
        )

    def tell(self) -> None:
        """Tell those who watch how the call is now, if people may see it."""
        if self.is_listed:
            self.services.publish({"event": "call", **self.as_json()})

    def as_json(self) -> dict[str, Any]:
        """Return the call as `GET /api/calls` lists it."""
        conversation = self._groups.conversation(self.controls)
        return listing_of(self.recording, self.controls, second=self.second.state, conversation=conversation)
