"""The page of the policy has every clause, with pages, commands and the walk of each, and all of these exist."""

import ast
import re
from pathlib import Path

from recorder.cli.tree import COMMANDS
from recorder.web.route_access import PAGES

ROOT = Path(__file__).parents[3]
CLAUSES = [f"P{number}" for number in range(1, 25)]
_ROW = re.compile(r"^\| (P\d+) \|.*\(\.\./tests/policy/(test_p\d\d_\w+\.py)\) \|$", re.MULTILINE)
_COLUMNS = re.compile(r"^\| P\d+ \|[^|]*\|[^|]*\|([^|]*)\|([^|]*)\|[^|]*\|$", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")


def test_every_clause_has_a_row_and_every_row_a_walk_of_its_clause() -> None:
    rows = _ROW.findall((ROOT / "docs" / "policy.md").read_text())
    assert [clause for clause, _ in rows] == CLAUSES
    walks = sorted(path.name for path in (ROOT / "tests" / "policy").glob("test_*.py"))
    assert [walk for _, walk in rows] == walks
    for clause, walk in rows:
        said = ast.get_docstring(ast.parse((ROOT / "tests" / "policy" / walk).read_text()))
        assert said is not None
        assert said.startswith(f"{clause}: ")
        assert walk.startswith(f"test_p{int(clause[1:]):02d}_")


def test_every_clause_names_pages_and_commands_that_exist() -> None:
    columns = _COLUMNS.findall((ROOT / "docs" / "policy.md").read_text())
    assert len(columns) == len(CLAUSES)
    named = [(_CODE.findall(pages), _CODE.findall(commands)) for pages, commands in columns]
    assert all(pages and commands for pages, commands in named)
    assert [page for pages, _ in named for page in pages if f"GET {page}" not in PAGES] == []
    missing = [one for _, all_ in named for one in all_ if one.removeprefix("recorder ") not in COMMANDS]
    assert missing == []
