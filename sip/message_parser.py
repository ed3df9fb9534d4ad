"""Parses and cleans raw SIP messages before sippy reads them. Pure.

sippy splits lines at Unicode's line ends, counts a body in characters, knows the transport ``udp`` only in lower case,
and keeps neither the order nor all values of the history headers. So each message is parsed here first, and written
anew for sippy: one header in a line, the head as UTF-8 text, and **the body as Latin-1 text, one character for each
byte**, so that sippy's lengths are lengths in bytes and no byte of a body changes.
"""

import contextlib
import re

from sip.message import CSEQ, LINE_BREAKERS, SENT_BY, MalformedMessageError, RawMessage, split_values, strip_quoted

MAX_DIGITS = 15
"""Most digits of a Content-Length."""

MAX_HEADERS = 256
"""More is an attack: the longest real message in captures has 60."""

MAX_COMMAS = 128
"""Most commas in a line of addresses or hops; sippy takes the square of their number to tell values apart."""

_COMPACT = {
    "a": "Accept-Contact", "b": "Referred-By", "c": "Content-Type", "e": "Content-Encoding", "f": "From",
    "i": "Call-ID", "k": "Supported", "l": "Content-Length", "m": "Contact", "o": "Event", "r": "Refer-To",
    "s": "Subject", "t": "To", "u": "Allow-Events", "v": "Via", "x": "Session-Expires",
}  # fmt: skip
_ROUTING = {"contact", "route", "record-route"}
_TIDIED = {"via", "from", "to", *_ROUTING}
_USUAL = {
    name: name.lower()
    for name in (
        "Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Contact", "Content-Type", "Content-Length", "Allow",
        "Supported", "User-Agent", "Server", "Record-Route", "Route", "Expires", "Session-Expires", "Min-SE", "Require",
        "P-Asserted-Identity", "Accept", "Date", "Allow-Events", "Reason", "Privacy", "Remote-Party-ID",
    )
}  # fmt: skip
"""Names in their usual spelling, and in lower case."""
_REQUIRED = ("via", "from", "to", "call-id", "cseq")
_ONCE = ("from", "to", "call-id", "cseq", "content-length")
_SCHEMES = {"sip", "sips", "tel"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):\S+")
_OTHER_VERSION = re.compile(r"\S+ \S+ SIP/(?!2\.0)\d+\.\d+", re.IGNORECASE)
_REQUEST_LINE = re.compile(r"([A-Za-z0-9!%*_+`'~.-]+) (\S+) SIP/2\.0")
_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6]\d\d)(?: (.*))?")
_TRANSPORT = re.compile(r"(;\s*transport\s*=\s*)([A-Za-z-]+)", re.IGNORECASE)
_RECEIVED = re.compile(r";\s*received\s*=[^;,]*", re.IGNORECASE)
_RPORT = re.compile(r";\s*rport\s*=[^;,]*", re.IGNORECASE)
_TIDY_VIA = re.compile(r"SIP/2\.0/[^\s/;,]+ \S+")
_PROTOCOL = re.compile(r"SIP\s*/\s*2\.0\s*/\s*([^\s/;,]+)\s+", re.IGNORECASE)
_LINE_END = re.compile("\r\n|\n|\r")
_BLANK = re.compile(r"\s")
_TOKENS = re.compile(r"[A-Za-z0-9!%*_+`'~. \t-]*")
HEAD_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
"""The empty line between headers and body, with any kind of line end."""


def parse_message(data: bytes) -> RawMessage:
    """Parse one message.

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
    """Return the Content-Length of a head; over a stream it is required (RFC 3261 section 18.3).

    Args:
        head: Start line and headers, without the empty line.
        most: Largest body that is accepted, bytes.

    Raises:
        MalformedMessageError: There is none, there are several that differ, or it is no number up to ``most``.
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
    headers = tuple([_header(line) for line in lines[1:]])
    if len(headers) > MAX_HEADERS:
        raise MalformedMessageError(f"{len(headers)} headers, at most {MAX_HEADERS}")
    return headers


def _split(data: bytes) -> tuple[bytes, bytes]:
    at = data.find(b"\r\n\r\n")
    if at >= 0 and data.find(b"\n\n", 0, at) < 0 and data.find(b"\r\r", 0, at + 1) < 0:
        return data[:at], data[at + 4 :]
    match = HEAD_END.search(data)
    if match is None:
        raise MalformedMessageError("no end of the headers")
    return data[: match.start()], data[match.end() :]


