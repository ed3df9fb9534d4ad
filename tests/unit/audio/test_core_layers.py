"""Files of the media core stand in layers: none of them needs another that needs it."""

import re
from collections.abc import Mapping
from pathlib import Path

CORE = Path(__file__).parents[3] / "audio" / "core"

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


def test_no_file_of_the_core_needs_one_that_needs_it() -> None:
    sources = {path.name: path.read_text() for path in CORE.glob("*.c")}
    assert len(sources) > 20
    found = circles(needs(sources))
    assert not found, "files of audio/core in a circle: " + "; ".join(" <-> ".join(names) for names in found)


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
