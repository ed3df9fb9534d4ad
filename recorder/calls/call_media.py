"""The media of both sides of a bridged call. Call thread only.

`recorder.calls.party_media` has the media of one side: its session descriptions and its media leg.
"""

import logging
from collections.abc import ItemsView, ValuesView

from audio.types import Codec
from audio.types import LegId as MediaLegId
from recorder.calls.component import Component
from recorder.calls.media_errors import MediaError
from recorder.calls.party_media import PartyMedia
from recorder.calls.recordable_call import RecordableCall
from recorder.calls.rules.call_events import Side
from recorder.calls.rules.codec_choice import offer_to_second, still_bridged
from recorder.rules.routing import find_peer
from sip.events import Body, CallOffered
from sip.options import TransportKind
from sip.sdes import Srtp

_log = logging.getLogger(__name__)


class CallMedia(Component[RecordableCall]):
    """The media of both parties of one call, by side.

    Args:
        thread: Index of the media thread that has the call.
    """

    def __init__(self, call: RecordableCall, thread: int) -> None:
        super().__init__(call)
        self._thread = thread
        self._services = call.services
        self._sides = {side: self.new(side.value) for side in Side}

    def __getitem__(self, side: Side) -> PartyMedia:
        """Return the media of a side."""
        return self._sides[side]

    def items(self) -> ItemsView[Side, PartyMedia]:
        """Return the sides and their media."""
        return self._sides.items()

    def values(self) -> ValuesView[PartyMedia]:
        """Return the media of both sides."""
        return self._sides.values()

    def new(self, name: str) -> PartyMedia:
        """Return media for a party of this call; its leg is not open yet."""
        return PartyMedia(self._services, name, self._thread)

    def put(self, side: Side, party: PartyMedia) -> None:
        """Close the media of a side, and put another party's in its place."""
        self._sides[side].close()
        self._sides[side] = party

    def side_of(self, leg: MediaLegId) -> Side | None:
        """Return the side of a media leg, or None if no side has it any more."""
        return next((side for side, party in self._sides.items() if party.leg.id == leg), None)

    # --- offers and answers

    def accept(self, offered: CallOffered) -> None:
        """Read A's offer, open its media leg and reserve ports for B.

        Without the reservation the caller could be answered, and B could get no ports.

        Raises:
            MediaError: Nothing in the offer can be recorded (488).
            PortsExhaustedError: No ports are left (503).
        """
        self.take_offer_of(self[Side.A], offered)
        self[Side.B].leg.reserve()

    def take_offer_of(self, party: PartyMedia, event: CallOffered) -> None:
        """Read the offer of an INVITE, and open the party's media leg.

        Raises:
            MediaError: Nothing in the offer can be recorded.
            PortsExhaustedError: No ports are left.
        """
        peer = find_peer(self._services.config.peer, event.source.host)
        party.srtp = peer.srtp if peer is not None else Srtp.OPTIONAL
        party.take_offer(event.body)  # first: an offer that is refused must not use up ports
        party.signals_from = event.source.host
        if party.is_secure and event.source.transport is not TransportKind.TLS:
            _log.info("call %s: an SRTP key came over unencrypted SIP", self._call.id)
        self.open(party, offers_srtp=event.body is None and party.srtp is Srtp.REQUIRED)

    def open(self, party: PartyMedia, *, offers_srtp: bool = False) -> None:
        """Open a party's media leg, and have its events come to this call."""
        self._call.adopt_media(party.open(offers_srtp=offers_srtp))

    def offer_by(self, party: PartyMedia, wanted: Srtp, other: PartyMedia) -> Body:
        """Open a party's media leg, and return the offer to it: the codecs that can be bridged to ``other``."""
        party.srtp = Srtp.REQUIRED if wanted is Srtp.REQUIRED else Srtp.OPTIONAL
        self.open(party, offers_srtp=wanted is Srtp.REQUIRED or (wanted is Srtp.OPTIONAL and other.is_secure))
        return party.make_offer(offer_to_second(other.usable))

    def take_answer(self, side: Side, body: Body | None) -> bool:
        """Apply a side's answer; return whether it can be bridged."""
        try:
            self[side].take_answer(body)
        except MediaError as error:
            _log.info("call %s: side %s: %s", self._call.id, side.value, error)
            return False
        return True

    def refused(self, party: PartyMedia) -> None:
        """Log that a party refused the offered audio, and raise the alarm."""
        call = self._call.id
        _log.warning("call %s: the far side refused the audio that the recorder offered: %s", call, _offered_by(party))
        self._services.alarm("media_refused")

    # --- playing and bridging

    def bridge(self, *, is_a_mute: bool) -> None:
        """Bridge the sides; while A is mute, B does not hear it."""
        a, b = self[Side.A], self[Side.B]
        a.leg.stop_playing()
        for one, other in ((a, b), (b, a)):
            one.prefer(still_bridged(one.codecs, other.codecs))
        assert a.leg.id is not None
        assert b.leg.id is not None
        self._services.relay.legs.mute(a.leg.id, is_a_mute)
        self._services.relay.bridge(a.leg.id, b.leg.id)

    @property
    def is_held(self) -> bool:
        """Tell whether a party has put the call on hold (SIP hold)."""
        return any(party.is_held for party in self.values())

    def stop_playing(self) -> None:
        """Stop playing to both sides."""
        for party in self.values():
            party.leg.stop_playing()

    def close(self) -> None:
        """Close the media of both sides."""
        for party in self.values():
            party.close()


def _offered_by(party: PartyMedia) -> str:
    """Return the recorder's last offer to a party, for the log."""
    session = party.session
    if session is None:
        return "nothing"
    codecs = ", ".join(Codec(codec).name for codec in session.codecs)
    return f"{codecs} over {'SRTP' if session.cryptos else 'plain RTP'}"
