"""What the documents point at exists: links, commands, options, files, modules, clauses of the policy."""

import re
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from recorder.cli.cli import app
from recorder.cli.former_words import renamed

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tests/**/*.md")])
GUIDES = (ROOT / "CONTRIBUTING.md", ROOT / "docs" / "glossary.md")
"""Pages that say where something is in the code."""
PACKAGES = "audio|benchmarks|docs|recorder|sip|storage|tests"
_FENCED = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")
_PATH = re.compile(rf"(?<![\w/.-])(?:{PACKAGES}|deploy)/[\w./*-]*[\w*]")
_MODULE = re.compile(rf"(?<![\w/.@:+-])(?:{PACKAGES})(?:\.\w+)+")
_SOURCE = re.compile(r"[\w-]+\.(?:py|pyx|c|h)")
_FILES_OF_A_HOME = ("recorder.log", "recorder.sock", "recorder.toml")
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
_ANCHOR = re.compile(r"\]\(([^)#:]*)#([^)]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_CLAUSE = re.compile(r"\bP(?:[1-9]|1[0-9]|2[0-4])\b")
_WHOLE_LINK = re.compile(r"\[[^\]]*\]\([^)]*\)")
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
def test_links_into_a_page_lead_to_a_heading(page: Path) -> None:
    wrong = []
    for link, anchor in _ANCHOR.findall(page.read_text()):
        target = page.parent / link if link else page
        headings = _HEADING.findall(_FENCED.sub("", target.read_text()))
        if anchor not in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}:
            wrong.append(f"{link}#{anchor}")
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_their_options_exist(page: Path) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    wrong = []
    is_history = page.name == "CHANGELOG.md" or page.parent.name == "adr"
    for first, verb, rest in _COMMAND.findall(page.read_text().replace("\\\n", " ")):
        name, second = first, verb
        found = renamed([word for word in (name, second) if word]) if is_history else None
        if found is not None:
            name, second = (*found.arguments, "")[:2]
        command = group.commands.get(name)
        if isinstance(command, TyperGroup) and second:
            command = command.commands.get(second)
        if command is None:
            wrong.append(f"recorder {name} {second}")
            continue
        known = {option for parameter in command.params for option in parameter.opts} | {"-h", "--help"}
        wrong += [f"recorder {name}: {option}" for option in _OPTION.findall(rest) if option not in known]
    assert wrong == []


def code_in(page: Path) -> list[str]:
    """Return what a page has between backticks, code blocks apart."""
    paragraphs = _FENCED.sub("", page.read_text()).split("\n\n")
    return [span for paragraph in paragraphs for span in _CODE.findall(paragraph)]


def paths_in(page: Path) -> list[str]:
    return [path for span in code_in(page) for path in _PATH.findall(span)]


def is_module(name: str) -> bool:
    """Return whether a dotted name is a package or module, or something that the text of a module names."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:count])
        sources = [source for suffix in (".py", ".pyi") if (source := place.with_suffix(suffix)).exists()]
        if sources or place.is_dir():
            rest = parts[count:]
            return not rest or any(re.search(rf"\b{rest[0]}\b", source.read_text()) for source in sources)
    return False


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_pages_name_exist(page: Path) -> None:
    named = [path for path in paths_in(page) if not is_module(path.replace("/", "."))]
    assert [path for path in named if not any(ROOT.glob(path))] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_modules_that_pages_name_exist(page: Path) -> None:
    modules = [
        name for span in code_in(page) for name in _MODULE.findall(span) if not name.startswith(_FILES_OF_A_HOME)
    ]
    assert [name for name in modules if not is_module(name)] == []


def test_sources_that_pages_name_without_a_folder_exist() -> None:
    there = {path.name for package in PACKAGES.split("|") for path in (ROOT / package).rglob("*.*")}
    named = {(name_of(page), span) for page in PAGES for span in code_in(page) if _SOURCE.fullmatch(span)}
    assert sorted((page, span) for page, span in named if span not in there) == []


def test_guides_name_files_and_what_is_not_there_is_found() -> None:
    assert all(paths_in(page) for page in GUIDES)
    assert is_module("recorder.rules.spans")
    assert is_module("recorder.service.daemon.Daemon")
    assert not is_module("recorder.rules.no_such_module")
    assert not is_module("recorder.service.daemon.NoSuchClass")


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "policy.md"], ids=name_of)
def test_clauses_of_the_policy_lead_to_its_page(page: Path) -> None:
    text = page.read_text()
    linked = [link for link in _WHOLE_LINK.findall(text) if _CLAUSE.search(link)]
    assert [link for link in linked if "policy.md" not in link] == []
    assert _CLAUSE.findall(_WHOLE_LINK.sub("", text)) == []


def test_commands_are_found_in_the_first_page_at_all() -> None:
    found = {name for name, _, _ in _COMMAND.findall((ROOT / "README.md").read_text())}
    assert {"init", "site-check", "up", "calls"} <= found


def test_every_decision_is_in_the_index() -> None:
    index = (ROOT / "docs" / "adr" / "README.md").read_text()
    decisions = [path.name for path in (ROOT / "docs" / "adr").glob("0*.md")]
    assert decisions
    assert [name for name in decisions if f"]({name})" not in index] == []
