"""Offers and answers for one audio stream, and their result (RFC 3264, RFC 4568). Pure.

`sip.sdp` parses the other side's description. Callers answer 488 for `UnacceptableError`. SRTP keys are in `sip.sdes`;
no ``repr`` and no error shows a key.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from sip import sdes
from sip.sdes import Crypto, KeyPair, Srtp
from sip.sdp import DIRECTIONS, G722, NOWHERE, PCMA, PCMU, SPELLED, Description, MediaDescription, UnacceptableError

PREFERENCE = (PCMA, PCMU, G722)
"""G.711 first, because every officer's phone has it; A-law before mu-law, as in Europe."""

_EVENT_PT = 101


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiatedFormat:
    """A further negotiated codec, with its payload types on packets that we send and receive."""

    codec: int
    send_pt: int
    receive_pt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiatedMedia:
    """The result of an offer and its answer for our one audio stream; directions as seen by us.

    Attributes:
        remote_ip: Where we send, or None while the peer holds us by 0.0.0.0.
        remote_rtp_port: Peer's RTP port.
        remote_rtcp_port: Peer's RTCP port.
        codec: Static number of the codec that we send: 8, 0 or 9.
        send_pt: Payload type the peer wants on our packets.
        receive_pt: Payload type on the peer's packets, from our description.
        send_event_pt: Payload type for telephone-event that we send, or None.
        receive_event_pt: Payload type for telephone-event that we accept, or None.
        sends: We send.
        receives: We receive.
        is_hold: The peer has put us on hold.
        ptime_ms: Packet time the peer asks for, or None.
        srtp: The keys of both sides, or None if the audio is plain RTP.
        more: Further negotiated codecs. The peer may change between them within its stream (RFC 3264 section 5.1).
    """

    remote_ip: str | None
    remote_rtp_port: int
    remote_rtcp_port: int
    codec: int
    send_pt: int
    receive_pt: int
    send_event_pt: int | None
    receive_event_pt: int | None
    sends: bool
    receives: bool
    is_hold: bool
    ptime_ms: int | None
    srtp: KeyPair | None = None
    more: tuple[NegotiatedFormat, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStream:
    """Our side of a session, which the application keeps between offers and answers.

    Attributes:
        ip: Address that peers send to.
        rtp_port: Even port; RTCP is the next one.
        session_id: Our identifier in o=, the same for the whole session; digits.
        version: Version in o=; raised by one with each change (RFC 3264 section 8).
        codecs: Static numbers on offer, in order of preference.
        event_pt: Payload type of telephone-event, or None to leave it out. After a negotiation it is the negotiated
            number, which may not be reused for something else (RFC 3264 section 8.3.2).
        others: The session's other, rejected m-lines; an offer repeats them (RFC 3264 section 8).
        at: How many of them come before ours.
        sends: We send.
        receives: We receive.
        text: Digest of the last description without its o= line; shows whether anything has changed.
        srtp: Whether an answer must be encrypted.
        cryptos: Our keys: those on offer, or the negotiated one; with keys, an offer is RTP/SAVP.
        peer_key: `Crypto.name` of the peer's negotiated key; our key changes only when that does.
    """

    ip: str
    rtp_port: int
    session_id: int
    version: int = 1
    codecs: tuple[int, ...] = PREFERENCE
    event_pt: int | None = _EVENT_PT
    others: tuple[str, ...] = ()
    at: int = 0
    sends: bool = True
    receives: bool = True
    text: str = ""
    srtp: Srtp = Srtp.OPTIONAL
    cryptos: tuple[Crypto, ...] = ()
    peer_key: bytes = field(default=b"", repr=False)

    def settled(self, srtp: KeyPair | None) -> "LocalStream":
        """Return the stream with negotiated keys, which the next offer repeats."""
        if srtp is None:
            has_keys = bool(self.cryptos or self.peer_key)
            return dataclasses.replace(self, cryptos=(), peer_key=b"") if has_keys else self
        return dataclasses.replace(self, cryptos=(srtp.ours,), peer_key=srtp.theirs.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An offer or answer as bytes, and the stream to keep for the next one."""

    content: bytes = field(repr=False)
    local: LocalStream


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenStream:
    """The answer to one stream of an offer: the lines of its section, our side of it, and the result."""

    lines: list[str] = field(repr=False)
    local: LocalStream
    media: NegotiatedMedia


def local_offer(local: LocalStream) -> Written:
    """Return an offer of our one audio stream with its keys, in its place among the session's other m-lines."""
    rest = [[line] for line in local.others]
    return written(local, [*rest[: local.at], offered_lines(local), *rest[local.at :]])


def offered_lines(local: LocalStream) -> list[str]:
    """Return the section of our one audio stream in an offer."""
    formats = [(codec, codec) for codec in local.codecs]
    profile = "RTP/SAVP" if local.cryptos else "RTP/AVP"
    direction = (local.sends, local.receives)
    return _audio_lines(
        local.rtp_port, formats, local.event_pt, protocol=profile, cryptos=local.cryptos, direction=direction
    )


def answer(
    offer: Description, local: LocalStream, *, preference: Sequence[int] = PREFERENCE, more: Sequence[int] = ()
) -> tuple[Written, NegotiatedMedia]:
    """Answer an offer: accept its first usable audio stream, and reject every other m-line in its place.

    The codec is the first of ``preference`` that is offered, with the offer's payload types; then follow those of
    ``more`` that are offered. Telephone-event is accepted if it is offered and ``local.event_pt`` is set. The direction
    is what both sides want (RFC 3264 section 6.1). SRTP uses the first key of the offer and one of ours: our present
    key if the peer's has not changed, else a new one, so that both sides count packets anew (RFC 4568 section 7.1.4).

    Raises:
        UnacceptableError: No stream is usable.
    """
    index, stream = _first_usable(offer, local.srtp)
    taken = answer_stream(offer, stream, local, preference=preference, more=more)
    before = [rejected(other) for other in offer.streams[:index]]
    after = [rejected(other) for other in offer.streams[index + 1 :]]
    ours, others = taken.local, tuple([line for lines in (*before, *after) for line in lines])
    if (ours.at, ours.others) != (index, others):
        ours = dataclasses.replace(ours, at=index, others=others)
    return written(ours, [*before, taken.lines, *after]), taken.media


def answer_stream(
    offer: Description,
    stream: MediaDescription,
    local: LocalStream,
    *,
    preference: Sequence[int] = PREFERENCE,
    more: Sequence[int] = (),
) -> TakenStream:
    """Answer one usable stream of an offer, as `answer` does.

    Raises:
        UnacceptableError: It has none of the preferred codecs.
    """
    keys = _answer_keys(stream, local)
    pt, codec = _choose(stream, preference)
    others = _others(stream, codec, more)
    event_pt = stream.event_pts[0] if stream.event_pts and local.event_pt is not None else None
    settled, kept_pt = local.settled(keys), event_pt or _unused_event_pt(stream, local.event_pt)
    # The answer has the direction that both sides want; ours is kept, so that a resume gives both directions again.
    direction = (local.sends and stream.receives, local.receives and stream.sends)
    cryptos = (keys.ours,) if keys is not None else ()
    return TakenStream(
        lines=_audio_lines(
            local.rtp_port,
            [(pt, codec), *others],
            event_pt,
            protocol=stream.protocol,
            cryptos=cryptos,
            direction=direction,
        ),
        local=settled if settled.event_pt == kept_pt else dataclasses.replace(settled, event_pt=kept_pt),
        media=_media(
            offer,
            stream,
            local,
            codec=codec,
            pts=(pt, pt),
            event_pts=(event_pt, event_pt),
            srtp=keys,
            more=tuple(NegotiatedFormat(codec=codec, send_pt=pt, receive_pt=pt) for pt, codec in others),
        ),
    )


def _unused_event_pt(stream: MediaDescription, wanted: int | None) -> int | None:
    """Return a payload type for telephone-event that the peer does not use for something else, or None."""
    if wanted is None or str(wanted) not in stream.formats:
        return wanted
    return next((pt for pt in range(127, 95, -1) if str(pt) not in stream.formats), None)


def _answer_keys(stream: MediaDescription, local: LocalStream) -> KeyPair | None:
    if not stream.is_secure:
        return None
    theirs = stream.cryptos[0]
    same = [ours for ours in local.cryptos if ours.suite is theirs.suite and local.peer_key == theirs.name]
    ours = dataclasses.replace(same[0], tag=theirs.tag) if same else sdes.new(theirs.tag, theirs.suite)
    return KeyPair(ours=ours, theirs=theirs)


def answered(local: LocalStream, reply: Description) -> NegotiatedMedia:
    """Read the answer to an offer that `local_offer` wrote.

    Raises:
        UnacceptableError: The audio stream was rejected, has none of our codecs or keys, or answers SRTP by plain RTP.
    """
    _, stream = _first_usable(reply, Srtp.REQUIRED if local.cryptos else Srtp.OFF)
    keys = _answered_keys(stream, local) if local.cryptos else None
    pt, codec = next(((pt, codec) for pt, codec in stream.codecs if codec in local.codecs), (None, None))
    if pt is None or codec is None:
        raise UnacceptableError("the answer has none of the codecs offered")
    send_event = stream.event_pts[0] if stream.event_pts and local.event_pt is not None else None
    return _media(
        reply,
        stream,
        local,
        codec=codec,
        pts=(pt, codec),
        event_pts=(send_event, local.event_pt if send_event is not None else None),
        srtp=keys,
        more=tuple(
            NegotiatedFormat(codec=codec, send_pt=pt, receive_pt=codec)
            for pt, codec in _others(stream, codec, local.codecs)
        ),
    )


def _answered_keys(stream: MediaDescription, local: LocalStream) -> KeyPair:
    for theirs in stream.cryptos:
        for ours in local.cryptos:
            if (ours.tag, ours.suite) == (theirs.tag, theirs.suite):
                return KeyPair(ours=ours, theirs=theirs)
    raise UnacceptableError("the answer has none of the keys' tags and suites offered")


def _media(
    description: Description,
    stream: MediaDescription,
    local: LocalStream,
    *,
    codec: int,
    pts: tuple[int, int],
    event_pts: tuple[int | None, int | None],
    srtp: KeyPair | None,
    more: tuple[NegotiatedFormat, ...],
) -> NegotiatedMedia:
    """Return the result; ``pts`` and ``event_pts`` are pairs of payload types to send and to receive."""
    is_nowhere = stream.ip in NOWHERE
    return NegotiatedMedia(
        remote_ip=None if is_nowhere else stream.ip,
        remote_rtp_port=stream.port,
        remote_rtcp_port=stream.rtcp_port,
        codec=codec,
        send_pt=pts[0],
        receive_pt=pts[1],
        send_event_pt=event_pts[0],
        receive_event_pt=event_pts[1],
        sends=local.sends and stream.receives and not is_nowhere,
        receives=local.receives and stream.sends,
        is_hold=stream.is_hold,
        ptime_ms=stream.ptime_ms,
        srtp=srtp,
        more=more,
    )


def _first_usable(description: Description, srtp: Srtp) -> tuple[int, MediaDescription]:
    for index, stream in enumerate(description.streams):
        if stream.suits(srtp):
            return index, stream
    profiles = {
        Srtp.OFF: "RTP/AVP",
        Srtp.OPTIONAL: "RTP/AVP, or RTP/SAVP with a key for it,",
        Srtp.REQUIRED: "RTP/SAVP with a key for it",
    }
    raise UnacceptableError(f"no audio stream over {profiles[srtp]} with PCMA, PCMU or G.722")


def _choose(stream: MediaDescription, preference: Sequence[int]) -> tuple[int, int]:
    for wanted in preference:
        for pt, codec in stream.codecs:
            if codec == wanted:
                return pt, codec
    raise UnacceptableError("none of the codecs allowed is offered")


def _others(stream: MediaDescription, chosen: int, allowed: Sequence[int]) -> list[tuple[int, int]]:
    """Return payload type and codec of the stream's other allowed codecs, each codec once, in the stream's order."""
    found: dict[int, int] = {}
    for pt, codec in stream.codecs:
        if codec != chosen and codec in allowed:
            found.setdefault(codec, pt)
    return [(pt, codec) for codec, pt in found.items()]


# -- writing


def _audio_lines(
    port: int,
    formats: list[tuple[int, int]],
    event_pt: int | None,
    *,
    protocol: str,
    cryptos: tuple[Crypto, ...],
    direction: tuple[bool, bool],
) -> list[str]:
    numbers = [str(pt) for pt, _ in formats] + ([str(event_pt)] if event_pt is not None else [])
    lines = [f"m=audio {port} {protocol} {' '.join(numbers)}"]
    lines += [f"a=rtpmap:{pt} {SPELLED[codec]}/8000" for pt, codec in formats]
    if event_pt is not None:
        lines += [f"a=rtpmap:{event_pt} telephone-event/8000", f"a=fmtp:{event_pt} 0-15"]
    lines += [sdes.line(crypto) for crypto in cryptos]
    lines += ["a=ptime:20", *(f"a={name}" for name, flags in DIRECTIONS.items() if flags == direction)]
    return lines


def rejected(stream: MediaDescription) -> list[str]:
    """Return the section that rejects a stream in its place (RFC 3264 section 6)."""
    formats = " ".join(stream.formats) or "0"
    return [f"m={stream.kind} 0 {stream.protocol} {formats}"]


def written(local: LocalStream, sections: list[list[str]]) -> Written:
    """Return the description of some sections, with the next version in o= if anything has changed."""
    family = "IP6" if ":" in local.ip else "IP4"
    lines = ["s=-", f"c=IN {family} {local.ip}", "t=0 0", *(line for section in sections for line in section)]
    text = "\r\n".join(lines) + "\r\n"
    digest = hashlib.sha256(text.encode()).hexdigest()  # the text holds keys, so only its digest is kept
    version = local.version + 1 if local.text and local.text != digest else local.version
    origin = f"v=0\r\no=- {local.session_id} {version} IN {family} {local.ip}\r\n"
    return Written(content=(origin + text).encode(), local=dataclasses.replace(local, version=version, text=digest))
