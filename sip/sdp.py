"""Session descriptions: lenient reading, offers and answers for one audio stream. Pure (RFC 8866, RFC 3264).

Codecs are named by their static RTP payload number (RFC 3551): 8 PCMA, 0 PCMU, 9 G.722. Reading takes what phones and
exchanges send, not only what the RFC allows; whatever it cannot take raises `SdpError` and nothing else. Whoever
answers a call maps `UnacceptableError` to 488. Keys for SRTP are in `sip.sdes`; none is in a repr or an error.
"""

import dataclasses
import hashlib
import ipaddress
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from sip import sdes
from sip.sdes import Crypto, KeyPair, Srtp

PCMU, PCMA, G722 = 0, 8, 9
PREFERENCE = (PCMA, PCMU, G722)
"""G.711 first, so that an officer's phone that knows nothing else can always be joined; A-law is Europe's."""

MAX_BYTES = 65_535
MAX_STREAMS = 32
MAX_KEYS = 16
"""a=crypto lines that are looked at of one stream."""
_EVENT_PT = 101
_PLAIN = ("RTP/AVP", "RTP/AVPF")
_SECURE = ("RTP/SAVP", "RTP/SAVPF")
_NOWHERE = ("0.0.0.0", "::")  # noqa: S104 - values of the wire, never bound
_NAMES = {"PCMU": PCMU, "PCMA": PCMA, "G722": G722}
_SPELLED = {number: name for name, number in _NAMES.items()}
_RTPMAP = re.compile(r"(\d{1,3})\s+([^/\s]+)\s*/\s*(\d{1,6})(?:\s*/\s*\d+)?\s*")
_DIRECTIONS = {
    "sendrecv": (True, True),
    "sendonly": (True, False),
    "recvonly": (False, True),
    "inactive": (False, False),
}


class SdpError(ValueError):
    """The text is no session description, or none that can be used."""


