"""A recording session (SIPREC, RFC 7866): a session recording client (SRC) sends copies of a call's media.

`recorder.calls.rules.siprec` decides what is recorded. The recorder never sends a re-INVITE that changes the session,
because many SRCs end the session then. Call thread only.
"""

import logging

from audio.types import PortsExhaustedError
from recorder.calls.call_clock import CallClock
from recorder.calls.call_services import CallServices
from recorder.calls.group_acts import GroupActs
from recorder.calls.hold_rule import HoldRule
from recorder.calls.legs import Legs
from recorder.calls.media_errors import MediaError
from recorder.calls.refusals import refusal_headers
from recorder.calls.registry import CallRegistry
from recorder.calls.rules.call_events import CallState
from recorder.calls.rules.siprec import Stage
from recorder.calls.sip_call import SipCall
from recorder.calls.siprec.copied_recording import CopiedRecording
from recorder.calls.siprec.links import SessionLinks
from recorder.calls.siprec.session_metadata import SessionMetadata, parts_of
from recorder.rules.availability import UnavailableReason
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

_log = logging.getLogger(__name__)

PROBE_AFTER = 5
"""Interval at which a silent session is probed, in multiples of ``[media] dead_rtp_s``."""


class RecordingSession(SipCall):
    """One recording session.

    Args:
        random_hex: Makes the id unique.
        thread: Index of the media thread that has the session.
    """

    recorded: CopiedRecording

    def __init__(
        self,
        services: CallServices,
        offered: CallOffered,
        peer: Peer,
        links: SessionLinks,
        *,
        random_hex: str,
        thread: int,
        registry: CallRegistry,
        groups: GroupActs,
    ) -> None:
        self.clock = CallClock()
        self.services = services
        self.offered = offered
        self.legs = Legs(a=offered.leg)
        self._links = links
        self._registry = registry
        self._leg = offered.leg
        self._parts = parts_of(offered.body)
        self._metadata = SessionMetadata(offered)
        self.recorded = CopiedRecording(
            self,
            offered,
            peer,
            metadata=self._metadata,
            document=self._parts.metadata,
            links=links,
            random_hex=random_hex,
            thread=thread,
            registry=registry,
            groups=groups,
        )
        self._lifecycle, self._lines = self.recorded.lifecycle, self.recorded.lines
        self._hold_rule = HoldRule(self.recorded.controls)
        self._awaits_answer = False
        """The recorder made the offer, because the INVITE had none, and has no answer yet."""

    # --- SIP events

    def begin(self) -> None:
        """Answer the INVITE.

        Raises:
            MediaError: Nothing in the offer can be recorded (488).
            PortsExhaustedError: No ports are left (503).
        """
        if self.offered.body is None:
            self._awaits_answer = True
            self._lines.offer()
        elif self._parts.sdp is None:
            raise MediaError("the INVITE has no session description")
        else:
            self._lines.take(Body(content=self._parts.sdp))
            self._update()  # records before the client knows where to send: nothing that it sends comes too early
        self.services.endpoint.answer(self._leg, self._description(), is_recorder=True)
        self._probe_later()

    def receive(self, event: SipEvent, leg: LegId) -> None:
        """Handle an event of the session's leg."""
        if self._lifecycle.stage is Stage.ENDED:
            return
        match event:
            case LegEnded():
                self._end("session_ended" if event.cause == "bye" else f"session_{event.cause}")
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
        """Handle a re-INVITE or UPDATE with lines, metadata or both; answer an empty one with an offer of the lines."""
        endpoint = self.services.endpoint
        if body is None:
            endpoint.answer_offer(self._leg, self._description(is_offer=True))
            return
        parts = parts_of(body)
        self._lifecycle.learn(parts.metadata)
        if parts.sdp is not None:
            try:
                self._lines.take(Body(content=parts.sdp))
            except (MediaError, PortsExhaustedError) as error:
                _log.info("recording session %s: re-offer refused: %s", self.recorded.id, error)
                endpoint.refuse_offer(self._leg, 488 if isinstance(error, MediaError) else 503)
                self._update()
                return
        self._update()
        endpoint.answer_offer(self._leg, self._description() if parts.sdp is not None else None)

    def _answered(self, body: Body | None) -> None:
        """Handle the answer to the recorder's offer, or to the lines that an empty re-INVITE was answered with."""
        parts = parts_of(body)
        self._lifecycle.learn(parts.metadata)
        try:
            self._take_answer(parts.sdp)
        except (MediaError, PortsExhaustedError) as error:
            _log.info("recording session %s: the answer cannot be used: %s", self.recorded.id, error)
            if self._awaits_answer:
                self.stop("no_media")
                return
        self._awaits_answer = False
        self._update()

    def _take_answer(self, content: bytes | None) -> None:
        if self._awaits_answer:
            self._lines.take_answer(Body(content=content or b""))
        elif content is not None:
            self._lines.take(Body(content=content))

    def _info(self, body: Body) -> None:
        """Handle an INFO with metadata or a digit; a digit is taken as the caller's, as it does not name a party."""
        if is_metadata_type(body.content_type) or body.content_type.lower().startswith("multipart/"):
            self._lifecycle.learn(parts_of(body).metadata)
            if not self._awaits_answer:  # before it there is no line to record; it is followed by an update
                self._update()
        else:
            self.recorded.keypad.info(self.recorded.progress.outside, body)

    def _description(self, *, is_offer: bool = False) -> Body:
        """Return the lines, and the state of the recording if the client wants to know it."""
        record = self._lifecycle.record_state(is_hold_ending=self._hold_rule.is_ending)
        return self._lines.describe(record, is_offer=is_offer)

    def _update(self) -> None:
        """Start, change or stop recording by the current participants and lines."""
        self._lifecycle.update()
        self._links.add_names(self.recorded.controls, self._metadata.sessions, self._metadata.groups)
        self._lines.close_removed()
        self._hold_rule.apply()
        self.recorded.publish()

    # --- the end

    def stop(self, reason: str) -> None:
        """End the session for a reason of the recorder's own."""
        if self._lifecycle.stage is not Stage.ENDED:
            self.services.endpoint.hang_up(self._leg)
            self._end(reason)

    def refuse(self, status: int, end: str) -> None:
        """Refuse the INVITE, and file a row with the reason ``end``."""
        headers = refusal_headers(UnavailableReason.FULL) if status == 503 else ()
        self.services.endpoint.refuse(self._leg, status, "", headers=headers)
        self.recorded.recording.blocked = None
        self._end(end)

    def _end(self, end: str) -> None:
        progress = self.recorded.progress
        self._lifecycle.stage = Stage.ENDED
        progress.state, progress.end = CallState.ENDED, end
        self.finish(end)
        self._links.end(self.recorded.controls)
        self._registry.ended(self)

    def finish(self, end: str) -> None:
        """Close the lines and the recording after the last packets."""
        self.recorded.controls.end()
        self.recorded.close_after_last_packets(end)

    def _probe_later(self) -> None:
        self.services.scheduler.call_later(PROBE_AFTER * self.services.config.media.dead_rtp_s, self._probe)

    def _probe(self) -> None:
        """Send a request to the SRC if no media has arrived, because its BYE may have been lost."""
        if self._lifecycle.stage is Stage.ENDED:
            return
        if self._lines.was_silent():
            self.services.endpoint.probe(self._leg)
        self._probe_later()
