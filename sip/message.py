"""Raw SIP messages, and functions that read header values. Pure; `sip.message_parser` parses bytes."""

import hashlib
import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import unquote

CSEQ = re.compile(r"(\d{1,10})\s+([A-Za-z0-9!%*_+`'~.-]+)")
_TAG = re.compile(r";\s*tag\s*=\s*([^;,\s>]+)", re.IGNORECASE)
SENT_BY = re.compile(
    r"\s*SIP\s*/\s*2\.0\s*/\s*[A-Za-z]+\s+(?:\[[^\]]*\]|[^\s:;,]+)\s*(?::\s*(\d{1,6}))?(.*)", re.DOTALL
)
_LONG_NUMBER = re.compile(r"\d{3,}(?=\d{3})")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)')
_BRANCH = re.compile(r";\s*branch\s*=\s*([^;,\s]+)", re.IGNORECASE)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}", re.ASCII)
LINE_BREAKERS = re.compile("[\x00-\x08\x0a-\x1f\x7f\x80-\x9f\u2028\u2029]")

_PHRASES = {416: "Unsupported URI Scheme", 505: "Version Not Supported", 513: "Message Too Large"}


class MalformedMessageError(Exception):
    """The bytes are not a usable SIP message.

    Attributes:
        status: Status to answer with.
        phrase: Its reason phrase.
        request: The headers that an answer needs, or None: it cannot or must not be answered.
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
        body: Content-Length bytes, or without Content-Length all bytes after the head.
    """

    method: str
    status: int | None
    start_line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    _by_name: dict[str, tuple[str, ...]] = field(init=False, repr=False, compare=False, default_factory=dict)
    """The values by lower-case name: made when the first is asked for, since some sixty are asked for in a call."""
    _tags: dict[str, str | None] = field(init=False, repr=False, compare=False, default_factory=dict)
    """The tags that were asked for, by header."""

    def values(self, name: str) -> tuple[str, ...]:
        """Return the values of a header, one for each of its lines, in order."""
        return (self._by_name or self.by_name).get(name.lower(), ())

    def value(self, name: str) -> str | None:
        """Return the first value of a header, or None."""
        values = (self._by_name or self.by_name).get(name.lower())
        return values[0] if values else None

    @property
    def by_name(self) -> dict[str, tuple[str, ...]]:
        """The values of each header, by lower-case name."""
        by_name = self._by_name
        if not by_name:
            for key, value in self.headers:
                lower = key.lower()
                by_name[lower] = (*by_name[lower], value) if lower in by_name else (value,)
        return by_name

    def tag(self, name: str) -> str | None:
        """Return the tag of From or To, or None."""
        if name not in self._tags:
            match = _TAG.search(strip_quoted(self.value(name) or ""))
            self._tags[name] = match.group(1) if match else None
        return self._tags[name]

    def completed(self, method: str, body: bytes) -> "RawMessage":
        """Return the message with the method in its CSeq, and with its body cut to Content-Length."""
        found = RawMessage(
            method=method, status=self.status, start_line=self.start_line, headers=self.headers, body=body
        )
        found._by_name.update(self._by_name)
        return found

    @property
    def call_id(self) -> str:
        """Return the Call-ID."""
        return self.value("call-id") or ""

    @property
    def cseq(self) -> int:
        """Return the number in CSeq, in [0, 2**31)."""
        match = CSEQ.match(self.value("cseq") or "")
        return int(match.group(1)) if match else 0

    @property
    def branch(self) -> str | None:
        """Return the branch of the topmost Via, or None."""
        match = _BRANCH.search(self.value("via") or "")
        return match.group(1) if match else None

    def option_tags(self, name: str) -> tuple[str, ...]:
        """Return the option tags in all lines of a header such as Require, in lower case."""
        return tuple(tag.strip().lower() for value in self.values(name) for tag in value.split(",") if tag.strip())

    def text_for_stack(self) -> str:
        """Return the message for sippy: clean head, exact Content-Length, body as one character for each byte."""
        lines = [f"{key}: {value}" for key, value in self.headers if key.lower() != "content-length"]
        head = "\r\n".join([self.start_line, *lines, f"Content-Length: {len(self.body)}\r\n\r\n"])
        return head + self.body.decode("latin-1")


