"""What a failing disk left open is looked for until it is closed, and then no more, whatever calls there are."""

from pathlib import Path

import pytest

from recorder.calls.filing import Filing
from recorder.recordings.left_open import LeftOpen
from storage.database import sqlite_url
from storage.index import Index
from storage.rows import row_from_json
from storage.types import RecordingId
from storage.verify import verify
from tests.helpers.storage_home import ID, STARTED, Site, block, row

LIVE = RecordingId("20261124T093000Z-2002-0a1b2d")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    for recording in (ID, LIVE):
        opened = site.begin(recording)
        opened.append(block(0))
        opened.sync()
    return site


def test_what_is_left_is_closed_and_a_call_in_progress_is_left_alone(site: Site) -> None:
    index, settled = Index(sqlite_url(site.home / "index.sqlite")), list[str]()
    rows = Filing(index, site.home / "state/rows", alarm=settled.append)
    left = LeftOpen(site.vault, index, rows, is_live={LIVE}.__contains__, settled=settled.append, now=lambda: STARTED)
    assert not left.notice({}), "nothing has failed"
    assert left.notice({"disk_full": 1})
    left.close()
    assert left.notice({"disk_full": 1}), "its call is not filed yet, so it is looked for again"

    index.save(row_from_json(row(outcome="partial", reason="disk_full", ended_at="2026-11-24T09:30:01Z")))
    left.close()
    assert settled == [ID]
    (path,) = site.vault.finished()
    found = verify(path, site.node.sign_public)
    assert (found.id, found.is_complete, found.problem) == (ID, False, None)
    assert index.get(ID).sha256 == found.sha256
    assert [part.name for part in (site.home / "recordings").rglob("*.part")] == [f"{LIVE}.part"]
    assert not left.notice({"disk_full": 1}), "a call in progress keeps nobody looking"
    assert left.notice({"disk_full": 2}), "until the disk fails again"
    index.close()
