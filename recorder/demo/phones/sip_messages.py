"""SIP messages and session descriptions of the built-in phone: real wire bytes, header order and repeats kept. Pure.

Independent of the recorder's own parser on purpose: a peer that shares its bugs would prove nothing. The scripted peers
of benchmarks and tests use it too.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

_START = re.compile(r"SIP/2\.0 (?P<status>[1-6]\d\d)(?: (?P<phrase>.*))?|(?P<method>[A-Z]+) (?P<uri>\S+) SIP/2\.0")
_COMPACT = {
    "v": "Via",
    "f": "From",
    "t": "To",
    "i": "Call-ID",
    "m": "Contact",
    "l": "Content-Length",
    "c": "Content-Type",
}
_TAG = re.compile(r";\s*tag=([^;,\s>]+)", re.IGNORECASE)
_BRANCH = re.compile(r";\s*branch=([^;,\s]+)", re.IGNORECASE)
_URI = re.compile(r"<([^>]*)>")

PHRASES = {
    100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 302: "Moved Temporarily", 403: "Forbidden",
    404: "Not Found", 480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 486: "Busy Here",
    487: "Request Terminated", 488: "Not Acceptable Here", 491: "Request Pending", 500: "Server Internal Error",
    503: "Service Unavailable", 600: "Busy Everywhere", 603: "Decline",
}  # fmt: skip


class WireError(Exception):
    """The datagram is not a SIP message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A SIP message; a request has ``method`` and ``uri``, a response ``status`` and ``phrase`` too.

    Attributes:
        method: Of a request; of a response, the method in its CSeq.
        uri: Request URI, or "" for a response.
        status: Of a response, or 0 for a request.
        phrase: Of a response.
        headers: Name and value, in order, each occurrence on its own.
        body: The bytes after the head.
    """

    method: str
    uri: str = ""
    status: int = 0
    phrase: str = ""
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def __bytes__(self) -> bytes:
        start = f"{self.method} {self.uri} SIP/2.0" if not self.status else f"SIP/2.0 {self.status} {self.phrase}"
        lines = [start, *(f"{name}: {value}" for name, value in self.headers), f"Content-Length: {len(self.body)}"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body

    def values(self, name: str) -> tuple[str, ...]:
        """Return every value of a header, in order."""
        wanted = name.lower()
        return tuple(value for key, value in self.headers if key.lower() == wanted)

    def value(self, name: str) -> str:
        """Return the first value of a header, or ""."""
        return next(iter(self.values(name)), "")

    def tag(self, name: str) -> str:
        """Return the tag of From or To, or ""."""
        return _first(_TAG, self.value(name))

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        return self.value("Call-ID")

    @property
    def cseq(self) -> int:
        """The number in CSeq."""
        return int(self.value("CSeq").split()[0])

    @property
    def branch(self) -> str:
        """The branch of the topmost Via, or ""."""
        return _first(_BRANCH, self.value("Via"))

    @property
    def contact_uri(self) -> str:
        """The URI of the first Contact, or ""."""
        contact = self.value("Contact")
        return _first(_URI, contact) or contact.split(";", 1)[0].strip()


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match.group(1) if match else ""


def parse(data: bytes) -> Message:
    """Read one datagram.

    Raises:
        WireError: It has no start line of SIP 2.0, no CSeq or no Call-ID.
    """
    head, _, body = data.partition(b"\r\n\r\n")
    first, *rest = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "replace")).split("\r\n")
    start = _START.fullmatch(first)
    if start is None:
        raise WireError(f"not a start line: {first!r}")
    pairs = (line.partition(":") for line in rest)
    headers = tuple((_COMPACT.get(name.strip().lower(), name.strip()), value.strip()) for name, _, value in pairs)
    found = Message(
        method=start["method"] or "",
        uri=start["uri"] or "",
        status=int(start["status"] or 0),
        phrase=start["phrase"] or "",
        headers=tuple(header for header in headers if header[0].lower() != "content-length"),
        body=body,
    )
    cseq = re.fullmatch(r"(\d+)\s+([A-Z]+)", found.value("CSeq"))
    if cseq is None or not found.call_id:
        raise WireError(f"no CSeq or no Call-ID under {first!r}")
    return found if found.method else replace(found, method=cseq[2])


def build_request(
    host: str,
    method: str,
    uri: str,
    *,
    local: str,
    remote: str,
    call_id: str,
    cseq: int,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str = "application/sdp",
    branch: str = "",
) -> Message:
    """Build a request of the agent at ``host`` (IP:port); ``branch`` "" makes a new transaction."""
    lines = [
        ("Via", f"SIP/2.0/UDP {host};branch={branch or 'z9hG4bK' + secrets.token_hex(8)}"),
        ("Max-Forwards", "70"),
        ("From", local),
        ("To", remote),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} {method}"),
        *([("Contact", f"<sip:peer@{host}>")] if method not in {"ACK", "CANCEL", "BYE"} else []),
        *headers,
        *([("Content-Type", content_type)] if body else []),
    ]
    return Message(method=method, uri=uri, headers=tuple(lines), body=body)


def build_response(
    host: str,
    request: Message,
    status: int,
    *,
    to: str = "",
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
) -> Message:
    """Build a response of the agent at ``host``; ``to`` "" repeats the request's To."""
    lines = [
        *(("Via", via) for via in request.values("Via")),
        *(("Record-Route", route) for route in request.values("Record-Route")),
        ("From", request.value("From")),
        ("To", to or request.value("To")),
        ("Call-ID", request.call_id),
        ("CSeq", request.value("CSeq")),
        *([("Contact", f"<sip:peer@{host}>")] if status < 300 else []),
        *headers,
        *([("Content-Type", "application/sdp")] if body else []),
    ]
    phrase = PHRASES.get(status, "Because")
    return Message(method=request.method, status=status, phrase=phrase, headers=tuple(lines), body=body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """What an SDP of ours says: one audio line.

    Attributes:
        ip: Address in ``c=``.
        port: RTP port.
        formats: Payload type and encoding, in the order of preference.
        direction: ``sendrecv``, ``sendonly``, ``recvonly`` or ``inactive``.
        version: Of ``o=``; goes up with each change (RFC 3264 section 8).
        crypto: What stands behind ``a=crypto:``, or "" for plain RTP.
        profile: Of the m-line; "" is what ``crypto`` asks for.
    """

    ip: str
    port: int
    formats: tuple[tuple[int, str], ...] = ((8, "PCMA/8000"), (101, "telephone-event/8000"))
    direction: str = "sendrecv"
    version: int = 1
    crypto: str = field(default="", repr=False)
    profile: str = ""

    def __bytes__(self) -> bytes:
        profile = self.profile or ("RTP/SAVP" if self.crypto else "RTP/AVP")
        lines = [
            "v=0", f"o=peer {self.port} {self.version} IN IP4 {self.ip}", "s=-", f"c=IN IP4 {self.ip}", "t=0 0",
            f"m=audio {self.port} {profile} {' '.join(str(number) for number, _ in self.formats)}",
            *(f"a=rtpmap:{number} {encoding}" for number, encoding in self.formats),
            *(f"a=fmtp:{number} 0-15" for number, encoding in self.formats if encoding.startswith("telephone-event")),
            *([f"a=crypto:{self.crypto}"] if self.crypto else []), "a=ptime:20", f"a={self.direction}",
        ]  # fmt: skip
        return ("\r\n".join(lines) + "\r\n").encode()


def media_address(sdp: bytes) -> tuple[str, int]:
    """Return address and port of the first audio line (a ``c=`` of its own counts before the session's).

    Raises:
        WireError: There is no audio line or no address for it.
    """
    text = sdp.decode("utf-8", "replace")
    session, found, rest = text.partition("m=audio ")
    if not found:
        raise WireError("the SDP has no audio line")
    own = rest.split("\nm=", 1)[0]
    address = re.search(r"^c=IN IP[46] (\S+)", own, re.MULTILINE) or re.search(
        r"^c=IN IP[46] (\S+)", session, re.MULTILINE
    )
    if address is None:
        raise WireError("the SDP has no address for its audio line")
    return address[1], int(rest.split()[0].split("/")[0])
