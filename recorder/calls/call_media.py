"""The media of both sides of a call that we stand in. Call thread only.

What SDP and a media leg have to do with one another is `recorder.calls.party_media`'s.
"""

import logging
from collections.abc import ItemsView, ValuesView

from audio.types import Codec
from audio.types import LegId as MediaLegId
from recorder.calls.component import Component
from recorder.calls.media_errors import MediaError
from recorder.calls.negotiation import offer_to_second, still_bridged
from recorder.calls.party_media import PartyMedia
from recorder.calls.recordable_call import RecordableCall
from recorder.calls.rules.call_events import Side
from recorder.rules.routing import find_peer
from sip.events import Body, CallOffered
from sip.options import TransportKind
from sip.sdes import Srtp

_log = logging.getLogger(__name__)


class CallMedia(Component[RecordableCall]):
    """The media of both parties of one call, by side.

    Args:
        call: The call.
        thread: The media thread that the call lives on.
    """

    def __init__(self, call: RecordableCall, thread: int) -> None:
        super().__init__(call)
        self._thread = thread
        self._services = call.services
        self._sides = {side: self.new(side.value) for side in Side}

    def __getitem__(self, side: Side) -> PartyMedia:
        """Return the party of a side."""
        return self._sides[side]

    def items(self) -> ItemsView[Side, PartyMedia]:
        """Return the sides and their parties."""
        return self._sides.items()

    def values(self) -> ValuesView[PartyMedia]:
        """Return the parties."""
        return self._sides.values()

    def new(self, name: str) -> PartyMedia:
        """Return a party of this call, without media yet."""
        return PartyMedia(self._services, name, self._thread)

    def put(self, side: Side, party: PartyMedia) -> None:
        """Close the media of a side, and put another party in its place."""
        self._sides[side].close()
        self._sides[side] = party

    def side_of(self, leg: MediaLegId) -> Side | None:
        """Return the side of a media leg, or None for one that is history."""
        return next((side for side, party in self._sides.items() if party.leg.id == leg), None)

    # --- offers and answers

    def accept(self, offered: CallOffered) -> None:
        """Read A's offer and open its media leg; keep ports for B, or the caller would be answered and hear nobody.

        Raises:
            MediaError: Nothing in it can be recorded (488).
            PortsExhaustedError: No ports are left (503).
        """
        self.take_offer_of(self[Side.A], offered)
        self[Side.B].leg.reserve()

    def take_offer_of(self, party: PartyMedia, event: CallOffered) -> None:
        """Take what somebody's INVITE offers, and open a party's ports for it."""
        peer = find_peer(self._services.config.peer, event.source.host)
        party.srtp = peer.srtp if peer is not None else Srtp.OPTIONAL
        party.take_offer(event.body)  # first: what is refused must not use up ports
        party.signals_from = event.source.host
        if party.is_secure and event.source.transport is not TransportKind.TLS:
            _log.info("call %s: the key of a side came over SIP in the clear", self._call.id)
        self.open(party, offers_srtp=event.body is None and party.srtp is Srtp.REQUIRED)

    def open(self, party: PartyMedia, *, offers_srtp: bool = False) -> None:
        """Open a party's ports."""
        self._call.adopt_media(party.open(offers_srtp=offers_srtp))

    def offer_by(self, party: PartyMedia, wanted: Srtp, other: PartyMedia) -> Body:
        """Open a party's ports, and return the offer to it of what can be bridged to another."""
        party.srtp = Srtp.REQUIRED if wanted is Srtp.REQUIRED else Srtp.OPTIONAL
        self.open(party, offers_srtp=wanted is Srtp.REQUIRED or (wanted is Srtp.OPTIONAL and other.is_secure))
        return party.make_offer(offer_to_second(other.usable))

    def take_answer(self, side: Side, body: Body | None) -> bool:
        """Take a side's answer; tells whether it can be bridged."""
        try:
            self[side].take_answer(body)
        except MediaError as error:
            _log.info("call %s: side %s: %s", self._call.id, side.value, error)
            return False
        return True

    def refused(self, party: PartyMedia) -> None:
        """Say that the far side does not take what a party was offered; the alarm says what to do."""
        call = self._call.id
        _log.warning("call %s: the far side does not take the audio that we offer it: %s", call, _offered_by(party))
        self._services.alarm("media_refused")

    # --- what they hear

    def bridge(self, *, is_a_mute: bool) -> None:
        """Let the sides hear one another; what A says goes nowhere while it is mute."""
        a, b = self[Side.A], self[Side.B]
        a.leg.stop_playing()
        for one, other in ((a, b), (b, a)):
            one.prefer(still_bridged(one.codecs, other.codecs))
        assert a.leg.id is not None
        assert b.leg.id is not None
        self._services.relay.mute(a.leg.id, is_a_mute)
        self._services.relay.bridge(a.leg.id, b.leg.id)

    @property
    def is_held(self) -> bool:
        """Tell whether one of the sides is on hold."""
        return any(party.is_held for party in self.values())

    def stop_playing(self) -> None:
        """Play nothing to anybody any more."""
        for party in self.values():
            party.leg.stop_playing()

    def close(self) -> None:
        """Close the media of both sides."""
        for party in self.values():
            party.close()


def _offered_by(party: PartyMedia) -> str:
    """Return what our last offer to a party was, in words for the log."""
    session = party.session
    if session is None:
        return "nothing"
    codecs = ", ".join(Codec(codec).name for codec in session.codecs)
    return f"{codecs} over {'SRTP' if session.cryptos else 'plain RTP'}"
