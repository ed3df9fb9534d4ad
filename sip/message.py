"""Raw SIP messages: framing, headers and clean-up, before the stack sees them and where it loses something. Pure.

sippy splits lines where Unicode does, counts a body in characters, knows the transport ``udp`` only in lower case and
keeps neither the order nor all values of the history headers. So each datagram is read here first. What goes on to
sippy is rebuilt from what was read: one header a line, the head as UTF-8 text, and **the body as Latin-1 text, one
character a byte**, so that sippy's lengths are lengths in bytes and no byte of a body changes.
"""

import contextlib
import hashlib
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import unquote

MAX_DIGITS = 15
"""Of a length; more would only be a number to turn into one."""

MAX_HEADERS = 256
"""More is an attack: the longest real message in our captures has 60."""

_COMPACT = {
    "a": "Accept-Contact", "b": "Referred-By", "c": "Content-Type", "e": "Content-Encoding", "f": "From",
    "i": "Call-ID", "k": "Supported", "l": "Content-Length", "m": "Contact", "o": "Event", "r": "Refer-To",
    "s": "Subject", "t": "To", "u": "Allow-Events", "v": "Via", "x": "Session-Expires",
}  # fmt: skip
_ROUTING = {"contact", "route", "record-route"}
_REQUIRED = ("via", "from", "to", "call-id", "cseq")
_ONCE = ("from", "to", "call-id", "cseq", "content-length")
_SCHEMES = {"sip", "sips", "tel"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):\S+")
_OTHER_VERSION = re.compile(r"\S+ \S+ SIP/(?!2\.0)\d+\.\d+", re.IGNORECASE)
_REQUEST_LINE = re.compile(r"([A-Za-z0-9!%*_+`'~.-]+) (\S+) SIP/2\.0")
_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6]\d\d)(?: (.*))?")
_CSEQ = re.compile(r"(\d{1,10})\s+([A-Za-z0-9!%*_+`'~.-]+)")
_TRANSPORT = re.compile(r"(;\s*transport\s*=\s*)([A-Za-z-]+)", re.IGNORECASE)
_TAG = re.compile(r";\s*tag\s*=\s*([^;,\s>]+)", re.IGNORECASE)
_SENT_BY = re.compile(
    r"\s*SIP\s*/\s*2\.0\s*/\s*[A-Za-z]+\s+(?:\[[^\]]*\]|[^\s:;,]+)\s*(?::\s*(\d{1,6}))?(.*)", re.DOTALL
)
_RECEIVED = re.compile(r";\s*received\s*=[^;,]*", re.IGNORECASE)
_RPORT = re.compile(r";\s*rport\s*=[^;,]*", re.IGNORECASE)
_PROTOCOL = re.compile(r"SIP\s*/\s*2\.0\s*/\s*([^\s/;,]+)\s+", re.IGNORECASE)
_TOKENS = re.compile(r"[A-Za-z0-9!%*_+`'~. \t-]*")
_LONG_NUMBER = re.compile(r"\d{3,}(?=\d{3})")
_LINE_BREAKERS = re.compile("[\x00-\x08\x0a-\x1f\x7f\x80-\x9f\u2028\u2029]")
HEAD_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
"""The empty line between headers and body, whatever ends the lines."""


_PHRASES = {416: "Unsupported URI Scheme", 505: "Version Not Supported", 513: "Message Too Large"}


class MalformedMessageError(Exception):
    """The datagram is no SIP message that can be used; it is counted, and answered where that is possible.

    Attributes:
        status: What it is answered with.
        phrase: Reason phrase of that.
        request: What an answer needs of it, or None when there is nothing or nobody to answer.
    """

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status
        self.phrase = _PHRASES.get(status, "Bad Request")
        self.request: RawMessage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMessage:
    """A message as it arrived, unfolded, with compact names spelled out.

    Attributes:
        method: Method of a request; of a response, the method in its CSeq.
        status: Status of a response, or None for a request.
        start_line: The first line.
        headers: Name as it came (compact forms spelled out) and value, in order.
        body: Exactly Content-Length bytes, or what followed when it is absent.
    """

    method: str
    status: int | None
    start_line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def values(self, name: str) -> tuple[str, ...]:
        """Return the values of a header, one for each line of it, in order."""
        wanted = name.lower()
        return tuple(value for key, value in self.headers if key.lower() == wanted)

    def value(self, name: str) -> str | None:
        """Return the first value of a header, or None."""
        return next(iter(self.values(name)), None)

    def tag(self, name: str) -> str | None:
        """Return the tag of From or To, or None."""
        match = _TAG.search(strip_quoted(self.value(name) or ""))
        return match.group(1) if match else None

    @property
    def call_id(self) -> str:
        """Return the Call-ID."""
        return self.value("call-id") or ""

    @property
    def cseq(self) -> int:
        """Return the number in CSeq, in [0, 2**31)."""
        match = _CSEQ.match(self.value("cseq") or "")
        return int(match.group(1)) if match else 0

    @property
    def branch(self) -> str | None:
        """Return the branch of the topmost Via, or None."""
        match = re.search(r";\s*branch\s*=\s*([^;,\s]+)", self.value("via") or "", re.IGNORECASE)
        return match.group(1) if match else None

    def option_tags(self, name: str) -> tuple[str, ...]:
        """Return the option tags in all lines of a header such as Require, in lower case."""
        return tuple(tag.strip().lower() for value in self.values(name) for tag in value.split(",") if tag.strip())

    def text_for_stack(self) -> str:
        """Return the message for sippy: clean head, exact Content-Length, body as one character a byte."""
        lines = [self.start_line]
        lines += [f"{key}: {value}" for key, value in self.headers if key.lower() != "content-length"]
        lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines) + "\r\n\r\n" + self.body.decode("latin-1")


