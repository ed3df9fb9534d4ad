"""A console that runs for months goes on making the months' keys."""

import threading
from datetime import UTC, datetime
from pathlib import Path

from recorder.service.run_console import keep_key_epochs
from storage.epochs import EpochKeys, current_public
from tests.helpers.rtp import eventually

START, LATER = datetime(2026, 11, 25, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)


def test_keys_of_months_that_come_while_it_runs(tmp_path: Path) -> None:
    public = tmp_path / "epochs"
    keys = EpochKeys(public, tmp_path / "private")
    keys.ensure_epochs(START)
    assert current_public(public, LATER).is_fallback
    stopping = threading.Event()
    thread = threading.Thread(
        target=keep_key_epochs, args=(keys, stopping), kwargs={"every_s": 0.01, "now": lambda: LATER}
    )
    thread.start()
    try:
        eventually(lambda: not current_public(public, LATER).is_fallback or None, "a key for June")
    finally:
        stopping.set()
        thread.join(5)
    assert not thread.is_alive()
    assert keys.load_private("2027-06")


def test_a_folder_that_cannot_be_written_does_not_end_it(tmp_path: Path) -> None:
    private = tmp_path / "private"
    keys = EpochKeys(tmp_path / "epochs", private)
    private.write_text("a file where the folder should be")
    stopping = threading.Event()
    asked = threading.Semaphore(0)

    def now() -> datetime:
        asked.release()
        return LATER

    thread = threading.Thread(target=keep_key_epochs, args=(keys, stopping), kwargs={"every_s": 0.01, "now": now})
    thread.start()
    try:
        assert asked.acquire(timeout=5)
        assert asked.acquire(timeout=5), "it gave up after the first failure"
    finally:
        stopping.set()
        thread.join(5)
