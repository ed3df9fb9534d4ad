"""Reads the participants of a recording call from Cisco's built-in bridge out of its From header. Pure.

A recorded telephone makes two calls of one m-line each, one with its own voice and one with the far party's; neither
has metadata. From of both names the same conversation (``x-refci``) and both parties (``x-nearendaddr``,
``x-farendaddr``), and says whose voice the call brings (``x-nearend`` or ``x-farend``).
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from sip.message import one_line
from sip.metadata import CommunicationSession, Metadata, MetadataStream, SessionParticipant

LABEL = "1"
"""Label given to the one m-line, which has none."""
_NEAR, _FAR = "near", "far"
_MAX_TEXT = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeCall:
    """One of the two calls; ``metadata`` is From's content as RFC 7865 metadata."""

    metadata: Metadata


def read(origin: str) -> BridgeCall | None:
    """Read the raw value of a From header; None if it is not a built-in bridge's."""
    match = re.search(r"<([^>]*)>", origin)
    inside, outside = (match.group(1), origin[match.end() :]) if match else (origin, "")
    parameters = {**_parameters(outside), **_parameters(inside)}
    conversation, near = parameters.get("x-refci", ""), parameters.get("x-nearendaddr", "")
    if not conversation or ("x-nearend" not in parameters and "x-farend" not in parameters):
        return None
    cluster = parameters.get("x-nearendclusterid", "")
    session = CommunicationSession(id=f"x-refci:{conversation}@{cluster}")
    people = {
        _NEAR: SessionParticipant(id=_NEAR, aors=(near,) if near else (), name=""),
        _FAR: SessionParticipant(id=_FAR, aors=(far,) if (far := parameters.get("x-farendaddr", "")) else ()),
    }
    sender = _FAR if "x-farend" in parameters else _NEAR
    stream = MetadataStream(id=LABEL, label=LABEL, session=session.id)
    return BridgeCall(
        metadata=Metadata(
            sessions={session.id: session},
            participants=people,
            streams={LABEL: stream},
            sends={sender: (LABEL,)},
        )
    )


def _parameters(uri: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in uri.split("?", 1)[0].split(";")[1:]:
        name, _, value = part.partition("=")
        found.setdefault(name.strip().lower(), one_line(unquote(value.strip()))[:_MAX_TEXT])
    return found
