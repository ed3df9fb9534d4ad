"""What the documents point at exists: links, commands, options."""

import re
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from recorder.cli.cli import app

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
GUIDES = (ROOT / "CONTRIBUTING.md", ROOT / "docs" / "glossary.md")
"""Pages that say where something is in the code."""
_PATH = re.compile(r"`((?:audio|benchmarks|docs|recorder|sip|storage|tests)/[\w./-]+)`")
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
_COMMAND = re.compile(
    r"(?:`|^|bin/|\| )recorder ([a-z]+(?:-[a-z]+)*)(?: ([a-z]+(?:-[a-z]+)*))?([^`\n|]*)", re.MULTILINE
)
_OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]+|-[a-zA-Z])(?![\w-])")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    links = _LINK.findall(page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_their_options_exist(page: Path) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    wrong = []
    for name, second, rest in _COMMAND.findall(page.read_text().replace("\\\n", " ")):
        command = group.commands.get(name)
        if isinstance(command, TyperGroup) and second:
            command = command.commands.get(second)
        if command is None:
            wrong.append(f"recorder {name} {second}")
            continue
        known = {option for parameter in command.params for option in parameter.opts} | {"-h", "--help"}
        wrong += [f"recorder {name}: {option}" for option in _OPTION.findall(rest) if option not in known]
    assert wrong == []


@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_files_that_guides_name_exist(page: Path) -> None:
    paths = _PATH.findall(page.read_text())
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_commands_are_found_in_the_first_page_at_all() -> None:
    found = {name for name, _, _ in _COMMAND.findall((ROOT / "README.md").read_text())}
    assert {"init", "site-check", "up", "calls"} <= found


def test_every_decision_is_in_the_index() -> None:
    index = (ROOT / "docs" / "adr" / "README.md").read_text()
    decisions = [path.name for path in (ROOT / "docs" / "adr").glob("0*.md")]
    assert decisions
    assert [name for name in decisions if f"]({name})" not in index] == []
