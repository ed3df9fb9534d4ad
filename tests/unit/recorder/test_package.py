"""What a wheel holds: every folder of the source, named nowhere one by one."""

import tomllib
from pathlib import Path

from setuptools import find_packages

ROOT = Path(__file__).parents[3]
LOADED_BY_PATH = {"recorder/access/migrations/versions", "storage/migrations/versions"}
"""Folders that are no packages: they go along as data."""


def test_every_folder_of_the_source_goes_into_the_wheel() -> None:
    find = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    found = {name.replace(".", "/") for name in find_packages(str(ROOT), include=find["include"])}
    folders = {
        path.parent.relative_to(ROOT).as_posix()
        for top in ("recorder", "sip", "audio", "storage")
        for path in (ROOT / top).rglob("*.py")
    }
    assert folders - LOADED_BY_PATH == found
