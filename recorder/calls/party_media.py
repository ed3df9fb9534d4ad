"""The media of one side of a recorded call: its media leg, and the result of its offers and answers.

Turns session descriptions into settings of the media core. Call thread only.
"""

import contextlib
import dataclasses
import secrets

from audio.types import Codec, LegMedia, MediaAddress, PayloadFormat, PortsExhaustedError
from audio.types import LegId as MediaLegId
from recorder.calls.call_services import CallServices
from recorder.calls.media_errors import MediaError, UnreachableError
from recorder.calls.media_leg import MediaLeg
from recorder.calls.rules.codec_choice import PREFERENCE, answer_to_first, answers_to_reoffer, can_bridge
from recorder.calls.srtp_keys import for_core, wipe_offered, wipe_others
from sip import offer_answer, sdes, sdp
from sip.events import Body
from sip.sdes import Srtp

Direction = tuple[bool, bool]
"""Whether the party sends, and whether it receives."""

BOTH: Direction = (True, True)


class PartyMedia:
    """The media of one side.

    Args:
        name: The side's name in error messages.
        thread: Index of the media thread that has the call; the same for both sides.
    """

    def __init__(self, services: CallServices, name: str, thread: int) -> None:
        self._services = services
        self._name = name
        self.leg = MediaLeg(services, thread)
        self._local: offer_answer.LocalStream | None = None
        self._offer: sdp.Description | None = None
        self.signals_from: str | None = None
        """The host that the party's SIP messages come from; its media may come from there too."""
        self.srtp = Srtp.OPTIONAL
        """Whether the party's audio has to be encrypted; OPTIONAL is as the party offers it."""
        self.continued: offer_answer.LocalStream | None = None
        """The recorder's last description on the party's leg in another call, to continue (RFC 3264 section 8)."""
        self._settled: offer_answer.NegotiatedMedia | None = None
        self.direction: Direction = BOTH
        """The party's own choice; if it only answers an offer with a hold, the hold is not its own."""
        self.codec_name = ""

    def open(self, *, offers_srtp: bool = False) -> MediaLegId:
        """Open the media leg, and return its id; ``offers_srtp`` puts keys into the first offer.

        Raises:
            PortsExhaustedError: There is no pair of ports left.
        """
        leg, address = self.leg.open(), self.leg.address
        local = self.continued or offer_answer.LocalStream(
            ip=address.ip, rtp_port=address.rtp_port, session_id=secrets.randbelow(2**31)
        )
        cryptos = sdes.offered() if offers_srtp else ()
        self._local = dataclasses.replace(
            local,
            ip=address.ip,
            rtp_port=address.rtp_port,
            srtp=self.srtp,
            cryptos=cryptos,
            peer_key=b"",
            sends=True,
            receives=True,
        )
        return leg

    def close(self) -> None:
        """Close the media leg, and forget the negotiation; the side can be opened again for another target."""
        self.leg.close()
        if self._local is not None:
            wipe_others(self._local.cryptos, kept=())
        self._local = self._offer = self._settled = None
        self.direction = BOTH

    def renew(self) -> None:
        """Close the media leg, and reserve ports for the next target."""
        self.close()
        with contextlib.suppress(PortsExhaustedError):  # no file descriptors are left: `open` will raise
            self.leg.reserve()

    # --- the result of the negotiation

    @property
    def session(self) -> offer_answer.LocalStream | None:
        """Return the recorder's description to the party; None while there is no media leg."""
        return self._local

    @property
    def is_settled(self) -> bool:
        """Tell whether offer and answer are complete."""
        return self._settled is not None

    @property
    def codecs(self) -> tuple[Codec, ...]:
        """Return every negotiated codec, the one that the recorder sends first; none before the negotiation."""
        if self._settled is None:
            return ()
        return tuple(map(Codec, (self._settled.codec, *(fmt.codec for fmt in self._settled.more))))

    @property
    def is_secure(self) -> bool:
        """Tell whether the party's audio is SRTP or, before the negotiation, whether its offer asks for that."""
        if self._settled is not None or self._offer is None:
            return self._settled is not None and self._settled.srtp is not None
        return next((stream.is_secure for stream in self._offer.streams if stream.suits(self.srtp)), False)

    @property
    def is_held(self) -> bool:
        """Tell whether the party has put the call on hold (SIP hold)."""
        return self._settled is not None and self._settled.is_hold

    @property
    def local_direction(self) -> Direction:
        """Return the direction of the recorder's last description, also of an offer without an answer yet."""
        return self._as_party_allows((self._local.sends, self._local.receives) if self._local is not None else BOTH)

    def has_direction(self, direction: Direction) -> bool:
        """Tell whether an offer of this direction would change nothing."""
        return self._as_party_allows(direction) == self.local_direction

    def _as_party_allows(self, direction: Direction) -> Direction:
        sends, receives = self.direction
        return (direction[0] and receives, direction[1] and sends)

    @property
    def usable(self) -> tuple[Codec, ...]:
        """Return the codecs that the party can use, best first; all if it has made no offer.

        After the negotiation these are the negotiated codecs. On an encrypted leg it is the first one only: the keys
        are wiped, so `prefer` cannot change the codec.
        """
        if self._settled is not None:
            return self.codecs[:1] if self.is_secure else self.codecs
        if self._offer is None:
            return PREFERENCE
        return _codecs_in(self._offer, self.srtp)

    # --- offers and answers

    def take_offer(self, body: Body | None) -> None:
        """Read the offer of an INVITE; None is a delayed offer: the recorder offers in its answer.

        Raises:
            UnreachableError: The offer names no address that the recorder can send to.
            MediaError: The offer has nothing that can be recorded.
        """
        if body is None:
            return
        self._offer = _read(body, self._services)
        if not self.usable:
            if any(stream.lacks_address(self.srtp) for stream in self._offer.streams):
                raise UnreachableError(f"the offer of side {self._name} names no address that can be sent to")
            profile = {Srtp.OFF: "plain RTP", Srtp.OPTIONAL: "RTP or SRTP", Srtp.REQUIRED: "SRTP"}[self.srtp]
            raise MediaError(f"side {self._name} offers none of PCMA, PCMU, G722 over {profile}")

    def answer_invite(self, other: tuple[Codec, ...]) -> Body:
        """Return the answer to the INVITE's offer, with codecs that can be bridged to the other side.

        Args:
            other: The other side's codecs, the one that it is sent first; empty if they are not known yet.

        Raises:
            MediaError: The two sides have no codecs that can be bridged.
        """
        assert self._local is not None
        if self._offer is None:
            return self.make_offer(_bridgeable(other[0]) if other else PREFERENCE)
        wanted = (answer_to_first(self.usable, other),) if other else PREFERENCE
        codecs = tuple(codec for codec in wanted if codec is not None)
        try:
            written, media = offer_answer.answer(self._offer, self._local, preference=codecs, more=_other_codecs(other))
        except sdp.UnacceptableError as error:
            raise MediaError(f"side {self._name}: {error}") from error
        self._settle(media, written.local)
        self.direction = (media.receives, media.sends)
        return Body(content=written.content)

    def make_offer(self, codecs: tuple[Codec, ...], direction: Direction = BOTH) -> Body:
        """Return an offer of these codecs, or of PREFERENCE if there are none.

        Args:
            codecs: The codecs.
            direction: The other side's direction: the recorder sends to this party if the other side sends.
        """
        assert self._local is not None
        sends, receives = direction
        preferred = tuple(map(int, codecs or PREFERENCE))
        written = offer_answer.local_offer(
            dataclasses.replace(self._local, codecs=preferred, sends=sends, receives=receives)
        )
        self._local = written.local
        return Body(content=written.content)

    def take_answer(self, body: Body | None) -> None:
        """Apply the answer to the recorder's offer.

        Raises:
            MediaError: There is no answer, or it cannot be used; the negotiated media stay as they were.
        """
        if body is None:
            raise MediaError(f"side {self._name} answered without a session description")
        assert self._local is not None
        try:
            media = offer_answer.answered(self._local, _read(body, self._services))
        except sdp.UnacceptableError as error:
            raise MediaError(f"side {self._name}: {error}") from error
        asked_to_send, asked_to_receive = self._local.receives, self._local.sends
        self._settle(media, self._local)
        # A party cannot refuse a direction that it was not offered (RFC 3264 section 6.1): its own choice stays.
        sends, receives = self.direction
        self.direction = (media.receives if asked_to_send else sends, media.sends if asked_to_receive else receives)

    def answer_reoffer(self, body: Body | None, other: tuple[Codec, ...]) -> Body:
        """Answer a re-offer, with the same codec if possible; an empty one gets an offer with both directions.

        A rate that the other side was not told of is refused: rates are not converted, and to ask the other side before
        the answer would leave a gap.

        Args:
            body: The re-offer.
            other: The other side's codecs, the one that it is sent first.

        Raises:
            MediaError: Nothing in it can be bridged to the other side; the negotiated media stay as they were.
        """
        assert self._local is not None
        if body is None:
            return self.make_offer(self.usable)
        offer = _read(body, self._services)
        preference = answers_to_reoffer(self.codecs, other)
        local = dataclasses.replace(self._local, sends=True, receives=True)
        try:
            written, media = offer_answer.answer(offer, local, preference=preference, more=_other_codecs(other))
        except sdp.UnacceptableError as error:
            offered = _codecs_in(offer, self.srtp)
            if not offered:
                raise MediaError(f"side {self._name}: {error}") from error
            raise MediaError(
                f"side {self._name} offers {_names(offered)} alone, and the other side has {_names(other)}"
            ) from error
        self._settle(media, written.local)
        self.direction = (media.receives, media.sends)
        return Body(content=written.content)

    def prefer(self, codecs: tuple[Codec, ...]) -> None:
        """Switch to one of these codecs for sending, if it was negotiated too."""
        settled = self._settled
        if settled is None or settled.codec in codecs or self.is_secure:
            return
        chosen = next((fmt for fmt in settled.more if fmt.codec in codecs), None)
        if chosen is not None:
            first = offer_answer.NegotiatedFormat(
                codec=settled.codec, send_pt=settled.send_pt, receive_pt=settled.receive_pt
            )
            more = (first, *(fmt for fmt in settled.more if fmt is not chosen))
            changed = dataclasses.replace(
                settled, codec=chosen.codec, send_pt=chosen.send_pt, receive_pt=chosen.receive_pt, more=more
            )
            assert self._local is not None
            self._settle(changed, self._local)

    def _settle(self, media: offer_answer.NegotiatedMedia, local: offer_answer.LocalStream) -> None:
        codec = Codec(media.codec)
        remote = None
        if media.remote_ip is not None:
            remote = MediaAddress(ip=media.remote_ip, rtp_port=media.remote_rtp_port, rtcp_port=media.remote_rtcp_port)
        assert self.leg.id is not None
        local = local.settled(media.srtp)
        leg_media = LegMedia(
            remote=remote,
            codec=codec,
            send_pt=media.send_pt,
            receive_pt=media.receive_pt,
            send_event_pt=media.send_event_pt,
            receive_event_pt=media.receive_event_pt,
            sends=media.sends,
            # Without an address the core would accept the first sender. That is right for SIPREC, but not here.
            receives=media.receives and remote is not None,
            also_from=self.leg.other_source(remote, self.signals_from),
            more=formats_for_core(media),
            srtp=for_core(media.srtp),
        )
        try:
            self._services.relay.set_media(self.leg.id, leg_media)
        except (OSError, ValueError) as error:  # the IP version is right, but the address cannot be sent to
            raise MediaError(f"side {self._name}: {error}") from error
        if self._local is not None:
            wipe_others(self._local.cryptos, kept=local.cryptos)
        if media.srtp is not None:
            media.srtp.theirs.wipe()
        if self._offer is not None:
            wipe_offered(self._offer)
        self._settled, self._local, self.codec_name = media, local, codec.name


