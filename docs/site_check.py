"""Checks a built documentation site: links, anchors, and that it asks nothing of another host. Pure but for reading."""

import posixpath
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

SCHEMES = ("https", "http", "mailto")
_LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}
_MARKDOWN = re.compile(r"^(?:[-*] |```|\|[ -])", re.MULTILINE)


class _Reader(HTMLParser):
    """Collects ids, links and loaded files of one page, and its text outside of code and tables."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.text: list[str] = []
        self._code = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._code += tag in ("code", "pre", "script", "style")
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif (tag, name) in _LOADED and value:
                self.loaded.append(value)
            elif (tag, name) == ("a", "href") and value:
                self.links.append(value)

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in ("code", "pre", "script", "style")

    def handle_data(self, data: str) -> None:
        self.text.append("code" if self._code else data)


def problems(site: Path) -> list[str]:
    """Return what is wrong in a built site, a sentence each; empty when all is well."""
    pages = {path: _read(path) for path in sorted(site.rglob("*.html"))}
    return [
        f"{path.relative_to(site)}: {said}" for path, page in pages.items() for said in _of(path, page, pages, site)
    ]


def _read(path: Path) -> _Reader:
    reader = _Reader()
    reader.feed(path.read_text())
    return reader


def _of(path: Path, page: _Reader, pages: dict[Path, _Reader], site: Path) -> Iterator[str]:
    for link in page.loaded:
        if urlsplit(link).netloc:
            yield f"loads {link} from another host"
        elif not _target(path, link, site).is_file():
            yield f"loads {link}, which is not there"
    for link in page.links:
        yield from _of_link(path, link, pages, site)
    if found := _MARKDOWN.search("".join(page.text)):
        yield f"shows Markdown as text: {found[0]!r}"


def _of_link(path: Path, link: str, pages: dict[Path, _Reader], site: Path) -> Iterator[str]:
    try:
        parts = urlsplit(link)
    except ValueError:
        yield f"links to {link}, which is no address"
        return
    if parts.scheme or parts.netloc:
        has_place = parts.netloc if parts.scheme != "mailto" else parts.path
        if parts.scheme not in SCHEMES or not has_place:
            yield f"links to {link}, which is no address"
        return
    target = _target(path, parts.path, site) if parts.path else path
    if not target.is_file():
        yield f"links to {link}, which is not there"
    elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
        yield f"links to {link}, and that page has no such heading"


def _target(path: Path, link: str, site: Path) -> Path:
    """Return the file that a link leads to; one with a ``/`` in front begins at the site, as the page 404 has them."""
    to = unquote(urlsplit(link).path)
    here = site if to.startswith("/") else path.parent
    return Path(posixpath.normpath(posixpath.join(here.as_posix(), to.lstrip("/"))))
