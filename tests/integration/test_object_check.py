"""Objects that are checked, found again after a loss, and read by another machine."""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from recorder.config.settings import Archive
from recorder.objects.names import folder_of
from recorder.objects.store import StoreError
from recorder.recordings.archiving import Archiver
from recorder.retention.housekeeping import KeyHolder
from storage.object_queries import ObjectState
from storage.retention_types import ErasureState
from storage.vault import Vault
from tests.helpers.object_faults import check, flip, problems_of, unmount
from tests.helpers.object_site import DAY, ObjectSite
from tests.helpers.sweep_site import NOW

MINUTE = timedelta(minutes=1)


@pytest.fixture
def site(tmp_path: Path) -> ObjectSite:
    return ObjectSite(tmp_path)


def test_a_check_finds_what_is_missing_and_has_it_stored_again(site: ObjectSite) -> None:
    lost, cut, keyless, good = site.stored(4)
    folders = {one: site.dest / folder_of(site.row(one).sha256 or "") for one in (lost, cut, keyless)}
    shutil.rmtree(folders[lost])
    (folders[cut] / "container.rec").write_bytes(b"x")
    shutil.rmtree(folders[keyless] / "keys")
    assert set(check(site, is_dry=True).problems) == {lost, cut, keyless}
    assert site.objects.counts().waiting == 0, "a dry run changes nothing"
    found = check(site)
    assert (found.checked, good in found.problems, found.is_good) == (4, False, False)
    assert site.round().uploaded == 3
    assert check(site).is_good


def test_a_sealed_key_that_is_missing_in_the_store_is_stored_again_from_the_disk(site: ObjectSite) -> None:
    (recording,) = site.only_there()
    (name,) = (one for one in site.names() if one.endswith(".key"))
    site.faulty.store.remove(name)
    assert check(site).problems == {recording: "its sealed key is missing in the store"}
    site.round()
    assert check(site).is_good
    site.vault.sealed.destroy(recording)
    assert site.audio(recording)


def test_a_check_of_an_unmounted_share_finds_nothing_missing(site: ObjectSite) -> None:
    (recording,) = site.stored()
    unmount(site)
    with pytest.raises(StoreError, match="unmounted"):
        check(site)
    assert site.objects.of(recording)[0].state is ObjectState.STORED


def test_only_a_thorough_check_reads_objects(site: ObjectSite) -> None:
    (recording,) = site.stored()
    flip(site, recording)
    assert check(site).is_good
    assert check(site, is_thorough=True).problems == {
        recording: "its content in the store is another one than was stored"
    }


def test_an_object_of_a_deleted_recording_that_came_back_is_removed_again(site: ObjectSite) -> None:
    (recording,) = site.stored()
    folder = site.dest / folder_of(site.row(recording).sha256 or "")
    shutil.copytree(folder, site.dest / "aside")
    site.delete(recording)
    site.round()
    shutil.copytree(site.dest / "aside", folder)
    found = check(site)
    assert (len(found.returned), found.is_good) == (1, True)
    assert site.round().gone.versions == 2
    assert site.names() == set()


def test_recordings_that_are_only_in_the_store_survive_the_loss_of_the_index(site: ObjectSite) -> None:
    kept, gone = site.only_there(2)
    before, said = site.row(kept), site.audio(kept)
    folder = site.dest / folder_of(site.row(gone).sha256 or "")
    shutil.copytree(folder, site.dest / "aside")
    site.delete(gone)
    site.round()
    shutil.copytree(site.dest / "aside", folder)
    site.lose_index()
    site.reindex()
    site.vault, site.work = Vault(site.home.root, site.node, site.storage()), None  # type: ignore[assignment]
    found = check(site)
    assert (list(found.unknown), len(found.returned)) == ([before.sha256], 1)
    assert f"the index lacks recording {kept}" in found.unknown[before.sha256 or ""]
    assert check(site, is_adopting=True).adopted == [kept]
    assert replace(site.row(kept), peaks=before.peaks) == before
    assert site.audio(kept) == said
    assert check(site).is_good


def test_the_key_of_a_held_recording_that_is_only_in_the_store_is_resealed_and_stored_again(site: ObjectSite) -> None:
    (recording,) = site.only_there()
    site.hold(recording, site.now)
    site.epochs.ensure_epochs(NOW + 60 * DAY, months_ahead=0)
    site.now = NOW + 60 * DAY
    holder = KeyHolder(
        vault=site.vault, keys=site.epochs, index=site.index, audit=site.audit, lock=site.home.erasing_lock,
        now=lambda: site.now,
    )  # fmt: skip
    done = holder.maintain()
    assert [(one.id, one.old) for one in done.resealed] == [(recording, "2026-11")]
    assert "2026-11" not in done.destroyed, "the object's key is still sealed to it"
    site.round()
    assert {name.split("/")[-2] for name in site.names() if name.endswith(".key")} == {"2027-01"}
    assert holder.maintain().destroyed == ["2026-11"]
    assert site.audio(recording)


