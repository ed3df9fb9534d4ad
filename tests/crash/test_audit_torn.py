"""A kill in the middle of an audit entry: after the next start `audit verify` finds a whole log."""

import random
from datetime import UTC, datetime
from pathlib import Path

from storage.audit import REPAIRED, AuditLog
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
        assert not AuditLog(site.home.audit).mend(), "a log that is whole is left alone"
        assert list(AuditLog(site.home.audit).entries()) == entries


def test_where_there_is_no_log_none_is_made(tmp_path: Path) -> None:
    assert not AuditLog(tmp_path / "audit").mend()
    assert not (tmp_path / "audit").exists()
