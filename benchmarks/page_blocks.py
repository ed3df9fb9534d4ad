"""The parts of a page that a program writes, between two comments each, and the numbers outside of them. Pure."""

import re
from collections.abc import Mapping

_BEGIN, _END = "<!-- {name}: begin -->", "<!-- {name}: end -->"
_BLOCK = re.compile(r"<!-- ([\w -]+): begin -->.*?<!-- \1: end -->", re.DOTALL)
_NO_FIGURES = re.compile(r"^```.*?^```|`[^`\n]*`|\[ADR \d+(?=\])|\]\([^)]*\)", re.DOTALL | re.MULTILINE)
"""Code, numbers of decisions, and targets of links."""
_NUMBER = re.compile(r"(?<![\w.^])\d[\d.,]*")


def with_blocks(page: str, blocks: Mapping[str, str]) -> str:
    """Return the text of a page with its blocks replaced.

    Raises:
        ValueError: It lacks the place of a block.
    """
    for name, text in blocks.items():
        begin, end = _BEGIN.format(name=name), _END.format(name=name)
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the page has no place for the table {name!r}: write {begin} and {end}")
        page = f"{before}{begin}\n\n{text}\n\n{end}{after}"
    return page


def typed_numbers(page: str) -> list[str]:
    """Return each line outside of blocks that has a number, and its place in the page; code and links may have some."""
    prose = _NO_FIGURES.sub(_blank, _BLOCK.sub(_blank, page))
    return [
        f"line {number}: {line}"
        for number, (left, line) in enumerate(zip(prose.split("\n"), page.split("\n"), strict=True), 1)
        if _NUMBER.search(left)
    ]


def _blank(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")
