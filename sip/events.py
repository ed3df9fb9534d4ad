"""The vocabulary of the SIP side: what happened on a leg. What can be asked of one is in `sip.endpoint`.

Pure: no socket, no sippy. A *leg* is one dialog between us and one peer; the application joins legs into
calls. Every value here is made on, and stays on, the call thread.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NewType

from sip.options import Address

LegId = NewType("LegId", int)
"""Names one dialog for as long as the process lives; never used twice."""

Header = tuple[str, str]
"""Name as spelled in the RFC that defines it, and the raw value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A message body as it crosses the wire; never decoded here, nor shown: keys and digits stand in it."""

    content: bytes = field(repr=False)
    content_type: str = "application/sdp"

    def is_sdp(self) -> bool:
        """Tell whether the body is a session description, whatever the case and parameters of its type."""
        return self.content_type.split(";", 1)[0].strip().lower() == "application/sdp"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOffered:
    """A new INVITE from a trusted peer (RFC 3261 section 13.3). 100 Trying has been sent already.

    Attributes:
        leg: The new leg; everything that follows on this dialog names it.
        source: Address the request came from, not what its headers claim.
        request_user: User part of the request URI: the number that was dialled.
        to_user: User part of To; differs from request_user after a diversion.
        from_user: User part of From, as claimed.
        from_display: Display name of From, as claimed, or "".
        asserted_user: User part of P-Asserted-Identity (RFC 3325), or None.
        sip_call_id: The Call-ID: an opaque string of the peer's; never a file name.
        headers: Identity and history headers to be passed on, in order, each occurrence on its own
            (P-Asserted-Identity, Privacy, Diversion, History-Info, Alert-Info, Reason, X-*).
        max_forwards: Hops left as received.
        loop_marks: Values of our marker header, oldest first.
        body: The offer, or None for a delayed offer.
        required: Option tags of Require, in lower case.
        supported: Option tags of Supported, in lower case.
        is_recording_client: Its Contact has the feature tag ``+sip.src``: a SIPREC client (RFC 7866 section 6.1.1).
        origin: The From header as it came, with its parameters.
        session_id: Value of Session-ID without the remote half (RFC 7989), or "".
        replaced_leg: A dialog of ours that this one asks to take the place of (RFC 3891), or None.
    """

    leg: LegId
    source: Address
    request_user: str
    to_user: str
    from_user: str
    from_display: str
    asserted_user: str | None
    sip_call_id: str
    headers: tuple[Header, ...]
    max_forwards: int
    loop_marks: tuple[str, ...]
    body: Body | None
    required: tuple[str, ...] = ()
    supported: tuple[str, ...] = ()
    is_recording_client: bool = False
    origin: str = field(default="", repr=False)
    session_id: str = ""
    replaced_leg: LegId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRang:
    """A 18x arrived on a leg we dialled; body carries early media's SDP when there is any, headers what crosses."""

    leg: LegId
    status: int
    body: Body | None
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LegAnswered:
    """A 2xx arrived on a leg we dialled; it has been acknowledged. asserted_user is the answering identity.

    When we dialled without an offer, ``body`` is the far side's offer and its ACK waits for `SipCommands.answer_offer`
    (RFC 3261 section 13.2.1).
    """

    leg: LegId
    body: Body | None
    asserted_user: str | None = None
    headers: tuple[Header, ...] = ()
    """What crosses to the other leg, the answering identity's headers included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRefused:
    """A leg that we dialled came to nothing: final status in [300, 699], 408 when nobody replied in time."""

    leg: LegId
    status: int
    phrase: str
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LegEnded:
    """The far side ended an offered, ringing or connected leg: CANCEL, BYE, or a dialog that timed out.

    ``reason`` is the raw value of the Reason header (RFC 3326), or None.
    """

    leg: LegId
    cause: str
    """One of ``cancel``, ``bye``, ``timeout``."""
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferReceived:
    """A re-INVITE or an UPDATE with SDP (RFC 3311) on a connected leg; must be answered or refused.

    ``body`` is None when the peer asks us to make the offer (empty re-INVITE). An UPDATE without SDP (session
    timer, RFC 4028) is answered below and never seen here.
    """

    leg: LegId
    body: Body | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferAnswered:
    """An answer to our offer arrived: the 2xx to our re-INVITE (acknowledged already), or the ACK of a delayed offer.

    The ACK brings it when the peer's INVITE or re-INVITE had no SDP, so that our 200 made the offer; ``body`` is None
    when that ACK has none. After a re-INVITE of ours without SDP, ``body`` is the peer's offer instead, and the ACK
    waits for `SipCommands.answer_offer`.
    """

    leg: LegId
    body: Body | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRefused:
    """Our re-INVITE was refused; the session goes on as it was (RFC 3261 section 14.1). 491 was retried below."""

    leg: LegId
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoReceived:
    """An INFO arrived and was answered 200 (RFC 6086). Its body may hold digits: never log it."""

    leg: LegId
    body: Body = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferReceived:
    """The peer asks for a transfer (RFC 3515); must be accepted or refused. One is open on a leg at a time.

    Attributes:
        leg: The leg of the one who asks.
        source: Address the request came from.
        user: Whom to call: the user part of Refer-To, never empty.
        replaces: Value of the Replaces in it, for an INVITE of ours, or None.
        replaced_leg: The leg that it names, where that is a dialog of ours.
    """

    leg: LegId
    source: Address
    user: str
    replaces: str | None
    replaced_leg: LegId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityChanged:
    """The peer names another party at its end.

    It does so in a re-INVITE or UPDATE (P-Asserted-Identity; From by RFC 4916), or by FreeSWITCH's INFO
    ``message/update_display``.
    """

    leg: LegId
    source: Address
    user: str
    headers: tuple[Header, ...] = ()
    """Those that say so, to be passed on."""
    is_by_info: bool = False
    """Said by that INFO: one system of a PBX tells it another, so only a peer on our side is to be believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetChanged:
    """A watched target stopped answering OPTIONS, or answers again (RFC 3261 section 11)."""

    target: Address
    is_alive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMisbehaved:
    """A trusted source sent what was refused or dropped; said once for a kind and source in an hour.

    ``kind`` is one of ``rate_limited`` (more new calls or requests than its peer may send), ``foreign`` (an act in a
    dialog that is another peer's), ``stray`` (a flood of responses to nothing), ``malformed``, ``overload`` (more than
    the call thread can take).
    """

    kind: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationChanged:
    """A registration of ours began, failed or was renewed after a failure.

    ``is_registered`` is True for as long as an earlier one lasts, whatever ``status`` says of the last attempt: a final
    SIP status, 408 when the registrar does not answer.
    """

    name: str
    is_registered: bool
    status: int


SipEvent = (
    CallOffered
    | LegRang
    | LegAnswered
    | IdentityChanged
    | LegRefused
    | LegEnded
    | OfferReceived
    | OfferAnswered
    | OfferRefused
    | InfoReceived
    | ReferReceived
    | TargetChanged
    | RegistrationChanged
    | SourceMisbehaved
)

Listener = Callable[[SipEvent], None]
