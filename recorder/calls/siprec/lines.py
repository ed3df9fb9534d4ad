"""The m-lines of a recording session: a media leg of ours for each that can be recorded. Call thread only.

What is said about them is `sip.recording_sdp`'s; here it becomes media legs that only listen.
"""

import dataclasses
import logging
import secrets
from collections.abc import Callable, Sequence

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
    """The lines of one session.

    Args:
        call: The session.
        thread: The media thread that the session lives on.
        networks: Where its packets may come from, beside what its session descriptions name.
        srtp: Whether its audio has to be encrypted.
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
        self._offered: offer_answer.LocalStream | None = None
        self.content = b""
        """The answer last given."""

    def take(self, body: Body, record: Callable[[tuple[str | None, ...]], str | None]) -> Body:
        """Take an offer; return its answer.

        Lines that stay keep their ports; those that are gone keep them too until `drop_idle`, as the tap may be on
        them.

        Args:
            body: The session description.
            record: Gives the value of a=record, once it is known which lines there are (see `labels`).

        Raises:
            MediaError: It holds nothing that can be recorded: 488. Everything is as it was.
            PortsExhaustedError: No ports are left: 503. Everything is as it was.
        """
        offer = _parse(body)
        try:
            return self._taken(offer, record)
        finally:
            wipe_offered(offer)  # the core has what it needs

    def offer(self) -> Body:
        """Return an offer of one line, for a client that leaves it to us: a telephone's built-in bridge does.

        Raises:
            PortsExhaustedError: No ports are left: 503.
        """
        (local,) = self._open((0,), 1)
        assert local is not None
        written = offer_answer.local_offer(
            dataclasses.replace(local, session_id=self._session.session_id, sends=False, receives=True)
        )
        self._offered, self.content = written.local, written.content
        self._session = dataclasses.replace(self._session, version=written.local.version, text=written.local.text)
        return Body(content=written.content)

    def take_answer(self, body: Body) -> None:
        """Take the answer to our offer.

        Raises:
            MediaError: Nothing in it can be recorded.
        """
        assert self._offered is not None
        reply, offered = _parse(body), self._offered
        try:
            media = offer_answer.answered(offered, reply)
        except sdp.UnacceptableError as error:
            raise MediaError(str(error)) from error
        self._lines = (Line(stream=reply.streams[0], local=offered, media=media),)
        self._listen(self._legs[0], media)

    def _taken(self, offer: sdp.Description, record: Callable[[tuple[str | None, ...]], str | None]) -> Body:
        usable = recording_sdp.usable(offer, self._session)
        if not usable:
            raise MediaError("no m-line has G.711 or G.722 audio over RTP, or over SRTP with a key, as it has to be")
        locals_ = self._open(usable, len(offer.streams))
        labels = tuple(one.label if at in usable else None for at, one in enumerate(offer.streams))
        answer = recording_sdp.answer(offer, self._session, locals_, record=record(labels))
        for at, line in enumerate(answer.lines):
            if line.media is not None and line.local is not None:
                self._listen(self._legs[at], line.media)
                self._wipe_old(at, line.local.cryptos)
        self._session, self._lines, self.content = answer.session, answer.lines, answer.content
        return Body(content=answer.content)

    def _open(self, usable: Sequence[int], count: int) -> list[offer_answer.LocalStream | None]:
        """Open the legs that are missing; all or none."""
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
        """Return a=label of each m-line, "" where it has none; None for one that is not received."""
        return tuple(line.stream.label if line.media is not None else None for line in self._lines)

    @property
    def sent(self) -> frozenset[int]:
        """Return the positions of the lines on which the client sends, by its description."""
        return frozenset(at for at, line in enumerate(self._lines) if line.is_active)

    @property
    def is_held(self) -> bool:
        """Tell whether the client sends nothing on any line, and has said so."""
        taken = [line for line in self._lines if line.media is not None]
        return bool(taken) and not any(line.is_active for line in taken)

    def leg(self, at: int | None) -> MediaLegId | None:
        """Return the media leg of a line, if it has one."""
        return self._legs.get(at) if at is not None else None

    def codec_name(self, at: int | None) -> str:
        """Return the codec of a line, or ""."""
        media = self._lines[at].media if at is not None and at < len(self._lines) else None
        return Codec(media.codec).name if media is not None else ""

    def drop_idle(self) -> None:
        """Close the legs of lines that are gone; the tap is on others by now."""
        for at in [one for one in self._legs if self._lines[one : one + 1] == () or self._lines[one].media is None]:
            leg = self._legs.pop(at)
            self._heard.pop(leg, None)
            self._services.relay.close_leg(leg)

    def was_silent(self) -> bool:
        """Tell whether nothing has arrived on any line since this was last asked."""
        received = {leg: self._services.relay.statistics(leg).received for leg in self._legs.values()}
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
    """Return where the client says that it sends from, or None; an address with a zone is of its host alone."""
    if media.remote_ip is None or "%" in media.remote_ip:
        return None
    return MediaAddress(ip=media.remote_ip, rtp_port=media.remote_rtp_port, rtcp_port=media.remote_rtcp_port)


def _parse(body: Body) -> sdp.Description:
    try:
        return sdp.parse(body.content)
    except sdp.SdpError as error:
        raise MediaError(str(error)) from error
