"""The recorded part of a recording session: its lines, its recording, its keys and its participants. Call thread only.

The recording is the same class as for a bridged call (`recorder.calls.recording`). The recorded part stays in memory
after its session has ended, until the lines are closed and the recording is filed.
"""

import logging
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

from audio.types import (
    ControlPressed,
    DigitPressed,
    MediaEvent,
    MediaUnauthentic,
    Prompt,
    SecretEntered,
    SourceRefused,
)
from audio.types import LegId as MediaLegId
from recorder.calls.call_listing import CallListing
from recorder.calls.component import Component
from recorder.calls.group_acts import GroupActs
from recorder.calls.keypad import INFO_MASK_AFTER_S, INFO_MASK_BEFORE_S, Keypad, card_rule
from recorder.calls.media_errors import source_text
from recorder.calls.recording import Recording, silence_of
from recorder.calls.registry import CallRegistry
from recorder.calls.rules.call_events import Event, Side
from recorder.calls.rules.call_progress import CallProgress
from recorder.calls.rules.siprec import SessionDecision
from recorder.calls.second_message import NoSecondMessage
from recorder.calls.sip_call import SipCall
from recorder.calls.siprec.copied_call import CopiedCall
from recorder.calls.siprec.lifecycle import SessionLifecycle
from recorder.calls.siprec.lines import SessionLines
from recorder.calls.siprec.links import SessionLinks
from recorder.calls.siprec.rows import further_numbers, participants_of, proof_of, provisional, rules_of
from recorder.calls.siprec.session_controls import SessionControls
from recorder.calls.siprec.session_metadata import SessionMetadata
from recorder.rules.outcome import Facts
from recorder.rules.pausing import Final, PauseState
from recorder.rules.policy import NoticeWhen, recording_id
from recorder.rules.routing import Peer
from sip.events import Body, CallOffered
from storage.types import NoticeProof, RecordingRow

_log = logging.getLogger(__name__)

LOST = "session_timeout"
"""The end of a session whose client does not answer any more."""


