"""Parses XML that is not well-formed into a small tree, as far as it can be read. Pure.

For documents that `sip.rs_xml` refuses because a tag is wrong, not closed, or cut off. It makes one pass. An end tag
that matches no open element is ignored, unless it is a misspelling of the innermost one. An end tag of an outer element
also closes those inside it. The root lasts to the end of the document. A tag or text that is cut off is left out: half
a number is another number. The limits are those of `sip.rs_xml`; a document type is refused.
"""

import difflib
import re

from sip.rs_xml import MAX_ATTRIBUTES, NO_DOCUMENT_TYPE, PADDING, UTF_16, Node, TreeBuilder, XmlError, plain, split

_TAG = re.compile(r"<(/?)([A-Za-z_][\w.:-]{0,127})((?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*)>")
_BROKEN_TAG = re.compile(r"<(/?)([A-Za-z_][\w.:-]{0,127})([^<>]*)>")
"""A tag whose quotes do not match: it ends at the next bracket."""
_ATTRIBUTE = re.compile(r"(?<![\w.:-])([A-Za-z_][\w.:-]{0,127})\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'/]+))")
_REFERENCE = re.compile(r"&(?:(lt|gt|amp|quot|apos)|#(\d{1,7})|#x([0-9A-Fa-f]{1,6}));")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_SECTIONS = (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"))
MAX_BRACKETS = 20_000
"""Two for each allowed element, and room for stray brackets."""
MAX_STRAY_ENDS = 50
"""Most different pairs of an end tag without an open element and the innermost open element; each is compared once."""
MAX_COMPARED = 40
"""Characters of the longest name that is compared: difflib's time grows with the product of both lengths."""
_SIMILAR = 0.6
"""Ratio of difflib from which an end tag counts as a misspelling of the innermost open element."""


def repair(content: bytes) -> Node:
    """Parse a document as far as possible.

    Raises:
        XmlError: It has no element or a document type, or exceeds a limit.
    """
    return _Repair(_decoded(content)).tree()


def _decoded(content: bytes) -> str:
    if content.startswith(UTF_16):
        return content.decode("utf-16", "replace")
    content = content.removeprefix(b"\xef\xbb\xbf").strip(PADDING)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


class _Repair:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tree = TreeBuilder()
        self._strays: dict[tuple[str, str], bool] = {}
        """Whether an end tag is a misspelling, by the tag and the innermost open element: clients repeat mistakes."""

    def tree(self) -> Node:
        at = brackets = 0
        while (bracket := self._text.find("<", at)) >= 0:
            brackets += 1
            if brackets > MAX_BRACKETS:
                raise XmlError(f"more than {MAX_BRACKETS} brackets")
            self._tree.text(_resolved(self._text[at:bracket]))
            at = self._take(bracket)
        if self._tree.root is None:
            raise XmlError("no element")
        return self._tree.root

    def _take(self, at: int) -> int:
        """Read the tag or section at a bracket; return where to continue."""
        text = self._text
        for begin, end in _SECTIONS:
            if text.startswith(begin, at):
                close = text.find(end, at + len(begin))
                if close < 0:
                    return len(text)
                if begin == "<![CDATA[":
                    self._tree.text(text[at + len(begin) : close])
                return close + len(end)
        if text.startswith("<!", at):
            raise XmlError(NO_DOCUMENT_TYPE)
        tag = _TAG.match(text, at) or _BROKEN_TAG.match(text, at)
        if tag is None:  # a stray bracket, or a tag that never ends
            return at + 1
        is_end, name, rest = tag.groups()
        if is_end:
            self._end(name)
        else:
            self._start(name, rest)
        return tag.end()

    def _start(self, name: str, rest: str) -> None:
        root = self._tree.root
        if root is not None and plain(split(name)[1]) == plain(root.name):
            return  # a second document, or the first repeated: there is one root
        attributes: dict[str, str] = {}
        for match in _ATTRIBUTE.finditer(rest):
            key, *values = match.groups()
            attributes.setdefault(key, _resolved(next(filter(None, values), "")))
            if len(attributes) > MAX_ATTRIBUTES:
                break  # `TreeBuilder.start` refuses it
        self._tree.start(name, attributes)
        if rest.rstrip().endswith("/") and len(self._tree.names) > 1:
            self._tree.end()

    def _end(self, name: str) -> None:
        """End an element and the open elements inside it; the root is not ended."""
        ended, inside = plain(split(name)[1]), [plain(one) for one in self._tree.names[1:]]
        if ended in inside:
            last = len(inside) - 1 - inside[::-1].index(ended)
            for _ in inside[last:]:
                self._tree.end()
            return
        pair = ended, inside[-1] if inside else ""
        if pair not in self._strays:
            if len(self._strays) >= MAX_STRAY_ENDS:
                raise XmlError(f"more than {MAX_STRAY_ENDS} different end tags that end nothing")
            self._strays[pair] = bool(inside) and _is_misspelled(*pair)
        if self._strays[pair]:
            self._tree.end()


def _is_misspelled(name: str, meant: str) -> bool:
    if max(len(name), len(meant)) > MAX_COMPARED:
        return False
    matcher = difflib.SequenceMatcher(None, name, meant)
    return matcher.quick_ratio() >= _SIMILAR and matcher.ratio() >= _SIMILAR  # the first is an upper bound, and cheap


def _resolved(text: str) -> str:
    return _REFERENCE.sub(_character, text) if "&" in text else text


def _character(match: re.Match[str]) -> str:
    named, decimal, hexadecimal = match.groups()
    if named:
        return _NAMED[named]
    code = int(decimal) if decimal else int(hexadecimal, 16)
    is_character = code in (9, 10, 13) or 32 <= code < 0xD800 or 0xE000 <= code < 0x110000
    return chr(code) if is_character else match.group()