def test_another_machine_reads_a_recording_with_the_key_from_the_store(site: ObjectSite) -> None:
    (recording,) = site.only_there()
    said = site.audio(recording)
    site.vault.sealed.destroy(recording)
    assert site.audio(recording) == said
    assert problems_of(site) == {recording: None}
    assert site.erase(recording).state is ErasureState.DONE
    assert site.vault.sealed.find(recording) == "2026-11"


def test_a_machine_drops_its_file_of_a_recording_that_another_one_rewrote(site: ObjectSite, tmp_path: Path) -> None:
    (recording,) = site.stored()
    old = site.file_of(recording).read_bytes()
    key = site.vault.sealed.read(recording)
    assert key is not None
    assert site.erase(recording).state is ErasureState.DONE
    path = site.file_of(recording)
    path.write_bytes(old)  # as on the machine that recorded it, whose files nobody has touched
    with site.database.begin() as connection:
        connection.exec_driver_sql("UPDATE objects SET node = 'another' WHERE state = 'waiting'")
    assert site.round().gone.recordings == [recording]
    assert (path.exists(), site.vault.sealed.find(recording)) == (False, None)


def test_a_file_that_is_fetched_stays_on_the_list_of_the_machine_that_has_it_too(site: ObjectSite) -> None:
    """The machine that recorded must drop its file when another one rewrites the recording: it has what was erased."""
    (recording,) = site.stored()
    site.index.save(replace(site.row(recording), node="west"))
    with site.database.begin() as connection:
        connection.exec_driver_sql("UPDATE objects SET node = 'key of west'")
    site.vault.sealed.destroy(recording)
    site.file_of(recording).unlink()
    site.name = "east"
    site.work = site.open_work()
    assert site.erase(recording).state is ErasureState.DONE
    assert {one.state: one.node for one in site.objects.of(recording)} == {
        ObjectState.REMOVING: "key of west",
        ObjectState.WAITING: site.node.fingerprint,
    }
    assert site.round(2 * MINUTE).uploaded == 1
    assert (site.is_here(recording), site.vault.sealed.find(recording)) == (False, None)
    (left,) = site.objects.in_state(ObjectState.REMOVING)
    assert left.problem.startswith("the machine that made the recording is away and has its former file still")


def test_a_machine_that_is_away_keeps_a_rewritten_recording_from_being_gone(site: ObjectSite) -> None:
    (recording,) = site.stored()
    with site.database.begin() as connection:
        connection.exec_driver_sql("UPDATE objects SET node = 'another'")
    assert site.erase(recording).state is ErasureState.DONE
    assert site.round().gone.recordings == [], "for a minute it is left to that machine"
    assert site.round(2 * MINUTE).gone.recordings == [recording]
    assert len(site.names()) == 2, "the new container and its key"
    (left,) = site.objects.in_state(ObjectState.REMOVING)
    assert left.problem.startswith("the machine that made the recording is away")
    assert site.round(MINUTE).gone.recordings == []
    site.delete(recording)
    assert site.round().gone.recordings == [recording] * 2, "that machine removes files of deleted recordings by itself"
    assert site.objects.counts().removing == 0


def test_what_was_fetched_from_another_machine_does_not_stay_here(site: ObjectSite) -> None:
    (recording,) = site.only_there()
    site.index.save(replace(site.row(recording), node="west"))
    site.vault.sealed.destroy(recording)
    site.name = "east"
    site.work = site.open_work()
    assert site.erase(recording).state is ErasureState.DONE
    assert site.is_here(recording)
    done = site.round()
    assert (done.uploaded, done.gone.recordings) == (1, [recording])
    assert (site.is_here(recording), site.vault.sealed.find(recording)) == (False, None)
    assert site.audio(recording)


def test_archiving_replaces_the_object(site: ObjectSite) -> None:
    (recording,) = site.only_there()
    before = site.names()
    archiver = Archiver(
        vault=site.vault, keys=site.epochs, index=site.index, erasures=site.erasures, holds=site.holds,
        audit=site.audit, lock=site.home.erasing_lock, rule=Archive(after_days=1), now=lambda: site.now,
    )  # fmt: skip
    assert archiver.run().problems == []
    done = site.round()
    assert (done.uploaded, done.gone.recordings) == (1, [recording])
    assert not site.names() & before
