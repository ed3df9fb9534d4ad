"""The m-lines of a recording session, with a media leg that only receives for each. Call thread only.

`sip.recording_sdp` reads and writes their session descriptions.
"""

import dataclasses
import logging
import secrets
from collections.abc import Sequence

from audio.types import Codec, LegMedia, MediaAddress
from audio.types import LegId as MediaLegId
from recorder.calls.component import Component
from recorder.calls.media_errors import MediaError
from recorder.calls.party_media import formats_for_core
from recorder.calls.recordable_call import RecordableCall
from recorder.calls.srtp_keys import for_core, wipe_offered, wipe_others
from sip import offer_answer, recording_sdp, sdp
from sip.events import Body
from sip.recording_sdp import Line
from sip.sdes import Crypto, Srtp

_log = logging.getLogger(__name__)


class SessionLines(Component[RecordableCall]):
    """The m-lines of one session.

    Args:
        thread: Index of the media thread that has the session.
        networks: Networks from which packets are accepted, besides the addresses in the session descriptions.
        srtp: Whether the audio has to be encrypted.
    """

    def __init__(self, call: RecordableCall, thread: int, networks: Sequence[str], srtp: Srtp) -> None:
        super().__init__(call)
        self._services = call.services
        self._thread = thread
        self._networks = tuple(networks)
        self._legs: dict[int, MediaLegId] = {}
        self._lines: tuple[Line, ...] = ()
        self._session = offer_answer.LocalStream(ip="", rtp_port=0, session_id=secrets.randbelow(2**31), srtp=srtp)
        self._heard: dict[MediaLegId, int] = {}

    def take(self, body: Body) -> None:
        """Apply an offer; `describe` returns the answer.

        Lines that stay keep their ports. Lines that are removed keep them until `close_removed`, because the tap may
        still use them.

        Raises:
            MediaError: Nothing in the offer can be recorded (488). Nothing has changed.
            PortsExhaustedError: No ports are left (503). Nothing has changed.
        """
        offer = _parse(body)
        try:
            self._apply_offer(offer)
        finally:
            wipe_offered(offer)  # the media core has the keys that it needs

    def offer(self) -> None:
        """Open one line, to be offered to an INVITE without an offer, as from a phone's built-in bridge.

        Raises:
            PortsExhaustedError: No ports are left (503).
        """
        (local,) = self._open((0,), 1)
        assert local is not None
        self._lines = (recording_sdp.offer(local),)

    def take_answer(self, body: Body) -> None:
        """Apply the answer to the recorder's offer.

        Raises:
            MediaError: Nothing in the answer can be recorded.
        """
        (line,) = self._lines
        assert line.local is not None
        reply = _parse(body)
        try:
            media = offer_answer.answered(line.local, reply)
        except sdp.UnacceptableError as error:
            raise MediaError(str(error)) from error
        self._lines = (dataclasses.replace(line, label=reply.streams[0].label, media=media),)
        self._listen(self._legs[0], media)

    def describe(self, record: str | None, *, is_offer: bool = False) -> Body:
        """Return the lines as an offer or an answer; only a change raises its version (RFC 3264 section 8).

        Args:
            record: Value of a=record: ``on``, ``off`` or ``paused``; None leaves it out.
            is_offer: It is an offer, so that no line is on hold in it.
        """
        lines = tuple(map(recording_sdp.wanted, self._lines)) if is_offer else self._lines
        written = recording_sdp.describe(self._session, lines, record=record)
        self._session = written.local
        return Body(content=written.content)

    def _apply_offer(self, offer: sdp.Description) -> None:
        usable = recording_sdp.usable(offer, self._session)
        if not usable:
            raise MediaError("no m-line has G.711 or G.722 audio over RTP, or over SRTP with a usable key")
        locals_ = self._open(usable, len(offer.streams))
        lines = recording_sdp.answer(offer, self._session.srtp, locals_)
        for at, line in enumerate(lines):
            if line.media is not None and line.local is not None:
                self._listen(self._legs[at], line.media)
                self._wipe_old(at, line.local.cryptos)
        self._lines = lines

    def _open(self, usable: Sequence[int], count: int) -> list[offer_answer.LocalStream | None]:
        """Open missing legs, all or none; return the local description of each line, None if it is not usable."""
        opened: list[int] = []
        try:
            for at in usable:
                if at not in self._legs:
                    self._legs[at] = self._services.relay.open_leg(self._thread)
                    opened.append(at)
        except BaseException:
            for at in opened:
                self._services.relay.close_leg(self._legs.pop(at))
            raise
        for at in opened:
            self._call.adopt_media(self._legs[at])
        return [self._local(at) if at in usable else None for at in range(count)]

    def _local(self, at: int) -> offer_answer.LocalStream:
        known = self._lines[at].local if at < len(self._lines) else None
        address = self._services.relay.local_address(self._legs[at])
        ip = self._services.config.media.advertised or address.ip
        self._session = dataclasses.replace(self._session, ip=ip)
        return known or offer_answer.LocalStream(ip=ip, rtp_port=address.rtp_port, session_id=0)

    def _wipe_old(self, at: int, kept: Sequence[Crypto]) -> None:
        before = self._lines[at].local if at < len(self._lines) else None
        if before is not None:
            wipe_others(before.cryptos, kept)

    def _listen(self, leg: MediaLegId, media: offer_answer.NegotiatedMedia) -> None:
        expected = _signalled(media)
        listening = LegMedia(
            remote=None,
            codec=Codec(media.codec),
            send_pt=media.send_pt,
            receive_pt=media.receive_pt,
            receive_event_pt=media.receive_event_pt,
            sends=False,
            receives=media.receives,
            expected=expected,
            networks=(*self._networks, *((expected.ip,) if expected is not None else ())),
            srtp=for_core(media.srtp),
            more=formats_for_core(media),
        )
        self._services.relay.set_media(leg, listening)

    @property
    def labels(self) -> tuple[str | None, ...]:
        """Return a=label of each m-line, "" if it has none; None for a line that is not received."""
        return tuple(line.label if line.media is not None else None for line in self._lines)

    @property
    def sent(self) -> frozenset[int]:
        """Return the positions of the lines on which the SRC sends, by its session description."""
        return frozenset(at for at, line in enumerate(self._lines) if line.is_active)

    @property
    def is_held(self) -> bool:
        """Tell whether the SRC has every line on hold, by its session description."""
        received = [line for line in self._lines if line.media is not None]
        return bool(received) and not any(line.is_active for line in received)

    def leg(self, at: int | None) -> MediaLegId | None:
        """Return the media leg of a line, or None."""
        return self._legs.get(at) if at is not None else None

    def codec_name(self, at: int | None) -> str:
        """Return the codec's name of a line, or ""."""
        media = self._lines[at].media if at is not None and at < len(self._lines) else None
        return Codec(media.codec).name if media is not None else ""

    def close_removed(self) -> None:
        """Close the legs of lines that were removed; the tap must not use them any more."""
        for at in [at for at in self._legs if at >= len(self._lines) or self._lines[at].local is None]:
            leg = self._legs.pop(at)
            self._heard.pop(leg, None)
            self._services.relay.close_leg(leg)

    def was_silent(self) -> bool:
        """Tell whether no packet has arrived on any line since the last call of this method."""
        received = {leg: self._services.relay.legs.statistics(leg).received for leg in self._legs.values()}
        is_silent = all(count == self._heard.get(leg, -1) for leg, count in received.items())
        self._heard = received
        return is_silent

    @property
    def legs(self) -> tuple[MediaLegId, ...]:
        """Return the media legs of all lines."""
        return tuple(self._legs.values())

    def close(self) -> None:
        """Close every leg."""
        for leg in self._legs.values():
            self._services.relay.close_leg(leg)
        self._legs.clear()
        for at in range(len(self._lines)):
            self._wipe_old(at, ())


def _signalled(media: offer_answer.NegotiatedMedia) -> MediaAddress | None:
    """Return the address that the SRC signalled, or None; an address with a zone is valid on its own host only."""
    if media.remote_ip is None or "%" in media.remote_ip:
        return None
    return MediaAddress(ip=media.remote_ip, rtp_port=media.remote_rtp_port, rtcp_port=media.remote_rtcp_port)


def _parse(body: Body) -> sdp.Description:
    try:
        return sdp.parse(body.content)
    except sdp.SdpError as error:
        raise MediaError(str(error)) from error
