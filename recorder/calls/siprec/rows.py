"""The fields of a row that only recording sessions have: participants, further numbers, attested notice. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from recorder.calls.rules.siprec import SessionDecision, extension_of
from recorder.config.settings import Config
from recorder.rules.policy import Direction, Extension, Nomination, Service
from recorder.rules.routing import Peer
from sip import metadata
from sip.metadata import Metadata
from storage.types import NoticeProof, Participant

MOST = 64
"""Most participants in one row; a larger conference has them all in the sealed metadata."""
MOST_NUMBERS = 4 * MOST
"""Most numbers in one row besides those of its participants."""


def provisional(config: Config, peer: Peer) -> Nomination:
    """Return the nomination of a session until its own is known: no extension, and the service of the peer."""
    service = peer.siprec_service or (config.service[0].name if config.service else "")
    return Nomination(direction=Direction.INBOUND, extension=Extension(number="", operator="", service=service))


def rules_of(config: Config, extension: Extension) -> Service:
    """Return the service of an extension, or a service with default rules if it is not configured."""
    services = config.service
    return next((service for service in services if service.name == extension.service), Service(name=extension.service))


def proof_of(peer: Peer) -> NoticeProof:
    """Return the proof of the notice in a peer's sessions: attested or none, since the recorder does not play it."""
    attestation = f"{peer.name}: {peer.notice_owner}, {peer.notice_date}" if peer.is_attested else peer.name
    return NoticeProof(
        id=attestation,
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
    """Return the participants for the row; one who is the only sender on a channel's line now has that channel."""
    channels = {}
    for name, at in (("left", decision.sides.left), ("right", decision.sides.right)):
        label = labels[at] if at is not None and at < len(labels) else None
        senders = known.senders(label) if known is not None and label else ()
        if len(senders) == 1:
            channels[senders[0].id] = name
    return tuple(
        _row_participant(person, decision, channels.get(person.id, ""), extensions)
        for person in [person for person in everyone if person.aors][:MOST]
    )


def further_numbers(everyone: Iterable[metadata.SessionParticipant]) -> tuple[str, ...]:
    """Return the participants' numbers that `participants_of` does not return, so that a search finds them too.

    Numbers of participants that it leaves out come first.
    """
    known = [person for person in everyone if person.aors]
    left_out = [person.users[0] for person in known[MOST:] if person.users]
    further = [user for person in known for user in person.users[1:]]
    return tuple(dict.fromkeys((*left_out, *further)))[:MOST_NUMBERS]


def _row_participant(
    person: metadata.SessionParticipant, decision: SessionDecision, channel: str, extensions: Mapping[str, Extension]
) -> Participant:
    number = person.users[0] if person.users else ""
    roles = {decision.caller: "caller", decision.called: "called"}
    extension = extension_of(person, extensions)
    return Participant(
        name=person.name,
        address=person.aors[0],
        number=number,
        role=roles.get(number, "other") if number else "other",
        channel=channel,
        extension=extension.number if extension is not None else "",
        joined_at=person.joined_at,
        left_at=person.left_at,
    )
