"""Fixtures of several folders: both engines of the database. And what every property test is to know."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from storage.database import Database, sqlite_url
from tests.helpers.accounts import CHEAP
from tests.helpers.postgres import PostgresServer

# How long an example may take is no property of ours: a busy machine would fail it. Speed is measured in benchmarks.
hypothesis.settings.register_profile("recorder", deadline=None)
hypothesis.settings.load_profile("recorder")


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Hash passwords at the least cost in this process: a sign-in at the usual cost takes 0.2 s of two cores.

    Processes that a test starts hash as in production.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recorder.people.accounts.PasswordHasher", lambda: CHEAP)
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL server for the whole session; made when the first test asks for it."""
    server = PostgresServer()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database, once on each engine."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "index.sqlite")
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty database of this version, once on each engine."""
    opened = Database(database_url)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the database server's user may enter, as pytest's own may not be."""
    with tempfile.TemporaryDirectory(prefix="recorder-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
