"""Parses session descriptions (RFC 8866), leniently. Pure; offers and answers are in `sip.offer_answer`.

Codecs are named by their static RTP payload number (RFC 3551): 8 PCMA, 0 PCMU, 9 G.722. The parser accepts what phones
and PBXs send, not only what the RFC allows, and raises `SdpError` only. SRTP keys are in `sip.sdes`; no ``repr`` and no
error shows a key.
"""

import dataclasses
import ipaddress
import itertools
import operator
import re
from dataclasses import dataclass

from sip import sdes
from sip.message import is_ipv4
from sip.sdes import Crypto, Srtp

PCMU, PCMA, G722 = 0, 8, 9
_NAMES = {"PCMU": PCMU, "PCMA": PCMA, "G722": G722}
SPELLED = {number: name for name, number in _NAMES.items()}
"""The supported codecs as spelled in SDP."""
NOWHERE = ("0.0.0.0", "::")  # noqa: S104 - values of the wire, never bound
DIRECTIONS = {
    "sendrecv": (True, True),
    "sendonly": (True, False),
    "recvonly": (False, True),
    "inactive": (False, False),
}
"""By attribute: whether the owner of the description sends, and whether it receives."""

MAX_BYTES = 65_535
MAX_STREAMS = 32
MAX_KEYS = 16
"""Most a=crypto lines of one stream that are read."""
_PLAIN = ("RTP/AVP", "RTP/AVPF")
_SECURE = ("RTP/SAVP", "RTP/SAVPF")
_RTPMAP = re.compile(r"(\d{1,3})\s+([^/\s]+)\s*/\s*(\d{1,6})(?:\s*/\s*\d+)?\s*")


class SdpError(ValueError):
    """The text is not a usable session description."""


class UnacceptableError(SdpError):
    """The description is valid but has no usable stream: 488 (RFC 3261 section 21.4.26)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaDescription:
    """One m-line, in its place.

    Attributes:
        kind: ``audio``, ``image``, ``video`` ...
        port: RTP port; 0 if the stream is rejected or unused.
        protocol: ``RTP/AVP``, ``RTP/SAVP``, ``udptl`` ... as written.
        formats: Format list as written.
        ip: Address of the stream or the session, or None.
        rtcp_port: From a=rtcp (RFC 3605), else the port above RTP.
        sends: Its owner sends (sendrecv or sendonly).
        receives: Its owner receives (sendrecv or recvonly).
        codecs: Payload type and static codec number of each supported format, in the owner's order.
        event_pts: Payload types of telephone-event at 8000 Hz.
        ptime_ms: Packet time the owner asks for, or None.
        cryptos: Usable keys of a=crypto, in the owner's order (RFC 4568).
        label: a=label (RFC 4574), by which metadata name the stream, or "".
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
        """Tell whether its profile is SRTP; a=crypto with a plain RTP profile is ignored."""
        return self.protocol.upper() in _SECURE

    @property
    def is_audible(self) -> bool:
        """Tell whether it is usable audio, and not multicast or broadcast."""
        return self.is_audio and not (self.ip is not None and _is_group(self.ip))

    @property
    def is_audio(self) -> bool:
        """Tell whether it is RTP audio, plain or with a usable key, with a port and a supported codec."""
        is_rtp = bool(self.cryptos) if self.is_secure else self.protocol.upper() in _PLAIN
        return self.kind == "audio" and is_rtp and bool(self.codecs) and self.port > 0

    @property
    def is_usable(self) -> bool:
        """Tell whether it is audible and has an address that we can send to."""
        return self.is_audible and self.ip is not None

    def suits(self, srtp: Srtp, *, is_heard_only: bool = False) -> bool:
        """Tell whether it is usable and encrypted as required; if we only listen, it needs no address."""
        return (self.is_audible if is_heard_only else self.is_usable) and self._is_secured_as(srtp)

    def lacks_address(self, srtp: Srtp) -> bool:
        """Tell whether only its address makes it unusable."""
        return self.is_audio and not self.is_usable and self._is_secured_as(srtp)

    def _is_secured_as(self, srtp: Srtp) -> bool:
        return srtp is Srtp.OPTIONAL or self.is_secure == (srtp is Srtp.REQUIRED)

    @property
    def is_hold(self) -> bool:
        """Tell whether its owner puts us on hold: by sendonly, by inactive, or by the address 0.0.0.0."""
        return not self.receives or self.ip in NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A parsed session description.

    Attributes:
        session_id: Identifier in o=; "" if there is none.
        version: Version in o=.
        streams: Every m-line, in order.
    """

    session_id: str
    version: int
    streams: tuple[MediaDescription, ...]

    def reachable_from(self, ip: str) -> "Description":
        """Return it without the addresses that a socket at an address cannot reach: another IP version, or a zone.

        The addresses that mean hold (0.0.0.0, ::) stay.
        """
        streams = tuple([_reachable_from(ip, stream) for stream in self.streams])
        is_same = all(map(operator.is_, streams, self.streams))
        return self if is_same else dataclasses.replace(self, streams=streams)


def _reachable_from(ip: str, stream: MediaDescription) -> MediaDescription:
    if stream.ip is None or stream.ip in NOWHERE:
        return stream
    is_reachable = "%" not in stream.ip and (":" in stream.ip) == (":" in ip)
    return stream if is_reachable else dataclasses.replace(stream, ip=None)


def _is_group(ip: str) -> bool:
    """Tell whether an address is multicast or broadcast: a peer could make us flood a network with it."""
    if is_ipv4(ip):
        return int(ip.split(".", 1)[0]) >= 224  # 240.0.0.0/4 includes broadcast
    address = ipaddress.ip_address(ip)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    address = mapped or address
    return address.is_multicast or (address.version == 4 and address.is_reserved)


def parse(content: bytes) -> Description:
    """Parse a session description.

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


def _lines(content: bytes) -> list[tuple[str, str]]:
    text = content.decode("utf-8", "replace").lstrip("\ufeff\r\n\t ")
    lines = []
    for raw in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        kind, equals, value = raw.strip("\0 \t").partition("=")
        kind = kind.strip()
        if equals and len(kind) == 1:
            lines.append((kind.lower(), value.strip()))
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
    if is_ipv4(host):
        return host
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None  # a host name: it is not resolved; a stream that we only receive needs no address


def _number(text: str, what: str, limit: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 6 or int(text) > limit:
        raise SdpError(f"{what} is not a number up to {limit}")
    return int(text)


def _stream(lines: list[tuple[str, str]], session: list[tuple[str, str]]) -> MediaDescription:
    fields = lines[0][1].split()
    if len(fields) < 3:
        raise SdpError("m= is not a medium, a port and a protocol")
    port = _number(fields[1].split("/", 1)[0], "a port", 65_535)
    attributes, general = _attributes(lines), _attributes(session)
    formats = tuple(fields[3:])
    codecs, events = _codecs(formats, attributes) if "RTP" in fields[2].upper() else ((), ())
    sends, receives = _direction(attributes) or _direction(general) or (True, True)
    return MediaDescription(
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
    return next((DIRECTIONS[name] for name, _ in attributes if name in DIRECTIONS), None)


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
        # Static types are those of RFC 3551, whatever rtpmap says; some peers write "0 pcmu/8000a".
        name, clock = (SPELLED[pt], 8000) if pt in SPELLED else maps.get(pt, ("", 0))
        if name in _NAMES and clock == 8000:
            codecs.append((pt, _NAMES[name]))
        elif name == "TELEPHONE-EVENT" and clock == 8000:
            events.append(pt)
    return tuple(codecs), tuple(events)
