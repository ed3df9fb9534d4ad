"""Backup and restore are killed at any step: the last complete snapshot stays, nothing deleted comes back, and the next
run goes on."""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from recorder.backups.checking import BackupChecker, list_snapshots
from recorder.backups.restore import MARK
from storage.types import RecordingId
from tests.crash.counted import Steps
from tests.crash.zygote import Zygote
from tests.helpers.backup_site import BackupSite
from tests.helpers.rebuild_site import RebuildSite
from tests.helpers.sweep_site import GONE, NOW, PRESENT

DAY = timedelta(days=1)
AT = NOW + 3 * DAY
STEPS = ("write", "fsync", "fdatasync", "unlink", "rename", "replace", "rmdir")


def back_up(steps: Steps, folder: Path) -> None:
    site = BackupSite(folder)
    steps.watch(of_os=STEPS, is_after=True)
    site.back_up(at=AT)


def restore(steps: Steps, folder: Path) -> None:
    site = BackupSite(folder)
    steps.watch(of_os=STEPS, is_after=True)
    site.restore("new")


@contextmanager
def opened(folder: Path) -> Iterator[BackupSite]:
    site = BackupSite(folder, days="media_days = 1\nindex_days = 1\naccounts_days = 1\naudit_days = 1\nkeys_days = 1\n")
    try:
        yield site
    finally:
        site.close()


def make(folder: Path) -> tuple[str, RecordingId, RecordingId, RecordingId]:
    """Make a site with a snapshot; returns that, and recordings: deleted since, kept, made since."""
    folder.mkdir()
    with opened(folder) as site:
        gone, kept = site.record(NOW - DAY), site.record(NOW - DAY)
        first = site.back_up().snapshot
        site.delete(gone)
        site.erase(kept)
        return first, gone, kept, site.record(NOW)


def check(site: BackupSite, step: int) -> list[str]:
    assert list(BackupChecker(site.repository()).problems()) == [], step
    assert list(BackupChecker(site.repository(site.keys)).problems()) == [], step
    return [one.id for one in list_snapshots(site.repository()) if len(one.classes) == 4]


def kill_each(zygote: Zygote, victim: object, base: Path, every: int) -> Iterator[tuple[int, Path]]:
    """Yield a copy of a site after the victim was killed in it, until the victim comes to its end."""
    for step in itertools.count(1, every):
        folder = shutil.copytree(base, base.parent / str(step))
        total = zygote.until(victim, step, folder)  # type: ignore[arg-type]
        yield step, folder
        shutil.rmtree(folder)
        if total is not None:
            assert step > every, "it was killed at least twice"
            return


@pytest.mark.parametrize("every", [29, pytest.param(1, marks=pytest.mark.long)])
def test_a_killed_backup_leaves_the_last_snapshot_and_the_next_goes_on(
    zygote: Zygote, memory_path: Path, every: int
) -> None:
    first, gone, kept, new = make(memory_path / "base")
    seen = set()
    for step, folder in kill_each(zygote, back_up, memory_path / "base", every):
        with opened(folder) as site:
            complete = check(site, step)
            assert len(complete) in (1, 2)
            seen.add((first in complete, len(complete)))
            done = site.back_up(at=AT + timedelta(hours=1))
            assert (done.recordings, site.objects_of(gone)) == (2, [])
            assert done.snapshot in check(site, step)
            assert not list(site.dest.rglob(".new-*"))
            assert not (site.dest / "staging").exists()
            assert {len(site.objects_of(one)) for one in (kept, new)} == {2}, "without what snapshots no longer need"
    assert {(True, 1), (False, 1)} <= seen


@pytest.mark.parametrize("every", [29, pytest.param(1, marks=pytest.mark.long)])
def test_a_killed_restore_is_no_home_until_it_is_run_again(zygote: Zygote, memory_path: Path, every: int) -> None:
    _, gone, kept, new = make(memory_path / "base")
    with opened(memory_path / "base") as site:
        site.hold(kept, NOW)
        site.back_up()
        site.delete(new)
        assert site.follow() == ""
    for step, folder in kill_each(zygote, restore, memory_path / "base", every):
        home = folder / "new"
        is_home = (home / "recorder.toml").exists()
        if is_home:
            check_restored(folder, step, gone, kept, new)
        if not is_home or (home / MARK).exists():
            with opened(folder) as site:
                assert site.restore("new").settled.problems == {}, step
        check_restored(folder, step, gone, kept, new)
        assert not (home / MARK).exists()


def check_restored(folder: Path, step: int, gone: RecordingId, kept: RecordingId, new: RecordingId) -> None:
    restored = RebuildSite(folder, name="new")
    try:
        assert [restored.traces(one) for one in (gone, kept, new)] == [GONE, PRESENT, GONE], step
        assert restored.audit.verify().bad is None
        assert len(restored.holds.keeping(kept, NOW)) == 1
        assert not list(restored.home.root.rglob(".new-*"))
    finally:
        restored.close()
