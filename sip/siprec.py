"""Finds session description and metadata in the body of a SIPREC client (RFC 7866 section 9, RFC 2046). Pure.

Clients vary, also beyond the RFCs: boundaries quoted or bare, missing at the end or only in the body; line ends; folded
and compact headers; body parts in any order and of any type; wrong lengths. So only delimiter lines separate body
parts, and a body part with an unknown type is recognised by its content. `take_apart` accepts every input and raises
nothing.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_BYTES = 1 << 20
"""Longer bodies are not read: the longest metadata of a real client has some 20 kB."""
MAX_PARTS = 32
"""Most body parts; real bodies have two or three."""
MAX_DEPTH = 3
"""Deepest nesting of multiparts."""
_MAX_HEADERS = 32

_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r|\Z)")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*:[ \t]*(.*)", re.DOTALL)
_BOUNDARY = re.compile(r";\s*boundary\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"?|([^;\s]+))", re.IGNORECASE)
_COMPACT = {b"c": b"content-type", b"l": b"content-length", b"e": b"content-encoding"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a body.

    Attributes:
        sdp: The first session description, or None.
        metadata: The first metadata document, unparsed, or None.
        others: Number of other body parts, such as a client's own extensions.
    """

    sdp: bytes | None = None
    metadata: bytes | None = field(default=None, repr=False)
    others: int = 0


def take_apart(content: bytes, content_type: str) -> Parts:
    """Return the session description and the metadata of a body; neither if it is too long or cannot be read.

    Args:
        content: The body.
        content_type: Value of its Content-Type header, with parameters.
    """
    if len(content) > MAX_BYTES:
        return Parts(others=1)
    sdp = metadata = None
    others = 0
    for kind, found in _leaves(content, content_type, MAX_DEPTH, [MAX_PARTS]):
        if kind == "sdp" and sdp is None:
            sdp = found
        elif kind == "metadata" and metadata is None:
            metadata = found
        else:
            others += 1
    return Parts(sdp=sdp, metadata=metadata, others=others)


def is_metadata_type(content_type: str) -> bool:
    """Tell whether a type names recording metadata, in any of its spellings and with any parameters."""
    return "rs-metadata" in _bare(content_type) and "request" not in _bare(content_type)


def _leaves(content: bytes, content_type: str, depth: int, left: list[int]) -> Iterator[tuple[str, bytes]]:
    """Yield kind and content of each body part; ``left`` counts down the parts that may still be read."""
    is_multipart = _bare(content_type).startswith("multipart/") or _looks_multipart(content)
    if not is_multipart:
        yield _kind(content, content_type), content
        return
    if depth == 0:
        yield "other", content
        return
    boundary = _boundary(content, content_type)
    for raw in _split(content, boundary) if boundary is not None else ():
        if left[0] == 0:
            return
        left[0] -= 1
        headers, body = _part(raw)
        yield from _leaves(_decoded(body, headers), headers.get(b"content-type", ""), depth - 1, left)


def _kind(content: bytes, content_type: str) -> str:
    """Return the kind of a body part, by its type, or by its first bytes if the type is wrong."""
    head = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:2048]
    looks_xml, looks_sdp = head.startswith(b"<"), re.match(rb"v\s*=\s*0\s*[\r\n]", head) is not None
    bare = _bare(content_type)
    if is_metadata_type(bare) and not looks_sdp:
        return "metadata"
    if looks_sdp or (bare == "application/sdp" and not looks_xml):
        return "sdp"
    return "metadata" if looks_xml and b"recording" in head.lower() else "other"


def _looks_multipart(content: bytes) -> bool:
    """Tell whether a body begins like a multipart, whatever its type: no other body begins with dashes."""
    return re.match(rb"\s{0,8}--[^\s-][^\r\n]{0,80}(?:\r\n|\n|\r)[A-Za-z-]{1,40}[ \t]*:", content) is not None


def _bare(content_type: str) -> str:
    return content_type.split(";", 1)[0].strip().lower()


def _boundary(content: bytes, content_type: str) -> bytes | None:
    """Return the boundary: the parameter if it occurs in the body, else the first line that begins with dashes."""
    match = _BOUNDARY.search(content_type)
    if match is not None:
        quoted, bare = match.groups()
        stated = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
        wanted = stated.rstrip(" ").encode("utf-8", "replace")
        if wanted and any(_is_delimiter(line, wanted) for line in _lines(content)):
            return wanted
    for line in _lines(content):
        text = line.strip()
        if text.startswith(b"--") and len(text) > 2:
            return text[2:]
    return None


def _lines(content: bytes) -> Iterator[bytes]:
    return (match.group() for match in _LINE.finditer(content) if match.group())


def _is_delimiter(line: bytes, boundary: bytes) -> bool:
    text = line.strip()
    return text.startswith(b"--") and text[2:] in (boundary, boundary + b"--")


def _split(content: bytes, boundary: bytes) -> Iterator[bytes]:
    """Yield the body parts between the delimiter lines; the last delimiter may be missing."""
    start: int | None = None
    at = 0
    for line in _lines(content):
        if _is_delimiter(line, boundary):
            if start is not None:
                yield _without_last_break(content[start:at])
            start = at + len(line)
            if line.strip() == b"--" + boundary + b"--":
                return
        at += len(line)
    if start is not None and content[start:].strip():
        yield _without_last_break(content[start:])


def _without_last_break(part: bytes) -> bytes:
    """Return a body part without the last line break, which belongs to the delimiter."""
    for ending in (b"\r\n", b"\n", b"\r"):
        if part.endswith(ending):
            return part[: -len(ending)]
    return part


def _part(raw: bytes) -> tuple[dict[bytes, str], bytes]:
    """Return the headers of a body part, names in lower case, and its content.

    The headers end at an empty line, or at the first line that is not a header. Content-Length is ignored: it is often
    wrong.
    """
    headers: dict[bytes, str] = {}
    at, name = 0, b""
    for line in _lines(raw):
        text = line.rstrip()
        if not text:
            return headers, raw[at + len(line) :]
        match = _HEADER.fullmatch(text)
        if line[:1] in (b" ", b"\t") and name:
            headers[name] += " " + text.strip().decode("utf-8", "replace")
        elif match is not None and len(headers) < _MAX_HEADERS:
            name = match.group(1).lower()
            name = _COMPACT.get(name, name)
            headers.setdefault(name, match.group(2).decode("utf-8", "replace"))
        else:
            return headers, raw[at:]
        at += len(line)
    return headers, raw[at:]


def _decoded(body: bytes, headers: dict[bytes, str]) -> bytes:
    """Return the content without its Content-Transfer-Encoding; unchanged if that cannot be decoded."""
    encoding = headers.get(b"content-transfer-encoding", "").strip().lower()
    try:
        if encoding == "base64":
            return binascii.a2b_base64(body)
        if encoding == "quoted-printable":
            return binascii.a2b_qp(body)
    except (binascii.Error, ValueError):
        return body
    return body
