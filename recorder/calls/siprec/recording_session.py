"""A recording session (SIPREC, RFC 7866): a client copies a call to us, and we listen to its lines. Call thread only.

Which sessions are recorded, and which line is whose, is `recorder.calls.rules.siprec`'s. We never send a re-INVITE of
our own: many clients drop the session over one.
"""

import logging

from audio.types import PortsExhaustedError
from recorder.calls.call_clock import CallClock
from recorder.calls.call_services import CallServices
from recorder.calls.group_acts import GroupActs
from recorder.calls.hold_rule import HoldRule
from recorder.calls.legs import Legs
from recorder.calls.media_errors import MediaError
from recorder.calls.recording import CLOSING_S
from recorder.calls.registry import CallRegistry
from recorder.calls.rules.call_events import CallState
from recorder.calls.rules.siprec import Stage
from recorder.calls.sip_call import SipCall
from recorder.calls.siprec.copied_recording import CopiedRecording
from recorder.calls.siprec.links import SessionLinks
from recorder.calls.siprec.session_metadata import SessionMetadata, parts_of
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
"""A session in which nothing is heard is probed after so many times ``[media] dead_rtp_s``."""


class RecordingSession(SipCall):
    """One recording session.

    Args:
        services: The daemon's parts.
        offered: The INVITE.
        peer: The client.
        links: Knows which sessions are of one call.
        random_hex: Makes its id unlike any other.
        thread: The media thread that it lives on.
        registry: Gets its legs.
        groups: Acts on more than one recording.
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
        self._names = SessionMetadata(offered)
        self.recorded = CopiedRecording(
            self,
            offered,
            peer,
            names=self._names,
            document=self._parts.metadata,
            links=links,
            random_hex=random_hex,
            thread=thread,
            registry=registry,
            groups=groups,
        )
        self._lifecycle, self._lines = self.recorded.lifecycle, self.recorded.lines
        self._hold_rule = HoldRule(self.recorded.controls)
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
        answer = self._lines.take(Body(content=self._parts.sdp), self._lifecycle.record_state)
        self.services.endpoint.answer(self._leg, answer, is_recorder=True)
        self._look()
        self._probe_later()

    def receive(self, event: SipEvent, leg: LegId) -> None:
        """Handle an event of the session's leg."""
        if self._lifecycle.stage is Stage.ENDED:
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
        self._lifecycle.learn(parts.metadata)
        if parts.sdp is None:
            endpoint.answer_offer(self._leg, None)
        else:
            try:
                answer = self._lines.take(Body(content=parts.sdp), self._lifecycle.record_state)
            except (MediaError, PortsExhaustedError) as error:
                _log.info("recording session %s: a re-offer is refused: %s", self.recorded.id, error)
                endpoint.refuse_offer(self._leg, 488 if isinstance(error, MediaError) else 503)
                self._look()
                return
            endpoint.answer_offer(self._leg, answer)
        self._look()

    def _answered(self, body: Body | None) -> None:
        """Take the answer to our offer, or to the lines that an empty re-INVITE got: what the client will send."""
        parts = parts_of(body)
        self._lifecycle.learn(parts.metadata)
        try:
            self._take_answer(parts.sdp)
        except (MediaError, PortsExhaustedError) as error:
            _log.info("recording session %s: an answer cannot be used: %s", self.recorded.id, error)
            if self._is_offer_ours:
                self.stop("no_media")
                return
        self._is_offer_ours = False
        self._look()

    def _take_answer(self, content: bytes | None) -> None:
        if self._is_offer_ours:
            self._lines.take_answer(Body(content=content or b""))
        elif content is not None:
            self._lines.take(Body(content=content), self._lifecycle.record_state)

    def _info(self, body: Body) -> None:
        """Take an INFO: metadata, or a digit. Whose it is nobody says, so it is taken for the caller's."""
        if is_metadata_type(body.content_type) or body.content_type.lower().startswith("multipart/"):
            self._lifecycle.learn(parts_of(body).metadata)
            self._look()
        else:
            self.recorded.keypad.info(self.recorded.progress.outside, body)

    def _look(self) -> None:
        """Do what follows from who takes part and from the lines as they are now."""
        self._lifecycle.look()
        self._links.name(self.recorded.controls, self._names.sessions, self._names.groups)
        self._lines.drop_idle()
        self._hold_rule.look()
        self.recorded.publish()

    # --- the end

    def stop(self, reason: str) -> None:
        """End the session from our side."""
        if self._lifecycle.stage is not Stage.ENDED:
            self.services.endpoint.hang_up(self._leg)
            self._over(reason)

    def refuse(self, status: int, end: str) -> None:
        """Refuse the INVITE, and file that nothing came of it."""
        headers = (("Retry-After", "5"),) if status == 503 else ()
        self.services.endpoint.refuse(self._leg, status, "", headers=headers)
        self.recorded.recording.blocked = None
        self._over(end)

    def _over(self, end: str) -> None:
        progress = self.recorded.progress
        self._lifecycle.stage = Stage.ENDED
        progress.state, progress.end = CallState.ENDED, end
        self.finish(end)
        self._links.end(self.recorded.controls)
        self._registry.ended(self)

    def finish(self, end: str) -> None:
        """Close the lines after their last packets, then the recording."""
        self.recorded.controls.end()
        self.services.scheduler.call_later(CLOSING_S, self.recorded.close, end)

    def _probe_later(self) -> None:
        self.services.scheduler.call_later(PROBE_AFTER * self.services.config.media.dead_rtp_s, self._probe)

    def _probe(self) -> None:
        """Ask the client whether it is still there, if nothing has come for long: a BYE may have been lost."""
        if self._lifecycle.stage is Stage.ENDED:
            return
        if self._lines.was_silent():
            self.services.endpoint.probe(self._leg)
        self._probe_later()
