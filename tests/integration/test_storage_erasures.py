"""Orders to erase: durable in the index database, and every change by the table."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage.database import Database, sqlite_url
from storage.erasures import (
    CLOSED,
    LONGEST_RETRY,
    TABLE,
    ErasureEvent,
    Erasures,
    after,
    is_open,
    new_order_id,
    retry_after,
)
from storage.errors import ErasureStateError, NotFoundError, StorageError
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState
from storage.types import RecordingId

AT = datetime(2026, 11, 25, 10, 0, 0, 123456, tzinfo=UTC)
ID = RecordingId("20261124T093000Z-2001-0a1b2c")


def order(order_id: str = "0a1b2c3d", state: ErasureState = ErasureState.WAITING, minutes: int = 0) -> ErasureOrder:
    return ErasureOrder(
        id=order_id, recording=ID, start_s=1.25, end_s=7.5, kind=ErasureKind.CARD_DATA, ordered_by="olive",
        ordered_at=AT + timedelta(minutes=minutes), state=state,
    )  # fmt: skip


def test_an_order_outlives_the_process(database: Database, ready_url: str) -> None:
    placed = order()
    Erasures(database).place(placed)
    whole = replace(order("ffffffff", minutes=1), end_s=None, kind=ErasureKind.OPT_OUT)
    Erasures(database).place(whole)
    other = Database(ready_url, is_deferred=True)
    again = Erasures(other)
    assert again.get(placed.id) == placed
    assert again.of_recording(ID) == [placed, whole]
    assert again.of_recording(RecordingId("another")) == []
    assert again.newest(1) == [whole]
    other.close()


def test_placing_twice_changes_nothing(database: Database) -> None:
    erasures = Erasures(database)
    erasures.place(order(state=ErasureState.CONFIRMED))
    erasures.finish("0a1b2c3d", at=AT)
    erasures.place(order(state=ErasureState.CONFIRMED))
    assert erasures.get("0a1b2c3d").state is ErasureState.DONE


def test_confirming_and_declining(database: Database) -> None:
    erasures = Erasures(database)
    for name in ("aaaaaaaa", "bbbbbbbb"):
        erasures.place(order(name))
    later = AT + timedelta(minutes=3)
    confirmed = erasures.decide("aaaaaaaa", by="dora", at=later, confirm=True)
    assert (confirmed.state, confirmed.decided_by, confirmed.decided_at) == (ErasureState.CONFIRMED, "dora", later)
    assert erasures.decide("bbbbbbbb", by="dora", at=later, confirm=False).state is ErasureState.DECLINED
    assert [o.id for o in erasures.open_orders()] == ["aaaaaaaa"]
    with pytest.raises(ErasureStateError, match="declined"):
        erasures.decide("bbbbbbbb", by="mallory", at=later, confirm=True)
    assert erasures.get("bbbbbbbb").decided_by == "dora"
    for unknown in ("cccccccc", "", "' OR 1=1"):
        with pytest.raises(NotFoundError):
            erasures.decide(unknown, by="dora", at=later, confirm=True)


def test_the_oldest_that_is_ready_comes_first_and_a_failed_one_when_its_pause_is_over(database: Database) -> None:
    erasures = Erasures(database)
    erasures.place(order("aaaaaaaa", ErasureState.CONFIRMED, minutes=2))
    erasures.place(order("bbbbbbbb", ErasureState.CONFIRMED, minutes=1))
    erasures.place(order("cccccccc", ErasureState.WAITING))
    now = AT + timedelta(hours=1)

    def taken(seconds: float = 0, skip: str = "") -> str | None:
        next_ = erasures.take_next(now=now + timedelta(seconds=seconds), is_ready=lambda o: o.id != skip)
        return None if next_ is None else next_.id

    assert taken() == "bbbbbbbb"
    assert taken(skip="bbbbbbbb") == "aaaaaaaa"
    failed = erasures.finish("bbbbbbbb", at=now, problem="the key is not here")
    assert (failed.state, failed.problem) == (ErasureState.FAILED, "the key is not here")
    assert is_open(failed)
    assert taken() == "aaaaaaaa"
    done = erasures.finish("aaaaaaaa", at=now)
    assert (done.state, done.done_at) == (ErasureState.DONE, now)
    assert taken(59) is None
    assert taken(60) == "bbbbbbbb"
    erasures.finish("bbbbbbbb", at=now, problem="still not here")
    assert taken(119) is None
    assert erasures.finish("bbbbbbbb", at=now).problem == ""


def test_retries_wait_longer_each_time_but_never_over_an_hour() -> None:
    waits = [retry_after(n).total_seconds() for n in range(1, 9)]
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert retry_after(10_000) == LONGEST_RETRY


@pytest.mark.parametrize("state", ErasureState)
@pytest.mark.parametrize("event", ErasureEvent)
def test_every_state_and_event_is_in_the_table_or_refused(state: ErasureState, event: ErasureEvent) -> None:
    if (state, event) in TABLE:
        assert after(state, event) is TABLE[state, event]
        assert state not in CLOSED
    else:
        with pytest.raises(ErasureStateError):
            after(state, event)


def test_one_of_two_people_decides(database: Database) -> None:
    Erasures(database).place(order())
    start = threading.Barrier(6)
    results: list[ErasureOrder | None] = []

    def decide(who: int) -> None:
        mine = Erasures(database)
        start.wait()
        try:
            results.append(mine.decide("0a1b2c3d", by=f"p{who}", at=AT, confirm=who % 2 == 0))
        except ErasureStateError:
            results.append(None)

    threads = [threading.Thread(target=decide, args=(who,)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (won,) = [r for r in results if r]
    assert Erasures(database).get("0a1b2c3d") == won


def test_the_table_is_made_only_when_the_database_can_be_reached(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    folder.write_text("in the way")
    database = Database(sqlite_url(folder / "index.sqlite"), is_deferred=True)
    erasures = Erasures(database)
    with pytest.raises(Exception, match=r"(?i)not a directory|exists"):
        erasures.place(order())
    folder.unlink()
    erasures.place(order())
    assert erasures.open_orders() == [order()]
    database.close()


def test_a_database_that_does_not_answer_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "index.sqlite").write_bytes(b"no database" * 100)
    erasures = Erasures(Database(sqlite_url(tmp_path / "index.sqlite"), is_deferred=True))
    with pytest.raises(StorageError, match="does not answer") as caught:
        erasures.place(order())
    assert "olive" not in str(caught.value)


def test_ids_differ() -> None:
    assert len({new_order_id() for _ in range(100)}) == 100
    assert len(new_order_id()) == 8
