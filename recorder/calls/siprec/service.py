"""Accepts or refuses INVITEs that begin a recording session. Call thread only."""

import logging
import secrets

from audio.types import PortsExhaustedError
from recorder.calls.call_services import CallServices
from recorder.calls.group_acts import GroupActs
from recorder.calls.media_errors import MediaError
from recorder.calls.registry import CallRegistry
from recorder.calls.siprec.links import SessionLinks
from recorder.calls.siprec.recording_session import RecordingSession
from recorder.calls.siprec.session_metadata import is_recording_session
from recorder.rules.routing import Peer, find_peer
from sip.events import CallOffered

_log = logging.getLogger(__name__)


class SiprecService:
    """Makes recording sessions, and refuses those of peers that are not configured for it."""

    def __init__(self, services: CallServices) -> None:
        self._services = services
        self._links = SessionLinks()

    def is_ours(self, event: CallOffered) -> bool:
        """Tell whether an INVITE begins a recording session, permitted or not."""
        peer = self._peer(event)
        return "siprec" in event.required or (peer is not None and peer.siprec and is_recording_session(event))

    def _peer(self, event: CallOffered) -> Peer | None:
        return find_peer(self._services.config.peer, event.source.host)

    def refuse_undeclared(self, event: CallOffered) -> bool:
        """Refuse a session of a peer without ``siprec = true``; return whether it was refused."""
        peer = self._peer(event)
        if peer is not None and peer.siprec:
            return False
        name = peer.name if peer is not None else event.source.host
        _log.warning("A recording session from %s is refused: set siprec = true in its [[peer]] to allow it", name)
        self._services.alarm("siprec_undeclared")
        self._services.endpoint.refuse(event.leg, 420, "", headers=(("Unsupported", "siprec"),))
        return True

    def make(
        self,
        event: CallOffered,
        *,
        thread: int,
        registry: CallRegistry,
        groups: GroupActs,
    ) -> RecordingSession:
        """Return the session of an INVITE that is not answered yet."""
        peer = self._peer(event)
        assert peer is not None
        return RecordingSession(
            self._services,
            event,
            peer,
            self._links,
            random_hex=secrets.token_hex(3),
            thread=thread,
            registry=registry,
            groups=groups,
        )

    def begin(self, call: RecordingSession) -> bool:
        """Answer a session's INVITE, or refuse it and file a row; return whether it was answered."""
        try:
            call.begin()
        except MediaError as error:
            _log.info("recording session %s: refused with 488: %s", call.recorded.id, error)
            call.refuse(488, "codec_refused")
        except PortsExhaustedError as error:
            _log.warning("recording session %s: refused with 503: %s", call.recorded.id, error)
            self._services.alarm("ports_exhausted")
            call.refuse(503, "ports_exhausted")
        else:
            return True
        return False