class UnacceptableError(SdpError):
    """The description is sound but has no stream that we can take: 488 (RFC 3261 section 21.4.26)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One m-line, in its place.

    Attributes:
        kind: ``audio``, ``image``, ``video`` ...
        port: RTP port, 0 when the stream is rejected or unused.
        protocol: ``RTP/AVP``, ``RTP/SAVP``, ``udptl`` ... as written.
        formats: Format list as written.
        ip: Address of the stream or the session, or None.
        rtcp_port: From a=rtcp (RFC 3605), else the port above RTP.
        sends: Its owner sends (sendrecv or sendonly).
        receives: Its owner receives (sendrecv or recvonly).
        codecs: Payload type and static codec number of each format that we know, in the owner's order.
        event_pts: Payload types of telephone-event at 8000 Hz.
        ptime_ms: Packet time the owner asks for, or None.
        cryptos: Keys of a=crypto that can be used, in the owner's order (RFC 4568).
        label: a=label (RFC 4574), which metadata name a stream by, or "".
    """

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    ip: str | None
    rtcp_port: int
    sends: bool
    receives: bool
    codecs: tuple[tuple[int, int], ...]
    event_pts: tuple[int, ...]
    ptime_ms: int | None
    cryptos: tuple[Crypto, ...] = ()
    label: str = ""

    @property
    def is_secure(self) -> bool:
        """Tell whether it is SRTP by its profile; a=crypto beside a plain one is only a wish and counts for nothing."""
        return self.protocol.upper() in _SECURE

    @property
    def is_audible(self) -> bool:
        """Tell whether it is RTP audio, plain or under a key of ours, with a port and a codec of ours."""
        is_rtp = bool(self.cryptos) if self.is_secure else self.protocol.upper() in _PLAIN
        return self.kind == "audio" and self.port > 0 and is_rtp and bool(self.codecs)

    @property
    def is_usable(self) -> bool:
        """Tell whether it is audible and has an address that we can send to."""
        return self.is_audible and self.ip is not None

    def suits(self, srtp: Srtp, *, is_heard_only: bool = False) -> bool:
        """Tell whether it is usable, and encrypted or not as it has to be; who only listens needs no address."""
        is_right = self.is_audible if is_heard_only else self.is_usable
        return is_right and (srtp is Srtp.OPTIONAL or self.is_secure == (srtp is Srtp.REQUIRED))

    @property
    def is_hold(self) -> bool:
        """Tell whether its owner puts us on hold: it does not want our audio, in any of the three spellings."""
        return not self.receives or self.ip in _NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A session description as read.

    Attributes:
        session_id: Identifier in o=, "" when there is none.
        version: Version in o=.
        streams: Every m-line, in order.
    """

    session_id: str
    version: int
    streams: tuple[Stream, ...]

    @property
    def is_t38_offered(self) -> bool:
        """Tell whether a T.38 fax stream is offered (RFC 7345, ITU-T T.38 annex D)."""
        return any(s.kind == "image" and s.port > 0 and "t38" in {f.lower() for f in s.formats} for s in self.streams)


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """What an exchange settled for our one audio stream; directions as seen by us.

    Attributes:
        remote_ip: Where we send, or None while the peer holds us by 0.0.0.0.
        remote_rtp_port: Peer's RTP port.
        remote_rtcp_port: Peer's RTCP port.
        codec: Static number of the chosen codec: 8, 0 or 9.
        send_pt: Payload type the peer wants on our packets.
        receive_pt: Payload type on the peer's packets: ours, as we described it.
        send_event_pt: Payload type for telephone-event that we send, or None.
        receive_event_pt: Payload type for telephone-event that we take, or None.
        sends: We send.
        receives: We receive.
        is_hold: The peer has put us on hold.
        is_t38_offered: The peer's description offers T.38 too.
        ptime_ms: Packet time the peer asks for, or None.
        srtp: The keys of both sides, or None when the audio is plain RTP.
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
    is_t38_offered: bool
    ptime_ms: int | None
    srtp: KeyPair | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStream:
    """Our side of a session: what is written into offers and answers, and kept by the application between them.

    Attributes:
        ip: Address that peers are to send to.
        rtp_port: Even port; RTCP is the one above.
        session_id: Identifier in o=, our own and the same for the whole session; digits.
        version: Version in o=; raised by one with each change (RFC 3264 section 8).
        codecs: Static numbers on offer, in order of preference.
        event_pt: Payload type of telephone-event, or None to leave it out.
        sends: We send.
        receives: We receive.
        text: Digest of the description last written without its o= line; tells whether anything has changed.
        srtp: Whether what is answered has to be encrypted.
        cryptos: Our keys: those on offer, or the one that was settled; with any, an offer is RTP/SAVP.
        peer_key: `Crypto.name` of the peer's key that was settled: while it stays, so does ours.
    """

    ip: str
    rtp_port: int
    session_id: int
    version: int = 1
    codecs: tuple[int, ...] = PREFERENCE
    event_pt: int | None = _EVENT_PT
    sends: bool = True
    receives: bool = True
    text: str = ""
    srtp: Srtp = Srtp.OPTIONAL
    cryptos: tuple[Crypto, ...] = ()
    peer_key: bytes = field(default=b"", repr=False)

    def settled(self, srtp: KeyPair | None) -> "LocalStream":
        """Return the stream with the keys of an exchange: the next offer has the same."""
        if srtp is None:
            return dataclasses.replace(self, cryptos=(), peer_key=b"")
        return dataclasses.replace(self, cryptos=(srtp.ours,), peer_key=srtp.theirs.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A description of ours, ready to be sent, and the stream to keep for the next one."""

    content: bytes = field(repr=False)
    local: LocalStream


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenStream:
    """One stream of an offer as it is answered: the lines of its section, our side of it, and what was settled."""

    lines: list[str] = field(repr=False)
    local: LocalStream
    media: Media


def parse(content: bytes) -> Description:
    """Read a session description.

    Raises:
        SdpError: It is too long, has no v=0, or an m-line, address or number that cannot be read.
    """
    if len(content) > MAX_BYTES:
        raise SdpError(f"{len(content)} bytes, at most {MAX_BYTES}")
    lines = _lines(content)
    if not lines or lines[0] != ("v", "0"):
        raise SdpError("does not begin with v=0")
    starts = [at for at, (kind, _) in enumerate(lines) if kind == "m"]
    if len(starts) > MAX_STREAMS:
        raise SdpError(f"{len(starts)} streams, at most {MAX_STREAMS}")
    session = lines[: starts[0]] if starts else lines
    bounds = [*starts, len(lines)]
    streams = tuple(_stream(lines[start:end], session) for start, end in itertools.pairwise(bounds))
    session_id, version = _origin(session)
    return Description(session_id=session_id, version=version, streams=streams)


def local_offer(local: LocalStream) -> Written:
    """Write an offer of our one audio stream, under the keys that it has."""
    formats = [(codec, codec) for codec in local.codecs]
    profile = "RTP/SAVP" if local.cryptos else "RTP/AVP"
    return written(local, [_audio_lines(local, formats, local.event_pt, protocol=profile, cryptos=local.cryptos)])


def answer(offer: Description, local: LocalStream, *, preference: Sequence[int] = PREFERENCE) -> tuple[Written, Media]:
    """Answer an offer: its first usable audio stream is taken, every other m-line rejected in its place.

    The codec is the first of ``preference`` that is offered, under the payload types of the offer; telephone-event is
    taken when offered and ``local.event_pt`` is set. Our direction is what both sides want (RFC 3264 section 6.1).
    SRTP is answered with the first key of the offer and one of ours: the one we have while the peer's is the same, a
    new one when the peer has a new one, so that both begin to count packets anew (RFC 4568 section 7.1.4).

    Raises:
        UnacceptableError: No stream can be taken.
    """
    index, stream = _first_usable(offer, local.srtp)
    taken = answer_stream(offer, stream, local, preference=preference)
    sections = [taken.lines if at == index else rejected(other) for at, other in enumerate(offer.streams)]
    return written(taken.local, sections), taken.media


def answer_stream(
    offer: Description, stream: Stream, local: LocalStream, *, preference: Sequence[int] = PREFERENCE
) -> TakenStream:
    """Answer one usable stream of an offer; see `answer` for how.

    Raises:
        UnacceptableError: It has none of the codecs preferred.
    """
    keys = _answer_keys(stream, local)
    pt, codec = _choose(stream, preference)
    event_pt = stream.event_pts[0] if stream.event_pts and local.event_pt is not None else None
    # Only what both sides want is written, but what we are able to do is kept: a resume must give both ways again.
    shown = dataclasses.replace(local, sends=local.sends and stream.receives, receives=local.receives and stream.sends)
    cryptos = (keys.ours,) if keys is not None else ()
    return TakenStream(
        lines=_audio_lines(shown, [(pt, codec)], event_pt, protocol=stream.protocol, cryptos=cryptos),
        local=local.settled(keys),
        media=_media(offer, stream, local, codec=codec, pts=(pt, pt), event_pts=(event_pt, event_pt), srtp=keys),
    )


def _answer_keys(stream: Stream, local: LocalStream) -> KeyPair | None:
    if not stream.is_secure:
        return None
    theirs = stream.cryptos[0]
    same = [ours for ours in local.cryptos if ours.suite is theirs.suite and local.peer_key == theirs.name]
    ours = dataclasses.replace(same[0], tag=theirs.tag) if same else sdes.new(theirs.tag, theirs.suite)
    return KeyPair(ours=ours, theirs=theirs)


def answered(local: LocalStream, reply: Description) -> Media:
    """Read the answer to an offer that `local_offer` wrote.

    Raises:
        UnacceptableError: The audio stream was rejected, or nothing we offered is in the answer. A key is; an offer
            of SRTP that is answered with plain RTP is none that we would send to.
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
    )