def _unfold(head: bytes) -> list[str]:
    try:
        text = head.decode()
    except UnicodeDecodeError:
        text = head.decode("latin-1")
    parts = text.split("\r\n")
    if not all(map(str.isprintable, parts)):  # a printable line has neither other line ends nor control characters
        parts = [LINE_BREAKERS.sub("?", raw) for raw in _LINE_END.split(text)]
    lines: list[str] = []
    for part in parts:
        line = part.strip()
        if part[:1] in (" ", "\t") and len(lines) > 1:
            lines[-1] += " " + line
        elif line:
            lines.append(line)
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
    """Return the headers for a stateless answer, or None for a response, an ACK, or if a needed header is missing."""
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
    kind = _USUAL.get(name)
    if kind is None or not colon:
        name, kind = _unusual_name(name, colon)
    value = value.strip()
    if kind not in _TIDIED:
        return name, value
    if value.count(",") > MAX_COMMAS:
        raise MalformedMessageError(f"over {MAX_COMMAS} values in one line")
    return name, _tidied(kind, value)


def _unusual_name(name: str, colon: str) -> tuple[str, str]:
    """Return a name with compact forms spelled out, and in lower case."""
    name = name.strip()
    if not colon or not name or _BLANK.search(name):
        raise MalformedMessageError("a line that is no header")
    name = _COMPACT.get(name.lower(), name)
    return name, name.lower()


def _tidied(kind: str, value: str) -> str:
    if kind == "via":
        is_tidy = "," not in value and _TIDY_VIA.fullmatch(value)
        return value if is_tidy else ", ".join([_tidy_via(part) for part in split_values(value)])
    if kind in _ROUTING:
        return _TRANSPORT.sub(lambda match: match.group(1) + match.group(2).lower(), value) if ";" in value else value
    return _tidy_party(value)


def _without_claims(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Remove ``received`` and the value of ``rport`` from a request's topmost Via: only the receiver may set them."""
    at = next((at for at, (name, _) in enumerate(headers) if name.lower() == "via"), None)
    if at is None:
        return headers
    top, *rest = split_values(headers[at][1]) or [""]
    top = _RPORT.sub(";rport", _RECEIVED.sub("", top))
    return (*headers[:at], (headers[at][0], ", ".join([top, *rest])), *headers[at + 1 :])


def _tidy_via(value: str) -> str:
    """Remove the blanks that a Via may have around separators (RFC 3261 section 25.1); sippy cannot read them."""
    protocol = _PROTOCOL.match(value)
    if protocol is None:
        return value
    rest = value[protocol.end() :].strip()
    for separator in ";=" if _BLANK.search(rest) else "":
        rest = separator.join(map(str.strip, rest.split(separator)))
    return f"SIP/2.0/{protocol.group(1)} {rest}"


def _tidy_party(value: str) -> str:
    """Quote a display name that needs quotes, and remove blanks inside angle brackets."""
    if value[:1] == "<" and not _BLANK.search(value):
        return value
    name, bracket, rest = value.partition("<")
    if not bracket or '"' in name:
        return value
    inside, end, params = rest.partition(">")
    name = name.strip()
    shown = name if _TOKENS.fullmatch(name) else '"' + name.replace("\\", "\\\\") + '"'
    return f"{shown} <{inside.strip()}{end}{params}".lstrip()


def _checked(message: RawMessage) -> RawMessage:
    by_name = message.by_name
    for name in _REQUIRED:
        if not by_name.get(name, ("",))[0]:
            raise MalformedMessageError(f"no {name}")
    for name in _ONCE:
        values = by_name.get(name, ())
        if len(values) > 1 and len(set(values)) > 1:
            raise MalformedMessageError(f"several {name}")
    if message.status is None:
        _check_addresses(message)
    cseq = CSEQ.fullmatch(message.value("cseq") or "")
    if cseq is None or int(cseq.group(1)) >= 2**31:
        raise MalformedMessageError("CSeq is not a number and a method")
    if message.status is None and cseq.group(2) != message.method:
        raise MalformedMessageError("CSeq names another method")
    method, body = cseq.group(2), _body(message)
    if (method, body) == (message.method, message.body):
        return message
    return message.completed(method, body)


def _check_addresses(request: RawMessage) -> None:
    """Refuse a request whose Via, target, From or To cannot be read; sippy fails on such requests."""
    if not all(SENT_BY.match(strip_quoted(via)) for line in request.values("via") for via in split_values(line)):
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
