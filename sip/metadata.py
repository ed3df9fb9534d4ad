"""Recording metadata (RFC 7865): the participants of a recorded session and their streams. Pure.

`sip.metadata_parser` parses a document; `Metadata.merged` applies a later one.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from sip.message import user_part

MAX_OBJECTS = 256
"""Most participants, streams or sessions stored of one recording session; the oldest are dropped first."""
MAX_TEXT = 256
"""Most characters stored of an id, a name or an address."""
MAX_AORS = 8
"""Most addresses stored of one participant."""
_NUMBER_AS_HOST = re.compile(r"sips?:(\+?[0-9*#-]+)(?:[:;].*)?", re.IGNORECASE)


class MetadataError(ValueError):
    """The bytes are not usable metadata; the message is a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionParticipant:
    """A participant of a recorded session (RFC 7865 section 6.5).

    Attributes:
        id: As the client names them; unique in the recording session.
        aors: Addresses of record, unchanged, such as ``sip:2001@pbx`` or ``tel:+441632960001``.
        name: Display name, or "".
        joined_at: When they were associated with the session, if the client says so.
        left_at: When they were disassociated, or None.
    """

    id: str
    aors: tuple[str, ...] = ()
    name: str = ""
    joined_at: datetime | None = None
    left_at: datetime | None = None

    @property
    def users(self) -> tuple[str, ...]:
        """Return the user parts of the addresses (numbers or extensions); addresses without a user are left out."""
        return tuple(user for aor in self.aors if (user := user_of(aor)))


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataStream:
    """A media stream of a recorded session (RFC 7865 section 6.6); ``label`` is the a=label of its m-line."""

    id: str
    label: str = ""
    session: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommunicationSession:
    """A communication session that is recorded (RFC 7865 section 6.3).

    Attributes:
        id: As the client names it.
        sip_ids: Its SIP session ids (RFC 7989), without the remote half.
        group: Id of the group it belongs to, or "".
        stopped_at: When it ended, if the client says so.
    """

    id: str
    sip_ids: tuple[str, ...] = ()
    group: str = ""
    stopped_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The metadata of a recording session, from one or more documents.

    Attributes:
        is_partial: The document holds only changes (``dataMode`` partial).
        sessions: By id.
        participants: By id, in the order in which they were first named.
        streams: By id.
        sends: Ids of the streams that a participant sends, by the participant's id.
        groups: Ids of groups.
        callers: Ids of the participants who called, by a client's own elements; the RFC has none for it.
        is_repaired: The document was damaged or misspelled, so that something may be missing.
    """

    is_partial: bool = False
    sessions: Mapping[str, CommunicationSession] = field(default_factory=dict)
    participants: Mapping[str, SessionParticipant] = field(default_factory=dict)
    streams: Mapping[str, MetadataStream] = field(default_factory=dict)
    sends: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    callers: frozenset[str] = frozenset()
    is_repaired: bool = False

    @property
    def present(self) -> tuple[SessionParticipant, ...]:
        """Return the participants who have not left, in order."""
        return tuple(one for one in self.participants.values() if one.left_at is None)

    def senders(self, label: str) -> tuple[SessionParticipant, ...]:
        """Return the present participants whose voice is on the m-line of a label: several if it is mixed."""
        streams = {stream.id for stream in self.streams.values() if label and stream.label == label}
        return tuple(one for one in self.present if streams.intersection(self.sends.get(one.id, ())))

    @property
    def session_ids(self) -> tuple[str, ...]:
        """Return the ids and SIP session ids of the sessions."""
        found = [key for one in self.sessions.values() for key in (one.id, *one.sip_ids)]
        return tuple(dict.fromkeys(filter(None, found)))

    @property
    def group_ids(self) -> tuple[str, ...]:
        """Return the ids of the groups that the sessions belong to."""
        return tuple(dict.fromkeys(filter(None, (*self.groups, *(one.group for one in self.sessions.values())))))

    def merged(self, later: "Metadata") -> "Metadata":
        """Return the metadata after a later document: a complete one replaces, a partial one changes and adds.

        A partial document leaves the fields that it does not repeat unchanged (RFC 7865 section 6.1); a stream that
        another participant sends now is no longer the earlier one's. A repaired document counts as partial even if it
        says that it is complete. It may add participants, but not remove one, nor an address of one.
        """
        if not (later.is_partial or later.is_repaired):
            return later
        sends = {key: value for key, value in self.sends.items() if key not in later.sends}
        taken = {stream for streams in later.sends.values() for stream in streams}
        sends = {key: tuple(one for one in value if one not in taken) for key, value in sends.items()}
        people = _with(self.participants, later.participants, _participant_after)
        if later.is_repaired:
            people = _with(self.participants, later.participants, _participant_after_repaired)
            people = dict(list(people.items())[:MAX_OBJECTS])
        return Metadata(
            sessions=bounded(_with(self.sessions, later.sessions, _session_after)),
            participants=bounded(people),
            streams=bounded(_with(self.streams, later.streams, _stream_after)),
            sends=bounded({**sends, **later.sends}),
            groups=tuple(dict.fromkeys((*self.groups, *later.groups)))[:MAX_OBJECTS],
            callers=later.callers or self.callers,
        )


def user_of(aor: str) -> str:
    """Return the user of an address of record, or "".

    Besides SIP and tel URIs some clients write the bare number, ``user@host``, or the number in the place of the host.
    """
    text = aor.strip()
    if (number := _NUMBER_AS_HOST.fullmatch(text.strip("<>"))) is not None:
        return number.group(1)[:MAX_TEXT]
    if "@" not in text and ":" not in text:
        return text.strip("<>")[:MAX_TEXT]
    if ":" not in text.split("@", 1)[0]:
        text = f"sip:{text}"
    return user_part(text)[:MAX_TEXT]


def _participant_after(old: SessionParticipant, new: SessionParticipant) -> SessionParticipant:
    is_timed = new.joined_at is not None or new.left_at is not None
    return SessionParticipant(
        id=old.id,
        aors=new.aors or old.aors,
        name=new.name or old.name,
        joined_at=new.joined_at or old.joined_at,
        left_at=new.left_at if is_timed else old.left_at,
    )


def _participant_after_repaired(old: SessionParticipant, new: SessionParticipant) -> SessionParticipant:
    """Merge a participant of a damaged document: its addresses may be wrong, so the earlier ones are kept too."""
    aors = tuple(dict.fromkeys((*old.aors, *new.aors)))[:MAX_AORS]
    return replace(_participant_after(old, new), aors=aors)


def _stream_after(old: MetadataStream, new: MetadataStream) -> MetadataStream:
    return MetadataStream(id=old.id, label=new.label or old.label, session=new.session or old.session)


def _session_after(old: CommunicationSession, new: CommunicationSession) -> CommunicationSession:
    return CommunicationSession(
        id=old.id,
        sip_ids=tuple(dict.fromkeys((*old.sip_ids, *new.sip_ids)))[:MAX_AORS],
        group=new.group or old.group,
        stopped_at=new.stopped_at or old.stopped_at,
    )


_Thing = TypeVar("_Thing")


def _with(
    old: Mapping[str, _Thing], new: Mapping[str, _Thing], after: Callable[[_Thing, _Thing], _Thing]
) -> dict[str, _Thing]:
    changed = {key: after(old[key], one) if key in old else one for key, one in new.items()}
    return {**old, **changed}


def bounded(things: Mapping[str, _Thing]) -> dict[str, _Thing]:
    """Return the last `MAX_OBJECTS` objects, so that a client cannot fill the memory."""
    return dict(list(things.items())[-MAX_OBJECTS:])
