"""Writes the pictures of docs/screenshots into docs/console.md: ``python -m docs.make_screenshots``."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from recorder.permissions import TABLE, Act, Role
from recorder.rules import wording

PAGE = Path(__file__).parent / "console.md"
FOLDER = Path(__file__).parent / "screenshots"
TITLES: Mapping[str, str] = {
    "live": "Live calls",
    "agent": "My phone",
    "search": "Recordings",
    "recording": "A recording",
    "requests": "Requests to listen",
    "case": "A case",
    "audit": "Audit log",
    "overview": "Overview",
}
ACTS: Mapping[str, Act | None] = {
    "live": Act.SEE_LIVE,
    "agent": Act.RETROACTIVE_PAUSE,
    "search": Act.SEARCH,
    "recording": Act.SEARCH,
    "requests": Act.ASK,
    "case": Act.WORK_ON_CASES,
    "audit": Act.VIEW_AUDIT,
    "overview": None,
}
"""The act that gives a role the page; None is everybody's."""
_SHOWN_FIRST = (Role.TEAM_LEADER, Role.DPO, Role.OFFICER, *Role)
_SECTION = re.compile(r"(<!-- pictures: begin -->\n).*?(<!-- pictures: end -->)", re.DOTALL)


def pictures() -> list[tuple[str, Role]]:
    """Return each page with each role of which there is a picture; only the officer has a phone."""
    return [
        (page, role)
        for page, act in ACTS.items()
        for role in Role
        if (act is None or act in TABLE[role]) and (page != "agent" or role is Role.OFFICER)
    ]


def file_name(page: str, role: Role) -> str:
    """Return the name of the picture of a page as a role sees it."""
    return f"{page}-{role}.png".replace("_", "-")


def section(pictures: Iterable[str]) -> str:
    """Return the section with the pictures: one of each page, and links to those of other roles."""
    known, lines = set(pictures), []
    for page, title in TITLES.items():
        roles = [role for role in dict.fromkeys(_SHOWN_FIRST) if file_name(page, role) in known]
        if not roles:
            continue
        first, *others = roles
        lines += [f"### {title}", "", f"!{_link(f'{title}, as {wording.words(first)}', page, first)}"]
        if others:
            lines += ["", "Also:", "", *(f"- {_link(wording.title(role), page, role)}" for role in others)]
        lines.append("")
    return "\n".join(["", *lines])


def _link(text: str, page: str, role: Role) -> str:
    return f"[{text}](screenshots/{file_name(page, role)})"


def updated(text: str, pictures: Iterable[str]) -> str:
    """Return the page with its section as it must be."""
    return _SECTION.sub(lambda found: f"{found[1]}{section(pictures)}{found[2]}", text)


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(), (one.name for one in FOLDER.glob("*.png"))))
