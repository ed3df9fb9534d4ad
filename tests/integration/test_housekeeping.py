"""The key holder's daily work: epochs end when nothing needs them, and what must outlive them is re-sealed first."""

import hashlib
import os
import shutil
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.common.file_lock import locked
from recorder.retention.housekeeping import run_housekeeping
from storage.container_rows import read_row
from storage.epochs import EpochKeys, current_public
from storage.erase import erase_spans
from storage.errors import KeyProblemError, StorageError
from storage.reader import open_recording
from storage.recovery import recover
from storage.reseal import reseal
from storage.retention_types import HoldKind
from storage.spans import Span
from storage.vault import Vault
from storage.verify import verify
from tests.helpers.key_site import JANUARY, OTHER, KeySite
from tests.helpers.rtp import eventually
from tests.helpers.storage_home import ID, block, row


@pytest.fixture
def site(tmp_path: Path) -> KeySite:
    return KeySite(tmp_path)


def test_the_key_of_an_empty_month_is_destroyed_for_good(site: KeySite) -> None:
    path = site.private_folder / "2026-11.key"
    twin = site.private_folder / "twin"
    twin.hardlink_to(path)
    before = twin.read_bytes()
    fingerprint = site.epochs.public_of("2026-11").fingerprint
    site.deleted()
    done = site.holder.maintain()
    assert (done.destroyed, done.resealed, done.problems) == (["2026-11", "2026-12"], [], [])
    assert site.epochs.names() == ["2027-01", "2027-02", "2027-03"]
    assert not path.exists()
    assert len(twin.read_bytes()) == len(before), "it was overwritten in place"
    assert twin.read_bytes() != before
    assert not (site.home / "keys/sealed/2026-11").exists()
    assert not (site.home / "keys/epochs/2026-11.pub").exists(), "nothing may be sealed to it any more"
    entry = site.entries("epoch.destroyed")[0]
    assert (entry.details["epoch"], entry.details["fingerprint"]) == ("2026-11", fingerprint)
    assert site.holder.maintain().destroyed == []
    assert len(site.entries("epoch.destroyed")) == 2


def test_a_key_that_is_needed_stays(site: KeySite) -> None:
    assert site.holder.maintain().destroyed == ["2026-12"]
    assert site.holder.use_of("2026-11").sentences == ["1 recording's key is sealed to it"]
    assert site.holder.destroy("2026-11", by="ict") == ["1 recording's key is sealed to it"]
    assert site.holder.destroy("2027-01", by="ict") == ["new recordings are sealed to it now"]
    assert site.holder.destroy("2027-02", by="ict") == ["its month is not over"]
    assert site.epochs.names() == ["2026-11", "2027-01", "2027-02", "2027-03"]
    site.open(site.path)


def test_a_key_that_another_node_needs_stays(site: KeySite) -> None:
    why = ["keys at node north are sealed to it"]
    holder = replace(site.holder, elsewhere=lambda epoch: why if epoch == "2026-11" else [])
    site.deleted()
    assert holder.maintain().destroyed == ["2026-12"]
    assert holder.destroy("2026-11", by="ict") == why
    assert (site.private_folder / "2026-11.key").exists()
    assert site.holder.maintain().destroyed == ["2026-11"]


def test_a_call_in_progress_keeps_its_month(site: KeySite) -> None:
    site.deleted()
    opened = site.begin()
    opened.append(block(0))
    assert "2026-11" not in site.holder.maintain().destroyed
    finished = opened.close(row(), is_complete=True)
    assert site.holder.maintain().destroyed == []
    site.open(site.vault.root / finished.path)


def test_a_month_counts_as_past_a_day_after_its_end(site: KeySite) -> None:
    site.deleted()
    site.now = datetime(2026, 12, 1, 23, 59, tzinfo=UTC)
    assert site.holder.maintain().destroyed == []
    site.now = datetime(2026, 12, 2, 0, 1, tzinfo=UTC)
    assert site.holder.maintain().destroyed == ["2026-11"]


