"""What can be asked of the SIP side: commands on legs, how it stands, and what an INVITE of ours says. Pure.

What happens on a leg is told by `sip.events`, how an endpoint is made is in `sip.options`. Call thread only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sip.events import Body, Header, LegId
from sip.options import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingCall:
    """What an INVITE of ours says.

    Attributes:
        target: Where it is sent.
        request_user: User part of the request URI and of To.
        from_user: User part of From.
        from_display: Display name of From, or "".
        headers: Passed on as they are, in order.
        max_forwards: Hops left, already decremented by the application.
        loop_mark: Value of our marker header, added after those in ``loop_marks``.
        loop_marks: Marks that arrived.
        body: The offer, or None to have the far side make it.
        no_reply_s: Seconds without any response until the leg is refused with 408; fail-over relies on it.
        ring_s: Seconds from the first 18x until the leg is cancelled and refused with 480, or None.
        is_reliable: The far side may send provisional responses that are acknowledged (RFC 3262). One of them may make
            the offer when ``body`` is None: LegRang brings it, and `SipCommands.answer_offer` answers it.
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
    """The commands on legs; `sip.leg_commands.LegCommands` is the real one. Call thread only.

    A command on a leg that has ended is ignored: its end is on the way as an event, or was sent by us. None of
    them raises for what a peer did.
    """

    def ring(self, leg: LegId, *, status: int = 180, body: Body | None = None, headers: Sequence[Header] = ()) -> None:
        """Send a provisional response to an offered leg: 180, or 183 with early media's SDP."""

    def answer(
        self, leg: LegId, body: Body | None, *, is_recorder: bool = False, headers: Sequence[Header] = ()
    ) -> None:
        """Send 200 to an offered leg.

        After an INVITE without an offer ``body`` is ours, and the peer's answer follows as OfferAnswered.

        Args:
            leg: The leg.
            body: The answer, or our offer.
            is_recorder: From now on our Contact on this leg has ``+sip.srs`` (RFC 7866 section 6.2).
            headers: Headers of the other side that cross.
        """

    def refuse(self, leg: LegId, status: int, phrase: str, *, headers: Sequence[Header] = ()) -> None:
        """Send a final non-2xx response to an offered leg; no further event names it."""

    def dial(self, call: OutgoingCall) -> LegId:
        """Send an INVITE; LegRang, LegAnswered or LegRefused follow."""

    def hang_up(self, leg: LegId, *, reason: str | None = None) -> None:
        """End a leg with what fits its state: BYE, CANCEL, or 480 when offered; no further event names it.

        A CANCEL that crosses a 200 is followed by ACK and BYE.
        """

    def offer(self, leg: LegId, body: Body | None) -> None:
        """Send a re-INVITE; OfferAnswered or OfferRefused follows. 491 is retried after RFC 3261 14.1's delay.

        While another offer is open on the leg, or its ACK is awaited, it waits its turn; offers go out in order.
        """

    def answer_offer(self, leg: LegId, body: Body | None) -> None:
        """Answer the offer that is open on the leg: OfferReceived with 200, one that a 2xx brought in its ACK."""

    def refuse_offer(self, leg: LegId, status: int = 488) -> None:
        """Refuse the OfferReceived that is open on the leg."""

    def send_info(self, leg: LegId, body: Body) -> None:
        """Send an INFO; its answer is not reported."""

    def probe(self, leg: LegId) -> None:
        """Ask whether the peer still knows the leg, by OPTIONS; LegEnded follows if it does not, or says nothing."""

    def accept_refer(self, leg: LegId) -> None:
        """Answer the ReferReceived that is open on the leg with 202; NOTIFY tells that the attempt has begun."""

    def refuse_refer(self, leg: LegId, status: int) -> None:
        """Refuse the ReferReceived that is open on the leg."""

    def notify(self, leg: LegId, status: int, phrase: str = "") -> None:
        """Tell how the accepted transfer stands; a final status, in [200, 699], is the last word.

        The peer may have hung up by then. A `hang_up` that follows waits until the peer has heard it, or 1 s.
        """

    def identify(self, leg: LegId, headers: Sequence[Header]) -> None:
        """Tell a connected peer who it talks to now, by UPDATE; one that does not take UPDATE is not told."""


class SipStatus(Protocol):
    """How the SIP side stands; `sip.endpoint.SipEndpoint` implements it."""

    @property
    def address(self) -> Address:
        """The address bound, with its real port."""

    @property
    def counters(self) -> dict[str, int]:
        """What went no further, by reason; any thread."""

    @property
    def registrations(self) -> list[dict[str, str | int | None]]:
        """How each registration stands: name, is_registered, left_s, last_status."""
