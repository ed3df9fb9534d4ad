"""A kill in the middle of an audit entry: after the next start `audit verify` finds a whole log."""

import os
import random
import signal
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from storage.audit import AuditLog
from storage.audit_chain import REPAIRED
from tests.crash.vault_acts import Speaker, recover
from tests.crash.vault_site import opened

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)


def test_a_torn_end_is_moved_aside_by_the_next_start(tmp_path: Path) -> None:
    with opened(tmp_path, NOW) as site:
        site.home.state.mkdir(parents=True)
        site.vault.root.mkdir()
        for number in range(3):
            site.audit.append("thing.done", "dora", str(number))
        torn = site.audit.path.read_bytes()[:-20]
        site.audit.path.write_bytes(torn)
        assert AuditLog(site.home.audit).verify().bad is not None
        recover(site, random.Random(1), Speaker(lambda _: None))
        state = AuditLog(site.home.audit).verify()
        entries = list(AuditLog(site.home.audit).entries())
        assert (state.bad, [entry.act for entry in entries[:3]]) == (None, ["thing.done", "thing.done", REPAIRED])
        (aside,) = site.home.audit.glob("torn-*.bin")
        assert torn.endswith(aside.read_bytes())
        assert not AuditLog(site.home.audit).repair(), "a log that is whole is left alone"
        assert list(AuditLog(site.home.audit).entries()) == entries


def test_where_there_is_no_log_none_is_made(tmp_path: Path) -> None:
    assert not AuditLog(tmp_path / "audit").repair()
    assert not (tmp_path / "audit").exists()


def test_a_text_that_was_being_written_keeps_nobody_from_reading_the_others(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit")
    entry = log.append("hold.placed", "dora", "", text="she complained")
    pid = os.fork()
    if pid == 0:
        database = sqlite3.connect(tmp_path / "audit" / "texts.sqlite", isolation_level=None)
        database.execute("PRAGMA cache_size=1")
        database.execute("BEGIN")
        for number in range(200):
            database.execute("INSERT INTO texts VALUES (?, ?, ?)", (str(number), b"salt", "long " * 500))
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert (tmp_path / "audit" / "texts.sqlite-journal").stat().st_size > 0
    assert AuditLog(tmp_path / "audit").text(entry) == "she complained"
    assert AuditLog(tmp_path / "audit").verify().bad is None