def parse_message(data: bytes) -> RawMessage:
    """Read one datagram.

    Empty lines before the start line are skipped (RFC 3261 section 7.5), line ends may be LF alone, and the body is
    cut to Content-Length.

    Raises:
        MalformedMessageError: A start line, a required header or the body is missing or wrong.
    """
    data = data.lstrip(b"\r\n")
    head, body = _split(data)
    lines = _unfold(head)
    try:
        return _read(lines, body)
    except MalformedMessageError as error:
        error.request = _answerable(lines)
        raise


def stream_body_length(head: bytes, most: int) -> int:
    """Return the Content-Length of a head that came over a stream, where it is required (RFC 3261 section 18.3).

    Args:
        head: Start line and headers, without the empty line.
        most: Largest body that is taken, bytes.

    Raises:
        MalformedMessageError: There is none, several that differ, or it is no number up to ``most``.
    """
    lines = _unfold(head)
    try:
        lengths = {value for name, value in _headers(lines) if name.lower() == "content-length"}
        stated = lengths.pop() if len(lengths) == 1 else ""
        if not (stated.isascii() and stated.isdigit() and len(stated) <= MAX_DIGITS):
            raise MalformedMessageError("no usable Content-Length")
        if int(stated) > most:
            raise MalformedMessageError(f"a body of {int(stated)} bytes, at most {most}", 513)
        return int(stated)
    except MalformedMessageError as error:
        error.request = _answerable(lines)
        raise


def _read(lines: list[str], body: bytes) -> RawMessage:
    method, status = _start(lines[0])
    headers = _headers(lines) if status is not None else _without_claims(_headers(lines))
    message = RawMessage(method=method, status=status, start_line=lines[0], headers=headers, body=body)
    return _checked(message)


def _headers(lines: list[str]) -> tuple[tuple[str, str], ...]:
    headers = tuple(_header(line) for line in lines[1:])
    if len(headers) > MAX_HEADERS:
        raise MalformedMessageError(f"{len(headers)} headers, at most {MAX_HEADERS}")
    return headers


