"""Recording metadata (RFC 7865): who takes part in a recorded session, and which stream is whose. Pure.

Clients write it in the namespaces of every draft (``recording``, ``recording:1``) and in none, with their own elements
in between, ids as attributes or as elements. So an element counts when it is in the root's namespace, or in one that
names recording, or in one that was never declared; foreign elements are passed over. `parse` gives one document,
`Metadata.merged` brings a later one into what is known.

A call must not be lost over a wrong tag: a document that is not well-formed is read as far as it can be
(`sip.rs_xml_repair`), and an element with an unknown name counts by what is in it. `Metadata.is_repaired` says so.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

from sip import rs_xml, rs_xml_repair
from sip.message import one_line, user_part
from sip.rs_xml import Node, NotWellFormedError, XmlError, plain

MAX_OBJECTS = 256
"""Participants, streams or sessions that are kept of one recording session; the oldest go first."""
_MAX_TEXT = 256
_NUMBER_AS_HOST = re.compile(r"sips?:(\+?[0-9*#-]+)(?:[:;].*)?", re.IGNORECASE)


class MetadataError(ValueError):
    """The bytes are no metadata that can be used; a sentence. They are kept as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """Somebody in a recorded session (RFC 7865 section 6.5).

    Attributes:
        id: As the client names them; unique in its recording session.
        aors: Addresses of record, such as ``sip:2001@pbx`` or ``tel:+441632960001``, as they came.
        name: Display name, or "".
        joined_at: When they were associated with the session, if that was said.
        left_at: When they were disassociated, if they were.
    """

    id: str
    aors: tuple[str, ...] = ()
    name: str = ""
    joined_at: datetime | None = None
    left_at: datetime | None = None

    @property
    def users(self) -> tuple[str, ...]:
        """Return the user parts of the addresses: numbers or extensions; those that have none are left out."""
        return tuple(user for aor in self.aors if (user := user_of(aor)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A media stream of a recorded session (RFC 7865 section 6.6); ``label`` is a=label of its m-line."""

    id: str
    label: str = ""
    session: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A communication session that is recorded (RFC 7865 section 6.3).

    Attributes:
        id: As the client names it.
        sip_ids: Its SIP session ids (RFC 7989), without the remote half.
        group: Id of the group it belongs to, or "".
        stopped_at: When it ended, if that was said.
    """

    id: str
    sip_ids: tuple[str, ...] = ()
    group: str = ""
    stopped_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What is known of a recording session.

    Attributes:
        is_partial: The document says that it holds only what has changed (``dataMode`` partial).
        sessions: By id.
        participants: By id, in the order in which they were first named.
        streams: By id.
        sends: Ids of the streams that a participant contributes, by the participant's id.
        groups: Ids of groups.
        callers: Ids of participants of whom a client's own elements say that they called; the RFC has no word for it.
        is_repaired: The document was damaged or misspelled: something in it may have been missed.
    """

    is_partial: bool = False
    sessions: Mapping[str, Session] = field(default_factory=dict)
    participants: Mapping[str, Participant] = field(default_factory=dict)
    streams: Mapping[str, Stream] = field(default_factory=dict)
    sends: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    callers: frozenset[str] = frozenset()
    is_repaired: bool = False

    @property
    def present(self) -> tuple[Participant, ...]:
        """Return the participants who have not left, in order."""
        return tuple(one for one in self.participants.values() if one.left_at is None)

    def senders(self, label: str) -> tuple[Participant, ...]:
        """Return the present participants whose voice is on the m-line of a label: several of a mixed one."""
        streams = {stream.id for stream in self.streams.values() if label and stream.label == label}
        return tuple(one for one in self.present if streams.intersection(self.sends.get(one.id, ())))

    @property
    def session_ids(self) -> tuple[str, ...]:
        """Return what names the sessions: their ids and their SIP session ids."""
        found = [key for one in self.sessions.values() for key in (one.id, *one.sip_ids)]
        return tuple(dict.fromkeys(filter(None, found)))

    @property
    def group_ids(self) -> tuple[str, ...]:
        """Return the ids of the groups that the sessions belong to."""
        return tuple(dict.fromkeys(filter(None, (*self.groups, *(one.group for one in self.sessions.values())))))

    def merged(self, later: "Metadata") -> "Metadata":
        """Return what is known after a later document: a complete one replaces, a partial one changes and adds.

        In a partial one, what an object does not say again stays as it was (RFC 7865 section 6.1); a stream that
        another participant now sends is no longer the earlier one's. A document that was repaired counts as partial,
        whatever it says of itself: it may add participants, never remove one or take an address from one.
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
            sessions=_bounded(_with(self.sessions, later.sessions, _session_after)),
            participants=_bounded(people),
            streams=_bounded(_with(self.streams, later.streams, _stream_after)),
            sends=_bounded({**sends, **later.sends}),
            groups=tuple(dict.fromkeys((*self.groups, *later.groups)))[:MAX_OBJECTS],
            callers=later.callers or self.callers,
        )


def parse(content: bytes) -> Metadata:
    """Read one document; one that is damaged counts when an address of somebody can be read in it.

    Raises:
        MetadataError: It is beyond a limit, or has nothing of RFC 7865 in it that can be read.
    """
    try:
        found = _Reading(rs_xml.parse(content)).metadata()
    except NotWellFormedError as error:
        found = _repaired(content, str(error))
    except XmlError as error:
        raise MetadataError(str(error)) from error
    if found.is_repaired and not any(one.users for one in found.participants.values()):
        raise MetadataError("the root is no recording, or nobody's address can be read")
    return found


def _repaired(content: bytes, fault: str) -> Metadata:
    try:
        return _Reading(rs_xml_repair.repair(content), is_damaged=True).metadata()
    except XmlError as error:
        raise MetadataError(f"{fault}; {error}") from error


def user_of(aor: str) -> str:
    """Return the user of an address of record: a number where the whole of it is one, "" where it names nobody.

    Beside SIP and tel URIs some clients write the bare number, ``user@host``, or a number in the place of the host.
    """
    text = aor.strip()
    if (number := _NUMBER_AS_HOST.fullmatch(text.strip("<>"))) is not None:
        return number.group(1)[:_MAX_TEXT]
    if "@" not in text and ":" not in text:
        return text.strip("<>")[:_MAX_TEXT]
    if ":" not in text.split("@", 1)[0]:
        text = f"sip:{text}"
    return user_part(text)[:_MAX_TEXT]


class _Reading:
    """Reads one tree."""

    def __init__(self, root: Node, *, is_damaged: bool = False) -> None:
        self._root = root
        self._is_damaged = is_damaged
        self._home = root.namespace
        nodes = _below(root) if is_damaged else root.children  # where end tags are missing, things are too deep
        self._objects = [node for node in nodes if self._is_ours(node)][:_MAX_NODES]
        self._kinds = [_kind(node) for node in self._objects]
        self._is_repaired = is_damaged or "recording" not in plain(root.name) or self._has_misspelled()
        self._mode = next((one.text.lower() for one in self._all("datamode", "mode")), "")

    def _is_ours(self, node: Node) -> bool:
        space = node.namespace
        return space is None or space == self._home or "recording" in space.lower()

    def _has_misspelled(self) -> bool:
        return any(kind != plain(node.name) for kind, node in zip(self._kinds, self._objects, strict=True))

    def _all(self, *names: str) -> list[Node]:
        return [node for kind, node in zip(self._kinds, self._objects, strict=True) if kind in names]

    def metadata(self) -> Metadata:
        """Return what the document says; one without participants or without streams cannot replace another."""
        people = map(_participant, self._all("participant"))
        participants = self._associated({one.id: one for one in people if one.id})
        if self._is_damaged:  # an association that they have not left may have been lost
            participants = {key: replace(one, left_at=None) for key, one in participants.items()}
        streams = {one.id: one for one in map(_stream, self._all("stream", "mediastream")) if one.id}
        sessions = {one.id: one for one in map(_session, self._all("session", "communicationsession")) if one.id}
        groups = (_id(node, "group") for node in self._all("group", "communicationsessiongroup"))
        return Metadata(
            is_partial=self._mode == "partial" or not (participants and streams),
            sessions=_bounded(sessions),
            participants=_bounded(participants),
            streams=_bounded(streams),
            sends=_bounded(self._sends()),
            groups=tuple(filter(None, groups))[:MAX_OBJECTS],
            callers=self._callers(participants),
            is_repaired=self._is_repaired or any(map(_has_strange_name_id, self._all("participant"))),
        )

    def _callers(self, participants: Mapping[str, Participant]) -> frozenset[str]:
        """Return who is said to have called: by a mark in the participant, or by their number somewhere else."""
        marked = {_id(node, "participant") for node in self._all("participant") if _is_calling(node)}
        said = {_digits(one.text) for node in self._root.within("callingpartynumber") if (one := node).text}
        by_number = {one.id for one in participants.values() if said.intersection(map(_digits, one.aors)) - {""}}
        return frozenset((marked - {""}) or by_number)

    def _associated(self, participants: dict[str, Participant]) -> dict[str, Participant]:
        """Add when participants came and went: somebody has left who has left every session."""
        times: dict[str, list[tuple[datetime | None, datetime | None]]] = {}
        for node in self._all("participantsessionassoc"):
            key = _id(node, "participant")
            if key:
                times.setdefault(key, []).append((_time(node, "associatetime"), _time(node, "disassociatetime")))
        found = dict(participants)
        for key, spans in times.items():
            joined = [start for start, _ in spans if start is not None]
            left = [end for _, end in spans if end is not None]
            found[key] = replace(
                found.get(key) or Participant(id=key),
                joined_at=min(joined) if joined else None,
                left_at=max(left) if len(left) == len(spans) else None,
            )
        return found

    def _sends(self) -> dict[str, tuple[str, ...]]:
        """Return which streams participants contribute; older drafts say so in the participant itself."""
        sends: dict[str, tuple[str, ...]] = {}
        for node in self._all("participant", "participantstreamassoc"):
            key, streams = _id(node, "participant"), tuple(filter(None, map(_sent, node.named("send"))))
            if key and (streams or plain(node.name) != "participant"):
                sends[key] = tuple(dict.fromkeys((*sends.get(key, ()), *streams)))
        return sends


_MAX_NODES = 1000
_KNOWN = frozenset({
    "datamode", "mode", "group", "communicationsessiongroup", "session", "communicationsession", "participant",
    "stream", "mediastream", "sessionrecordingassoc", "participantsessionassoc", "participantstreamassoc",
    "starttime", "endtime", "extensiondata", "requestsnapshot", "reason",
})  # fmt: skip
"""What stands below the root, in one draft or another."""


def _below(node: Node) -> Iterator[Node]:
    for child in node.children:
        yield child
        yield from _below(child)


def _kind(node: Node) -> str:
    """Return what an element is: by its name, or by what is in it where nobody knows that name."""
    name, has = plain(node.name), node.attributes
    if name in _KNOWN:
        return name
    if "participantid" in has and node.named("send", "recv"):
        return "participantstreamassoc"
    if "participantid" in has and (node.named("nameid") or _name_ids(node)):
        return "participant"
    if "streamid" in has and node.named("label"):
        return "stream"
    return name


def _name_ids(node: Node) -> list[Node]:
    """Return the children of a participant that have an address, whatever they are called."""
    own = [child for child in node.children if child.namespace == node.namespace]
    return [child for child in own if "aor" in child.attributes or child.named("aor")]


def _has_strange_name_id(node: Node) -> bool:
    return any(plain(child.name) != "nameid" for child in _name_ids(node))


def _id(node: Node, what: str) -> str:
    """Return an id: ``what_id`` as attribute or element, or the ``id`` of older drafts."""
    for key in (f"{what}id", "id", f"{what}ref", what):
        if value := node.attributes.get(key):
            return value[:_MAX_TEXT]
    return next((child.text for child in node.named(f"{what}id", f"{what}ref", "id", what)), "")[:_MAX_TEXT]


def _sent(node: Node) -> str:
    """Return the id of a stream in ``send``: its text, or that of an ``id`` in it."""
    return (node.text or next((child.text for child in node.named("id", "streamid")), ""))[:_MAX_TEXT]


def _is_calling(node: Node) -> bool:
    return any(one.text.lower() == "true" for one in node.within("callingparty"))


def _digits(address: str) -> str:
    """Return the digits of a number in an address, for comparing how it is spelled in two places."""
    return re.sub(r"\D", "", user_of(address))


def _participant(node: Node) -> Participant:
    aors: list[str] = []
    names: list[str] = []
    for name_id in (*node.named("nameid"), *(one for one in _name_ids(node) if plain(one.name) != "nameid"), node):
        aors += [name_id.attributes.get("aor", ""), *(one.text for one in name_id.named("aor", "uri"))]
        # A tag that is nearly "name" is one: what a client misspells there is still somebody's name.
        spelled = name_id.named("name", "displayname")
        others = [one for one in name_id.children if plain(one.name).startswith("na") and one not in spelled]
        names += [one.text for one in (*spelled, *(others if name_id is not node else ()))]
    known = tuple(dict.fromkeys(aor[:_MAX_TEXT] for aor in aors if aor))
    return Participant(
        id=_id(node, "participant"),
        aors=known[:_MAX_AORS],
        name=_first(names),
        joined_at=_time(node, "associatetime"),
        left_at=_time(node, "disassociatetime"),
    )


_MAX_AORS = 8


def _first(texts: Iterable[str]) -> str:
    return one_line(next(filter(None, texts), ""))[:_MAX_TEXT]


def _stream(node: Node) -> Stream:
    label = node.attributes.get("label") or _first(one.text for one in node.named("label"))
    return Stream(id=_id(node, "stream"), label=label, session=node.attributes.get("sessionid", "")[:_MAX_TEXT])


def _session(node: Node) -> Session:
    sip_ids = (one.text.split(";", 1)[0].strip()[:_MAX_TEXT] for one in node.named("sipsessionid"))
    return Session(
        id=_id(node, "session"),
        sip_ids=tuple(dict.fromkeys(filter(None, sip_ids)))[:_MAX_AORS],
        group=_id_of_group(node),
        stopped_at=_time(node, "stoptime", "endtime"),
    )


def _id_of_group(node: Node) -> str:
    attributes = (node.attributes.get(key, "") for key in ("groupref", "group", "groupid"))
    return _first([one.text for one in node.named("groupref", "groupid", "group")] + list(attributes))


def _time(node: Node, *names: str) -> datetime | None:
    """Return a moment, in UTC where no zone is given; None for one that cannot be read."""
    for one in node.named(*names):
        try:
            moment = datetime.fromisoformat(one.text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    return None


def _participant_after(old: Participant, new: Participant) -> Participant:
    is_timed = new.joined_at is not None or new.left_at is not None
    return Participant(
        id=old.id,
        aors=new.aors or old.aors,
        name=new.name or old.name,
        joined_at=new.joined_at or old.joined_at,
        left_at=new.left_at if is_timed else old.left_at,
    )


def _participant_after_repaired(old: Participant, new: Participant) -> Participant:
    """Return the same after a document that was damaged: an address in it may be wrong, so the earlier ones stay."""
    aors = tuple(dict.fromkeys((*old.aors, *new.aors)))[:_MAX_AORS]
    return replace(_participant_after(old, new), aors=aors)


def _stream_after(old: Stream, new: Stream) -> Stream:
    return Stream(id=old.id, label=new.label or old.label, session=new.session or old.session)


def _session_after(old: Session, new: Session) -> Session:
    return Session(
        id=old.id,
        sip_ids=tuple(dict.fromkeys((*old.sip_ids, *new.sip_ids)))[:_MAX_AORS],
        group=new.group or old.group,
        stopped_at=new.stopped_at or old.stopped_at,
    )


_Thing = TypeVar("_Thing")


def _with(
    old: Mapping[str, _Thing], new: Mapping[str, _Thing], after: Callable[[_Thing, _Thing], _Thing]
) -> dict[str, _Thing]:
    changed = {key: after(old[key], one) if key in old else one for key, one in new.items()}
    return {**old, **changed}


def _bounded(things: Mapping[str, _Thing]) -> dict[str, _Thing]:
    """Return the last objects that are not too many: a client that adds for ever must not grow us."""
    return dict(list(things.items())[-MAX_OBJECTS:])