def _answered_keys(stream: Stream, local: LocalStream) -> KeyPair:
    for theirs in stream.cryptos:
        for ours in local.cryptos:
            if (ours.tag, ours.suite) == (theirs.tag, theirs.suite):
                return KeyPair(ours=ours, theirs=theirs)
    raise UnacceptableError("the answer has none of the keys' tags and suites offered")


def _media(
    description: Description,
    stream: Stream,
    local: LocalStream,
    *,
    codec: int,
    pts: tuple[int, int],
    event_pts: tuple[int | None, int | None],
    srtp: KeyPair | None,
) -> Media:
    """Put together what was settled; ``pts`` and ``event_pts`` are the pair to send and to receive."""
    is_nowhere = stream.ip in _NOWHERE
    return Media(
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
        is_t38_offered=description.is_t38_offered,
        ptime_ms=stream.ptime_ms,
        srtp=srtp,
    )


def _first_usable(description: Description, srtp: Srtp) -> tuple[int, Stream]:
    for index, stream in enumerate(description.streams):
        if stream.suits(srtp):
            return index, stream
    profiles = {
        Srtp.OFF: "RTP/AVP",
        Srtp.OPTIONAL: "RTP/AVP, or RTP/SAVP with a key for it,",
        Srtp.REQUIRED: "RTP/SAVP with a key for it",
    }
    raise UnacceptableError(f"no audio stream over {profiles[srtp]} with PCMA, PCMU or G.722")