def _codecs_in(offer: sdp.Description, srtp: Srtp) -> tuple[Codec, ...]:
    """Return the codecs of an offer's usable streams, in the order of PREFERENCE."""
    offered = {codec for stream in offer.streams if stream.suits(srtp) for _, codec in stream.codecs}
    return tuple(codec for codec in PREFERENCE if codec in offered)


def _names(codecs: tuple[Codec, ...]) -> str:
    return ", ".join(codec.name for codec in codecs)


def _bridgeable(other: Codec) -> tuple[Codec, ...]:
    return tuple(codec for codec in PREFERENCE if can_bridge(codec, other))


def _other_codecs(codecs: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """Return a side's codecs that cannot be converted to its first one: the other side has to accept them as well."""
    return tuple(codec for codec in codecs if not can_bridge(codec, codecs[0]))


def formats_for_core(media: offer_answer.NegotiatedMedia) -> tuple[PayloadFormat, ...]:
    """Return the further codecs of a negotiated stream as the media core takes them."""
    return tuple(
        PayloadFormat(codec=Codec(fmt.codec), send_pt=fmt.send_pt, receive_pt=fmt.receive_pt) for fmt in media.more
    )


def _read(body: Body, services: CallServices) -> sdp.Description:
    """Parse a session description; addresses that the recorder's sockets cannot send to are removed."""
    if not body.is_sdp():
        raise MediaError(f"a body of type {body.content_type} is not a session description")
    try:
        return sdp.parse(body.content).reachable_from(services.config.media_address)
    except sdp.SdpError as error:
        raise MediaError(str(error)) from error