class CopiedRecording(Component[SipCall], CopiedCall):
    """The recorded part of one recording session.

    Args:
        document: The metadata document in the INVITE, or None.
        random_hex: Makes the id unique.
        thread: Index of the media thread that has the session.
    """

    def __init__(
        self,
        call: SipCall,
        offered: CallOffered,
        peer: Peer,
        *,
        metadata: SessionMetadata,
        document: bytes | None,
        links: SessionLinks,
        random_hex: str,
        thread: int,
        registry: CallRegistry,
        groups: GroupActs,
    ) -> None:
        super().__init__(call)
        self.services, self.clock, self.offered = call.services, call.clock, offered
        self._peer = peer
        self._metadata = metadata
        self._registry = registry
        self.lines = SessionLines(self, thread, peer.media_from, peer.srtp)
        self.lifecycle = SessionLifecycle(self, peer, metadata, self.lines, document)
        nomination = self.lifecycle.decision.nomination or provisional(self.services.config, peer)
        self.progress = CallProgress(
            is_nominated=True, direction=nomination.direction, notice_when=NoticeWhen.BEFORE_RING, targets=0
        )
        self.id = recording_id(self.clock.started_at, nomination.extension.number, random_hex)
        self.recording = Recording(self, nomination, rules_of(self.services.config, nomination.extension))
        self.recording.blocked = self.lifecycle.decision.closed
        card = card_rule(self.services.config.pause)
        self._links = links
        self.controls = SessionControls(self.recording, card.forget, links)
        self.keypad = Keypad(self, self.controls, groups, card)
        self.second = NoSecondMessage()
        self.listing = CallListing(self.recording, self.controls, lambda: NoSecondMessage.state, groups)

    # --- events

    def apply(self, event: Event) -> None:
        """Do nothing: a recording session has no state table."""

    def adopt_media(self, leg: MediaLegId) -> None:
        """Hand the events of a media leg to this session from now on."""
        self._registry.adopt_media(leg, self._call)

    def receive_media(self, event: MediaEvent, leg: MediaLegId) -> None:
        """Handle an event of one of the lines."""
        sides = self.lifecycle.decision.sides
        is_left, is_right = leg == self.lines.leg(sides.left), leg == self.lines.leg(sides.right)
        match event:
            case DigitPressed() if is_left:
                self.keypad.digit(event.digit, event.source)
            case DigitPressed() if is_right and not self.lifecycle.has_officers_keys:
                # It may be the caller's, and the media core silences digits on the left only.
                self.recording.mask_around_now(INFO_MASK_BEFORE_S, INFO_MASK_AFTER_S)
                self.keypad.digit(event.digit, event.source)
            case ControlPressed() if is_right:
                self.keypad.control(event.keys, event.source, self.progress.officer)
            case SecretEntered() if is_right:
                digits = event.digits if event.is_complete else None
                self.keypad.secret(event.prefix, digits, event.source, self.progress.officer)
            case MediaUnauthentic():
                _log.error("recording session %s: %d packets failed SRTP authentication", self.id, event.packets)
                self.services.alarm("srtp_unauthentic")
            case SourceRefused():
                _log.warning("recording session %s: %s", self.id, source_text(event))
            case _:
                pass

    def pass_info(self, side: Side, body: Body) -> None:
        """Do nothing: there is no other side to pass an INFO on to."""

    # --- participants

    def apply_decision(self, decision: SessionDecision) -> None:
        """Assign the session to the extension of a decision."""
        assert decision.nomination is not None
        self.progress.direction = decision.nomination.direction
        self.recording.renominate(decision.nomination, rules_of(self.services.config, decision.nomination.extension))

    @property
    def caller(self) -> str:
        """Return the caller's number."""
        return self.lifecycle.decision.caller

    @property
    def called(self) -> str:
        """Return the called number."""
        return self.lifecycle.decision.called

    @property
    def numbers(self) -> frozenset[str]:
        """Return the nominated extensions that are on the call now."""
        recording = self.recording
        if recording.pause_reasons.is_away:
            return frozenset()
        both = (recording.nomination.extension, recording.nomination.second)
        return frozenset(extension.number for extension in both if extension is not None)

    @property
    def officer_extension(self) -> str:
        """Return the extension of the nomination."""
        return self.recording.nomination.extension.number

    @property
    def ends(self) -> None:
        """Return None: `SessionLinks` finds sessions of one conversation by their names."""
        return None

    @property
    def is_held(self) -> bool:
        """Tell whether the SRC has every line on hold."""
        return self.lines.is_held

    # --- output

    def tell_officer(self, sound: Prompt, side: Side | None = None) -> None:
        """Do nothing: nothing can be played in a recording session. The console shows the state."""

    @property
    def proof(self) -> NoticeProof:
        """Return the attestation that the notice is played."""
        return proof_of(self._peer)

    @property
    def is_listed(self) -> bool:
        """Tell whether the session is in the list of live calls: not if nobody in it is nominated."""
        return self.recording.blocked is None or self.lifecycle.decision.nomination is not None

    def publish(self) -> None:
        """Publish the session's state, if it is listed and anybody watches."""
        if self.is_listed and self.services.is_watched():
            self.services.publish({"event": "call", **self.listing.as_json()})

    # --- storage

    def complete_row(self, row: RecordingRow) -> RecordingRow:
        """Return the row with the participants, remarks and further numbers."""
        metadata, extensions = self._metadata, self.services.config.extensions
        labels = metadata.labels(self.lines.labels)
        everyone = metadata.everyone.values() if self.is_listed else ()
        operators = self.recording.operators
        return replace(
            row,
            participants=participants_of(everyone, metadata.merged, self.lifecycle.decision, labels, extensions),
            numbers=further_numbers(everyone),
            remarks=tuple(sorted({*self.lifecycle.remarks, *row.remarks})),
            operators=tuple(filter(None, operators.names)),
            extensions=tuple(filter(None, operators.extensions)),
        )

    def store_elsewhere(self, state: PauseState, reasons: list[str]) -> "list[Future[None]]":
        """Store the pause state in the session register too; a session that is away clears nothing of its twins'.

        A final state is applied to the sessions of its groups as well, after the act: each twin is still to get it from
        the act, with an erasure of its own.
        """
        metadata, is_away = self._metadata, self.recording.pause_reasons.is_away
        register = self.services.sessions
        if self.recording.pause_reasons.final in (Final.OPTED_OUT, Final.DISCARDED):
            self.services.scheduler.submit(self.recording.with_call(lambda: self._links.end_mates(self.controls)))
        return [register.put(metadata.sessions, metadata.groups, state=state, reasons=reasons, is_added=is_away)]

    @property
    def media_legs(self) -> tuple[MediaLegId, ...]:
        """Return the media legs of all lines."""
        return self.lines.legs

    def close(self, end: str) -> None:
        """Close the lines, then the recording."""
        sides = self.lifecycle.decision.sides
        codecs = (self.lines.codec_name(sides.left), self.lines.codec_name(sides.right))
        was_cut_off = end == LOST
        silent_s = silence_of(self.services.relay, self.media_legs) if was_cut_off else 0.0
        self.lines.close()
        recording = self.recording
        facts = Facts(
            end=end,
            was_joined=self.progress.was_joined or recording.blocked is not None,
            blocked=recording.blocked,
            fault=recording.fault,
            is_cut_off=was_cut_off,
        )
        close = partial(recording.close, facts, codecs, self.clock.now, silent_s=silent_s)
        self.controls.discard.when_decided(recording.with_call(close))
