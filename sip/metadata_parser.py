"""Parses recording metadata (RFC 7865) as clients write it. Pure.

Clients use the namespaces of every draft (``recording``, ``recording:1``) or none, add their own elements, and write
ids as attributes or as elements. So an element counts if it is in the root's namespace, in one that contains
"recording", or in one that was never declared; foreign elements are skipped.

A wrong tag must not lose a call. A document that is not well-formed is read as far as possible (`sip.rs_xml_repair`),
and an element with an unknown name is recognised by its content. `Metadata.is_repaired` tells of either.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from sip import rs_xml, rs_xml_repair
from sip.message import one_line
from sip.metadata import (
    MAX_AORS,
    MAX_OBJECTS,
    MAX_TEXT,
    CommunicationSession,
    Metadata,
    MetadataError,
    MetadataStream,
    SessionParticipant,
    bounded,
    user_of,
)
from sip.rs_xml import Node, NotWellFormedError, XmlError, plain


def parse(content: bytes) -> Metadata:
    """Parse one document; a damaged one is used if an address of a participant can be read in it.

    Raises:
        MetadataError: It exceeds a limit, or nothing of RFC 7865 can be read in it.
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


class _Reading:
    """Reads one tree."""

    def __init__(self, root: Node, *, is_damaged: bool = False) -> None:
        self._root = root
        self._is_damaged = is_damaged
        self._home = root.namespace
        nodes = _below(root) if is_damaged else root.children  # without end tags, elements are nested too deep
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
        """Return the metadata; a document without participants or without streams counts as partial."""
        people = map(_participant, self._all("participant"))
        participants = self._associated({one.id: one for one in people if one.id})
        if self._is_damaged:  # an association that has not ended may be missing
            participants = {key: replace(one, left_at=None) for key, one in participants.items()}
        streams = {one.id: one for one in map(_stream, self._all("stream", "mediastream")) if one.id}
        sessions = {one.id: one for one in map(_session, self._all("session", "communicationsession")) if one.id}
        groups = (_id(node, "group") for node in self._all("group", "communicationsessiongroup"))
        return Metadata(
            is_partial=self._mode == "partial" or not (participants and streams),
            sessions=bounded(sessions),
            participants=bounded(participants),
            streams=bounded(streams),
            sends=bounded(self._sends()),
            groups=tuple(filter(None, groups))[:MAX_OBJECTS],
            callers=self._callers(participants),
            is_repaired=self._is_repaired or any(map(_has_strange_name_id, self._all("participant"))),
        )

    def _callers(self, participants: Mapping[str, SessionParticipant]) -> frozenset[str]:
        """Return who called, by a mark in the participant, or by the caller's number elsewhere in the document."""
        marked = {_id(node, "participant") for node in self._all("participant") if _is_calling(node)}
        said = {_digits(one.text) for node in self._root.within("callingpartynumber") if (one := node).text}
        by_number = {one.id for one in participants.values() if said.intersection(map(_digits, one.aors)) - {""}}
        return frozenset((marked - {""}) or by_number)

    def _associated(self, participants: dict[str, SessionParticipant]) -> dict[str, SessionParticipant]:
        """Add when participants joined and left; a participant has left who has left every session."""
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
                found.get(key) or SessionParticipant(id=key),
                joined_at=min(joined) if joined else None,
                left_at=max(left) if len(left) == len(spans) else None,
            )
        return found

    def _sends(self) -> dict[str, tuple[str, ...]]:
        """Return the streams that participants send; older drafts say so in the participant element."""
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
"""Names of the elements below the root, in all drafts."""


def _below(node: Node) -> Iterator[Node]:
    for child in node.children:
        yield child
        yield from _below(child)


def _kind(node: Node) -> str:
    """Return the kind of an element, by its name, or by its content if the name is unknown."""
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
    """Return the children of a participant that have an address, with any name."""
    own = [child for child in node.children if child.namespace == node.namespace]
    return [child for child in own if "aor" in child.attributes or child.named("aor")]


def _has_strange_name_id(node: Node) -> bool:
    return any(plain(child.name) != "nameid" for child in _name_ids(node))


def _id(node: Node, what: str) -> str:
    """Return an id: ``what_id`` as attribute or element, or the ``id`` of older drafts."""
    for key in (f"{what}id", "id", f"{what}ref", what):
        if value := node.attributes.get(key):
            return value[:MAX_TEXT]
    return next((child.text for child in node.named(f"{what}id", f"{what}ref", "id", what)), "")[:MAX_TEXT]


def _sent(node: Node) -> str:
    """Return the stream id of a ``send``: its text, or that of an ``id`` in it."""
    return (node.text or next((child.text for child in node.named("id", "streamid")), ""))[:MAX_TEXT]


def _is_calling(node: Node) -> bool:
    return any(one.text.lower() == "true" for one in node.within("callingparty"))


def _digits(address: str) -> str:
    """Return the digits of the number in an address, for comparing two spellings."""
    return re.sub(r"\D", "", user_of(address))


def _participant(node: Node) -> SessionParticipant:
    aors: list[str] = []
    names: list[str] = []
    for name_id in (*node.named("nameid"), *(one for one in _name_ids(node) if plain(one.name) != "nameid"), node):
        aors += [name_id.attributes.get("aor", ""), *(one.text for one in name_id.named("aor", "uri"))]
        # A tag that begins with "na" is taken as a misspelled "name".
        spelled = name_id.named("name", "displayname")
        others = [one for one in name_id.children if plain(one.name).startswith("na") and one not in spelled]
        names += [one.text for one in (*spelled, *(others if name_id is not node else ()))]
    known = tuple(dict.fromkeys(aor[:MAX_TEXT] for aor in aors if aor))
    return SessionParticipant(
        id=_id(node, "participant"),
        aors=known[:MAX_AORS],
        name=_first(names),
        joined_at=_time(node, "associatetime"),
        left_at=_time(node, "disassociatetime"),
    )


def _first(texts: Iterable[str]) -> str:
    return one_line(next(filter(None, texts), ""))[:MAX_TEXT]


def _stream(node: Node) -> MetadataStream:
    label = node.attributes.get("label") or _first(one.text for one in node.named("label"))
    return MetadataStream(id=_id(node, "stream"), label=label, session=node.attributes.get("sessionid", "")[:MAX_TEXT])


def _session(node: Node) -> CommunicationSession:
    sip_ids = (one.text.split(";", 1)[0].strip()[:MAX_TEXT] for one in node.named("sipsessionid"))
    return CommunicationSession(
        id=_id(node, "session"),
        sip_ids=tuple(dict.fromkeys(filter(None, sip_ids)))[:MAX_AORS],
        group=_id_of_group(node),
        stopped_at=_time(node, "stoptime", "endtime"),
    )


def _id_of_group(node: Node) -> str:
    attributes = (node.attributes.get(key, "") for key in ("groupref", "group", "groupid"))
    return _first([one.text for one in node.named("groupref", "groupid", "group")] + list(attributes))


def _time(node: Node, *names: str) -> datetime | None:
    """Return a time; without a zone it is in UTC. None if it cannot be read."""
    for one in node.named(*names):
        try:
            moment = datetime.fromisoformat(one.text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    return None
