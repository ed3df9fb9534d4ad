"""Finished recordings in an object store, here a folder: stored, read there, removed from both; and faults of it."""

import shutil
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recorder.config.settings import Archive
from recorder.objects import removing
from recorder.objects.checking import CheckedObjects, ObjectChecker
from recorder.objects.folder_store import FolderStore
from recorder.objects.names import container_key, folder_of
from recorder.objects.parts import PartKeeper, PartRestorer
from recorder.objects.store import Removed, StoreError
from recorder.objects.work import REMOVED
from recorder.recordings.archiving import Archiver
from recorder.recordings.fsck import Checker
from recorder.recordings.inspection import Inspector
from recorder.retention.housekeeping import KeyHolder
from storage.errors import DamagedError, NotFoundError, StorageError
from storage.index import Index
from storage.keys import SealedKeys
from storage.object_queries import ObjectState, StoredObject
from storage.objects import Objects
from storage.old_calls import OldCalls
from storage.recording import OpenRecording
from storage.recovery import recover
from storage.reseal import reseal
from storage.retention_types import ErasureState
from storage.rows import row_from_json
from storage.types import RecordingHead, RecordingId, RecordingRow
from storage.vault import Vault
from tests.helpers.object_site import DAY, ObjectSite
from tests.helpers.storage_home import block, row
from tests.helpers.sweep_site import NOW, agreed

MINUTE = timedelta(minutes=1)


@pytest.fixture
def site(tmp_path: Path) -> ObjectSite:
    return ObjectSite(tmp_path)


def problems_of(site: ObjectSite) -> dict[RecordingId, str | None]:
    return {one.id: one.problem for one in Inspector(vault=site.vault, index=site.index).all()}


def findings_of(site: ObjectSite) -> list[str]:
    checker = Checker(
        home=site.home, vault=site.vault, database=site.database, audit=site.audit, now=lambda: site.now,
        is_live=False, is_quick=False, counts=Counter(),
    )  # fmt: skip
    return [f"{one.kind}: {one.what}" for one in checker.findings() if one.kind not in ("restored", "order_not_in_log")]


def flip(site: ObjectSite, recording: RecordingId) -> None:
    """Change the last byte of an object."""
    path = site.dest / container_key(site.row(recording).sha256 or "")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


# --- stored, released, read


def test_a_recording_is_stored_kept_here_for_a_week_and_then_read_from_the_store(site: ObjectSite) -> None:
    (recording,) = site.stored()
    said = site.audio(recording)
    assert len(site.names()) == 2, "container and sealed key"
    assert not any("2001" in name or "20261124" in name for name in site.names()), "names tell nothing of the call"
    assert site.round(7 * DAY - MINUTE).released == 0
    assert site.is_here(recording)
    assert site.round(2 * MINUTE).released == 1
    assert not site.is_here(recording)
    assert site.audio(recording) == said
    assert problems_of(site) == {recording: None}
    assert findings_of(site) == []
    assert site.objects.counts().released == 1


def test_a_call_of_which_nothing_was_kept_is_not_stored(site: ObjectSite) -> None:
    site.miss(NOW - DAY)
    assert (site.round().uploaded, site.names()) == (0, set())


def test_each_state_of_an_object_on_each_engine(tmp_path: Path, database_url: str) -> None:
    site = ObjectSite(tmp_path, url=database_url)
    gone, kept = site.only_there(2)
    site.miss(site.now)
    waiting = site.record(site.now)
    site.faulty.away = {"put_file", "remove_all"}
    site.delete(gone)
    site.objects.key_changed([kept])
    assert site.round(MINUTE).problem
    site.objects.note(site.objects.of(gone)[0].sha256, "locked", locked_until=site.now + DAY)
    found = site.objects.counts()
    assert (found.stored, found.released, found.waiting, found.removing, found.locked) == (1, 1, 1, 1, 1)
    assert found.stored_bytes == site.row(kept).bytes
    assert (found.locked_until, found.removing_since) == (site.now + DAY, site.now - MINUTE)
    assert [one.recording for one in site.objects.each_stored()] == [kept]
    site.faulty.away = set()
    assert (site.round().gone.recordings, site.round(DAY).gone.recordings) == ([], [gone])
    assert site.objects.of(waiting)[0].state is ObjectState.STORED
    site.database.close()


def test_a_store_that_is_away_costs_nothing_and_all_is_caught_up(site: ObjectSite) -> None:
    (first,) = site.stored()
    site.faulty.away = {"*"}
    others = [site.record(NOW - DAY) for _ in range(20)]
    for _ in range(3):
        assert "does not answer" in site.round(MINUTE).problem
    assert site.objects.counts().waiting == 20
    assert all(map(site.is_here, [first, *others]))
    site.faulty.away = set()
    assert (site.round().uploaded, site.objects.counts().stored) == (20, 21)


