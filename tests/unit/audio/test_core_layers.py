"""Files of the media core stand in layers: none of them needs another that needs it."""

import re
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[3]
CORE, PAGE = ROOT / "audio" / "core", ROOT / "docs" / "media-core.md"

_COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)
_FUNCTION = re.compile(r"^(?!static\b)(?:WIDE )?[a-z_][\w \t*]*?\b(\w+)\([^;{}]*\)\n\{", re.MULTILINE)
_VARIABLE = re.compile(
    r"^(?!static\b|extern\b|typedef\b|struct \w+ \{)[a-z_][\w \t*]*?\b(\w+)(?:\[\w*\])*(?: = [^;]*)?;", re.MULTILINE
)
_OWN = re.compile(r"^static\b[^;{}()=]*?\b(\w+)(?=\(|\[|;| =)", re.MULTILINE)
_NAME = re.compile(r"(?<![\w.])(?<!->)[A-Za-z_]\w*")


def _code(text: str) -> str:
    return _COMMENT_OR_STRING.sub(" ", text)


def needs(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Return, for each C file, the others that define a function or variable that it uses.

    Args:
        sources: Text of the C files, by name. Each outer definition begins in the first column.
    """
    code = {name: _code(text) for name, text in sources.items()}
    home = {
        defined: name
        for name, text in code.items()
        for pattern in (_FUNCTION, _VARIABLE)
        for defined in pattern.findall(text)
    }
    return {
        name: {home[used] for used in (set(_NAME.findall(text)) - set(_OWN.findall(text))) & home.keys()} - {name}
        for name, text in code.items()
    }


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of nodes of which each leads to all others, and a node that leads to itself."""
    reach = {node: _reached(graph, node) for node in graph}
    groups = {tuple(sorted(other for other in reach[node] if node in reach[other])) for node in graph}
    return sorted(list(group) for group in groups if group)


def _reached(graph: Mapping[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()] - reached
        reached |= new
        waiting += new
    return reached


def _core() -> dict[str, set[str]]:
    sources = {path.name: path.read_text() for path in CORE.glob("*.c")}
    assert len(sources) > 20
    return needs(sources)


def test_no_file_of_the_core_needs_one_that_needs_it() -> None:
    found = circles(_core())
    assert not found, "files of audio/core in a circle: " + "; ".join(" <-> ".join(names) for names in found)


def test_the_page_has_every_file_and_none_needs_one_above_it() -> None:
    table = PAGE.read_text().partition("## Files")[2].partition("\n## ")[0]
    rows = [re.findall(r"`(\w+\.c)`", line.split("|")[1]) for line in table.splitlines() if line.startswith("| `")]
    row_of = {name: number for number, names in enumerate(rows) for name in names}
    graph = _core()
    assert sorted(name for names in rows for name in names) == sorted(graph)
    upward = [f"{name} -> {used}" for name in graph for used in graph[name] if row_of[used] < row_of[name]]
    assert not upward, f"calls up the table of {PAGE.name}: {upward}"


def test_a_circle_is_found_and_a_function_of_the_same_name_is_none() -> None:
    sources = {
        "low.c": "int depth;\nvoid low(void)\n{\n    high(); /* mid() */\n}\n",
        "mid.c": "void mid(struct a *one,\n         int two)\n{\n    low();\n}\n",
        "high.c": 'void high(void)\n{\n    mid("own()", depth);\n}\n',
        "own.c": "static void low(void)\n{\n}\n\nvoid own(void)\n{\n    low();\n    thing->mid = 1;\n}\n",
    }
    graph = needs(sources)
    assert graph["high.c"] == {"mid.c", "low.c"}
    assert graph["own.c"] == set()
    assert circles(graph) == [["high.c", "low.c", "mid.c"]]
