"""A small tree out of hostile XML, read with expat under limits. Pure.

Why not ``defusedxml``: it refuses entities and outside references in front of a parser that then builds the whole tree,
however many elements, however deep; a limit on those has to be set while expat reads. And why not a namespace parser:
clients send prefixes that they never declare, and that is no reason to know nothing of a call. So expat is used as it
is, with everything that a document type could do forbidden (no DTD at all, hence no entity, no bomb, no fetch), and
prefixes are told apart here. What is bounded: bytes, depth, elements, attributes.
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
    """The bytes are no XML that may be read; a sentence."""


class NotWellFormedError(XmlError):
    """It is XML, or meant to be, and not well-formed: `sip.rs_xml_repair` may make something of it."""


class _UnknownEncodingError(XmlError):
    """Python knows no such encoding, or none that expat can take a byte at a time."""


@dataclass(slots=True)
class Node:
    """One element.

    Attributes:
        name: Local name, as it is spelled.
        namespace: What its prefix stands for, or None where that was never said.
        attributes: By local name in lower case without ``-`` and ``_``, so that ``participant_id`` and
            ``participantId`` are one.
        text: Its own text without that of its children, stripped.
        children: In order.
    """

    name: str
    namespace: str | None
    attributes: dict[str, str]
    text: str = ""
    children: "list[Node]" = field(default_factory=list)

    def named(self, *names: str) -> "list[Node]":
        """Return the children of these names, plain as `plain` makes them."""
        return [child for child in self.children if plain(child.name) in names]

    def within(self, name: str) -> "Iterator[Node]":
        """Yield the elements of this name below it, however deep."""
        for child in self.children:
            if plain(child.name) == name:
                yield child
            yield from child.within(name)


def plain(name: str) -> str:
    """Return a name as names are compared: lower case, without ``-`` and ``_``."""
    return name.replace("-", "").replace("_", "").lower()


def parse(content: bytes) -> Node:
    """Read a document.

    Text that is not in the encoding that it claims is read as Latin-1: a name with a strange letter in it is better
    than none.

    Raises:
        NotWellFormedError: It is not well-formed.
        XmlError: It has a document type, or is beyond a limit.
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
    """Builds the tree while somebody reads, and sees to the limits.

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
        """Return the names of the elements that are open, the root first, as they are spelled and without prefixes."""
        return [node.name for node, _ in self._open]

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Begin an element.

        Raises:
            XmlError: A limit is reached.
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
        """End the element that was begun last."""
        node, text = self._open.pop()
        self._scopes.pop()
        node.text = "".join(text).strip()

    def text(self, data: str) -> None:
        """Take text of the element that is open."""
        if self._open:
            self._open[-1][1].append(data)


class _Expat:
    """Reads with expat."""

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
    """Return the prefix of a name, or "", and the rest."""
    prefix, colon, local = name.partition(":")
    return (prefix, local) if colon else ("", name)
