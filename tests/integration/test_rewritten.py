"""Test modules whose assertions are rewritten before pytest imports them."""

from pathlib import Path

import pytest
from _pytest.assertion import rewrite

from tests.helpers import rewritten


def kept(module: Path) -> list[Path]:
    return list((module.parent / "__pycache__").glob(f"{module.stem}.*-pytest-*"))


def test_a_module_is_kept_as_pytest_keeps_it_and_once(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    module = tmp_path / "test_one.py"
    module.write_text("def test_it():\n    assert 1 + 1 == 3, 'a sum'\n")
    rewritten.rewrite_all(request.config, [module])
    (first,) = kept(module)
    code = rewrite._read_pyc(module, first)
    assert code is not None
    names: dict[str, object] = {}
    exec(code, names)
    with pytest.raises(AssertionError, match=r"a sum\nassert \(1 \+ 1\) == 3"):
        names["test_it"]()  # type: ignore[operator]
    before = first.stat().st_ino
    rewritten.rewrite_all(request.config, [module])
    assert [one.stat().st_ino for one in kept(module)] == [before]


def test_it_is_done_in_a_process_of_its_own(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    monkeypatch.setattr(rewritten, "PROCESSORS", 2)
    (tmp_path / "test_two.py").write_text("def test_it():\n    assert True\n")
    (tmp_path / "test_wrong.py").write_text("this is no Python")
    rewritten.end(rewritten.begin(request.config, [tmp_path]))
    assert kept(tmp_path / "test_two.py") == [], "the last one cannot be read, which pytest is to say"
    (tmp_path / "test_wrong.py").unlink()
    rewritten.end(rewritten.begin(request.config, [tmp_path]))
    assert len(kept(tmp_path / "test_two.py")) == 1
    monkeypatch.setattr(rewritten, "PROCESSORS", 1)
    assert rewritten.begin(request.config, [tmp_path]) is None
