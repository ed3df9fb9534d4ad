"""What a reload says has changed: every key of the file, whatever section it is in."""

import dataclasses
from typing import Any

import pytest

from recorder.config.settings import Config
from recorder.config.toml_tables import DERIVED
from recorder.service.reloading import NEEDS_RESTART, changes

SECTIONS = [field.name for field in dataclasses.fields(Config) if field.name not in DERIVED]
OTHER: Any = object()


@pytest.mark.parametrize("section", SECTIONS)
def test_a_change_of_each_key_is_told(section: str) -> None:
    old, before = Config(), getattr(Config(), section)
    if isinstance(before, tuple):
        other: dict[str, Any] = {section: (OTHER,)}
        assert changes(old, dataclasses.replace(old, **other)) == [section]
        return
    for key in (field.name for field in dataclasses.fields(before)):
        other = {section: dataclasses.replace(before, **{key: OTHER})}
        assert changes(old, dataclasses.replace(old, **other)) == [f"{section}.{key}"]


def test_a_file_that_says_the_same_in_other_words_changes_nothing() -> None:
    assert changes(Config(sha256="one"), Config(sha256="other")) == []


def test_what_waits_for_a_restart_is_there() -> None:
    for name in NEEDS_RESTART:
        section, _, key = name.partition(".")
        assert section in SECTIONS
        assert not key or hasattr(getattr(Config(), section), key)
