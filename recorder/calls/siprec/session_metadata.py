"""The metadata of a recording session, merged from its documents, and the session's names. Pure.

The rules use the merged metadata. `recorder.calls.siprec.lifecycle` also seals each document into the recording.
"""

import logging

from sip import built_in_bridge, siprec
from sip.events import Body, CallOffered
from sip.metadata import Metadata, MetadataError, SessionParticipant
from sip.metadata_parser import parse

_log = logging.getLogger(__name__)

MOST_DOCUMENTS = 200
"""Most documents of one session that are sealed into the recording."""


class SessionMetadata:
    """The metadata of one session.

    Attributes:
        merged: The merged metadata; None before any came.
        is_unreadable: Whether a document could not be read.
        is_repaired: Whether a damaged document was read in part.
        everyone: All participants that there ever were, in order, by the id that the client gave them.
    """

    def __init__(self, offered: CallOffered) -> None:
        bridge = built_in_bridge.read(offered.origin)
        self.merged: Metadata | None = bridge.metadata if bridge is not None else None
        self._is_bridge = bridge is not None
        self.is_unreadable = self.is_repaired = False
        self.everyone: dict[str, SessionParticipant] = {}
        self._documents = 0
        self._last = b""
        self._dialog = tuple(filter(None, (offered.session_id, f"call-id:{offered.sip_call_id}")))
        self._add_participants()

    def take(self, document: bytes) -> bool:
        """Merge a document; return whether to seal it: it differs from the last, and there are not too many."""
        try:
            later = parse(document)
        except MetadataError as error:
            _log.info("A recording session's metadata cannot be read: %s", error)
            self.is_unreadable = True
        else:
            self.is_repaired = self.is_repaired or later.is_repaired
            self.merged = later if self.merged is None else self.merged.merged(later)
            self._add_participants()
        is_new = document != self._last and self._documents < MOST_DOCUMENTS
        self._last, self._documents = document, self._documents + is_new
        return is_new

    def _add_participants(self) -> None:
        if self.merged is not None:
            self.everyone |= self.merged.participants

    @property
    def sessions(self) -> tuple[str, ...]:
        """Return the names of the session, from its metadata and its SIP dialog."""
        named = self.merged.session_ids if self.merged is not None else ()
        return (*named, *self._dialog)

    @property
    def groups(self) -> tuple[str, ...]:
        """Return the names of the session's groups."""
        return tuple(f"group:{group}" for group in self.merged.group_ids) if self.merged is not None else ()

    def labels(self, labels: tuple[str | None, ...]) -> tuple[str | None, ...]:
        """Return the lines' labels as in the metadata; the line of a built-in bridge, which has none, gets one."""
        if not self._is_bridge:
            return labels
        return tuple(label if label is None else built_in_bridge.LABEL for label in labels)


def parts_of(body: Body | None) -> siprec.Parts:
    """Return the body parts; empty if there is no body."""
    return siprec.Parts() if body is None else siprec.take_apart(body.content, body.content_type)


def is_recording_session(offered: CallOffered) -> bool:
    """Tell whether an INVITE begins a recording session, by any of the signs that SRCs use."""
    if "siprec" in offered.required or offered.is_recording_client:
        return True
    if built_in_bridge.read(offered.origin) is not None:
        return True
    return offered.body is not None and not offered.body.is_sdp() and parts_of(offered.body).metadata is not None
