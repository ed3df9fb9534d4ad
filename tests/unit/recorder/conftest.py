"""Fixtures of the tests of accounts: a clock, and a file for people."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from recorder.access.database import open_people
from tests.helpers.accounts import Clock
from tests.helpers.ready_files import put_people


@pytest.fixture
def clock() -> Clock:
    """A clock that stands until it is moved."""
    return Clock()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """The database of people, empty."""
    put_people(tmp_path / "people.sqlite")
    engine = open_people(tmp_path / "people.sqlite")
    yield engine
    engine.dispose()
