"""Finished recordings in an object store, here a folder: stored, released and read there; and faults of it."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from recorder.objects.names import container_key, folder_of
from recorder.objects.store import StoreError
from storage.errors import DamagedError, StorageError
from storage.object_queries import ObjectState
from tests.helpers.object_faults import findings_of, flip, problems_of
from tests.helpers.object_site import DAY, ObjectSite
from tests.helpers.sweep_site import NOW

MINUTE = timedelta(minutes=1)


@pytest.fixture
def site(tmp_path: Path) -> ObjectSite:
    return ObjectSite(tmp_path)


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
