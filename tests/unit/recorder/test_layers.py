"""DESIGN.md names the folders of `recorder/` as they are, in the order that import-linter holds."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
DESIGN = (ROOT / "DESIGN.md").read_text()


def test_the_table_of_folders_is_the_contract_and_the_contract_is_complete() -> None:
    told = re.findall(r"^\| `([\w.]+?)(?:/|\.py)` \|", DESIGN.partition("| folder of `recorder/` |")[2], re.MULTILINE)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = (one for one in contracts if one["type"] == "layers")
    there = {path.parent.name for path in (ROOT / "recorder").glob("*/__init__.py")}
    there |= {path.stem for path in (ROOT / "recorder").glob("*.py")} - {"__init__"}
    assert ["__main__", *told] == contract["layers"]
    assert set(contract["layers"]) == there
    assert "ignore_imports" not in contract


def test_every_path_that_the_design_names_is_there() -> None:
    named = set(re.findall(r"(?:recorder|sip|audio|storage|docs|tests|benchmarks)/[\w/.-]*\w", DESIGN))
    assert "recorder/calls" in named
    assert sorted(path for path in named if not (ROOT / path).exists()) == []
