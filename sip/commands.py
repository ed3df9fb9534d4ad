"""The vocabulary of commands to the SIP side: commands on legs, outgoing calls, its status. Pure; call thread only.

Events are in `sip.events`, the options of an endpoint in `sip.options`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sip.events import Body, Header, LegId
from sip.options import Address

RETRY_AFTER: Header = ("Retry-After", "5")
"""The header of a 503 (RFC 3261 section 20.33), seconds. Short, because a peer sends no emergency call until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingCall:
    """The content of an INVITE that the recorder sends.

    Attributes:
        target: Where it is sent.
        request_user: User part of the request URI and of To.
        from_user: User part of From.
        from_display: Display name of From, or "".
        headers: Sent unchanged, in order.
        max_forwards: Hops left, already decremented by the application.
        loop_mark: Value of the recorder's marker header, added after those in ``loop_marks``.
        loop_marks: Marks that arrived.
        body: The offer, or None to have the far side make it.
        no_reply_s: Seconds without any response until the leg is refused with 408; fail-over relies on it.
        ring_s: Seconds from the first 18x until the leg is cancelled and refused with 480, or None.
        is_reliable: The far side may send reliable provisional responses (RFC 3262). If ``body`` is None, one of them
            may make the offer: LegRang brings it, and `SipCommands.answer_offer` answers it.
    """

    target: Address
    request_user: str
    from_user: str
    from_display: str = ""
    headers: tuple[Header, ...] = ()
    max_forwards: int = 70
    loop_mark: str | None = None
    loop_marks: tuple[str, ...] = ()
    body: Body | None
    no_reply_s: float = 2.0
    ring_s: float | None = None
    is_reliable: bool = True


class SipCommands(Protocol):
    """The commands on legs; `sip.leg_commands.LegCommands` implements them. Call thread only.

    A command on a leg that has ended is ignored. No command raises an error because of a peer.
    """

    def ring(self, leg: LegId, *, status: int = 180, body: Body | None = None, headers: Sequence[Header] = ()) -> None:
        """Send a provisional response to an offered leg: 180, or 183 with early media's SDP."""

    def answer(
        self,
        leg: LegId,
        body: Body | None,
        *,
        is_recorder: bool = False,
        is_ack_told: bool = False,
        headers: Sequence[Header] = (),
    ) -> None:
        """Send 200 to an offered leg.

        Args:
            leg: The leg.
            body: The answer. After an INVITE without an offer it is our offer, and OfferAnswered follows.
            is_recorder: From now on our Contact on this leg has ``+sip.srs`` (RFC 7866 section 6.2).
            is_ack_told: AnswerAcknowledged follows when the peer is known to have the 200.
            headers: Headers copied from the other leg.
        """

    def refuse(self, leg: LegId, status: int, phrase: str, *, headers: Sequence[Header] = ()) -> None:
        """Send a final non-2xx response to an offered leg; no further event names it."""

    def dial(self, call: OutgoingCall) -> LegId:
        """Send an INVITE; LegRang, LegAnswered or LegRefused follow."""

    def hang_up(self, leg: LegId, *, reason: str | None = None) -> None:
        """End a leg by BYE, CANCEL, or 480 if it was offered; no further event names it.

        If a CANCEL crosses a 200, ACK and BYE follow.
        """

    def offer(self, leg: LegId, body: Body | None) -> None:
        """Send a re-INVITE; OfferAnswered or OfferRefused follows. 491 is retried after RFC 3261 14.1's delay.

        Offers of a leg are sent one after another, each when the one before is settled and acknowledged.
        """

    def answer_offer(self, leg: LegId, body: Body | None) -> None:
        """Answer the open offer of the leg: OfferReceived with 200, the offer of a 2xx in its ACK."""

    def refuse_offer(self, leg: LegId, status: int = 488) -> None:
        """Refuse the open OfferReceived of the leg."""

    def send_info(self, leg: LegId, body: Body) -> None:
        """Send an INFO; its answer is not reported."""

    def probe(self, leg: LegId) -> None:
        """Ask by OPTIONS whether the peer still has the dialog; LegEnded follows if not, or if it does not answer."""

    def accept_refer(self, leg: LegId) -> None:
        """Answer the open ReferReceived of the leg with 202, and tell by NOTIFY that the attempt has begun."""

    def refuse_refer(self, leg: LegId, status: int) -> None:
        """Refuse the open ReferReceived of the leg."""

    def notify(self, leg: LegId, status: int, phrase: str = "") -> None:
        """Report the progress of the accepted transfer by NOTIFY; a final status, in [200, 699], ends it.

        The peer may have hung up already. A following `hang_up` waits for the answer to the NOTIFY, at most 1 s.
        """

    def identify(self, leg: LegId, headers: Sequence[Header]) -> None:
        """Tell a connected peer by UPDATE who it talks to now; a peer that does not support UPDATE is not told."""


class SipStatus(Protocol):
    """The status of the SIP side; `sip.endpoint.SipEndpoint` implements it."""

    @property
    def address(self) -> Address:
        """The address bound, with its real port."""

    @property
    def counters(self) -> dict[str, int]:
        """Numbers of dropped or refused messages, by reason; see `sip.endpoint.SipEndpoint.counters`. Any thread."""

    @property
    def registrations(self) -> list[dict[str, str | int | None]]:
        """Status of each registration: name, is_registered, left_s, last_status."""
