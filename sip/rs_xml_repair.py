"""A small tree out of XML that is not well-formed, for what can still be read in it. Pure.

`sip.rs_xml` reads first; this is for documents that it gives up on since a tag is wrong, not closed, or cut off. One
pass, no looking back: an end tag that closes nothing is ignored unless it nearly names what is open, one that closes
something further out closes what is inside it, and the root lasts to the end of the document. What was cut off in the
middle, a tag or the text of an element, does not count: half a number is another number. The limits are those of
`sip.rs_xml`, and a document type is refused here too.
"""

import difflib
import re

from sip.rs_xml import MAX_ATTRIBUTES, NO_DOCUMENT_TYPE, PADDING, UTF_16, Node, TreeBuilder, XmlError, plain, split

_TAG = re.compile(r"<(/?)([A-Za-z_][\w.:-]{0,127})((?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*)>")
_BROKEN_TAG = re.compile(r"<(/?)([A-Za-z_][\w.:-]{0,127})([^<>]*)>")
"""One whose quotes do not match: it ends at the next bracket."""
_ATTRIBUTE = re.compile(r"(?<![\w.:-])([A-Za-z_][\w.:-]{0,127})\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'/]+))")
_REFERENCE = re.compile(r"&(?:(lt|gt|amp|quot|apos)|#(\d{1,7})|#x([0-9A-Fa-f]{1,6}));")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_SECTIONS = (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"))
MAX_BRACKETS = 20_000
"""Twice the most elements that are taken, and room for what is none."""
MAX_STRAY_ENDS = 50
"""Different end tags that close nothing, where they stand in different elements: each is compared with what is open."""
MAX_COMPARED = 40
"""Characters of the longest name that is compared: difflib takes a time that grows with the product of both."""
_SIMILAR = 0.6
"""Ratio of difflib from which an end tag is taken for a misspelling of the element that is open."""


def repair(content: bytes) -> Node:
    """Read what can be read of a document.

    Raises:
        XmlError: There is no element, a document type, or a limit is reached.
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
    """Reads one document."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tree = TreeBuilder()
        self._strays: dict[tuple[str, str], bool] = {}
        """Whether an end tag closes what is open, for those that do not name it: a client repeats its mistakes."""

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
        """Take what begins with a bracket; return where to go on."""
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
        if tag is None:  # a bracket that stands for itself, or a tag that never ends
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
            return  # a second document, or the beginning again: one root is enough
        attributes: dict[str, str] = {}
        for match in _ATTRIBUTE.finditer(rest):
            key, *values = match.groups()
            attributes.setdefault(key, _resolved(next(filter(None, values), "")))
            if len(attributes) > MAX_ATTRIBUTES:
                break  # which the tree refuses
        self._tree.start(name, attributes)
        if rest.rstrip().endswith("/") and len(self._tree.names) > 1:
            self._tree.end()

    def _end(self, name: str) -> None:
        """End an element, and those inside it that were not ended; the root lasts."""
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
