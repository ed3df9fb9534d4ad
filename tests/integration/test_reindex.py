"""An index that was lost or damaged is made anew from containers and audit log, and the sweep waits for the DPO."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from recorder.recordings.agreement import MARK, agree, read_mark
from recorder.recordings.home_lock import held
from recorder.recordings.reindex import ReindexRefusedError
from recorder.retention.call_deletion import RULE
from recorder.retention.sweep_safeguards import SweepStoppedError
from storage.deletion import Shredder
from storage.index_file import FileState, users_of
from storage.recovery import recover
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState
from storage.tombstones import Tombstone
from storage.types import Outcome, RecordingId
from tests.helpers.rebuild_site import RebuildSite
from tests.helpers.recorder_home import eventually
from tests.helpers.sweep_site import GONE, NOW, PRESENT

DAY = timedelta(days=1)


@pytest.fixture
def site(tmp_path: Path, ready_url: str) -> Iterator[RebuildSite]:
    yield from made(tmp_path, ready_url if ready_url.startswith("postgresql") else None)


@pytest.fixture
def file_site(tmp_path: Path) -> Iterator[RebuildSite]:
    yield from made(tmp_path, None)


def made(folder: Path, url: str | None) -> Iterator[RebuildSite]:
    site = RebuildSite(folder, url)
    try:
        yield site
    finally:
        site.close()


def looked(site: RebuildSite) -> None:
    agree(site.home.state, site.database, site.audit)


def deleted(site: RebuildSite, recording: RecordingId) -> None:
    doomed = [Tombstone(id=recording, deleted_at=site.now, rule=RULE)]
    Shredder(site.vault, site.deletions, site.audit).delete(doomed, rule=RULE)


def test_a_held_recording_is_there_91_days_after_the_index_was_lost(site: RebuildSite) -> None:
    held_one, other = site.record(NOW), site.record(NOW)
    site.hold(held_one, NOW)
    before = site.everything()
    site.lose_index()
    done = site.reindex(NOW + DAY)
    assert (done.added, done.replayed.holds) == (2, 1)
    assert site.everything() == before
    assert site.index.get(held_one).holds == ("complaint",)
    later = NOW + 91 * DAY
    with pytest.raises(SweepStoppedError, match="recorder index reconcile"):
        site.sweep(later)
    looked(site)
    site.sweep(later)
    assert site.traces(held_one) == PRESENT
    assert site.traces(other) == GONE


def test_all_that_the_log_knows_is_replayed(site: RebuildSite) -> None:
    over, reviewed, gone, kept = (site.record(NOW - DAY) for _ in range(4))
    site.release(site.hold(over, NOW), NOW)
    site.hold(reviewed, NOW)
    deleted(site, gone)
    order = ErasureOrder(
        id="0a1b2c3d", recording=kept, start_s=0.0, end_s=1.0, kind=ErasureKind.OTHER, ordered_by="olive",
        ordered_at=NOW, state=ErasureState.WAITING,
    )  # fmt: skip
    details = {
        "order": order.id,
        "start_s": 0.0,
        "end_s": 1.0,
        "kind": "other",
        "state": "waiting",
        "at": NOW.isoformat(),
    }
    site.audit.append("erasure.ordered", "olive", kept, details)
    site.erasures.place(order)
    site.audit.append("erasure.confirmed", "dora", kept, {"order": order.id, "at": NOW.isoformat()})
    site.erasures.decide(order.id, by="dora", at=NOW, confirm=True)
    live = {"id": "11112222", "state": "waiting", "start_s": 0.0, "end_s": 0.5}
    site.audit.append("opt_out.granted", "mona", reviewed, {"state": "opted_out", "erasure": live})
    site.audit.append("recording.forgot", "olive", kept, {"state": "paused", "erasure": {**live, "id": "33334444"}})
    before = site.everything()
    site.lose_index()
    done = site.reindex()
    after = site.everything()
    assert {name: after[name] for name in ("holds", "deletions", "rows")} == {
        name: before[name] for name in ("holds", "deletions", "rows")
    }
    assert site.erasures.get(order.id) == replace(
        order, state=ErasureState.CONFIRMED, decided_by="dora", decided_at=NOW
    )
    assert site.erasures.get("11112222").kind is ErasureKind.OPT_OUT
    assert site.erasures.get("33334444").kind is ErasureKind.CARD_DATA
    assert (done.replayed.holds, done.replayed.deletions, done.replayed.orders) == (2, 1, 3)
    assert (done.replayed.unreadable, done.replayed.unknown) == (0, {})
    again = site.reindex()
    assert (again.added, again.corrected, again.replayed.holds, again.replayed.orders) == (0, 0, 0, 0)


def test_a_released_hold_has_its_days_of_grace_after_the_index_was_lost(site: RebuildSite) -> None:
    recording = site.record(NOW - 100 * DAY)
    site.release(site.hold(recording, NOW - DAY), NOW)
    site.lose_index()
    site.reindex()
    looked(site)
    site.sweep(NOW + 13 * DAY)
    assert site.traces(recording) == PRESENT
    site.sweep(NOW + 15 * DAY)
    assert site.traces(recording) == GONE


def test_what_was_deleted_and_was_restored_with_the_files_goes_again(site: RebuildSite, tmp_path: Path) -> None:
    recording, other = site.record(NOW), site.record(NOW)
    for name in ("recordings", "keys"):
        shutil.copytree(site.home.root / name, tmp_path / name)
    deleted(site, recording)
    site.lose_index()
    for name in ("recordings", "keys"):
        shutil.rmtree(site.home.root / name)
        shutil.copytree(tmp_path / name, site.home.root / name)
    assert site.reindex().destroyed_again == 1
    assert site.traces(recording) == GONE
    assert site.traces(other) == PRESENT


def test_an_older_deletion_that_the_table_lacks_is_replayed_too(site: RebuildSite) -> None:
    first, second = site.record(NOW), site.record(NOW)
    copies = {path: path.read_bytes() for path in site.home.root.glob(f"*/**/{first}.*")}
    for one in (first, second):
        deleted(site, one)
    with site.database.begin() as connection:
        connection.exec_driver_sql(f"DELETE FROM deletions WHERE id = '{first}'")
    for path, content in copies.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    done = site.reindex()
    assert (done.replayed.deletions, done.destroyed_again, done.added) == (1, 1, 0)
    assert site.traces(first) == GONE


def test_calls_without_container_come_back_as_far_as_anything_tells_of_them(file_site: RebuildSite) -> None:
    site = file_site
    recorded, missed, discarded = site.record(NOW), site.miss(NOW), RecordingId("20261125T020000Z-2001-0000aa")
    site.audit.append("opt_out.granted", "mona", discarded, {"state": "discarded"})
    site.lose_index()
    done = site.reindex()
    assert site.ids() == sorted([discarded, recorded])
    assert (site.index.get(discarded).outcome, site.index.get(discarded).opted_out) == (Outcome.BLOCKED, True)
    assert done.replayed.calls == 1
    assert missed not in site.ids()


def test_a_damaged_file_is_moved_aside_and_its_readable_rows_are_taken_over(file_site: RebuildSite) -> None:
    site = file_site
    recordings = [site.record(NOW) for _ in range(40)]
    missed = [site.miss(NOW - n * timedelta(minutes=1)) for n in range(200)]
    site.database.close()
    size = site.home.index.stat().st_size
    with site.home.index.open("r+b") as file:
        file.seek(size // 2)
        file.write(os.urandom(3 * 4096))
    damaged = site.home.index.read_bytes()
    done = site.reindex()
    assert done.state is FileState.DAMAGED
    assert (site.home.root / done.moved_to[0]).read_bytes() == damaged
    assert "recorder index rebuild" in next(site.home.root.glob("lost+found/*/*.note.json")).read_text()
    assert set(recordings) <= set(site.ids())
    assert done.salvaged > 50
    assert len(set(missed) & set(site.ids())) == done.salvaged


def test_a_file_that_is_no_database_is_replaced(file_site: RebuildSite) -> None:
    recording = file_site.record(NOW)
    file_site.lose_index()
    file_site.home.index.write_bytes(b"not at all" * 100)
    done = file_site.reindex()
    assert (done.state, len(done.moved_to)) == (FileState.DAMAGED, 1)
    assert file_site.traces(recording) == PRESENT


def test_a_file_that_is_to_be_replaced_is_not_while_somebody_uses_it(file_site: RebuildSite) -> None:
    file_site.record(NOW)
    file_site.lose_index()
    with held(file_site.home), pytest.raises(ReindexRefusedError, match="stop daemon and console"):
        file_site.reindexer().run("dora")
    assert read_mark(file_site.home.state) is None
    assert not file_site.home.index.exists()


def test_a_usable_index_is_filled_up_beside_a_daemon(site: RebuildSite) -> None:
    first, second = site.record(NOW), site.record(NOW)
    site.index.remove(first)
    site.index.save(replace(site.index.get(second), path="2026/11/25/elsewhere/x.rec"))
    missed = site.miss(NOW)
    with held(site.home):
        done = site.reindex()
    assert (done.added, done.corrected, done.rows_before) == (1, 1, 2)
    assert site.ids() == sorted([first, second, missed])
    assert site.index.get(second).path == site.file_of(second).relative_to(site.vault.root).as_posix()
    assert (site.home.state / MARK).exists()


def test_files_that_are_none_of_ours_are_named_and_left(file_site: RebuildSite, tmp_path: Path) -> None:
    site = file_site
    good, torn, future, foreign, flipped, linked = (site.record(NOW) for _ in range(6))
    paths = {one: site.file_of(one) for one in (torn, future, foreign, flipped)}
    with paths[torn].open("r+b") as file:
        file.truncate(40)
    with paths[future].open("r+b") as file:
        file.seek(8)
        file.write(b"\x63\x00")
    other = RebuildSite(tmp_path / "other")
    strange = other.file_of(other.record(NOW))
    other.close()
    paths[foreign].write_bytes(strange.read_bytes())
    with paths[flipped].open("r+b") as file:
        file.seek(paths[flipped].stat().st_size - 300)
        file.write(b"\xff\x00\xff")
    link, outside = site.file_of(linked), tmp_path / "outside.rec"
    link.rename(outside)
    link.symlink_to(outside)
    before = {path: path.read_bytes() for path in paths.values()}
    site.lose_index()
    done = site.reindex()
    assert site.ids() == sorted([good, flipped])
    assert {Path(path).stem for path in done.unfiled} == {torn, future, foreign, link.stem}
    assert "format version 99" in done.unfiled[paths[future].relative_to(site.vault.root).as_posix()]
    assert [Path(path).stem for path in done.damaged] == [flipped]
    assert (site.index.get(flipped).outcome, site.index.get(flipped).reason) == (Outcome.PARTIAL, "damaged")
    assert {path: path.read_bytes() for path in paths.values()} == before
    assert link.is_symlink()


def test_looking_changes_nothing(site: RebuildSite) -> None:
    recording = site.record(NOW)
    site.hold(recording, NOW)
    site.index.remove(recording)
    entries = sum(1 for _ in site.audit.entries())
    found = site.reindexer().look()
    assert (found.containers, found.added) == (1, 1)
    assert sum(1 for _ in site.audit.entries()) == entries
    assert site.ids() == []
    assert read_mark(site.home.state) is None


def test_recover_names_and_leaves_what_is_not_ours(file_site: RebuildSite, tmp_path: Path) -> None:
    site = file_site
    one = site.file_of(site.record(NOW))
    link, outside = site.file_of(site.record(NOW)).with_suffix(".part"), tmp_path / "outside.part"
    outside.write_bytes(link.with_suffix(".rec").read_bytes()[:-10])
    before = outside.read_bytes()
    folder = one.parent
    newer = one.read_bytes()[:8] + b"\x63\x00" + one.read_bytes()[10:80]
    left = {
        folder / "notes.part": b"somebody's",
        folder / "20261125T020000Z-2001-00000a.part": b"short and foreign",
        folder / "20261125T020000Z-2001-00000b.part": newer,
    }
    for path, content in left.items():
        path.write_bytes(content)
    link.symlink_to(outside)
    torn = folder / "20261125T020000Z-2001-00000d.part"
    torn.write_bytes(one.read_bytes()[:33])
    problems = {found.id: found.problem for found in recover(site.vault, lambda _: False)}
    assert problems.pop(RecordingId(torn.stem)) is None
    assert not torn.exists()
    assert all(problems.values())
    assert len(problems) == 4
    assert "format version 99" in str(problems[RecordingId("20261125T020000Z-2001-00000b")])
    assert {path: path.read_bytes() for path in left} == left
    assert outside.read_bytes() == before
    assert link.is_symlink()


def test_whoever_has_the_index_open_is_named(file_site: RebuildSite) -> None:
    file_site.record(NOW)
    file_site.database.close()
    file_site.home.index.write_bytes(b"no database at all" * 100)
    other = subprocess.Popen(["/usr/bin/tail", "-f", str(file_site.home.index)], stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: users_of(file_site.home.index), "it has it open")
        with pytest.raises(ReindexRefusedError, match=rf"process {other.pid} \(/usr/bin/tail .* has the index open"):
            file_site.reindexer().run("dora")
    finally:
        other.kill()
        other.wait(10)
    assert file_site.home.index.exists()
    assert file_site.reindex().added == 1