def _choose(stream: Stream, preference: Sequence[int]) -> tuple[int, int]:
    for wanted in preference:
        for pt, codec in stream.codecs:
            if codec == wanted:
                return pt, codec
    raise UnacceptableError("none of the codecs allowed is offered")


# -- reading


def _lines(content: bytes) -> list[tuple[str, str]]:
    text = content.decode("utf-8", "replace").lstrip("\ufeff\r\n\t ")
    lines = []
    for raw in re.split("\r\n|\n|\r", text):
        kind, equals, value = raw.strip("\0 \t").partition("=")
        if equals and len(kind.strip()) == 1:
            lines.append((kind.strip().lower(), value.strip()))
    return lines


def _origin(session: list[tuple[str, str]]) -> tuple[str, int]:
    fields = next((value.split() for kind, value in session if kind == "o"), [])
    if len(fields) < 3:
        return "", 0
    return fields[1], int(fields[2]) if fields[2].isascii() and fields[2].isdigit() and len(fields[2]) < 20 else 0


def _attributes(lines: list[tuple[str, str]]) -> list[tuple[str, str]]:
    found = []
    for kind, value in lines:
        if kind == "a":
            name, _, rest = value.partition(":")
            found.append((name.strip().lower(), rest.strip()))
    return found


def _connection(lines: list[tuple[str, str]]) -> str | None:
    value = next((value for kind, value in lines if kind == "c"), None)
    if value is None:
        return None
    fields = value.split()
    if len(fields) < 3:
        raise SdpError("c= is not a network, a type and an address")
    host = fields[2].split("/", 1)[0].strip("[]")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None  # a name: nobody waits for the DNS here, and who only listens needs no address


