"""The lock fits pyproject.toml, and what does not fit is found."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.release.lock import environment_of, find_problems, read_files, read_pins

ROOT = Path(__file__).parents[3]
HASH = "--hash=sha256:00"


def project() -> dict[str, Any]:
    """Return a project that needs two packages, and a third one for its tests on old Pythons."""
    return {
        "project": {
            "requires-python": ">=3.11,<3.15",
            "dependencies": ["Alpha>=1.2,<2", "beta[extra]>=3"],
            "optional-dependencies": {"dev": ["gamma>=1; python_version < '3.13'"]},
        },
        "dependency-groups": {"build": ["setuptools>=77"], "release": ["uv"]},
    }


def files() -> dict[str, str]:
    """Return a lock that fits it."""
    shipped = f"alpha==1.3 \\\n    {HASH}1 \\\n    {HASH}2\n    # via beta\nbeta==3.0 {HASH}3\n"
    return {
        "shipped.txt": shipped,
        "tested.txt": f"{shipped}gamma==1.0 ; python_full_version < '3.13' {HASH}4\n",
        "build.txt": f"setuptools==80.0 {HASH}5\n",
        "release.txt": f"uv==0.9 {HASH}6\n",
    }


def test_the_lock_fits_pyproject() -> None:
    assert find_problems(tomllib.loads((ROOT / "pyproject.toml").read_text()), read_files()) == []


def test_a_lock_that_fits() -> None:
    assert find_problems(project(), files()) == []


def _needs(requirement: str) -> Callable[[dict[str, Any], dict[str, str]], None]:
    return lambda project, _: project["project"]["dependencies"].append(requirement)


def _says(file: str, old: str, new: str) -> Callable[[dict[str, Any], dict[str, str]], None]:
    def change(_: dict[str, Any], files: dict[str, str]) -> None:
        assert old in files[file]
        files[file] = files[file].replace(old, new)

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_needs("delta"), "shipped.txt: Python 3.11 gets 0 releases of delta, not one"),
        (_needs("alpha>=1.4"), "shipped.txt: alpha 1.3 does not fit alpha>=1.4 in pyproject.toml"),
        (_says("tested.txt", "alpha==1.3", "alpha==1.4"), "shipped.txt: alpha 1.3 is not what tested.txt has"),
        (_says("shipped.txt", f"{HASH}2", f"{HASH}9"), "shipped.txt: alpha 1.3 is not what tested.txt has"),
        (_says("tested.txt", f" {HASH}4", ""), "tested.txt: gamma 1.0 has no hash"),
        (_says("tested.txt", "< '3.13'", "< '3.12'"), "tested.txt: Python 3.12 gets 0 releases of gamma, not one"),
        (_says("build.txt", "80.0", "70.0"), "build.txt: setuptools 70.0 does not fit setuptools>=77"),
        (_says("release.txt", "uv", "ub"), "release.txt: Python 3.11 gets 0 releases of uv, not one"),
        (
            lambda project, _: project["project"].update({"requires-python": ">=3.12"}),
            "pyproject.toml: Python 3.11 is locked for, but not supported",
        ),
    ],
)
def test_what_does_not_fit_is_said(change: Callable[[dict[str, Any], dict[str, str]], None], said: str) -> None:
    changed, lock = project(), files()
    change(changed, lock)
    found = find_problems(changed, lock)
    assert any(one.startswith(said) for one in found), found


def test_pins_have_a_release_for_each_python() -> None:
    pins = read_pins(
        f"numpy==2.4 ; python_full_version < '3.12' {HASH}1\nnumpy==2.5 ; python_version >= '3.12' {HASH}2\n"
    )
    counting = {
        python: [pin.version for pin in pins if pin.counts_in(environment_of(python))] for python in ("3.11", "3.14")
    }
    assert counting == {"3.11": ["2.4"], "3.14": ["2.5"]}


def test_a_line_without_a_single_release_is_refused() -> None:
    with pytest.raises(ValueError, match="names no single release: alpha>=1"):
        read_pins(f"alpha>=1 {HASH}1\n")