def test_a_local_file_stays_while_its_object_is_wrong_and_the_object_is_stored_again(site: ObjectSite) -> None:
    (recording,) = site.stored()
    flip(site, recording)
    assert site.round(8 * DAY).released == 0
    assert site.is_here(recording)
    assert site.objects.of(recording)[0].problem == "the object is missing or was changed in the store"
    assert site.round().uploaded == 1
    assert site.round(8 * DAY).released == 1
    assert problems_of(site) == {recording: None}


def test_a_store_that_returns_something_else_stores_nothing(site: ObjectSite) -> None:
    recording = site.record(NOW - DAY)
    site.faulty.changed = lambda _key, content: content[::-1]
    assert "returned something else than was stored (wrong digest)" in site.round().problem
    assert site.objects.of(recording)[0].state is ObjectState.WAITING
    site.faulty.changed = lambda _key, content: content
    assert site.round().uploaded == 1


def test_a_damaged_local_file_is_not_stored_and_others_are(site: ObjectSite) -> None:
    bad, good = site.record(NOW - DAY), site.record(NOW - DAY)
    path = site.file_of(bad)
    path.write_bytes(path.read_bytes() + b"more")
    done = site.round()
    assert (done.uploaded, list(done.problems)) == (1, [bad])
    assert "not as its row says" in site.objects.of(bad)[0].problem
    assert site.objects.of(good)[0].state is ObjectState.STORED
    assert site.round().problems == {}, "it is not tried again at once"
    assert list(site.round(6 * MINUTE).problems) == [bad]


