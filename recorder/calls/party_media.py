"""One side of a recorded call: its media leg, and what offers and answers settled about it. Call thread only.

The SIP side moves bodies, the media core moves packets; this is where one becomes the other.
"""

import contextlib
import dataclasses
import secrets

from audio.types import Codec, LegMedia, MediaAddress, PayloadFormat, PortsExhaustedError
from audio.types import LegId as MediaLegId
from recorder.calls.call_services import CallServices
from recorder.calls.media_errors import MediaError, UnreachableError
from recorder.calls.media_leg import MediaLeg
from recorder.calls.negotiation import PREFERENCE, answer_to_first, can_bridge
from recorder.calls.srtp_keys import for_core, wipe_offered, wipe_others
from sip import offer_answer, sdes, sdp
from sip.events import Body
from sip.sdes import Srtp

Direction = tuple[bool, bool]
"""Whether the peer sends, and whether it receives."""

BOTH: Direction = (True, True)


class PartyMedia:
    """A side of a recorded call.

    Args:
        services: The daemon's parts.
        name: For error messages.
        thread: The media thread that the call lives on; the same for both sides.
    """

    def __init__(self, services: CallServices, name: str, thread: int) -> None:
        self._services = services
        self._name = name
        self.leg = MediaLeg(services, thread)
        self._local: offer_answer.LocalStream | None = None
        self._offer: sdp.Description | None = None
        self.signals_from: str | None = None
        """IP that the party's signalling comes from, if it is one: its media may come from there too."""
        self.srtp = Srtp.OPTIONAL
        """Whether the party's audio has to be encrypted; OPTIONAL is as the party offers it."""
        self.continued: offer_answer.LocalStream | None = None
        """What our descriptions on the party's leg were before, in another call: RFC 3264 section 8."""
        self._settled: offer_answer.NegotiatedMedia | None = None
        self.direction: Direction = BOTH
        """Whether the peer itself sends and receives; a hold that it has only answered is not its own."""
        self.codec_name = ""

    def open(self, *, offers_srtp: bool = False) -> MediaLegId:
        """Open the media leg, and return it; ``offers_srtp``: our first offer has keys.

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
        """Close the media leg, and forget what was settled; the party can be opened again for another target."""
        self.leg.close()
        if self._local is not None:
            wipe_others(self._local.cryptos, kept=())
        self._local = self._offer = self._settled = None
        self.direction = BOTH

    def renew(self) -> None:
        """Close the media leg, and keep ports for the next target; it has just given some back."""
        self.close()
        with contextlib.suppress(PortsExhaustedError):  # the machine has no descriptors: `open` says so
            self.leg.reserve()

    # --- what was settled

    @property
    def session(self) -> offer_answer.LocalStream | None:
        """Return what our descriptions to the party are; None where there is no media leg."""
        return self._local

    @property
    def is_settled(self) -> bool:
        """Tell whether offer and answer are complete."""
        return self._settled is not None

    @property
    def codecs(self) -> tuple[Codec, ...]:
        """Return every codec that was settled, the one that we send first; none before that."""
        if self._settled is None:
            return ()
        return tuple(map(Codec, (self._settled.codec, *(one.codec for one in self._settled.more))))

    @property
    def is_secure(self) -> bool:
        """Tell whether its audio is SRTP, or would be by its offer."""
        if self._settled is not None or self._offer is None:
            return self._settled is not None and self._settled.srtp is not None
        return next((stream.is_secure for stream in self._offer.streams if stream.suits(self.srtp)), False)

    @property
    def is_held(self) -> bool:
        """Tell whether the party has put us on hold."""
        return self._settled is not None and self._settled.is_hold

    @property
    def told(self) -> Direction:
        """Return whether we send and receive by what we said last, also by an offer that has no answer yet."""
        return self._as_peer_allows((self._local.sends, self._local.receives) if self._local is not None else BOTH)

    def is_told(self, direction: Direction) -> bool:
        """Tell whether an offer of this direction would change nothing."""
        return self._as_peer_allows(direction) == self.told

    def _as_peer_allows(self, direction: Direction) -> Direction:
        sends, receives = self.direction
        return (direction[0] and receives, direction[1] and sends)

    @property
    def usable(self) -> tuple[Codec, ...]:
        """Return the codecs the party can use, best first; all where it said nothing.

        Once they are settled: those. Of an encrypted leg the first alone: keys are wiped, so `prefer` cannot change it.
        """
        if self._settled is not None:
            return self.codecs[:1] if self.is_secure else self.codecs
        if self._offer is None:
            return PREFERENCE
        offered = {codec for stream in self._offer.streams if stream.suits(self.srtp) for _, codec in stream.codecs}
        return tuple(codec for codec in PREFERENCE if codec in offered)

    # --- offers and answers

    def take_offer(self, body: Body | None) -> None:
        """Read the offer of an INVITE; None is a delayed offer, ours goes into the answer.

        Raises:
            UnreachableError: It names no address that we send to.
            MediaError: It holds nothing that can be recorded.
        """
        if body is None:
            return
        self._offer = _read(body, self._services)
        if not self.usable:
            if any(stream.lacks_address(self.srtp) for stream in self._offer.streams):
                raise UnreachableError(f"side {self._name} names no address that we send to in its offer")
            profile = {Srtp.OFF: "plain RTP", Srtp.OPTIONAL: "RTP or SRTP", Srtp.REQUIRED: "SRTP"}[self.srtp]
            raise MediaError(f"side {self._name} offers none of PCMA, PCMU, G722 over {profile}")

    def answer_invite(self, other: tuple[Codec, ...]) -> Body:
        """Return the answer to the INVITE's offer, fit to be bridged with the other side.

        Args:
            other: The other side's codecs, what it is sent first; none if they are not known yet.

        Raises:
            MediaError: The two sides have no codec that can be bridged.
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
        """Return an offer of codecs, PREFERENCE where there are none, in the direction of another side.

        What that side sends, we send.
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
        """Take the answer to an offer of ours.

        Raises:
            MediaError: There is none, or it cannot be used; what was settled before stays.
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
        # What it was not offered it cannot have refused (RFC 3264 section 6.1): there its own word stands.
        sends, receives = self.direction
        self.direction = (media.receives if asked_to_send else sends, media.sends if asked_to_receive else receives)

    def answer_reoffer(self, body: Body | None, other: tuple[Codec, ...]) -> Body:
        """Answer a re-offer, keeping the codec if it can; an empty one gets our offer, with both directions.

        Raises:
            MediaError: It holds nothing that the other side can be bridged with; what was settled before stays.
        """
        assert self._local is not None
        if body is None:
            return self.make_offer(self.usable)
        offer = _read(body, self._services)
        current = self.codecs[:1]
        allowed = _bridgeable(other[0]) if other else PREFERENCE
        preference = (*(c for c in current if c in allowed), *(c for c in allowed if c not in current))
        local = dataclasses.replace(self._local, sends=True, receives=True)
        try:
            written, media = offer_answer.answer(offer, local, preference=preference, more=_other_codecs(other))
        except sdp.UnacceptableError as error:
            raise MediaError(f"side {self._name}: {error}") from error
        self._settle(media, written.local)
        self.direction = (media.receives, media.sends)
        return Body(content=written.content)

    def prefer(self, codecs: tuple[Codec, ...]) -> None:
        """Send one of these codecs, where one of them was settled beside the one that is sent."""
        settled = self._settled
        if settled is None or settled.codec in codecs or self.is_secure:
            return
        chosen = next((one for one in settled.more if one.codec in codecs), None)
        if chosen is not None:
            first = offer_answer.NegotiatedFormat(
                codec=settled.codec, send_pt=settled.send_pt, receive_pt=settled.receive_pt
            )
            more = (first, *(one for one in settled.more if one is not chosen))
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
            # Without an address the core would take whoever sends first: right for SIPREC, an open door here.
            receives=media.receives and remote is not None,
            also_from=self.leg.other_source(remote, self.signals_from),
            more=formats_for_core(media),
            srtp=for_core(media.srtp),
        )
        try:
            self._services.relay.set_media(self.leg.id, leg_media)
        except (OSError, ValueError) as error:  # an address that is of our IP version, and yet none to send to
            raise MediaError(f"side {self._name}: {error}") from error
        if self._local is not None:
            wipe_others(self._local.cryptos, kept=local.cryptos)
        if media.srtp is not None:
            media.srtp.theirs.wipe()
        if self._offer is not None:
            wipe_offered(self._offer)
        self._settled, self._local, self.codec_name = media, local, codec.name


def _bridgeable(other: Codec) -> tuple[Codec, ...]:
    return tuple(codec for codec in PREFERENCE if can_bridge(codec, other))


def _other_codecs(codecs: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """Return those of a side's codecs that cannot be converted to its first: the other side has to take them too."""
    return tuple(codec for codec in codecs if not can_bridge(codec, codecs[0]))


def formats_for_core(media: offer_answer.NegotiatedMedia) -> tuple[PayloadFormat, ...]:
    """Return the further codecs of a settled stream as the media core takes them."""
    return tuple(
        PayloadFormat(codec=Codec(one.codec), send_pt=one.send_pt, receive_pt=one.receive_pt) for one in media.more
    )


def _read(body: Body, services: CallServices) -> sdp.Description:
    """Read a description; what our sockets cannot send to has no address in it."""
    if not body.is_sdp():
        raise MediaError(f"a body of type {body.content_type} is no session description")
    try:
        return sdp.parse(body.content).reachable_from(services.config.media_address)
    except sdp.SdpError as error:
        raise MediaError(str(error)) from error
