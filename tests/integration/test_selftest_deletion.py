"""What the deletion of self-tests takes, and what it leaves, in an index of one's own and in one that nodes share."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from recorder.common.home import Home
from recorder.retention.selftest_deletion import RULE, SelfTestDeletion
from storage.audit import AuditLog
from storage.audit_reading import newest_first
from storage.database import Database
from storage.hold_journal import steady
from storage.holds import Holds
from storage.index import Index
from storage.keys import NodeKeys
from storage.retention_types import Hold, HoldKind
from storage.rows import row_from_json
from storage.tombstones import Deletions
from storage.types import SELFTEST, RecordingRow, Search
from storage.vault import Vault
from tests.helpers.storage_home import row

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)


def selftest_row(number: int, **changes: Any) -> RecordingRow:
    fields = {
        "id": f"20261124T093000Z-{SELFTEST}-{number:06x}", "extension": SELFTEST, "operator": SELFTEST,
        "operators": [SELFTEST], "extensions": [SELFTEST], "caller": SELFTEST, "called": SELFTEST,
    }  # fmt: skip
    return row_from_json(row(**{**fields, **changes}))


def test_only_what_is_a_self_tests_and_nobody_elses_is_deleted(tmp_path: Path, ready_url: str) -> None:
    database = Database(ready_url)
    index = Index(database)
    home = Home(tmp_path)
    home.state.mkdir()
    vault = Vault(tmp_path, NodeKeys.create(tmp_path))
    rows = {
        "plain": selftest_row(1),
        "open": selftest_row(2),
        "held": selftest_row(3),
        "another officer": selftest_row(4, operators=[SELFTEST, "alice"]),
        "another extension": selftest_row(5, extensions=[SELFTEST, "2001"]),
        "another number": selftest_row(6, numbers=["02079460000"]),
        "another recording": selftest_row(7, related=["20261124T093000Z-2001-0a1b2c"]),
        "another node": selftest_row(8, node="north"),
        "a caller of that name": selftest_row(0, id="20261124T093000Z-2001-0a1b2c"),
        "an extension of that name": selftest_row(0, id="20261124T093000Z-selftest0-0a1b2c"),
    }
    index.save_many(rows.values())
    audit, holds = AuditLog(home.audit), Holds(database)
    held = Hold(
        id="00000001", recording=rows["held"].id, kind=HoldKind.COMPLAINT, reason="r", case_reference="C-1",
        owner="lea", placed_by="mona", placed_at=NOW, review_on=(NOW + timedelta(days=9)).date(),
    )  # fmt: skip
    with steady(home.state, holds, audit):
        holds.place(held)
    deletion = SelfTestDeletion(home, vault, database, lambda: NOW, node="", shares=ready_url.startswith("postgres"))
    kept = deletion.delete("os:root", is_open=lambda one: one == rows["open"].id)
    left = {one.id for one in index.each(Search(selftests=True))}
    assert left == {one.id for name, one in rows.items() if name != "plain"}
    assert kept.keys() == {
        rows[name].id
        for name in ("held", "another officer", "another extension", "another number", "another recording")
    }
    assert Deletions(database).count(RULE, since=NOW - timedelta(days=1)) == 1
    assert Deletions(database).count("retention", since=NOW - timedelta(days=1)) == 0
    entry = next(iter(newest_first(audit.path)))
    assert (entry.actor, entry.subject, entry.details["rule"]) == ("os:root", rows["plain"].id, RULE)
    database.close()
