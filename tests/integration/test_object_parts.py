"""Parts of calls in progress in an object store."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from recorder.objects.parts import PartKeeper, PartRestorer
from recorder.objects.store import StoreError
from storage.object_queries import ObjectState
from storage.old_calls import OldCalls
from storage.recording import OpenRecording
from storage.recovery import recover
from storage.rows import row_from_json
from storage.types import RecordingHead, RecordingId
from tests.helpers.object_site import DAY, ObjectSite
from tests.helpers.storage_home import block, row

MINUTE = timedelta(minutes=1)


@pytest.fixture
def site(tmp_path: Path) -> ObjectSite:
    return ObjectSite(tmp_path)


def keeper_of(site: ObjectSite) -> PartKeeper:
    return PartKeeper(
        store=site.faulty, vault=site.vault, index=site.index, objects=site.objects, deletions=site.deletions,
        node=site.node.fingerprint, now=lambda: site.now,
    )  # fmt: skip


def begun(site: ObjectSite) -> OpenRecording:
    """Begin a recording, with a second in it."""
    site.epochs.ensure_epochs(site.now, months_ahead=0)
    recording = RecordingId(f"{site.now:%Y%m%dT%H%M%SZ}-2001-0a1b2c")
    fields = row(recording, started_at=site.now.isoformat())
    opened = site.vault.create(
        RecordingHead(id=recording, started_at=site.now, operator_key="k7", index_row=fields)
    )  # fmt: skip
    opened.append(block(0))
    return opened


def parts_in(site: ObjectSite) -> list[str]:
    return sorted(name.split("/")[-1] for name in site.names() if "/part-" in name)


def test_a_call_in_progress_survives_the_loss_of_the_disk_but_for_the_last_seconds(site: ObjectSite) -> None:
    keeper, opened = keeper_of(site), begun(site)
    assert keeper.round() == 1
    opened.append(block(1))
    assert keeper.round() == 0, "it was stored less than nine seconds ago"
    site.now += timedelta(seconds=10)
    assert keeper.round() == 1
    site.faulty.away = {"*"}
    opened.append(block(2))
    site.now += timedelta(seconds=10)
    with pytest.raises(StoreError):
        keeper.round()
    site.faulty.away = set()
    assert keeper.round() == 1
    assert len(parts_in(site)) == 3
    opened.append(block(3))
    path = next(site.home.recordings.rglob("*.part"))
    recording = RecordingId(path.stem)
    shutil.rmtree(site.home.recordings)
    shutil.rmtree(site.home.root / "keys" / "sealed")
    restorer = PartRestorer(store=site.faulty, vault=site.vault, index=site.index, objects=site.objects)
    (lost,) = restorer.lost()
    assert restorer.restore(lost) == path
    (recovered,) = recover(site.vault, lambda _id: False)
    assert (recovered.id, recovered.problem) == (recording, None)
    site.index.save(row_from_json(recovered.row))
    assert site.audio(recording) == b"".join(map(block, range(3)))
    assert restorer.lost() == []
    assert site.round().uploaded == 1
    keeper_of(site).round()
    assert site.round().gone.recordings == [recording]
    assert parts_in(site) == []
    assert len(site.names()) == 2


def test_a_sealed_key_that_cannot_be_read_keeps_no_other_call_from_being_stored_in_parts(site: ObjectSite) -> None:
    keeper = keeper_of(site)
    begun(site)
    recording = RecordingId(next(site.home.recordings.rglob("*.part")).stem)
    site.vault.sealed.path(recording, "2026-11").chmod(0o644)
    site.now += timedelta(seconds=1)
    begun(site)
    assert (keeper.round(), len(parts_in(site))) == (1, 1)


def test_parts_go_when_nothing_is_kept_of_the_call(site: ObjectSite) -> None:
    keeper, opened = keeper_of(site), begun(site)
    assert keeper.round() == 1
    recording = RecordingId(next(site.home.recordings.rglob("*.part")).stem)
    opened.discard()
    keeper.round()
    assert site.round().gone.recordings == [], "it is not known yet that nothing is kept"
    site.index.save(row_from_json(row(recording, outcome="failed", reason="discarded")))
    keeper.round()
    assert site.round().gone.recordings == [recording]
    assert site.names() == set()


def test_parts_of_a_node_that_died_go_when_nothing_is_kept_of_the_call(site: ObjectSite) -> None:
    keeper, opened = keeper_of(site), begun(site)
    assert keeper.round() == 1
    recording = RecordingId(next(site.home.recordings.rglob("*.part")).stem)
    opened.discard()
    with site.database.begin() as connection:
        connection.exec_driver_sql("UPDATE objects SET node = 'dead'")
    site.index.save(row_from_json(row(recording, outcome="failed", reason="discarded")))
    other = keeper_of(site)
    site.now += 2 * DAY
    other.round()
    keeper_of(site).round()
    assert site.objects.of(recording)[0].state is ObjectState.PARTS, "its row is not that of an ended call"
    site.index.save(row_from_json(row(recording, ended_at=site.now.isoformat(), outcome="failed", reason="discarded")))
    other.round()
    assert site.objects.of(recording)[0].state is ObjectState.PARTS, "others' are not looked at each second"
    site.now += timedelta(hours=1)
    other.round()
    assert site.round(2 * MINUTE).gone.recordings == [recording]
    assert site.names() == set()


def test_parts_go_with_the_row_of_a_call_of_which_nothing_was_kept(site: ObjectSite) -> None:
    keeper, opened = keeper_of(site), begun(site)
    assert keeper.round() == 1
    recording = RecordingId(next(site.home.recordings.rglob("*.part")).stem)
    opened.discard()
    with site.database.begin() as connection:
        connection.exec_driver_sql("UPDATE objects SET node = 'dead'")
    site.index.save(row_from_json(row(recording, outcome="failed", reason="discarded")))
    assert OldCalls(site.database).remove([recording], site.now) == 1
    assert site.round(2 * MINUTE).gone.recordings == [recording]
    assert site.names() == set()
