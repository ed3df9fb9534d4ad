"""A site is backed up, lost, and restored elsewhere: every recording, hold and claim; nothing that was deleted."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest
import sqlalchemy as sa

from benchmarks.postgres import PostgresServer
from recorder.backups import pieces
from recorder.backups.checking import BackupChecker, list_snapshots
from recorder.backups.errors import BackupError, UnreadableFileError
from recorder.backups.rehearsal import Rehearsal, remove_left
from recorder.backups.rules import BackupClass
from recorder.backups.status import INCOMPLETE, OVERDUE, REHEARSAL_FAILED, REHEARSAL_OVERDUE, BackupHealth
from recorder.common.home import Home
from recorder.config.backup_options import BackupOptions
from recorder.config.reading import read_config
from recorder.recordings.agreement import read_mark
from recorder.recordings.inspection import Inspector
from recorder.retention.sweep_safeguards import SweepStoppedError
from storage import database_copy
from storage.claims import Claims
from storage.database import Database
from storage.index import Index
from storage.rows import row_from_json
from storage.tables import recordings
from storage.types import RecordingId
from storage.vault import Vault
from tests.helpers.backup_site import BackupSite
from tests.helpers.rebuild_site import RebuildSite
from tests.helpers.storage_home import row
from tests.helpers.sweep_site import GONE, NOW, PRESENT

DAY = timedelta(days=1)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[BackupSite]:
    made = BackupSite(tmp_path)
    try:
        yield made
    finally:
        made.close()


def problems(site: BackupSite) -> list[str]:
    return list(BackupChecker(site.repository()).problems())


def restored(site: BackupSite, name: str = "restored", url: str | None = None) -> RebuildSite:
    return RebuildSite(site.folder, url, name=name)


def verified(site: RebuildSite) -> dict[RecordingId, str | None]:
    return {one.id: one.problem for one in Inspector(vault=site.vault, index=site.index).all()}


@pytest.mark.parametrize("is_on_server", [False, True], ids=["sqlite", "postgresql"])
def test_a_lost_site_is_restored_as_it_was_but_for_what_was_deleted(
    tmp_path: Path, is_on_server: bool, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue("postgres") if is_on_server else None
    site = BackupSite(tmp_path, server.new_database() if server else None)
    held, claimed, erased, before, after, away, erased_later, kept = (site.record(NOW - DAY) for _ in range(8))
    unrecorded = site.miss(NOW - DAY)
    hold, claim = site.hold(held, NOW), site.claim(claimed)
    site.erase(erased)
    site.delete(before)
    made = site.back_up()
    assert (made.recordings, problems(site)) == (7, [])
    late = site.record(NOW)

    site.delete(after)
    assert site.follow() == ""
    assert site.objects_of(after) == []
    site.dest.rename(tmp_path / "away")
    site.delete(away)
    site.erase(erased_later)
    site.hold(kept, NOW)
    assert "Is the disk mounted?" in site.follow()
    (tmp_path / "away").rename(site.dest)
    assert site.objects_of(away), "the log is the queue"
    former = set(site.objects_of(erased_later))
    assert site.follow() == ""
    assert (site.objects_of(away), problems(site)) == ([], [])
    assert len(site.objects_of(erased_later)) == 2
    assert former.isdisjoint(site.objects_of(erased_later)), "as it was before the erasure it is in no backup"

    expected = site.everything()
    spans = {one: site.index.get(one).segments for one in (erased, erased_later)}
    for part in ("rows", "officers", "identities"):  # the call after the backup is lost with the machine
        rows = expected[part]
        expected[part] = (
            {k: v for k, v in rows.items() if k != late} if part == "rows" else [r for r in rows if late not in r]
        )
    site.wipe()
    url = server.new_database() if server else None
    done = site.restore(url=url)
    assert (done.settled.problems, done.settled.verified, done.settled.months_without_key) == ({}, 5, [])
    new = restored(site, url=url)
    try:
        assert verified(new) == dict.fromkeys((held, claimed, erased, erased_later, kept), None)
        assert new.everything() == expected
        assert {str(new.traces(one)) for one in (before, after, away)} == {str(GONE)}
        assert str(new.traces(held)) == str(PRESENT)
        assert unrecorded in new.ids()
        assert {one: new.index.get(one).segments for one in spans} == spans
        assert [one.id for one in new.holds.keeping(held, NOW)] == [hold.id]
        assert Claims(new.database).get(claim.id) == claim
        assert new.audit.verify().bad is None
        assert [one["actor"] for one in new.acts("backup.restored")] == ["os:tester"]
        assert (new.home.notices / "first.wav").read_bytes() == b"a message"
        assert read_config(new.home.config).backup == BackupOptions(), "a trial does not write to the real backup"
        assert f'set destination = "{site.dest}" again once' in done.notes[-1]
        assert {one.stat().st_mode & 0o777 for one in new.home.root.rglob("*") if one.is_file()} == {0o600}
        with pytest.raises(SweepStoppedError, match="restored from snapshot"):
            new.sweep(NOW + DAY)
        audio = new.epochs.load_private("2026-11")
        assert new.vault.sealed.unseal(erased_later, audio)
    finally:
        new.close()


def test_keys_that_are_kept_elsewhere_are_copied_and_restored_into_the_home(tmp_path: Path) -> None:
    site = BackupSite(tmp_path)
    site.record(NOW - DAY)
    elsewhere = tmp_path / "elsewhere"
    site.home.private_keys.rename(elsewhere)
    site.home.private_keys.mkdir()
    site.home.accounts_key.write_bytes(b"a key of the accounts\n")
    text = site.home.config.read_text()
    site.home.config.write_text(f'{text}[storage]\nprivate_keys = "{elsewhere}"\n')
    assert site.back_up().problems == []
    (elsewhere / "2026-11.key").rename(tmp_path / "2026-11.key")
    assert "the private keys of 2026-11 are not in" in site.back_up().problems[0]
    (tmp_path / "2026-11.key").rename(elsewhere / "2026-11.key")
    site.back_up()
    site.wipe()
    done = site.restore()
    new = Home(tmp_path / "restored")
    assert {path.name for path in new.private_keys.iterdir()} == {"2026-11.key", "accounts.key"}
    assert read_config(new.config).storage.private_keys is None
    assert (done.settled.problems, done.settled.months_without_key) == ({}, [])


def test_a_damaged_private_key_is_said_and_older_snapshots_of_the_keys_are_kept(tmp_path: Path) -> None:
    site = BackupSite(tmp_path, days="keys_days = 1\n")
    site.record(NOW - DAY)
    first = site.back_up()
    key = site.home.private_keys / "2026-11.key"
    content = key.read_bytes()
    key.write_bytes(content[:-20])
    made = site.back_up(at=NOW + 3 * DAY)
    assert made.problems == [f"{key} does not hold an epoch key; older snapshots of the keys are kept"]
    assert made.recordings == 1
    kept = [one.id for one in list_snapshots(site.repository(site.keys))]
    assert kept == [first.snapshot, made.snapshot]
    key.write_bytes(content)
    last = site.back_up(at=NOW + 6 * DAY)
    assert (last.problems, [one.id for one in list_snapshots(site.repository(site.keys))]) == ([], [last.snapshot])
    site.close()


def test_the_next_backup_copies_what_is_new_and_the_one_before_can_still_be_restored(site: BackupSite) -> None:
    one = site.record(NOW - DAY)
    first = site.back_up()
    pieces = {path for path in site.dest.glob("media/**/*") if path.is_file()}
    two = site.record(NOW - DAY)
    plan = site.backup_of().plan()
    assert (plan.recordings, plan.new_recordings) == (2, 1)
    second = site.back_up()
    assert {path for path in site.dest.glob("media/**/*") if path.is_file()} > pieces
    assert len(site.objects_of(one)) == len(site.objects_of(two)) == 2
    assert second.new_bytes < second.bytes
    assert [listed.id for listed in list_snapshots(site.repository())] == [first.snapshot, second.snapshot]
    site.delete(one)
    site.restore(snapshot=first.snapshot)
    new = restored(site)
    assert new.ids() == [one], "its deletion has not been carried to the destination yet"
    new.close()


@pytest.mark.parametrize("at", [1, 2], ids=["while it is copied", "after it was copied"])
def test_what_is_deleted_while_a_backup_copies_is_not_in_it(site: BackupSite, at: int) -> None:
    made_ids = [site.record(NOW - DAY) for _ in range(4)]
    doomed, erased, moment = made_ids[1], made_ids[0], made_ids[at]
    store = site.repository().store
    before = store.put_soon

    def put(key: str, content: bytes) -> None:
        if key.startswith(f"media/{moment[:8]}/{moment}") and site.vault.files_of(doomed):
            site.delete(doomed)
            site.erase(erased)
            assert site.follow() == "", "the console carries it before the copy is there"
        before(key, content)

    store.put_soon = put  # type: ignore[method-assign]
    made = site.back_up(store)
    assert made.recordings == 3
    assert site.objects_of(doomed) == []
    assert len(site.objects_of(erased)) == 2
    assert problems(site) == []
    site.wipe()
    assert site.restore().settled.problems == {}


@pytest.mark.parametrize("is_counted", [False, True], ids=["listed", "listed and counted"])
def test_a_recording_that_is_deleted_before_it_is_copied_does_not_stop_the_backup(
    site: BackupSite, monkeypatch: pytest.MonkeyPatch, is_counted: bool
) -> None:
    doomed, _ = site.record(NOW - DAY), site.record(NOW - DAY)
    walk = Vault.finished

    def finished(vault: Vault) -> Iterator[Path]:
        found = list(walk(vault))
        for number, path in enumerate([*found, None]):
            if number == (len(found) if is_counted else 0) and site.vault.files_of(doomed):
                site.delete(doomed)
            if path is not None:
                yield path

    monkeypatch.setattr(Vault, "finished", finished)
    assert site.back_up().recordings == 1
    assert site.objects_of(doomed) == []
    assert problems(site) == []


def test_old_snapshots_expire_class_by_class_and_their_pieces_go(tmp_path: Path) -> None:
    site = BackupSite(tmp_path, days="media_days = 30\nindex_days = 2\naccounts_days = 30\naudit_days = 10\n")
    lost = site.record(NOW - DAY)
    deleted = site.record(NOW - DAY)
    first = site.back_up(at=NOW)
    site.delete(deleted)
    for path in site.vault.files_of(lost):  # lost without having been deleted
        path.unlink()
    second = site.back_up(at=NOW + 3 * DAY)
    assert second.expired == [first.snapshot]
    listed = {one.id: set(map(str, one.classes)) for one in list_snapshots(site.repository())}
    assert listed == {
        first.snapshot: {"accounts", "audit", "media"},
        second.snapshot: {"index", "accounts", "audit", "media"},
    }
    with pytest.raises(BackupError, match=f"snapshot {first.snapshot} has no index any more"):
        site.restore(snapshot=first.snapshot)
    assert site.objects_of(lost)
    third = site.back_up(at=NOW + 11 * DAY)
    assert set(map(str, list_snapshots(site.repository())[0].classes)) == {"accounts", "media"}
    assert third.expired == [first.snapshot, second.snapshot]
    assert problems(site) == [], "a recording that was deleted is missing rightly"
    site.back_up(at=NOW + 31 * DAY)
    assert first.snapshot not in [one.id for one in list_snapshots(site.repository())]
    assert site.objects_of(lost), "the only copy of a recording that the index has is kept"
    assert problems(site) == []
    site.delete(lost)
    site.back_up(at=NOW + 32 * DAY)
    assert site.objects_of(lost) == []
    assert problems(site) == []
    site.close()


def test_a_changed_piece_list_document_or_journal_is_found(site: BackupSite) -> None:
    recording = site.record(NOW - DAY)
    made = site.back_up()
    site.hold(recording, NOW)
    assert site.follow() == ""
    assert problems(site) == []
    (journal,) = site.dest.glob("journal/0*.json")
    found = [*site.objects_of(recording), *site.dest.glob(f"snapshots/{made.snapshot}/*"), journal]
    assert len(found) == 8
    found.append(site.dest / "journal" / "settled.json")
    for path in found:
        content = path.read_bytes()
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        said = problems(site)
        assert said, path
        assert str(path) in said[0] or path.name in said[0]
        with pytest.raises(BackupError):
            site.restore(f"of-{path.name}")
        path.unlink()
        said = problems(site)
        assert bool(said) is (path.suffix != ".jsonl" and path.name != "snapshot.json"), "a missing list has expired"
        path.write_bytes(content)
    assert problems(site) == []


def test_a_part_of_the_journal_that_was_removed_is_found(site: BackupSite) -> None:
    held = [site.record(NOW - DAY) for _ in range(2)]
    first = site.back_up()
    for one in held:
        site.hold(one, NOW)
        assert site.follow() == ""
    for path in sorted(site.dest.glob("journal/0*.json"))[-2:]:
        content = path.read_bytes()
        path.unlink()
        said = problems(site)
        assert said, path.name
        assert "journal" in said[0]
        assert "lacks entries" in said[0]
        path.write_bytes(content)
    assert problems(site) == []
    second = site.back_up()
    between = sorted(site.dest.glob("journal/0*.json"))[-3]
    between.unlink()
    assert "lacks entries" in problems(site)[0]
    assert "lacks entries" in site.restore_to("old", snapshot=first.snapshot).plan().gap
    assert site.restore_to("new", snapshot=second.snapshot).plan().gap == ""


def test_a_damaged_file_of_texts_is_said_and_deletions_are_carried_once_it_is_mended(site: BackupSite) -> None:
    recording = site.record(NOW - DAY)
    site.back_up()
    site.claim(recording)
    texts = site.home.audit / "texts.sqlite"
    content = texts.read_bytes()
    texts.write_bytes(b"not a database" * 1000)
    site.delete(recording)
    assert "the texts of the audit log cannot be read: file is not a database" in site.follow()
    texts.write_bytes(content)
    assert site.follow() == ""
    assert site.objects_of(recording) == []


def test_a_signature_of_another_recorder_counts_for_nothing(site: BackupSite, tmp_path: Path) -> None:
    site.record(NOW - DAY)
    site.back_up()
    (tmp_path / "b").mkdir()
    other = BackupSite(tmp_path / "b")
    other.record(NOW - DAY)
    other.back_up()
    with pytest.raises(BackupError, match="belongs to another recorder"):
        other.back_up(site.repository().store)
    shutil.rmtree(site.dest)
    other.dest.rename(site.dest)
    with pytest.raises(BackupError, match="belongs to another recorder"):
        site.restore()
    other.close()


def test_nothing_is_restored_over_data_and_nothing_is_backed_up_to_an_unmounted_disk(
    site: BackupSite, tmp_path: Path
) -> None:
    site.record(NOW - DAY)
    site.back_up()
    (tmp_path / "restored").mkdir()
    (tmp_path / "restored" / "anything").write_text("mine")
    with pytest.raises(BackupError, match="is not empty, and nothing in it is overwritten"):
        site.restore()
    assert [path.name for path in (tmp_path / "restored").iterdir()] == ["anything"]
    site.dest.rename(tmp_path / "unmounted")
    site.dest.mkdir()
    with pytest.raises(BackupError, match="Is the disk mounted"):
        site.back_up()
    assert list(site.dest.iterdir()) == []


def test_an_index_on_a_server_is_filled_once_and_one_that_has_rows_is_refused(
    site: BackupSite, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = site.record(NOW - DAY)
    site.back_up()
    expected, url = site.everything(), postgres.new_database()

    def killed(source: Path, target: Database) -> NoReturn:
        database_copy.copy_from_file(source, target)
        raise InterruptedError

    with monkeypatch.context() as patched:
        patched.setattr("recorder.backups.restore.copy_from_file", killed)
        with pytest.raises(InterruptedError):
            site.restore(url=url)
    assert site.restore(url=url).settled.problems == {}
    new = restored(site, url=url)
    assert (new.ids(), new.everything()) == ([recording], expected)
    new.close()
    with pytest.raises(BackupError, match=r"has rows in .*recordings.* name another database with --index-url"):
        site.restore("another", url=url)


def test_a_restored_site_goes_on_with_the_same_destination(site: BackupSite) -> None:
    recording = site.record(NOW - DAY)
    site.back_up()
    site.wipe()
    site.restore("home")
    site.node = site.node.load(site.home.root)
    site.open()
    assert read_mark(site.home.state) is not None
    site.delete(recording)
    assert site.follow() == ""
    assert site.objects_of(recording) == []
    assert site.back_up().recordings == 0
    assert problems(site) == []


@pytest.mark.parametrize("is_lost", [False, True], ids=["changed", "lost"])
def test_a_disk_that_does_not_keep_what_was_written_makes_no_snapshot(site: BackupSite, is_lost: bool) -> None:
    first = site.back_up().snapshot
    recording = site.record(NOW - DAY)
    store = site.repository().store
    before = store.put_soon

    def put(key: str, content: bytes) -> None:
        if recording not in key:
            before(key, content)
        elif not is_lost:
            before(key, content[:-1] + bytes([content[-1] ^ 1]))

    store.put_soon = put  # type: ignore[method-assign]
    with pytest.raises(BackupError, match="does not read back as it was written: check that disk"):
        site.back_up(store)
    assert [one.id for one in list_snapshots(site.repository())] == [first]
    assert site.back_up().recordings == 1, "the next one does not take it for what it should be"
    assert problems(site) == []


def test_a_link_or_a_pipe_among_the_recordings_is_not_followed(site: BackupSite, tmp_path: Path) -> None:
    recording = site.record(NOW - DAY)
    (path,) = site.vault.files_of(recording)
    (tmp_path / "secret").write_bytes(b"somebody else's")
    path.with_name(f"{recording[:-1]}f.rec").symlink_to(tmp_path / "secret")
    os.mkfifo(path.with_name(f"{recording[:-1]}e.rec"))
    assert site.back_up().recordings == 1
    key = site.vault.sealed.path(recording, "2026-11")
    key.unlink()
    key.symlink_to(tmp_path / "secret")
    (problem,) = site.back_up().problems
    assert f"recording {recording}: " in problem
    assert "is a link, and is not copied" in problem
    assert not any(b"somebody else's" in one.read_bytes() for one in site.dest.rglob("*") if one.is_file())


def test_a_database_is_copied_although_rows_are_written_between_all_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, steps = tmp_path / "index.sqlite", 0
    with closing(sqlite3.connect(source)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        with database:
            database.execute("CREATE TABLE calls (filling BLOB)")
            database.executemany("INSERT INTO calls VALUES (?)", [(bytes(4000),)] * 500)

        def write(*_: int) -> None:
            nonlocal steps
            steps += 1
            assert steps < 1000, "the copy began again at each write"
            with database:
                database.execute("INSERT INTO calls VALUES (x'00')")

        monkeypatch.setattr(database_copy, "_PAGES_AT_ONCE", 8)
        monkeypatch.setattr(database_copy, "_look_at_signals", write)
        database_copy.copy_sqlite(source, tmp_path / "copy.sqlite")
    assert steps > 60
    with closing(sqlite3.connect(tmp_path / "copy.sqlite")) as copy:
        assert copy.execute("SELECT count(*) FROM calls").fetchone() == (500,)


def test_the_rows_of_all_tables_are_of_one_moment(database: Database) -> None:
    index = Index(database)
    with database.snapshot() as read:
        count = sa.select(sa.func.count()).select_from(recordings)
        assert read.execute(count).scalar() == 0
        index.save(row_from_json(row()))
        assert read.execute(count).scalar() == 0, "what is written meanwhile belongs to the next one"
    with database.snapshot() as read:
        assert read.execute(count).scalar() == 1


def made_of(site: BackupSite) -> tuple[list[str], dict[str, str]]:
    """Back up; return the problems, and the digest of each container in the new snapshot."""
    made = site.back_up()
    repository = site.repository()
    files = repository.files(repository.load(made.snapshot), BackupClass.MEDIA)
    return made.problems, {Path(one.path).stem: one.sha256 for one in files if one.path.endswith(".rec")}


def container(site: BackupSite, recording: RecordingId) -> Path:
    path = site.index.get(recording).path
    assert path is not None
    return site.vault.root / path


def test_what_is_altered_or_missing_here_is_named_and_kept_from_the_last_backup(site: BackupSite) -> None:
    altered, removed, keyless, fine = (site.record(NOW - DAY) for _ in range(4))
    problems_before, digests = made_of(site)
    assert problems_before == []
    late_altered, late_removed, late_fine = (site.record(NOW) for _ in range(3))
    for recording in (altered, late_altered):
        content = bytearray(container(site, recording).read_bytes())
        content[-200] ^= 1
        container(site, recording).write_bytes(content)
    for recording in (removed, late_removed):
        container(site, recording).unlink()
    (key,) = (path for path in (site.home.root / "keys" / "sealed").rglob(f"{keyless}.key"))
    key.unlink()
    named, now = made_of(site)
    said = {sentence.split()[1].rstrip(":"): sentence for sentence in named}
    assert said.keys() == {altered, removed, keyless, late_altered, late_removed}
    assert "its file was altered" in said[altered]
    assert "its file is missing" in said[removed]
    assert "its sealed key is missing" in said[keyless]
    assert all("is kept: restore it from there" in said[one] for one in (altered, removed, keyless))
    assert all("no earlier backup here has it" in said[one] for one in (late_altered, late_removed))
    assert {one: now[one] for one in (altered, removed, keyless, fine)} == digests
    assert late_fine in now, "everything else is copied"
    assert late_removed not in now
    again, _ = made_of(site)
    assert len(again) == 5, "until it is mended"
    assert problems(site) == []
    done = site.restore()
    assert set(done.settled.problems) == {late_altered, late_removed}, "what was kept opens and verifies"


def test_a_recording_that_cannot_be_read_is_named_and_the_rest_is_copied(
    site: BackupSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked, unreadable, good = (site.record(NOW - DAY) for _ in range(3))
    path = container(site, linked)
    kept = path.with_name("aside")
    path.rename(kept)
    path.symlink_to(kept)
    read = pieces._pieces

    def failing(reading: Callable[[int], bytes], limit: int | None) -> Iterator[bytes]:
        for piece in read(reading, limit):
            if piece == container(site, unreadable).read_bytes():
                raise UnreadableFileError(f"{container(site, unreadable)} cannot be read: Input/output error")
            yield piece

    monkeypatch.setattr(pieces, "_pieces", failing)
    named, now = made_of(site)
    assert len(named) == 2
    assert any(linked in sentence and "is a link" in sentence for sentence in named)
    assert any(unreadable in sentence and "cannot be read" in sentence for sentence in named)
    assert set(now) == {good}


def test_what_is_deleted_or_erased_from_while_it_is_copied_is_no_problem(site: BackupSite) -> None:
    deleted, erased, _ = (site.record(NOW - DAY) for _ in range(3))
    assert made_of(site)[0] == []
    site.delete(deleted)
    site.erase(erased)
    assert made_of(site)[0] == []


@pytest.mark.parametrize("damage", ["none", "piece", "key"])
def test_a_restore_on_trial_says_what_a_real_one_would_lack_and_leaves_nothing(site: BackupSite, damage: str) -> None:
    recordings = [site.record(NOW - DAY) for _ in range(3)]
    site.back_up()
    if damage == "piece":
        next(path for path in site.dest.glob(f"media/*/{recordings[0]}/*") if path.stat().st_size > 1000).unlink()
    if damage == "key":
        for path in site.keys.glob("keys/pieces/*"):
            path.write_bytes(b"not what it was")
    before = {path for path in site.home.root.rglob("*") if path.is_file()}
    at = site.at + timedelta(hours=1)
    done = Rehearsal(
        data=site.repository(), keys=site.repository(site.keys), home=site.home, scratch=site.home.root / "rehearsal",
        snapshot=None, now=lambda: at, clock=lambda: 0.0, by="os:tester",
    ).run()  # fmt: skip
    assert (done.problems == []) is (damage == "none"), done.problems
    if damage == "none":
        assert (done.recordings, done.opened) == (3, 1)
    assert not (site.home.root / "rehearsal").exists()
    new = {path.name for path in site.home.root.rglob("*") if path.is_file() and path not in before}
    assert new <= {"rehearsal.lock", "backup.json"}, "nothing else of the home is touched"
    health = BackupHealth(
        site.home.state, lambda: BackupOptions(destination=str(site.dest)), lambda: at + DAY, NOW
    ).look()  # fmt: skip
    assert (REHEARSAL_FAILED in health["alarms"]) is (damage != "none")
    assert health["rehearsal"]["problems"] == done.problems


def test_a_restore_on_trial_is_missed_after_forty_days_and_a_problem_until_it_is_mended(site: BackupSite) -> None:
    def alarms(days: float) -> set[str]:
        options = BackupOptions(destination=str(site.dest))
        return set(BackupHealth(site.home.state, lambda: options, lambda: NOW + days * DAY, NOW).look()["alarms"])

    recording = site.record(NOW - DAY)
    site.back_up()
    assert alarms(1) == set()
    assert alarms(41) == {OVERDUE, REHEARSAL_OVERDUE}
    container(site, recording).unlink()
    site.back_up()
    assert alarms(1) == {INCOMPLETE}


def test_a_folder_of_others_is_not_removed_by_a_rehearsal(site: BackupSite, tmp_path: Path) -> None:
    site.record(NOW - DAY)
    site.back_up()
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "letter.txt").write_text("dear all")
    with pytest.raises(BackupError, match="not empty, and would be removed"):
        Rehearsal(
            data=site.repository(), keys=site.repository(site.keys), home=site.home, scratch=precious, snapshot=None,
            now=lambda: NOW, clock=lambda: 0.0, by="os:tester",
        ).run()  # fmt: skip
    assert (precious / "letter.txt").exists()


def rehearsal_into(site: BackupSite, scratch: Path) -> Rehearsal:
    return Rehearsal(
        data=site.repository(), keys=site.repository(site.keys), home=site.home, scratch=scratch, snapshot=None,
        now=lambda: NOW, clock=lambda: 0.0, by="os:tester",
    )  # fmt: skip


@pytest.mark.parametrize("which", ["the home", "a folder above the home", "another recorder", "an interrupted restore"])
def test_no_recorder_is_removed_by_a_rehearsal(site: BackupSite, tmp_path: Path, which: str) -> None:
    site.record(NOW - DAY)
    site.back_up()
    scratch = site.home.root
    if which == "a folder above the home":
        scratch = site.home.root.parent
        (scratch / "recordings").mkdir()
    elif which == "another recorder":
        scratch = tmp_path / "another"
        shutil.copytree(site.home.root, scratch)
    elif which == "an interrupted restore":
        scratch = tmp_path / "begun"
        (scratch / "recordings").mkdir(parents=True)
        (scratch / "restore.json").write_text('{"snapshot": "000001-20261128T020000Z"}')
    before = {path for path in scratch.rglob("*") if path.is_file()}
    with pytest.raises(BackupError, match="not empty, and would be removed"):
        rehearsal_into(site, scratch).run()
    assert before <= set(scratch.rglob("*"))


def test_what_a_killed_rehearsal_left_is_removed(site: BackupSite, monkeypatch: pytest.MonkeyPatch) -> None:
    site.record(NOW - DAY)
    site.back_up()
    scratch = site.home.root / "rehearsal"

    def die(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr("recorder.backups.restore.settle", die)
        killed.setattr("recorder.backups.rehearsal.remove", lambda _scratch: None)
        with pytest.raises(KeyboardInterrupt):
            rehearsal_into(site, scratch).run()
    assert any((scratch / "private").iterdir()), "private keys and recordings are there"
    assert remove_left(site.home)
    assert not scratch.exists()
    assert not remove_left(site.home)
