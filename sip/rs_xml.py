"""Parses untrusted XML into a small tree, with expat and limits on bytes, depth, elements and attributes. Pure.

A document type is refused, and with it entities, entity expansion and external references. ``defusedxml`` refuses those
too, but builds a tree of any size and depth; limits must be checked while expat reads. Prefixes are resolved here,
because clients send undeclared ones, which expat's namespace mode refuses.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

MAX_BYTES = 512 * 1024
"""Real documents have up to some 20 kB."""
MAX_DEPTH = 24
MAX_ELEMENTS = 4000
MAX_ATTRIBUTES = 64
NO_DOCUMENT_TYPE = "a document type is not taken: it could make entities"

PADDING = b"\0 \t\r\n"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_DECLARATION = re.compile(rb"<\?xml[^>]{0,200}\?>")


class XmlError(ValueError):
    """The bytes cannot or must not be parsed as XML; the message is a sentence."""


class NotWellFormedError(XmlError):
    """The XML is not well-formed; `sip.rs_xml_repair` may be able to read it."""


class _UnknownEncodingError(XmlError):
    """Python or expat does not support the encoding."""


@dataclass(slots=True)
class Node:
    """One element.

    Attributes:
        name: Local name as spelled.
        namespace: Of its prefix, or None if the prefix was not declared.
        attributes: By local name as `plain` makes it, so that ``participant_id`` and ``participantId`` are the same.
        text: Its own text without that of its children, stripped.
        children: In order.
    """

    name: str
    namespace: str | None
    attributes: dict[str, str]
    text: str = ""
    children: "list[Node]" = field(default_factory=list)

    def named(self, *names: str) -> "list[Node]":
        """Return the children with one of these names, given as `plain` makes them."""
        return [child for child in self.children if plain(child.name) in names]

    def within(self, name: str) -> "Iterator[Node]":
        """Yield the descendants with this name."""
        for child in self.children:
            if plain(child.name) == name:
                yield child
            yield from child.within(name)


def plain(name: str) -> str:
    """Return a name in the form in which names are compared: lower case, without ``-`` and ``_``."""
    return name.replace("-", "").replace("_", "").lower()


def parse(content: bytes) -> Node:
    """Parse a document; if its encoding is wrong or unknown, as Latin-1.

    Raises:
        NotWellFormedError: It is not well-formed.
        XmlError: It has a document type, or exceeds a limit.
    """
    if len(content) > MAX_BYTES:
        raise XmlError(f"{len(content)} bytes of metadata, at most {MAX_BYTES}")
    if not content.startswith(UTF_16):
        content = content.removeprefix(b"\xef\xbb\xbf").strip(PADDING)
    try:
        return _Expat().read(content, None)
    except _UnknownEncodingError:
        pass
    except expat.ExpatError as error:
        if error.code not in _ENCODING_ERRORS:
            raise NotWellFormedError(f"not well-formed: {expat.ErrorString(error.code)}") from None
    try:
        return _Expat().read(_DECLARATION.sub(b"", content, count=1), "iso-8859-1")
    except expat.ExpatError as error:
        raise NotWellFormedError(f"not well-formed: {expat.ErrorString(error.code)}") from None


_ENCODING_ERRORS = {
    expat.errors.codes[message]
    for message in (
        expat.errors.XML_ERROR_INVALID_TOKEN,
        expat.errors.XML_ERROR_UNKNOWN_ENCODING,
        expat.errors.XML_ERROR_INCORRECT_ENCODING,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
    )
}


class TreeBuilder:
    """Builds the tree from a parser's events, and checks the limits.

    Attributes:
        root: The first element, or None before it.
    """

    def __init__(self) -> None:
        self._open: list[tuple[Node, list[str]]] = []
        self._scopes: list[dict[str, str]] = [{}]
        self.root: Node | None = None
        self._elements = 0

    @property
    def names(self) -> list[str]:
        """Names of the open elements, the root first, as spelled and without prefixes."""
        return [node.name for node, _ in self._open]

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Begin an element.

        Raises:
            XmlError: A limit is exceeded.
        """
        self._elements += 1
        if self._elements > MAX_ELEMENTS or len(self._open) >= MAX_DEPTH or len(attributes) > MAX_ATTRIBUTES:
            raise XmlError(
                f"more than {MAX_ELEMENTS} elements, {MAX_DEPTH} levels or {MAX_ATTRIBUTES} attributes of one"
            )
        declared = {key[6:] if key != "xmlns" else "": value for key, value in attributes.items() if _declares(key)}
        self._scopes.append({**self._scopes[-1], **declared} if declared else self._scopes[-1])
        prefix, local = split(name)
        values = {plain(split(key)[1]): value.strip() for key, value in attributes.items() if not _declares(key)}
        node = Node(name=local, namespace=self._scopes[-1].get(prefix), attributes=values)
        if self._open:
            self._open[-1][0].children.append(node)
        else:
            self.root = node
        self._open.append((node, []))

    def end(self) -> None:
        """End the innermost open element."""
        node, text = self._open.pop()
        self._scopes.pop()
        node.text = "".join(text).strip()

    def text(self, data: str) -> None:
        """Add text to the innermost open element."""
        if self._open:
            self._open[-1][1].append(data)


class _Expat:
    def read(self, content: bytes, encoding: str | None) -> Node:
        tree = TreeBuilder()
        parser = expat.ParserCreate(encoding)
        parser.buffer_text = True
        parser.StartElementHandler = tree.start
        parser.EndElementHandler = lambda _: tree.end()
        parser.CharacterDataHandler = tree.text
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        try:
            parser.Parse(content, True)
        except XmlError:
            raise
        except (UnicodeError, LookupError, ValueError) as error:
            raise _UnknownEncodingError(f"its encoding cannot be read: {type(error).__name__}") from None
        if tree.root is None:
            raise XmlError("no element")
        return tree.root

    def _refuse(self, *_: object) -> None:
        raise XmlError(NO_DOCUMENT_TYPE)


def _declares(attribute: str) -> bool:
    return attribute == "xmlns" or attribute.startswith("xmlns:")


def split(name: str) -> tuple[str, str]:
    """Return the prefix of a name, or "", and the local name."""
    prefix, colon, local = name.partition(":")
    return (prefix, local) if colon else ("", name)
