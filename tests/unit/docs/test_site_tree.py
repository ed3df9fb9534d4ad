"""The documentation: every page is in the navigation, guides are short, and their pictures are made by a test."""

import re
from pathlib import Path
from typing import Any

import yaml

from docs.make_screenshots import file_name, pictures
from docs.site_pages import PROJECT_PAGES, links
from recorder.data_subjects.case_tasks import CaseTask
from recorder.rules import wording

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
GUIDES = [DOCS / "tutorial.md", *sorted((DOCS / "guides").glob("*.md"))]
MOST_WORDS = 7900
"""What docs/operations.md had when the guides were written: together they stay shorter than that one page."""
ROLES = ("engineer", "agent", "manager", "team-leader", "data-protection-officer", "elected-member", "auditor")


def pages_of(nav: list[dict[str, Any]]) -> list[str]:
    """Return the pages of a navigation, in order."""
    found: list[str] = []
    for entry in nav:
        for below in entry.values():
            found += [below] if isinstance(below, str) else pages_of(below)
    return found


def config() -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    return made


def test_the_navigation_has_every_page_once_but_single_decisions() -> None:
    listed = pages_of(config()["nav"])
    assert sorted(listed) == sorted(set(listed))
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    decisions = {page for page in written if re.match(r"adr/\d", page)}
    assert set(listed) == written - decisions | {f"project/{name}" for name in PROJECT_PAGES}


def test_every_role_has_a_guide_in_the_navigation() -> None:
    (guides,) = [entry["Guides"] for entry in config()["nav"] if "Guides" in entry]
    assert pages_of(guides)[: len(ROLES)] == [f"guides/{role}.md" for role in ROLES]
    assert {page.stem for page in GUIDES} == {"tutorial", *ROLES}


def test_the_guides_are_shorter_than_the_reference_of_operations_was() -> None:
    words = {page.name: len(page.read_text().split()) for page in GUIDES}
    assert sum(words.values()) < MOST_WORDS
    assert max(words.values()) < 1300, "three pages at most"


def test_pictures_in_guides_are_taken_by_the_screenshots_test() -> None:
    taken = {file_name(page, role) for page, role in pictures()}
    shown = {
        page.name: {Path(target).name for target, _ in links(page.read_text()) if target.endswith(".png")}
        for page in (*GUIDES, ROOT / "README.md")
    }
    assert [page for page, names in shown.items() if not names] == []
    names = set().union(*shown.values())
    assert names - taken == set()
    assert {name for name in names if not (DOCS / "screenshots" / name).exists()} == set()


def test_what_guides_print_in_bold_with_a_capital_letter_stands_on_a_page() -> None:
    sources = [path.read_text() for path in (ROOT / "recorder" / "web").rglob("*") if path.suffix in (".html", ".py")]
    words = "\n".join([*sources, *(wording.title(task) for task in CaseTask)])
    bold = {
        (page.name, " ".join(label.split()))
        for page in GUIDES for label in re.findall(r"\*\*([A-Z][^*]+)\*\*", page.read_text())
    }  # fmt: skip
    assert len(bold) > 20
    assert sorted((page, label) for page, label in bold if label not in words) == []


def test_nothing_of_the_site_comes_from_another_host() -> None:
    assert config()["theme"]["highlightjs"] is False
    assert config()["plugins"] == ["search"]
