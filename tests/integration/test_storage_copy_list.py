"""The list of copies, on both engines."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from storage.copy_list import CopyList, CopyMade, copy_to_json, new_copy_id
from storage.database import Database
from storage.types import RecordingId
from tests.helpers.storage_home import ID

MADE = CopyMade(
    id="0a1b2c3d", recording=ID, made_by="dpo", made_at=datetime(2026, 11, 25, 9, 30, 0, 123456, tzinfo=UTC),
    format="flac", start_s=1.25, end_s=61.5, redactions=2,
)  # fmt: skip


def test_a_copy_is_listed_before_it_is_whole_and_oldest_first(database: Database) -> None:
    copies = CopyList(database)
    later = replace(MADE, id=new_copy_id(), made_at=MADE.made_at + timedelta(seconds=1), redactions=0)
    copies.begin(later)
    copies.begin(MADE)
    copies.begin(replace(MADE, id=new_copy_id(), recording=RecordingId("20261124T093000Z-2001-ffffff")))
    assert copies.of_recording(ID) == [MADE, later]
    copies.finish(MADE.id, "ab" * 32)
    assert copies.of_recording(ID) == [replace(MADE, sha256="ab" * 32), later]
    assert copy_to_json(copies.of_recording(ID)[0]) == {
        "id": "0a1b2c3d", "made_by": "dpo", "made_at": "2026-11-25T09:30:00.123456Z", "format": "flac", "start_s": 1.25,
        "end_s": 61.5, "redactions": 2, "sha256": "ab" * 32,
    }  # fmt: skip
    assert len(new_copy_id()) == 8
