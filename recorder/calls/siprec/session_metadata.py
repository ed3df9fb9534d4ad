"""What a recording session's body says: its parts, its metadata as they grow, and what it is called. Pure.

The metadata are kept twice: merged, for the rules, and each document as it came, for whoever opens the recording.
"""

import logging

from sip import built_in_bridge, siprec
from sip.events import Body, CallOffered
from sip.metadata import Metadata, MetadataError, SessionParticipant
from sip.metadata_parser import parse

_log = logging.getLogger(__name__)

MOST_DOCUMENTS = 200
"""Documents that are kept of one session; a client that sends more says nothing new."""


class SessionMetadata:
    """What is known of one session.

    Args:
        offered: Its INVITE.

    Attributes:
        metadata: What is known, or None while nothing is.
        is_unreadable: A document could not be read; it is kept as it came.
        is_repaired: A document was damaged, and was read as far as it could be; it is kept as it came.
        everyone: Everybody who ever took part, in the order in which they came, by the id that their client gave them.
    """

    def __init__(self, offered: CallOffered) -> None:
        bridge = built_in_bridge.read(offered.origin)
        self.metadata: Metadata | None = bridge.metadata if bridge is not None else None
        self._is_bridge = bridge is not None
        self.is_unreadable = self.is_repaired = False
        self.everyone: dict[str, SessionParticipant] = {}
        self._documents = 0
        self._last = b""
        self._dialog = tuple(filter(None, (offered.session_id, f"call-id:{offered.sip_call_id}")))
        self._remember()

    def take(self, document: bytes) -> bool:
        """Take a document; tells whether it is to be kept: it is new, and they are not too many."""
        try:
            later = parse(document)
        except MetadataError as error:
            _log.info("metadata that cannot be read: %s", error)
            self.is_unreadable = True
        else:
            self.is_repaired = self.is_repaired or later.is_repaired
            self.metadata = later if self.metadata is None else self.metadata.merged(later)
            self._remember()
        is_new = document != self._last and self._documents < MOST_DOCUMENTS
        self._last, self._documents = document, self._documents + is_new
        return is_new

    def _remember(self) -> None:
        if self.metadata is not None:
            self.everyone |= self.metadata.participants

    @property
    def sessions(self) -> tuple[str, ...]:
        """Return the names of the session: those of its metadata, and its SIP dialog's."""
        named = self.metadata.session_ids if self.metadata is not None else ()
        return (*named, *self._dialog)

    @property
    def groups(self) -> tuple[str, ...]:
        """Return the names of the groups that it belongs to."""
        return tuple(f"group:{one}" for one in self.metadata.group_ids) if self.metadata is not None else ()

    def labels(self, labels: tuple[str | None, ...]) -> tuple[str | None, ...]:
        """Return the lines' labels as the metadata name them: a built-in bridge's one line has none."""
        if not self._is_bridge:
            return labels
        return tuple(one if one is None else built_in_bridge.LABEL for one in labels)


def parts_of(body: Body | None) -> siprec.Parts:
    """Return the parts of a body, if there is one."""
    return siprec.Parts() if body is None else siprec.take_apart(body.content, body.content_type)


def is_recording_session(offered: CallOffered) -> bool:
    """Tell whether an INVITE begins a recording session: any of the ways in which clients say so will do."""
    if "siprec" in offered.required or offered.is_recording_client:
        return True
    if built_in_bridge.read(offered.origin) is not None:
        return True
    return offered.body is not None and not offered.body.is_sdp() and parts_of(offered.body).metadata is not None
