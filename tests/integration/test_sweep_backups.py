"""A backup taken before a deletion brings nothing back, and a hold that it does not know is not forgotten."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from recorder.config.reading import read_config
from recorder.recordings.recovery import recover_all
from recorder.recordings.reindex import Reindexer
from recorder.recordings.resurrection_guard import destroy_returned
from recorder.retention.call_deletion import RULE
from storage.database import sqlite_url
from storage.deletion import Shredder
from storage.index_file import FileState, state_of
from storage.tombstones import Tombstone
from storage.types import RecordingId
from tests.helpers.sweep_site import GONE, NOW, PRESENT, SweepSite

DAY = timedelta(days=1)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SweepSite]:
    # Not a copy of a ready file: a backup of the log alone must have all of the index, else the file is damaged.
    made = SweepSite(tmp_path, sqlite_url(tmp_path / "home" / "index.sqlite"))
    try:
        yield made
    finally:
        made.close()


def backed_up(site: SweepSite, folder: Path) -> Path:
    """Copy the whole home as it is, with the database open, WAL and all."""
    shutil.copytree(site.home.root, folder)
    return folder


INDEX = ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm")
EVERYTHING = (*INDEX, "keys", "recordings", "state")


def restore(site: SweepSite, backup: Path, *names: str) -> None:
    """Put things of a backup in the place of those of the home."""
    site.database.close()
    for name in names:
        target, source = site.home.root / name, backup / name
        if target.is_dir():
            shutil.rmtree(target)
        target.unlink(missing_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.exists():
            shutil.copy(source, target)


def start(site: SweepSite) -> None:
    destroy_returned(site.home, site.vault, site.database, lambda: NOW)


def recover_by_rule(site: SweepSite) -> None:
    (site.home.config).write_text("")
    recover_all(site.home, read_config(site.home.config), NOW)


@pytest.mark.parametrize("by", [start, recover_by_rule, SweepSite.sweep], ids=["start", "recover", "sweep"])
@pytest.mark.parametrize(
    "names",
    [EVERYTHING, INDEX, ("index.sqlite-wal",), ("keys",), ("recordings",)],
    ids=["everything", "index", "wal", "keys", "media"],
)
def test_a_backup_brings_nothing_back(
    site: SweepSite, tmp_path: Path, by: Callable[[SweepSite], object], names: tuple[str, ...]
) -> None:
    deleted = [site.record(NOW - days * DAY) for days in (90, 91, 200)]
    kept = site.record(NOW - 10 * DAY)
    backup = backed_up(site, tmp_path / "backup")
    site.sweep()
    tombstones = [site.deletions.get(one) for one in deleted]
    assert {str(site.traces(one)) for one in deleted} == {str(GONE)}
    restore(site, backup, *names)
    assert {str(site.traces(one)) for one in deleted}.isdisjoint({str(GONE)}), "the backup is back"
    by(site)
    assert {str(site.traces(one)) for one in deleted} == {str(GONE)}
    assert [site.deletions.get(one) for one in deleted] == tombstones
    assert site.traces(kept) == PRESENT
    entries = site.acts("recording.deleted_again")
    assert sorted(one for entry in entries for one in entry["details"]["recordings"]) == sorted(deleted)
    assert len(site.acts("recording.deleted")) == 1, "it is not deleted by the rule once more"
    assert site.audit.verify().bad is None
    again = len(entries)
    by(site)
    assert len(site.acts("recording.deleted_again")) == again, "nothing is said where nothing was there"


def test_a_recording_that_was_restored_in_progress_is_not_recovered(site: SweepSite) -> None:
    recording = site.record(NOW - 90 * DAY)
    (path,) = site.vault.files_of(recording)
    content = path.read_bytes()
    site.sweep()
    path.parent.mkdir(parents=True)
    path.with_suffix(".part").write_bytes(content[: len(content) // 2])
    recover_by_rule(site)
    assert site.traces(recording) == GONE


def test_a_row_beside_its_tombstone_is_taken_away(site: SweepSite) -> None:
    recording = site.record(NOW - 90 * DAY)
    saved = site.index.get(recording)
    site.sweep()
    site.index.save(saved)
    assert site.sweep(NOW + DAY) == {"deleted_again": 1}
    assert site.traces(recording) == GONE


@pytest.mark.parametrize("by", [start, recover_by_rule], ids=["start", "recover"])
def test_the_log_of_a_checkpointed_index_brings_no_row_back(tmp_path: Path, by: Callable[[SweepSite], object]) -> None:
    """SQLite puts the old pages over the newer file, which is damaged then; nobody is shown a deleted call."""
    with closing(SweepSite(tmp_path)) as site:
        deleted = [site.record(NOW - days * DAY) for days in (90, 91, 200)]
        kept = site.record(NOW - 10 * DAY)
        backup = backed_up(site, tmp_path / "backup")
        assert (backup / "index.sqlite").stat().st_size, "the file has tables; the log alone has the rows"
        site.sweep()
        restore(site, backup, "index.sqlite-wal")
        back = {"row": True, "file": False, "key": False, "tombstone": True}
        assert [site.traces(one) for one in deleted] == [back] * 3
        by(site)
        assert {str(site.traces(one)) for one in deleted} == {str(GONE)}
        assert site.traces(kept) == PRESENT
        site.database.close()
        assert state_of(site.home.index)[0] is FileState.DAMAGED
        site.home.config.write_text("")
        Reindexer(
            home=site.home, config=read_config(site.home.config), vault=site.vault, audit=site.audit, now=lambda: NOW
        ).run("dora")
        site.open()
        assert {str(site.traces(one)) for one in deleted} == {str(GONE)}
        assert site.traces(kept) == PRESENT


def test_many_rows_beside_their_tombstones_are_taken_away_once_each(site: SweepSite) -> None:
    ids = [site.miss(NOW - 90 * DAY - number * timedelta(seconds=1)) for number in range(260)]
    rows = [site.index.get(one) for one in ids]
    Shredder(site.vault, site.deletions, site.audit).delete(
        [Tombstone(id=one, deleted_at=NOW, rule=RULE) for one in ids], rule=RULE
    )
    site.index.save_many(rows)
    assert site.sweep() == {"deleted_again": 260}
    assert site.ids() == []


def test_the_sweep_deletes_again_what_a_backup_of_everything_brings_back(site: SweepSite, tmp_path: Path) -> None:
    """With the audit log restored too nobody on this machine can tell; but it is due."""
    recording = site.record(NOW - 90 * DAY)
    backup = backed_up(site, tmp_path / "backup")
    site.sweep()
    restore(site, backup, *EVERYTHING, "audit")
    start(site)
    assert site.traces(recording) == PRESENT
    site.sweep(NOW + DAY)
    assert site.traces(recording) == GONE


def test_an_index_from_before_a_hold_does_not_let_the_sweep_destroy_evidence(site: SweepSite, tmp_path: Path) -> None:
    held, gone = site.record(NOW - 80 * DAY), site.record(NOW - 91 * DAY)
    backup = backed_up(site, tmp_path / "backup")
    site.sweep()
    site.hold(held, NOW)
    restore(site, backup, *EVERYTHING)
    assert site.holds.of_recording(held) == []
    site.sweep(NOW + 30 * DAY)
    assert [site.traces(one) for one in (held, gone)] == [PRESENT, GONE]


def test_a_hold_from_a_backup_that_was_over_brings_nothing_back(site: SweepSite, tmp_path: Path) -> None:
    recording = site.record(NOW - 200 * DAY)
    hold = site.hold(recording, NOW - 150 * DAY)
    backup = backed_up(site, tmp_path / "backup")
    site.release(hold, NOW - 20 * DAY)
    site.sweep()
    assert site.traces(recording) == GONE
    restore(site, backup, *EVERYTHING)
    start(site)
    assert site.traces(recording) == GONE


def test_what_is_held_after_its_deletion_was_cut_off_stays(site: SweepSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill right behind the tombstone in the audit log: all of the recording is still there, and is asked for."""
    held, other = site.record(NOW - 100 * DAY), site.record(NOW - 100 * DAY)
    with monkeypatch.context() as broken:
        broken.setattr(Shredder, "_destroy", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            site.sweep()
    assert [site.traces(one) for one in (held, other)] == [PRESENT, PRESENT]
    hold = site.hold(held, NOW + timedelta(minutes=1))
    start(site)
    assert [site.traces(one) for one in (held, other)] == [PRESENT, GONE]
    site.sweep(NOW + DAY)
    assert site.traces(held) == PRESENT
    site.release(hold, NOW + 2 * DAY)
    site.sweep(NOW + 20 * DAY)
    assert site.traces(held) == GONE


def test_a_call_that_rang_before_midnight_and_was_answered_after_it_goes_with_its_file(site: SweepSite) -> None:
    midnight = NOW.replace(hour=0) - 90 * DAY
    recording = RecordingId(f"{midnight - timedelta(seconds=5):%Y%m%dT%H%M%SZ}-2001-abcdef")
    answered = site.record(midnight + timedelta(seconds=5))
    (path,) = site.vault.files_of(answered)
    row_of_it = site.index.get(answered)
    moved = path.with_name(f"{recording}.rec")
    path.rename(moved)
    for key in site.home.root.glob(f"keys/sealed/*/{answered}.key"):
        key.rename(key.with_name(f"{recording}.key"))
    site.index.remove(answered)
    site.index.save(replace(row_of_it, id=recording, path=moved.relative_to(site.vault.root).as_posix()))
    site.sweep()
    assert site.traces(recording) == GONE