def test_the_newest_epoch_stays_when_the_months_keys_were_not_made(site: KeySite) -> None:
    site.deleted()
    site.now = datetime(2028, 6, 1, tzinfo=UTC)
    assert site.holder.maintain().destroyed == ["2026-11", "2026-12", "2027-01", "2027-02"]
    assert current_public(site.home / "keys/epochs", site.now).name == "2027-03"
    assert site.epochs.load_private("2027-03")


def test_a_held_recording_outlives_its_month(site: KeySite) -> None:
    site.hold(HoldKind.COMPLAINT)
    content, digest = site.path.read_bytes(), site.index.get(ID).sha256
    done = site.holder.maintain()
    assert [(one.id, one.old, one.new.name) for one in done.resealed] == [(ID, "2026-11", "2027-01")]
    assert done.destroyed == ["2026-11", "2026-12"]
    assert site.path.read_bytes() == content
    assert digest == hashlib.sha256(content).hexdigest()
    assert verify(site.path, site.node.sign_public).problem is None
    assert list(site.open(site.path).blocks()) == [block(n) for n in range(5)]
    assert site.vault.sealed.find_all(ID) == ["2027-01"]
    assert read_row(site.vault, site.path)["sha256"] == digest
    entry = site.entries("recording.resealed")[0]
    assert (entry.subject, entry.details["from"], entry.details["to"]) == (ID, "2026-11", "2027-01")
    assert site.holder.maintain().resealed == []


def test_what_is_neither_due_nor_alone_waits(site: KeySite) -> None:
    """A held recording whose period runs yet stays in its month while others need that month's key."""
    site.another()
    site.hold()
    site.row = site.save(path=site.row.path, retention_due=(JANUARY + timedelta(days=9)).isoformat())
    assert site.holder.maintain().resealed == []
    site.now = JANUARY + timedelta(days=10)
    assert [one.id for one in site.holder.maintain().resealed] == [ID]
    assert site.vault.sealed.find(OTHER) == "2026-11", "the sweep deletes it, and it is not made to live longer"