def refusal(request: RawMessage, status: int, phrase: str, *, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    """Return a stateless final response (RFC 3261 section 8.2.7), the same for every retransmission."""
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
    """Return the port to which a response goes (RFC 3261 section 18.2.2, RFC 3581 section 4)."""
    port = sent_by_port(request, 5060)
    return source_port if port is None or "rport" in via_parameters(request) else port


def sent_by_port(request: RawMessage, default: int) -> int | None:
    """Return the port of the topmost Via, or the default if it has none, or None: there is no usable Via."""
    match = SENT_BY.match(_topmost_via(request))
    port = int(match.group(1) or default) if match is not None else 0
    return port if 0 < port < 65536 else None


def via_parameters(request: RawMessage) -> frozenset[str]:
    """Return the names of the topmost Via's parameters, in lower case."""
    match = SENT_BY.match(_topmost_via(request))
    found = re.findall(r";\s*([A-Za-z0-9-]+)", match.group(2)) if match is not None else []
    return frozenset(name.lower() for name in found)


def _topmost_via(request: RawMessage) -> str:
    via = split_values(request.value("via") or "")[:1]
    return strip_quoted(via[0]) if via else ""


def encode_for_wire(text: str) -> bytes:
    """Return the bytes of sippy's text of a message: the head in UTF-8, the body one byte for each character."""
    head, separator, body = text.partition("\r\n\r\n")
    return (head + separator).encode("utf-8", "replace") + body.encode("latin-1", "replace")


def split_values(value: str) -> list[str]:
    """Split a header value at its commas outside quotes and angle brackets."""
    if "," not in value:
        return [value.strip()] if value.strip() else []
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


_USER_END = re.compile("[:;]")
"""What ends a user and begins its password or its parameters (RFC 3261 section 19.1.1)."""
_READ_APART = re.compile("[/?&,%]")
"""What one peer takes for a part of a user, and another for the end of it or for another escape."""


def user_part(address: str) -> str:
    """Return the user of a name-addr, SIP URI or tel URI, without escapes, parameters and password, or "".

    This is the only reading of a user: it is what the rules judge, and what is sent on. Escapes are resolved once.
    Escaped and plain forms are equal (RFC 3261 section 19.1.4): ``%32001`` must not bypass the rules of 2001. An
    escaped delimiter ends the user like a plain one, since peers resolve escapes before they look for parameters:
    ``2002%3bx`` rings 2002 there. What peers read differently ends it too; see `is_ambiguous_user`.
    """
    return _READ_APART.split(_user_of(address), maxsplit=1)[0]


def is_ambiguous_user(address: str) -> bool:
    """Tell whether peers may read the user of an address differently: it has one of ``/ ? & , %``, escaped or not.

    A dial plan takes ``2002/``, ``2002&1`` and ``2002,x`` for 2002 and an instruction, and one that resolves escapes
    twice reads ``2002%253bx`` as 2002. A request to such a user is refused.
    """
    return _READ_APART.search(_user_of(address)) is not None


def _user_of(address: str) -> str:
    bare = strip_quoted(address)
    uri = bare[bare.find("<") + 1 :].split(">", 1)[0] if "<" in bare else bare
    scheme, _, rest = uri.strip().partition(":")
    if scheme.lower() != "tel":
        rest, at, _ = rest.rpartition("@")
        if not at:
            return ""
    user = _USER_END.split(rest, maxsplit=1)[0]
    return one_line(_USER_END.split(unquote(user), maxsplit=1)[0] if "%" in user else user)


def display_name(address: str) -> str:
    """Return the display name of a name-addr without its quotes, or ""."""
    match = re.match(r'\s*"((?:[^"\\]|\\.)*)"', address)
    if match:
        return re.sub(r"\\(.)", r"\1", match.group(1))
    return address.split("<", 1)[0].strip() if "<" in address else ""


def strip_quoted(value: str) -> str:
    """Return a header value with its quoted strings emptied, so that their content is not taken for syntax.

    An unclosed string ends with the value; searching its end from each quote would take quadratic time.
    """
    return _QUOTED.sub('""', value) if '"' in value else value


def is_ipv4(host: str) -> bool:
    """Tell whether a host is an IPv4 literal; such a literal is always in its canonical form."""
    return _IPV4.fullmatch(host) is not None


def is_ip(host: str) -> bool:
    """Tell whether a host is an IP literal, in brackets or not."""
    bare = host.strip("[]")
    if ":" not in bare:
        return is_ipv4(bare)
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        return False
    return True


def one_line(value: str) -> str:
    """Return a header value with its line breaks and control characters replaced by blanks."""
    return value if value.isprintable() else LINE_BREAKERS.sub(" ", value)


def masked(text: str) -> str:
    """Return a text for the log in which only the last three digits of each number are shown."""
    return _LONG_NUMBER.sub(lambda match: "*" * len(match.group()), text)
