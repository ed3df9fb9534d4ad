"""Pages of the documentation site: which files are in it, and their links and lists as MkDocs understands them. Pure.

The pages are written for GitHub and for MkDocs alike. Links may leave docs/ there: to README.md, to a test, to code.
"""

import os
import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

OUTSIDE = "project"
"""Folder of the site for files from outside docs/."""
PROJECT_PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "DESIGN.md")
_LINK = re.compile(r"(?<=\]\()([^)\s#]*)(#[^)\s]*)?(?=\))")
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:")
_FENCE = re.compile(r"( *)```")
_ITEM = re.compile(r"( *)([-*]|\d+\.) ")


def slug(heading: str, separator: str = "-") -> str:
    """Return the anchor of a heading as GitHub makes it, so that a link is good in both places."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", separator)


def links(text: str) -> Iterator[tuple[str, str]]:
    """Yield each link of a page: its target without and its anchor with the ``#``; either may be empty."""
    for found in _LINK.finditer(without_code(text)):
        yield found[1], found[2] or ""


def without_code(text: str) -> str:
    """Return a page without its code blocks and what stands between backticks."""
    fenceless = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", fenceless)


def is_external(target: str) -> bool:
    """Return whether a link's target is an address, such as ``https://...`` or ``mailto:...``."""
    return _ABSOLUTE.match(target) is not None


def target_in_project(page: str, target: str) -> str:
    """Return the path in the project that a link of a page leads to; both paths with ``/``."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), target))


def place_in_site(path: str) -> str:
    """Return where the site has a file of the project; sources are text, which a browser shows."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    shown = path if path.endswith((".md", ".txt", ".png", ".json")) else f"{path}.txt"
    return f"{OUTSIDE}/{shown}"


def outside_files(root: Path, pages: list[str]) -> list[str]:
    """Return the files outside docs/ that the site needs: what pages link to, and the pages among them in turn."""
    found: dict[str, None] = dict.fromkeys(PROJECT_PAGES)
    waiting = [*pages, *PROJECT_PAGES]
    while waiting:
        page = waiting.pop()
        for target, _ in links((root / page).read_text()):
            path = target_in_project(page, target)
            is_outside = target and not is_external(target) and not path.startswith(("docs/", "..", "/"))
            if is_outside and path not in found and _is_own_file(root, path):
                found[path] = None
                waiting += [path] if path.endswith(".md") else []
    return list(found)


def _is_own_file(root: Path, path: str) -> bool:
    """Tell whether a file is of the project: a link must not put one of the machine into the site."""
    found = (root / path).resolve()
    return found.is_file() and found.is_relative_to(root.resolve())


def with_links_of_site(page: str, text: str) -> str:
    """Return a page of the project with its links as they are in the site."""
    here = posixpath.dirname(place_in_site(page))

    def led(found: re.Match[str]) -> str:
        target, anchor = found[1], found[2] or ""
        if not target or is_external(target):
            return found[0]
        return os.path.relpath(place_in_site(target_in_project(page, target)), here or ".") + anchor

    return _outside_code(text, lambda part: _LINK.sub(led, part))


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """Return a text of which everything but code is changed."""
    parts = re.split(r"(^ *```.*?^ *```|`[^`\n]*`)", text, flags=re.DOTALL | re.MULTILINE)
    return "".join(part if n % 2 else change(part) for n, part in enumerate(parts))


def with_lists_of_markdown(text: str) -> str:
    """Return a page with lists and code in them as Python-Markdown takes them; GitHub takes them in more ways.

    A list begins after an empty line, what belongs to an item is indented by four, and code in an item by eight.
    """
    made: list[str] = []
    is_list, is_loose, fence = False, False, None
    for line in text.splitlines():
        if fence is not None:
            is_end = _FENCE.fullmatch(line.rstrip()) is not None
            made.append(_of_fence(line, fence, is_end=is_end))
            fence = None if is_end else fence
            continue
        opened, item = _FENCE.match(line), _ITEM.match(line)
        if opened:
            fence = len(opened[1])
            made.append("" if fence else line)
            continue
        is_after_text = bool(made and made[-1].strip())
        if item and is_after_text and (is_loose or not is_list):
            made.append("")
        is_list = bool(item) or (is_list and (not line.strip() or line.startswith(" ") or is_after_text))
        is_loose = is_list and (is_loose or not line.strip())
        made.append(_indented(line) if is_list else line)
    return "\n".join(made) + "\n"


def _of_fence(line: str, indent: int, *, is_end: bool) -> str:
    if not indent:
        return line
    return "" if is_end else " " * 8 + line[indent:]


def _indented(line: str) -> str:
    inside = line.startswith(("  ", "   ")) and not line.startswith("    ")
    return "    " + line.lstrip() if inside else line
