"""The vocabulary of events of the SIP side: what happened on a leg. Commands are in `sip.commands`. Pure.

A *leg* is one dialog between the recorder and one peer; the application joins legs into calls. Every value is made and
used on the call thread.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NewType

from sip.options import Address

LegId = NewType("LegId", int)
"""Names one dialog within the process; never reused."""

Header = tuple[str, str]
"""Name as spelled in the RFC that defines it, and the raw value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A message body as on the wire. ``repr`` does not show it: it may hold keys and digits."""

    content: bytes = field(repr=False)
    content_type: str = "application/sdp"

    def is_sdp(self) -> bool:
        """Tell whether the body is a session description; case and parameters of its type do not matter."""
        return self.content_type.split(";", 1)[0].strip().lower() == "application/sdp"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOffered:
    """A new INVITE from a trusted peer (RFC 3261 section 13.3). 100 Trying has been sent already.

    Attributes:
        leg: The new leg; all later events of this dialog name it.
        source: Address the request came from, not one that its headers claim.
        request_user: User part of the request URI: the number that was dialled.
        to_user: User part of To; differs from request_user after a diversion.
        from_user: User part of From, as claimed.
        from_display: Display name of From, as claimed, or "".
        asserted_user: User part of the first P-Asserted-Identity (RFC 3325), or None.
        asserted_users: Users that the peer asserts for the calling side, in all values of P-Asserted-Identity and then
            of Remote-Party-ID.
        sip_call_id: The Call-ID, an opaque string of the peer; must not be used as a file name.
        headers: Identity and history headers to be passed on, in order, one entry for each value
            (P-Asserted-Identity, Privacy, Diversion, History-Info, Alert-Info, Reason, X-*).
        max_forwards: Hops left as received.
        loop_marks: Values of the recorder's marker header, oldest first.
        body: The offer, or None for a delayed offer.
        required: Option tags of Require, in lower case.
        supported: Option tags of Supported, in lower case.
        is_recording_client: Its Contact has the feature tag ``+sip.src``: a SIPREC client (RFC 7866 section 6.1.1).
        origin: The raw From header with its parameters.
        session_id: Value of Session-ID without the remote half (RFC 7989), or "".
        replaced_leg: The leg that the INVITE asks to replace (RFC 3891), or None.
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
    asserted_users: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    supported: tuple[str, ...] = ()
    is_recording_client: bool = False
    origin: str = field(default="", repr=False)
    session_id: str = ""
    replaced_leg: LegId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerAcknowledged:
    """The peer has our 200 to its INVITE: the ACK came, or an offer that supersedes it. Before OfferAnswered.

    Only for an answer with ``is_ack_told``.
    """

    leg: LegId


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRang:
    """A 18x arrived on a leg we dialled; ``body`` is early media's SDP, ``headers`` are copied to the other leg."""

    leg: LegId
    status: int
    body: Body | None
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LegAnswered:
    """A 2xx arrived on a leg we dialled, and was acknowledged.

    ``asserted_user`` is the first P-Asserted-Identity of the answering side; ``asserted_users`` are its users in all
    values of that and then of Remote-Party-ID.

    If we dialled without an offer, ``body`` is the far side's offer, and the ACK is sent by `SipCommands.answer_offer`
    (RFC 3261 section 13.2.1).
    """

    leg: LegId
    body: Body | None
    asserted_user: str | None = None
    asserted_users: tuple[str, ...] = ()
    headers: tuple[Header, ...] = ()
    """Copied to the other leg; the answering identity's headers are among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRefused:
    """A leg that we dialled was refused: final status in [300, 699]; 408 if nobody replied in time."""

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

    ``body`` is None if the peer asks us to make the offer (empty re-INVITE). An UPDATE without SDP (session timer,
    RFC 4028) is answered by the leg and makes no event.
    """

    leg: LegId
    body: Body | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferAnswered:
    """An answer to our offer arrived: in the 2xx to our re-INVITE (already acknowledged), or in an ACK.

    The ACK brings the answer if the peer's INVITE or re-INVITE had no SDP, so that our 200 made the offer; ``body`` is
    None if that ACK has none. After our re-INVITE without SDP, ``body`` is the peer's offer instead, and the ACK
    is sent by `SipCommands.answer_offer`.
    """

    leg: LegId
    body: Body | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRefused:
    """Our re-INVITE was refused; the session does not change (RFC 3261 section 14.1). 491 is retried by the leg."""

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
        leg: The leg of the peer that asks.
        source: Address the request came from.
        user: Whom to call: the user part of Refer-To, never empty.
        replaces: Value of the Replaces in Refer-To, for our INVITE, or None.
        replaced_leg: The leg that Replaces names, if it is a dialog of this endpoint.
    """

    leg: LegId
    source: Address
    user: str
    replaces: str | None
    replaced_leg: LegId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityChanged:
    """The peer names another party at its end.

    By re-INVITE or UPDATE (P-Asserted-Identity; From by RFC 4916; Remote-Party-ID), or by FreeSWITCH's INFO
    ``message/update_display``. ``users`` are all names of the party, ``user`` the first of them.
    """

    leg: LegId
    source: Address
    user: str
    users: tuple[str, ...] = ()
    headers: tuple[Header, ...] = ()
    """The identity headers, to be passed on."""
    is_by_info: bool = False
    """It came in that INFO, which systems of one PBX send each other: trust it only from a peer on our side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetChanged:
    """A watched target stopped answering OPTIONS, or answers again (RFC 3261 section 11)."""

    target: Address
    is_alive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMisbehaved:
    """Messages of a trusted source were refused or dropped; reported at most once an hour for a kind and source.

    ``kind`` is one of ``rate_limited`` (more new calls or requests than its peer may send), ``foreign`` (a request in
    another peer's dialog), ``stray`` (a flood of responses without a request), ``malformed``, ``overload`` (more than
    the call thread can take).
    """

    kind: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationChanged:
    """Our registration began, failed or was renewed after a failure.

    ``is_registered`` stays True until an earlier registration expires. ``status`` is the final SIP status of the last
    attempt; 408 if the registrar did not answer.
    """

    name: str
    is_registered: bool
    status: int


SipEvent = (
    CallOffered
    | AnswerAcknowledged
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
