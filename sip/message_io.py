"""Message I/O: headers and bodies to and from sippy's messages, byte for byte; option tags, reason phrases.

Knows sippy; see `sip.reactor`.
"""

from sippy.SipGenericHF import SipGenericHF
from sippy.SipHeader import SipHeader

from sip.events import Body
from sip.message import RawMessage, one_line
from sip.options import TransportKind
from sip.reactor import Sippy

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER"
SUPPORTED = "timer, replaces, norefersub"
RELIABLY = "100rel"
"""Option tag of reliable provisional responses (RFC 3262)."""
MAX_FORKS = 32
"""Most dialogs that one outgoing INVITE may make; answers of further forks are ignored."""
SIPREC = "siprec"
"""Option tag of recording sessions (RFC 7866 section 11.1)."""
RECORDING_TYPES = "application/sdp, multipart/mixed, application/rs-metadata+xml, application/rs-metadata"
"""Body types that a recording server accepts; the last is RFC 7866's name for the type that RFC 9806 registers."""

_PHRASES = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued", 183: "Session Progress", 200: "OK",
    202: "Accepted", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 415: "Unsupported Media Type",
    416: "Unsupported URI Scheme", 420: "Bad Extension", 422: "Session Interval Too Small",
    480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected",
    483: "Too Many Hops", 486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here",
    491: "Request Pending", 500: "Server Internal Error", 501: "Not Implemented", 503: "Service Unavailable",
    504: "Server Time-out", 603: "Decline",
}  # fmt: skip


class _RawHeader(SipGenericHF):  # type: ignore[misc]  # sippy has no types
    """A header that is copied unchanged, its name spelled as given."""

    parsed = True

    def __init__(self, name: str, value: str) -> None:
        super().__init__(one_line(value))
        self._spelling = name
        self.hf_names = (name.lower(),)

    def getCanName(self, name: str, compact: bool = False) -> str:  # noqa: N802 - sippy's name
        return self._spelling

    def localStr(self, _local: Sippy = None) -> str:  # noqa: N802 - sippy's name
        text: str = self.body
        return text

    def getCopy(self) -> "_RawHeader":  # noqa: N802 - sippy's name
        return _RawHeader(self._spelling, self.body)


class _RawBody:
    """A body that is copied byte for byte, as one character for each byte (`sip.message_parser`)."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self.mtype = one_line(body.content_type)

    def localStr(self, _local: Sippy = None) -> str:  # noqa: N802 - sippy's name
        return self._body.content.decode("latin-1")

    def getCopy(self) -> "_RawBody":  # noqa: N802 - sippy's name
        return _RawBody(self._body)

    __str__ = localStr


def raw_header(name: str, value: str) -> Sippy:
    """Return a header for a sippy message with exactly this name and value."""
    return SipHeader(name=name, body=_RawHeader(name, value))


def raw_body(body: Body | None) -> Sippy:
    """Return a body for a sippy message with exactly these bytes, or None."""
    return None if body is None or not body.content else _RawBody(body)


def body_of(message: RawMessage) -> Body | None:
    """Return the body of a message, or None when it has none."""
    if not message.body:
        return None
    return Body(content=message.body, content_type=message.value("content-type") or "application/sdp")


def phrase(status: int) -> str:
    """Return the usual reason phrase of a status."""
    return _PHRASES.get(status, "Unspecified")


def parameter(transport: TransportKind) -> str | None:
    """Return the transport parameter of a URI that we write; None for UDP."""
    return None if transport is TransportKind.UDP else transport.value


def strip_route(response: Sippy) -> None:
    """Remove Contact and Record-Route from a refusal, so that sippy sends its ACK where the INVITE went.

    RFC 3261 section 17.1.1.3.
    """
    response.delHFs("contact")
    response.delHFs("record-route")
