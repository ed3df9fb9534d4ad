"""The sweep is killed before and after each step: what is half-deleted does not open, what is held stays, and the next
one goes on."""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from recorder.recordings.resurrection_guard import destroy_returned
from storage.erasures import Erasures, is_open
from storage.old_calls import OldCalls
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState
from storage.tombstones import Deletions
from storage.types import RecordingId
from tests.crash.counted import Steps
from tests.crash.zygote import Zygote
from tests.helpers.sweep_site import GONE, NOW, PRESENT, SweepSite

DAY = timedelta(days=1)


def sweep(steps: Steps, folder: Path) -> None:
    """Sweep once."""
    site = SweepSite(folder)
    steps.watch(of_os=("write", "fdatasync", "fsync", "unlink", "rmdir", "replace"), is_after=True)
    for owner, name in ((Deletions, "settle"), (OldCalls, "remove"), (Erasures, "finish")):
        steps.watch_one(owner, name, is_after=True)
    site.sweep()


@contextmanager
def opened(folder: Path) -> Iterator[SweepSite]:
    site = SweepSite(folder)
    site.now = NOW
    try:
        yield site
    finally:
        site.close()


def make(folder: Path) -> tuple[list[RecordingId], list[RecordingId], RecordingId]:
    """Make a home; returns what is due, what must stay, and a call without a recording that is due."""
    with opened(folder) as site:
        due = [site.record(NOW - days * DAY, operator_key=f"k{days % 2}") for days in (91, 91, 130)]
        held = site.record(NOW - 100 * DAY)
        site.hold(held, NOW - 99 * DAY)
        order = ErasureOrder(
            id="0123abcd", recording=due[0], start_s=0.0, end_s=None, kind=ErasureKind.CARD_DATA,
            ordered_by="olive", ordered_at=NOW, state=ErasureState.WAITING,
        )  # fmt: skip
        site.erasures.place(order)
        return due, [held, site.record(NOW - DAY)], site.miss(NOW - 91 * DAY)


def has_tombstone(site: SweepSite, recording: RecordingId) -> bool:
    return recording in str([entry["details"] for entry in site.acts("recording.deleted")])


def check_order(site: SweepSite, recording: RecordingId) -> str:
    """Fail if a step was done before the one that must come first; returns how far the deletion has got."""
    left = site.traces(recording)
    assert left["row"] or left["tombstone"], "the tombstone takes the place of the row"
    assert left["row"] is not left["tombstone"]
    assert left["row"] or not left["file"], "the row goes last"
    assert left["file"] or not left["key"], "the key goes before the file"
    assert left["key"] or has_tombstone(site, recording), "the tombstone is in the audit log before anything goes"
    return "".join(name[0] for name in ("row", "file", "key") if left[name])


@pytest.mark.slow
@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.long)])
def test_killed_at_each_step(memory_path: Path, zygote: Zygote, every: int) -> None:
    due, stay, missed = make(memory_path / "0")
    seen = set[str]()
    for step in itertools.count(1, every):
        folder = shutil.copytree(memory_path / "0", memory_path / str(step))
        total = zygote.until(sweep, step, folder)
        with opened(folder) as site:
            seen.update(check_order(site, one) for one in due)
            is_doomed = {one: has_tombstone(site, one) for one in due}
            destroy_returned(site.home, site.vault, site.database, lambda: NOW)
            assert {one: site.traces(one) for one in due} == {
                one: GONE if doomed else PRESENT for one, doomed in is_doomed.items()
            }, step
            site.sweep(NOW + timedelta(minutes=1))
            assert [site.traces(one) for one in due] == [GONE] * 3, step
            assert [site.traces(one) for one in stay] == [PRESENT] * 2, step
            assert missed not in site.ids()
            assert not is_open(site.erasures.get("0123abcd"))
            deleted = [one["id"] for entry in site.acts("recording.deleted") for one in entry["details"]["recordings"]]
            assert sorted(deleted) == sorted(due), f"step {step}: each once"
            assert len(site.acts("erasure.done")) in (1, 2)
            assert site.audit.verify().bad is None
            assert sorted(path.name for path in site.vault.root.glob("2026/*/*")) == ["17", "24"]
        shutil.rmtree(folder)
        if total is not None:
            assert step - every <= total < step
            assert total > 60
            break
    assert seen == {"rfk", "rf", "r", ""}