def test_an_old_copy_opens_with_no_key_that_is_left(site: KeySite, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    shutil.copytree(site.home, backup)
    site.hold()
    site.holder.maintain()
    old = Vault(backup, site.node)
    (path,) = old.finished()
    with pytest.raises(KeyProblemError, match="2026-11"):
        open_recording(path, backup, site.epochs)


def test_a_restored_backup_brings_no_epoch_back(site: KeySite, tmp_path: Path) -> None:
    private, sealed = tmp_path / "old private", tmp_path / "old sealed"
    shutil.copytree(site.private_folder, private)
    shutil.copytree(site.home / "keys/sealed", sealed)
    site.hold()
    site.holder.maintain()
    erased = erase_spans(
        site.vault, site.epochs, site.index.get(ID), [Span(start_s=1, end_s=2, reason="card_data", by="dora")],
        speech=lambda *_: 0.0,
    )  # fmt: skip
    site.index.save(erased)
    shutil.copytree(private, site.private_folder, dirs_exist_ok=True)
    shutil.copytree(sealed, site.home / "keys/sealed", dirs_exist_ok=True)
    assert erased.recorded_s == 4.0
    assert len(b"".join(site.open(site.path).blocks())) < len(b"".join(block(n) for n in range(5))), "the newer counts"
    done = site.holder.maintain()
    assert (done.problems, done.destroyed) == ([], ["2026-11", "2026-12"])
    assert site.vault.sealed.find_all(ID) == ["2027-01"]
    site.open(site.path)


def test_a_rotation_within_the_month(site: KeySite) -> None:
    """After a theft: new calls at once to new keys, what there is follows, and the stolen keys open nothing here."""
    site.now = datetime(2026, 11, 25, tzinfo=UTC)
    stolen = EpochKeys(site.home / "keys/epochs", site.private_folder.parent / "stolen")
    shutil.copytree(site.private_folder, stolen.private_folder)
    assert [key.name for key in site.epochs.rotate(site.now)] == [
        "2026-11.2", "2026-12.2", "2027-01.2", "2027-02.2", "2027-03.2",
    ]  # fmt: skip
    site.another()
    assert site.vault.sealed.find(OTHER) == "2026-11.2"
    site.open(site.path)
    rotated_s = site.now.timestamp()
    for public in (site.home / "keys/epochs").glob("*.2.pub"):
        os.utime(public, (rotated_s, rotated_s))
    site.now += timedelta(minutes=50)
    assert not site.holder.use_of("2026-11").is_over, "a daemon may just have read the old key"
    site.now += timedelta(minutes=20)
    done = site.holder.maintain()
    assert done.problems == []
    assert [(one.id, one.new.name) for one in done.resealed] == [(ID, "2026-11.2")]
    assert done.destroyed[0] == "2026-11"
    assert set(site.epochs.names()) == {
        f"{month}.2" for month in ("2026-11", "2026-12", "2027-01", "2027-02", "2027-03")
    }
    for recording in (ID, OTHER):
        (path,) = site.vault.files_of(recording)
        open_recording(path, site.home, site.epochs)
        with pytest.raises(KeyProblemError):
            open_recording(path, site.home, stolen)
    assert [key.name for key in site.epochs.rotate(datetime(2027, 3, 1, tzinfo=UTC))] == ["2027-03.3"]


def test_a_key_that_opens_nothing_is_dropped_and_one_that_nobody_knows_is_not(site: KeySite) -> None:
    """A daemon that died between key and file left one; a disk that is not mounted must not look the same."""
    site.path.unlink()
    assert site.holder.maintain().destroyed == ["2026-12"]
    site.index.remove(ID)
    assert site.holder.maintain().destroyed == []
    assert site.vault.sealed.find(ID) == "2026-11"
    site.save(path=None, outcome="failed")
    assert site.holder.maintain().destroyed == ["2026-11"]
    assert [entry.subject for entry in site.entries("recording.key_destroyed")] == [ID]


def test_what_is_half_rewritten_is_left_to_the_eraser(site: KeySite) -> None:
    site.hold()
    site.path.with_suffix(".erasing").write_bytes(b"half")
    assert site.holder.maintain().resealed == []
    site.path.with_suffix(".erasing").unlink()
    assert len(site.holder.maintain().resealed) == 1


def test_a_recording_that_cannot_be_resealed_is_a_problem_and_keeps_its_key(site: KeySite) -> None:
    site.hold()
    (site.private_folder / "2026-11.key").write_text("{}")
    done = site.holder.maintain()
    assert (done.resealed, done.destroyed) == ([], ["2026-12"])
    assert "does not hold an epoch key" in done.problems[0]
    assert site.vault.sealed.find(ID) == "2026-11"


def test_an_audit_log_that_cannot_be_written_stops_it(site: KeySite) -> None:
    site.deleted()
    (site.home / "audit").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="audit log"):
        site.holder.maintain()
    assert site.epochs.load_private("2026-11"), "nothing is destroyed that cannot be written down"


def test_a_reseal_to_another_key_of_that_name_is_refused(site: KeySite) -> None:
    to = site.epochs.public_of("2027-01")
    site.vault.sealed.seal(ID, bytes(32), to)
    with pytest.raises(StorageError):
        reseal(site.vault, site.epochs, ID, to)
    assert site.vault.sealed.find_all(ID) == ["2027-01", "2026-11"], "the old one is still there"


def test_one_at_a_time(site: KeySite) -> None:
    site.deleted()
    with locked(site.holder.lock, wait=True):
        assert site.holder.maintain().is_elsewhere
    assert site.holder.maintain().destroyed


def test_the_work_is_done_day_by_day(site: KeySite) -> None:
    stopping = threading.Event()
    times = {"first_after_s": 0.01, "every_s": 0.01}
    thread = threading.Thread(target=run_housekeeping, args=(site.holder, site.archiver, stopping), kwargs=times)
    thread.start()
    try:
        eventually(lambda: "2026-12" not in site.epochs.names() or None, "the first day")
        site.hold()
        eventually(lambda: "2026-11" not in site.epochs.names() or None, "another day")
    finally:
        stopping.set()
        thread.join(5)
    assert not thread.is_alive()
    assert recover(site.vault, lambda _: False) == []
