"""What is written down of a recording session beside what every call has: who took part, and whose word the notice is.

Pure.
"""

from collections.abc import Iterable, Mapping, Sequence

from recorder.calls.rules.siprec import SessionDecision, extension_of
from recorder.config.settings import Config
from recorder.rules.policy import Direction, Extension, Nomination, Service
from recorder.rules.routing import Peer
from sip import metadata
from sip.metadata import Metadata
from storage.types import NoticeProof, Participant

MOST = 64
"""Participants of one row; more belong to a conference, and are in the sealed metadata."""
MOST_NUMBERS = 4 * MOST
"""Numbers of one row beside those of its participants: as many as the people who are known of a session."""


def provisional(config: Config, peer: Peer) -> Nomination:
    """Return what a session is taken for until somebody knows better: nobody's, by the rules of its peer's service."""
    service = peer.siprec_service or (config.service[0].name if config.service else "")
    return Nomination(direction=Direction.INBOUND, extension=Extension(number="", operator="", service=service))


def rules_of(config: Config, extension: Extension) -> Service:
    """Return the rules of an extension's service; those of no service for one that is nobody's."""
    return next((one for one in config.service if one.name == extension.service), Service(name=extension.service))


def proof_of(peer: Peer) -> NoticeProof:
    """Return the proof of the notice in a peer's sessions: attested where somebody answers for it, never heard."""
    words = f"{peer.name}: {peer.notice_owner}, {peer.notice_date}" if peer.is_attested else peer.name
    return NoticeProof(
        id=words,
        sha256="",
        started_at=None,
        ended_at=None,
        complete=False,
        proof="attested" if peer.is_attested else "none",
    )


def participants_of(
    everyone: Iterable[metadata.SessionParticipant],
    known: Metadata | None,
    decision: SessionDecision,
    labels: Sequence[str | None],
    extensions: Mapping[str, Extension],
) -> tuple[Participant, ...]:
    """Return everybody who took part, for the index; who is on a channel is on it alone, as things stand now."""
    channels = {}
    for name, at in (("left", decision.sides.left), ("right", decision.sides.right)):
        label = labels[at] if at is not None and at < len(labels) else None
        senders = known.senders(label) if known is not None and label else ()
        if len(senders) == 1:
            channels[senders[0].id] = name
    return tuple(
        _written(one, decision, channels.get(one.id, ""), extensions)
        for one in [someone for someone in everyone if someone.aors][:MOST]
    )


def further_numbers(everyone: Iterable[metadata.SessionParticipant]) -> tuple[str, ...]:
    """Return the numbers of those who took part beside what `participants_of` gives: whoever has one is found by it.

    Those of people whom it leaves out come first.
    """
    known = [one for one in everyone if one.aors]
    left_out = [one.users[0] for one in known[MOST:] if one.users]
    further = [user for one in known for user in one.users[1:]]
    return tuple(dict.fromkeys((*left_out, *further)))[:MOST_NUMBERS]


def _written(
    one: metadata.SessionParticipant, decision: SessionDecision, channel: str, extensions: Mapping[str, Extension]
) -> Participant:
    number = one.users[0] if one.users else ""
    roles = {decision.caller: "caller", decision.called: "called"}
    extension = extension_of(one, extensions)
    return Participant(
        name=one.name,
        address=one.aors[0],
        number=number,
        role=roles.get(number, "other") if number else "other",
        channel=channel,
        extension=extension.number if extension is not None else "",
        joined_at=one.joined_at,
        left_at=one.left_at,
    )