def _number(text: str, what: str, limit: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 6 or int(text) > limit:
        raise SdpError(f"{what} is not a number up to {limit}")
    return int(text)


def _stream(lines: list[tuple[str, str]], session: list[tuple[str, str]]) -> Stream:
    fields = lines[0][1].split()
    if len(fields) < 3:
        raise SdpError("m= is not a medium, a port and a protocol")
    port = _number(fields[1].split("/", 1)[0], "a port", 65_535)
    attributes, general = _attributes(lines), _attributes(session)
    formats = tuple(fields[3:])
    codecs, events = _codecs(formats, attributes) if "RTP" in fields[2].upper() else ((), ())
    sends, receives = _direction(attributes) or _direction(general) or (True, True)
    return Stream(
        kind=fields[0].lower(),
        port=port,
        protocol=fields[2],
        formats=formats,
        ip=_connection(lines) or _connection(session),
        rtcp_port=_rtcp_port(attributes, port),
        sends=sends,
        receives=receives,
        codecs=codecs,
        event_pts=events,
        ptime_ms=_ptime(attributes),
        cryptos=_cryptos(attributes),
        label=next((value for name, value in attributes if name == "label"), ""),
    )


def _direction(attributes: list[tuple[str, str]]) -> tuple[bool, bool] | None:
    return next((_DIRECTIONS[name] for name, _ in attributes if name in _DIRECTIONS), None)


def _rtcp_port(attributes: list[tuple[str, str]], port: int) -> int:
    stated = next((value.split() for name, value in attributes if name == "rtcp"), [])
    if stated and stated[0].isascii() and stated[0].isdigit() and len(stated[0]) < 6 and 0 < int(stated[0]) <= 65_535:
        return int(stated[0])
    return min(port + 1, 65_535) if port else 0


def _ptime(attributes: list[tuple[str, str]]) -> int | None:
    stated = next((value for name, value in attributes if name == "ptime"), "")
    match = re.match(r"\d{1,3}", stated)
    return int(match.group()) if match and 0 < int(match.group()) <= 200 else None


def _cryptos(attributes: list[tuple[str, str]]) -> tuple[Crypto, ...]:
    stated = [value for name, value in attributes if name == "crypto"][:MAX_KEYS]
    return tuple(crypto for crypto in map(sdes.read, stated) if crypto is not None)


def _codecs(
    formats: tuple[str, ...], attributes: list[tuple[str, str]]
) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
    maps: dict[int, tuple[str, int]] = {}
    for name, value in attributes:
        match = _RTPMAP.match(value) if name == "rtpmap" else None
        if match:
            maps.setdefault(int(match.group(1)), (match.group(2).upper(), int(match.group(3))))
    codecs, events = [], []
    for text in dict.fromkeys(formats):
        if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 127):
            continue
        pt = int(text)
        # The static types mean what RFC 3551 says; some peers write nonsense such as "0 pcmu/8000a" beside them.
        name, clock = (_SPELLED[pt], 8000) if pt in _SPELLED else maps.get(pt, ("", 0))
        if name in _NAMES and clock == 8000:
            codecs.append((pt, _NAMES[name]))
        elif name == "TELEPHONE-EVENT" and clock == 8000:
            events.append(pt)
    return tuple(codecs), tuple(events)


# -- writing


def _audio_lines(
    local: LocalStream,
    formats: list[tuple[int, int]],
    event_pt: int | None,
    *,
    protocol: str,
    cryptos: tuple[Crypto, ...],
) -> list[str]:
    numbers = [str(pt) for pt, _ in formats] + ([str(event_pt)] if event_pt is not None else [])
    lines = [f"m=audio {local.rtp_port} {protocol} {' '.join(numbers)}"]
    lines += [f"a=rtpmap:{pt} {_SPELLED[codec]}/8000" for pt, codec in formats]
    if event_pt is not None:
        lines += [f"a=rtpmap:{event_pt} telephone-event/8000", f"a=fmtp:{event_pt} 0-15"]
    lines += [sdes.line(crypto) for crypto in cryptos]
    wanted = (local.sends, local.receives)
    lines += ["a=ptime:20", *(f"a={name}" for name, flags in _DIRECTIONS.items() if flags == wanted)]
    return lines


def rejected(stream: Stream) -> list[str]:
    """Return the section that rejects a stream in its place (RFC 3264 section 6)."""
    formats = " ".join(stream.formats) or "0"
    return [f"m={stream.kind} 0 {stream.protocol} {formats}"]


def written(local: LocalStream, sections: list[list[str]]) -> Written:
    """Return the description of these sections, with the next version in o= if anything has changed."""
    family = "IP6" if ":" in local.ip else "IP4"
    lines = ["s=-", f"c=IN {family} {local.ip}", "t=0 0", *(line for section in sections for line in section)]
    text = "\r\n".join(lines) + "\r\n"
    digest = hashlib.sha256(text.encode()).hexdigest()  # keys stand in the text: it is not kept
    version = local.version + 1 if local.text and local.text != digest else local.version
    origin = f"v=0\r\no=- {local.session_id} {version} IN {family} {local.ip}\r\n"
    return Written(content=(origin + text).encode(), local=dataclasses.replace(local, version=version, text=digest))
