"""Leases of work, and what a holder that was stopped can still do: nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks.postgres import PostgresServer
from storage import leases as module
from storage.database import Database, sqlite_url
from storage.errors import DatabaseError, LeaseLostError
from storage.leases import Leases
from storage.tables import deletions as _deletions
from storage.tables import leases as _leases

FOR_S = 60.0


@pytest.fixture
def shared(postgres: PostgresServer, url_of_tables: str) -> Iterator[Database]:
    database = Database(postgres.new_database(like=url_of_tables))
    try:
        yield database
    finally:
        database.close()


def end(database: Database) -> None:
    """Let the time of every lease be over."""
    with database.begin() as connection:
        connection.execute(_leases.update().values(until_us=0))


def bury(database: Database, recording: str) -> None:
    with database.begin() as connection:
        connection.execute(_deletions.insert().values(id=recording, deleted_us=0, rule="retention", sha256=None))


def buried(database: Database) -> list[str]:
    with database.connect() as connection:
        return list(connection.execute(sa.select(_deletions.c.id)).scalars())


def test_one_holder_at_a_time(shared: Database) -> None:
    leases = Leases(shared)
    first = leases.take("sweep", "north", for_s=FOR_S)
    assert first is not None
    assert leases.take("sweep", "south", for_s=FOR_S) is None
    assert leases.take("sweep", "north", for_s=FOR_S) is None, "another process of the same node"
    assert leases.take("archive", "south", for_s=FOR_S) is not None, "other work"
    leases.release(first)
    second = leases.take("sweep", "south", for_s=FOR_S)
    assert second is not None
    assert second.fence == first.fence + 1


def test_a_holder_that_woke_up_writes_nothing(shared: Database) -> None:
    leases = Leases(shared)
    asleep = leases.take("sweep", "north", for_s=FOR_S)
    assert asleep is not None
    bury(leases.fenced(asleep), "1")
    end(shared)
    bury(leases.fenced(asleep), "2")  # its time is over, but nobody else has begun
    awake = leases.take("sweep", "south", for_s=FOR_S)
    assert awake is not None
    with pytest.raises(LeaseLostError, match="another node has taken over sweep from north"):
        bury(leases.fenced(asleep), "3")
    with pytest.raises(LeaseLostError):
        leases.check(asleep)
    with pytest.raises(LeaseLostError):
        leases.renew(asleep, for_s=FOR_S)
    with pytest.raises(LeaseLostError):
        leases.complete(asleep, {"by": "north"})
    leases.release(asleep)
    leases.check(awake)
    bury(leases.fenced(awake), "4")
    assert buried(shared) == ["1", "2", "4"]


def test_nobody_takes_a_lease_in_the_middle_of_a_write(shared: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A holder that is stopped inside its transaction: the server ends that, and what it wrote is gone."""
    monkeypatch.setattr(module, "IDLE", "500ms")
    leases = Leases(shared)
    asleep = leases.take("sweep", "north", for_s=FOR_S)
    assert asleep is not None
    with pytest.raises(DatabaseError), leases.fenced(asleep).begin() as connection:
        connection.execute(_deletions.insert().values(id="1", deleted_us=0, rule="retention", sha256=None))
        awake = Leases(shared).take("sweep", "south", for_s=FOR_S)
        assert awake is None, "its time is not over"
        # Waits for the server to end the session above, which does not go on.
        with shared.begin() as other:
            other.execute(_leases.update().values(until_us=0))
        assert leases.take("sweep", "south", for_s=FOR_S) is not None
    assert buried(shared) == []


def test_a_note_is_left_for_the_next_holder(shared: Database) -> None:
    leases = Leases(shared)
    assert leases.get("sweep") is None
    first = leases.take("sweep", "north", for_s=FOR_S)
    assert first is not None
    leases.complete(first, {"counts": {"calls": 3}}, is_done=False)
    state = leases.get("sweep")
    assert state is not None
    assert (state.holder, state.note, state.done_at) == ("north", {"counts": {"calls": 3}}, None)
    assert state.until is not None
    assert 0 < (state.until - state.now).total_seconds() <= FOR_S
    leases.complete(first, {})
    leases.release(first)
    state = leases.get("sweep")
    assert state is not None
    assert state.until is None
    assert state.done_at is not None
    assert abs((state.now - state.done_at).total_seconds()) < FOR_S


def test_a_file_has_one_node(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "index.sqlite"))
    leases = Leases(database)
    lease = leases.take("sweep", "", for_s=FOR_S)
    assert lease is not None
    assert not leases.is_shared
    leases.check(lease)
    leases.complete(lease, {})
    bury(leases.fenced(lease), "1")
    leases.release(lease)
    assert leases.get("sweep") is None
    with database.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(_leases)).scalar() == 0, "no writes for it"
    database.close()
