"""Recordings that are deleted, erased from or rewritten, in the object store too."""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recorder.objects import removing
from recorder.objects.folder_store import FolderStore
from recorder.objects.names import folder_of
from recorder.objects.store import Removed
from recorder.objects.work import REMOVED
from storage.errors import NotFoundError
from storage.index import Index
from storage.keys import SealedKeys
from storage.object_queries import ObjectState, StoredObject
from storage.objects import Objects
from storage.reseal import reseal
from storage.retention_types import ErasureState
from storage.types import RecordingId, RecordingRow
from tests.helpers.object_faults import check, findings_of, flip, mount, problems_of, unmount
from tests.helpers.object_site import DAY, ObjectSite
from tests.helpers.sweep_site import NOW, agreed

MINUTE = timedelta(minutes=1)


@pytest.fixture
def site(tmp_path: Path) -> ObjectSite:
    return ObjectSite(tmp_path)


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