def refusal(request: RawMessage, status: int, phrase: str, *, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    """Write a final response that keeps no state (RFC 3261 section 8.2.7): the same for every retransmission."""
    to = request.value("to") or ""
    if request.tag("to") is None:
        own = hashlib.blake2b(f"{request.call_id}\n{request.branch}".encode(), digest_size=8).hexdigest()
        to = f"{to};tag={own}"
    kept = [("Via", value) for value in request.values("via")]
    kept += [("From", request.value("from") or ""), ("To", to), ("Call-ID", request.call_id)]
    kept += [("CSeq", request.value("cseq") or ""), *headers, ("Content-Length", "0")]
    return "\r\n".join(
        [f"SIP/2.0 {status} {phrase}", *(f"{name}: {one_line(value)}" for name, value in kept), "", ""]
    ).encode()


def reply_port(request: RawMessage, source_port: int) -> int:
    """Return the port of the source at which it takes responses (RFC 3261 section 18.2.2, RFC 3581 section 4)."""
    port = sent_by_port(request, 5060)
    return source_port if port is None or "rport" in via_parameters(request) else port


def sent_by_port(request: RawMessage, default: int) -> int | None:
    """Return the port that the topmost Via names, or the default, or None where there is no usable Via."""
    match = _SENT_BY.match(_topmost_via(request))
    port = int(match.group(1) or default) if match is not None else 0
    return port if 0 < port < 65536 else None


def via_parameters(request: RawMessage) -> frozenset[str]:
    """Return the names of the topmost Via's parameters, in lower case."""
    match = _SENT_BY.match(_topmost_via(request))
    found = re.findall(r";\s*([A-Za-z0-9-]+)", match.group(2)) if match is not None else []
    return frozenset(name.lower() for name in found)


def _topmost_via(request: RawMessage) -> str:
    via = split_values(request.value("via") or "")[:1]
    return strip_quoted(via[0]) if via else ""


def encode_for_wire(text: str) -> bytes:
    """Turn sippy's text of a message back into bytes: head UTF-8, body one byte a character."""
    head, separator, body = text.partition("\r\n\r\n")
    return (head + separator).encode("utf-8", "replace") + body.encode("latin-1", "replace")


def split_values(value: str) -> list[str]:
    """Split a header value at its commas, but not at those inside quotes or angle brackets."""
    parts, start, depth, is_quoted, is_escaped = [], 0, 0, False, False
    for at, char in enumerate(value):
        if is_escaped:
            is_escaped = False
        elif char == "\\" and is_quoted:
            is_escaped = True
        elif char == '"':
            is_quoted = not is_quoted
        elif not is_quoted and char in "<>":
            depth += 1 if char == "<" else -1
        elif char == "," and not is_quoted and depth <= 0:
            parts.append(value[start:at].strip())
            start = at + 1
    parts.append(value[start:].strip())
    return [part for part in parts if part]


def user_part(address: str) -> str:
    """Return the user of a name-addr, SIP URI or tel URI, without escapes, parameters and password, or "".

    Escaped and plain are the same user (RFC 3261 section 19.1.4): ``%32001`` is extension 2001, and must not get past
    its rules.
    """
    bare = strip_quoted(address)
    uri = bare[bare.find("<") + 1 :].split(">", 1)[0] if "<" in bare else bare
    scheme, _, rest = uri.strip().partition(":")
    if scheme.lower() == "tel":
        return one_line(unquote(rest.split(";", 1)[0]))
    user, at, _ = rest.rpartition("@")
    return one_line(unquote(re.split("[:;]", user, maxsplit=1)[0])) if at else ""


def display_name(address: str) -> str:
    """Return the display name of a name-addr without its quotes, or ""."""
    match = re.match(r'\s*"((?:[^"\\]|\\.)*)"', address)
    if match:
        return re.sub(r"\\(.)", r"\1", match.group(1))
    return address.split("<", 1)[0].strip() if "<" in address else ""


def strip_quoted(value: str) -> str:
    """Return a header value with its quoted strings emptied, so that what they hold is not taken for syntax.

    One that is not closed goes to the end of the value: looking for its end again from each quote inside would take
    time by the square of the length.
    """
    return re.sub(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)', '""', value)


def is_ip(host: str) -> bool:
    """Tell whether a host is an IP literal, in brackets or not."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def one_line(value: str) -> str:
    """Return a header value that cannot break out of its line."""
    return _LINE_BREAKERS.sub(" ", value)


def masked(text: str) -> str:
    """Return a text for the log with all but the last three digits of each number hidden."""
    return _LONG_NUMBER.sub(lambda match: "*" * len(match.group()), text)


def _split(data: bytes) -> tuple[bytes, bytes]:
    match = HEAD_END.search(data)
    if match is None:
        raise MalformedMessageError("no end of the headers")
    return data[: match.start()], data[match.end() :]


def _unfold(head: bytes) -> list[str]:
    try:
        text = head.decode()
    except UnicodeDecodeError:
        text = head.decode("latin-1")
    lines: list[str] = []
    for raw in re.split("\r\n|\n|\r", text):
        line = _LINE_BREAKERS.sub("?", raw)
        if line[:1] in (" ", "\t") and len(lines) > 1:
            lines[-1] += " " + line.strip()
        elif line.strip():
            lines.append(line.strip())
    if not lines:
        raise MalformedMessageError("empty")
    return lines


def _start(line: str) -> tuple[str, int | None]:
    if request := _REQUEST_LINE.fullmatch(line):
        return request.group(1), None
    if status := _STATUS_LINE.fullmatch(line):
        return "", int(status.group(1))
    if _OTHER_VERSION.fullmatch(line):
        raise MalformedMessageError("another version of SIP", 505)
    raise MalformedMessageError("neither a request nor a status line")


def _answerable(lines: list[str]) -> RawMessage | None:
    """Return what a stateless answer needs: nothing of a response, of an ACK, or of what lacks a header for it."""
    headers = []
    for line in lines[1 : MAX_HEADERS + 1]:
        with contextlib.suppress(MalformedMessageError):
            headers.append(_header(line))
    cseq = next((value for name, value in headers if name.lower() == "cseq"), "")
    request = RawMessage(
        method=cseq.rpartition(" ")[2], status=None, start_line=lines[0], headers=tuple(headers), body=b""
    )
    is_request = not lines[0].upper().startswith("SIP/") and request.method.upper() not in ("", "ACK")
    return request if is_request and all(request.value(name) for name in _REQUIRED) else None


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    name = name.strip()
    if not colon or not name or re.search(r"\s", name):
        raise MalformedMessageError("a line that is no header")
    name = _COMPACT.get(name.lower(), name)
    value = value.strip()
    if name.lower() == "via":
        value = ", ".join(_tidy_via(part) for part in split_values(value))
    elif name.lower() in ("from", "to"):
        value = _tidy_party(value)
    if name.lower() in _ROUTING:
        value = _TRANSPORT.sub(lambda match: match.group(1) + match.group(2).lower(), value)
    return name, value


def _without_claims(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Take from the topmost Via of a request what only its receiver may say: a response would go where it says."""
    at = next((at for at, (name, _) in enumerate(headers) if name.lower() == "via"), None)
    if at is None:
        return headers
    top, *rest = split_values(headers[at][1]) or [""]
    top = _RPORT.sub(";rport", _RECEIVED.sub("", top))
    return (*headers[:at], (headers[at][0], ", ".join([top, *rest])), *headers[at + 1 :])


def _tidy_via(value: str) -> str:
    """Take out the blanks that a Via may have round its separators (RFC 3261 section 25.1), which sippy cannot read."""
    protocol = _PROTOCOL.match(value)
    if protocol is None:
        return value
    return f"SIP/2.0/{protocol.group(1)} " + re.sub(r"\s*([;=])\s*", r"\1", value[protocol.end() :].strip())


def _tidy_party(value: str) -> str:
    """Put a display name that is neither tokens nor quoted into quotes, and take blanks out of angle brackets."""
    name, bracket, rest = value.partition("<")
    if not bracket or '"' in name:
        return value
    inside, end, params = rest.partition(">")
    name = name.strip()
    shown = name if _TOKENS.fullmatch(name) else '"' + name.replace("\\", "\\\\") + '"'
    return f"{shown} <{inside.strip()}{end}{params}".lstrip()


def _checked(message: RawMessage) -> RawMessage:
    for name in _REQUIRED:
        if not message.value(name):
            raise MalformedMessageError(f"no {name}")
    for name in _ONCE:
        if len(set(message.values(name))) > 1:
            raise MalformedMessageError(f"several {name}")
    if message.status is None:
        _check_addresses(message)
    cseq = _CSEQ.fullmatch(message.value("cseq") or "")
    if cseq is None or int(cseq.group(1)) >= 2**31:
        raise MalformedMessageError("CSeq is not a number and a method")
    if message.status is None and cseq.group(2) != message.method:
        raise MalformedMessageError("CSeq names another method")
    return RawMessage(
        method=cseq.group(2),
        status=message.status,
        start_line=message.start_line,
        headers=message.headers,
        body=_body(message),
    )


def _check_addresses(request: RawMessage) -> None:
    """Refuse a request whose way back, target or parties cannot be read, before the stack stumbles over it."""
    if not all(_SENT_BY.match(strip_quoted(via)) for line in request.values("via") for via in split_values(line)):
        raise MalformedMessageError("a Via that is none")
    uri = request.start_line.split(" ")[1]
    scheme = _SCHEME.fullmatch(uri)
    if scheme is None:
        raise MalformedMessageError("the target is no URI")
    if scheme.group(1).lower() not in _SCHEMES:
        raise MalformedMessageError("a target of another scheme", 416)
    if "?" in uri.rpartition("@")[2]:
        raise MalformedMessageError("headers in the target")
    for name in ("from", "to"):
        bare = strip_quoted(request.value(name) or "")
        address = bare[bare.find("<") + 1 :].partition(">")[0] if "<" in bare else bare.partition(";")[0]
        if not _SCHEME.match(address.strip()):
            raise MalformedMessageError(f"no address in {name}")


def _body(message: RawMessage) -> bytes:
    stated = message.value("content-length")
    if stated is None:
        return message.body
    is_length = stated.isascii() and stated.isdigit() and len(stated) <= MAX_DIGITS
    if not is_length or int(stated) > len(message.body):
        raise MalformedMessageError(f"Content-Length is no number up to the {len(message.body)} bytes that came")
    return message.body[: int(stated)]
