"""The page of the policy has every clause, and each clause one walk, which says whose it is."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
CLAUSES = [f"P{number}" for number in range(1, 25)]
_ROW = re.compile(r"^\| (P\d+) \|.*\(\.\./tests/policy/(test_p\d\d_\w+\.py)\) \|$", re.MULTILINE)


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