@pytest.mark.parametrize(
    "changed", [lambda c: c[:-200], lambda c: c[:300] + bytes([c[300] ^ 1]) + c[301:], lambda c: c + b"x"]
)
def test_an_object_that_was_changed_is_named_and_not_played(site: ObjectSite, changed: object) -> None:
    (recording,) = site.only_there()
    path = site.dest / container_key(site.row(recording).sha256 or "")
    path.write_bytes(changed(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(DamagedError):
        site.audio(recording)
    assert problems_of(site)[recording] is not None


def test_an_older_object_under_the_name_of_a_newer_one_is_named(site: ObjectSite) -> None:
    first, second = site.only_there(2)
    old, new = (site.dest / folder_of(site.row(one).sha256 or "") for one in (first, second))
    shutil.copy(old / "container.rec", new / "container.rec")
    with pytest.raises(StorageError):
        site.audio(second)
    assert f"it holds recording {first}" in str(problems_of(site)[second])


def test_a_store_that_is_away_while_somebody_listens_says_so(site: ObjectSite) -> None:
    (recording,) = site.only_there()
    site.faulty.away = {"*"}
    with pytest.raises(StoreError, match="does not answer"):
        site.audio(recording)


def test_another_store_than_that_of_the_recordings_is_refused(site: ObjectSite) -> None:
    (recording,) = site.stored()
    (site.dest / "recorder-objects").unlink()
    site.delete(recording)
    assert "is the disk mounted" in site.round().problem
    assert site.objects.counts().removing == 1


# --- deleted, erased


def test_an_object_that_two_machines_remove_is_told_once(site: ObjectSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that has it was away and is back while another one removes it for it."""
    (gone,) = site.stored()
    site.delete(gone)
    sha256 = site.objects.of(gone)[0].sha256
    real = Objects.gone

    def also_removed(self: Objects, digest: str) -> bool:
        assert real(self, sha256), "by the other"
        return real(self, digest)

    monkeypatch.setattr(Objects, "gone", also_removed)
    assert site.round().gone.recordings == []
    assert not [one for one in site.audit.entries() if one.act == REMOVED]


def test_a_deleted_recording_is_gone_in_the_store_too_and_the_audit_log_says_so(site: ObjectSite) -> None:
    gone, kept = site.stored(2)
    names = site.names()
    site.delete(gone)
    assert site.objects.counts().removing == 1, "until nothing is left there, it is not done"
    assert site.round().gone.recordings == [gone]
    assert site.names() == {one for one in names if (site.row(kept).sha256 or "") in one}
    assert site.objects.counts().removing == 0
    (entry,) = [one for one in site.audit.entries() if one.act == REMOVED]
    assert entry.details == {"recordings": [gone], "versions": 2}


def test_a_recording_that_is_only_in_the_store_is_swept_when_it_is_due(site: ObjectSite) -> None:
    (recording,) = site.only_there()
    agreed(site.sweeper(NOW + 400 * DAY)).run()
    assert site.deletions.get(recording) is not None
    assert site.vault.sealed.find(recording) is None, "its key is destroyed"
    assert site.round().gone.recordings == [recording]
    assert site.names() == set()


def test_a_deletion_waits_for_the_store_and_is_done_on_its_return(site: ObjectSite) -> None:
    (recording,) = site.stored()
    site.delete(recording)
    site.faulty.away = {"remove_all"}
    assert "does not answer" in site.round().problem
    assert site.objects.counts().removing == 1
    site.faulty.away = set()
    assert site.round().gone.recordings == [recording]


def test_a_full_store_still_has_deleted_recordings_removed(site: ObjectSite) -> None:
    (recording,) = site.stored()
    site.record(NOW - DAY)
    site.delete(recording)
    site.faulty.away = {"put_file"}
    done = site.round()
    assert (done.gone.recordings, done.uploaded) == ([recording], 0)
    assert "does not answer (put_file)" in done.problem


def test_a_recording_that_is_deleted_while_it_is_uploaded_does_not_stay(site: ObjectSite) -> None:
    recording = site.record(NOW - DAY)
    site.work.find_new()

    def delete_first(_key: str, content: bytes) -> bytes:
        site.faulty.changed = lambda _key, content: content
        site.delete(recording)
        return content

    site.faulty.changed = delete_first
    assert site.round().gone.recordings == [recording]
    assert site.names() == set()


def unmount(site: ObjectSite) -> None:
    """Unmount the share whose mount point is the store's folder."""
    site.dest.rename(site.dest.with_name("share"))
    site.dest.mkdir()


def mount(site: ObjectSite) -> None:
    site.dest.rename(site.dest.with_name("under the mount point"))
    site.dest.with_name("share").rename(site.dest)


def test_a_share_that_is_unmounted_in_the_middle_is_not_taken_for_one_without_the_object(
    site: ObjectSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    (recording,) = site.stored()
    site.delete(recording)
    remove_all = FolderStore.remove_all

    def first_unmounted(self: FolderStore, folder: str) -> Removed:
        unmount(site)
        return remove_all(self, folder)

    monkeypatch.setattr(FolderStore, "remove_all", first_unmounted)
    done = site.round()
    assert (done.gone.recordings, "unmounted" in done.problem) == ([], True)
    monkeypatch.undo()
    mount(site)
    assert site.round().gone.recordings == [recording]
    assert site.names() == set()


def test_what_is_written_below_an_unmounted_share_does_not_count_as_stored(
    site: ObjectSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.stored()
    other, put_file = site.record(NOW - DAY), FolderStore.put_file

    def first_unmounted(self: FolderStore, key: str, file: Path) -> None:
        unmount(site)
        put_file(self, key, file)
        monkeypatch.undo()

    monkeypatch.setattr(FolderStore, "put_file", first_unmounted)
    assert "unmounted" in site.round().problem
    mount(site)
    assert site.objects.of(other)[0].state is ObjectState.WAITING
    assert site.round().uploaded == 1


def deleted_by_another(site: ObjectSite, recording: RecordingId) -> None:
    """Delete a recording while this machine is stopped: another one removes the object, and then its row."""
    (one,) = site.objects.of(recording)
    site.delete(recording)
    site.objects.gone(one.sha256)


def test_what_is_written_after_another_machine_removed_the_object_does_not_stay(site: ObjectSite) -> None:
    recording = site.record(NOW - DAY)
    site.work.find_new()

    def stop(_key: str, content: bytes) -> bytes:
        site.faulty.changed = lambda _key, content: content
        deleted_by_another(site, recording)
        return content

    site.faulty.changed = stop
    done = site.round()
    assert (done.gone.recordings, site.names()) == ([recording], set()), "its key was gone, so its upload failed"


def test_a_key_that_is_written_after_another_machine_removed_the_object_does_not_stay(
    site: ObjectSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    (recording,) = site.stored()
    site.objects.key_changed([recording])
    read = SealedKeys.read

    def stop(self: SealedKeys, one: RecordingId) -> tuple[str, bytes] | None:
        found = read(self, one)
        deleted_by_another(site, one)
        return found

    monkeypatch.setattr(SealedKeys, "read", stop)
    assert site.round().gone.recordings == [recording]
    assert site.names() == set()


def test_a_key_that_is_sealed_anew_while_the_former_one_is_stored_is_stored_too(
    site: ObjectSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.record(NOW - DAY)
    site.epochs.ensure_epochs(NOW + 60 * DAY, months_ahead=0)
    read = SealedKeys.read

    def slow(self: SealedKeys, one: RecordingId) -> tuple[str, bytes] | None:
        found = read(self, one)
        monkeypatch.setattr(SealedKeys, "read", read)
        reseal(site.vault, site.epochs, one, site.epochs.public_of("2027-01"))
        site.objects.key_changed([one])
        return found

    monkeypatch.setattr(SealedKeys, "read", slow)
    assert site.round().uploaded == 1
    assert {name.split("/")[-2] for name in site.names() if name.endswith(".key")} == {"2027-01"}
    assert site.objects.sealed_to("2026-11") == set(), "its private key could never be destroyed"
    assert site.round(8 * DAY).released == 1


def test_a_recording_that_is_deleted_while_it_is_noted_is_waited_for_no_longer(site: ObjectSite) -> None:
    recording = site.record(NOW - DAY)
    row = site.row(recording)
    site.delete(recording)
    site.objects.add([row], site.node.fingerprint, site.now)
    site.round()
    assert (site.objects.of(recording), site.names()) == ([], set())


def test_a_recording_that_was_written_off_is_waited_for_no_longer(site: ObjectSite) -> None:
    recording = site.record(NOW - DAY)
    site.work.find_new()
    site.index.save(replace(site.row(recording), path=None, bytes=None, sha256=None))
    site.round()
    assert site.objects.of(recording) == []


def test_a_file_that_is_gone_with_its_folder_keeps_no_other_from_being_released(site: ObjectSite) -> None:
    """As after a replaced disk, or if the database went away between the removal of a file and its note."""
    gone, _other = site.stored(2)
    shutil.rmtree(site.home.recordings)
    site.home.recordings.mkdir()
    assert site.round(8 * DAY).released == 2
    assert site.audio(gone)


def test_a_sealed_key_that_cannot_be_read_keeps_no_deletion_waiting(site: ObjectSite) -> None:
    renewed, due = site.stored(2)
    waiting = site.record(NOW - DAY)
    site.objects.key_changed([renewed])
    for one in (renewed, waiting):
        site.vault.sealed.path(one, "2026-11").chmod(0o644)
    site.delete(due)
    done = site.round()
    assert set(done.problems) == {renewed, waiting}
    assert done.gone.recordings == [due]


def test_a_file_stays_whose_object_is_found_missing_meanwhile(
    site: ObjectSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    (recording,) = site.stored()
    to_release = Objects.to_release

    def found_missing(self: Objects, *words: Any, **how: Any) -> list[StoredObject]:
        found = to_release(self, *words, **how)
        site.faulty.store.remove_all(folder_of(found[0].sha256))
        assert check(site).problems
        return found

    monkeypatch.setattr(Objects, "to_release", found_missing)
    monkeypatch.setattr(removing, "must_read_again", lambda _at, _now: False)
    assert site.round(8 * DAY).released == 0
    monkeypatch.undo()
    assert site.is_here(recording)
    assert site.round().uploaded == 1


def test_erasing_from_a_recording_removes_its_old_object_and_stores_the_new_one(site: ObjectSite) -> None:
    (recording,) = site.stored()
    before = site.names()
    assert site.erase(recording).state is ErasureState.DONE
    done = site.round()
    assert (done.uploaded, done.gone.recordings) == (1, [recording])
    assert len(site.names()) == 2
    assert not site.names() & before
    assert site.round(8 * DAY).released == 1
    assert problems_of(site) == {recording: None}


def test_a_recording_that_is_deleted_while_it_is_rewritten_does_not_come_back(
    site: ObjectSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    (recording,) = site.stored()
    save = Index.save_rewritten

    def deleted_first(self: Index, row: RecordingRow, **how: Any) -> None:
        site.delete(recording)
        save(self, row, **how)

    monkeypatch.setattr(Index, "save_rewritten", deleted_first)
    assert "was deleted while it was rewritten" in site.erase(recording).problem
    with pytest.raises(NotFoundError):
        site.row(recording)
    assert site.round().gone.recordings == [recording]
    assert site.names() == set()


def test_a_recording_that_is_only_in_the_store_is_fetched_to_erase_from_it(site: ObjectSite) -> None:
    (recording,) = site.only_there()
    before, said = site.names(), site.audio(recording)
    site.faulty.away = {"*"}
    assert "does not answer" in site.erase(recording).problem
    site.faulty.away = set()
    order = site.erasures.take_next(now=site.now + DAY, is_ready=lambda _order: True)
    assert order is not None, "it is tried again"
    assert site.erase(recording).state is ErasureState.DONE
    assert site.is_here(recording)
    assert site.audio(recording) != said
    done = site.round()
    assert (done.uploaded, done.gone.recordings) == (1, [recording])
    assert not site.names() & before
    assert findings_of(site) == []


def test_a_wrong_object_is_not_brought_back(site: ObjectSite) -> None:
    (recording,) = site.only_there()
    flip(site, recording)
    assert "has another content for recording" in site.erase(recording).problem
    assert not site.is_here(recording)
    assert not list(site.home.recordings.rglob(".new-*"))


# --- checked, found again


def check(site: ObjectSite, **how: bool) -> CheckedObjects:
    return ObjectChecker(
        store=site.faulty, vault=site.vault, index=site.index, objects=site.objects, deletions=site.deletions,
        now=lambda: site.now, **how,
    ).check()  # fmt: skip


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


# --- calls in progress


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
