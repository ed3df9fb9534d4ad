"""Real containers on a real disk: written, verified, opened, and damaged in every place."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from nacl.pwhash import argon2id

from storage.container_rows import read_row
from storage.epochs import EpochKeys, current_public
from storage.errors import DamagedError, KeyProblemError, WriteFailedError
from storage.keys import NodeKeys
from storage.recovery import recover
from storage.tree import Tree
from storage.vault import Vault
from storage.verify import verify
from tests.helpers.storage_home import ID, STARTED, Site, block, head, row


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_what_was_written_is_read_and_verifies(site: Site) -> None:
    path, finished = site.record()
    assert path == site.vault.root / "2026/11/24/k7" / f"{ID}.rec"
    content = path.read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (finished.bytes, finished.sha256)
    reader = site.open(path)
    assert list(reader.blocks()) == [block(0), block(1), block(2)]
    assert list(reader.marks()) == [{"kind": "paused", "at_s": 1.5}]
    assert reader.head["row"] == row()
    end = reader.end()
    assert end is not None
    assert (end["audio_frames"], end["ticks"]) == (3, 24000)
    found = verify(path, site.node.sign_public)
    assert found.problem is None
    assert (found.is_complete, found.bytes, found.sha256) == (True, finished.bytes, finished.sha256)
    assert found.signed_by == site.node.fingerprint


def test_nothing_secret_lies_in_clear(site: Site) -> None:
    path, _ = site.record()
    content = path.read_bytes()
    for secret in (b"a.officer", b"02079460000", b"housing", block(1)[24:60]):
        assert secret not in content
    assert ID.encode() in content  # the name of the file is no secret


def test_row_is_rebuilt_without_the_private_key(site: Site) -> None:
    path, finished = site.record()
    rebuilt = read_row(site.vault, path)
    assert rebuilt == row(
        ended_at="2026-11-24T09:30:03Z", path=finished.path, bytes=finished.bytes, sha256=finished.sha256
    )
    other = Vault(site.home, NodeKeys.create(site.home.parent / "elsewhere"))
    with pytest.raises(DamagedError, match="index key"):
        read_row(other, path)


def test_appended_bytes_renamed_file_and_strange_signer_are_found(site: Site) -> None:
    path, finished = site.record()
    content = path.read_bytes()
    path.write_bytes(content + b"\0")
    assert f"from byte {finished.bytes} on" in str(verify(path, site.node.sign_public).problem)
    path.write_bytes(content)
    renamed = path.rename(path.with_name("20261124T093000Z-2001-ffffff.rec"))
    assert f"it holds recording {ID}" in str(verify(renamed, site.node.sign_public).problem)
    stranger = NodeKeys.create(site.home.parent / "elsewhere")
    assert "not trusted" in str(verify(renamed, stranger.sign_public).problem)
    assert "cannot be read" in str(verify(path, site.node.sign_public).problem)


def test_a_forged_footer_does_not_verify(site: Site) -> None:
    """Somebody without the signing key rewrites everything that is clear, running hashes included."""
    path, _ = site.record(seconds=2)
    forger = NodeKeys.create(site.home.parent / "forger")
    forged_node = NodeKeys(
        sign_public=site.node.sign_public, sign_secret=forger.sign_secret, index_key=forger.index_key
    )
    path.unlink()
    site.vault.sealed.path(ID, "2026-11").unlink()
    opened = Vault(site.home, forged_node).create(head())
    opened.append(block(5))
    path = site.vault.root / opened.close(row(), is_complete=True).path
    assert "signature is wrong" in str(verify(path, site.node.sign_public).problem)


def test_discard_destroys_key_and_file(site: Site) -> None:
    opened = site.begin()
    opened.append(block(0))
    opened.discard()
    assert not opened.path.exists()
    assert not site.vault.sealed.path(ID, "2026-11").exists()
    assert recover(site.vault, lambda _: False) == []


def test_deleted_key_opens_nothing(site: Site) -> None:
    path, _ = site.record()
    site.vault.sealed.path(ID, "2026-11").unlink()
    with pytest.raises(KeyProblemError, match="is gone"):
        site.open(path)


def test_key_of_another_recording_or_epoch_does_not_open(site: Site) -> None:
    path, _ = site.record()
    other_id = type(ID)("20261124T093000Z-2001-ffffff")
    site.record(recording=other_id)
    mine, other = site.vault.sealed.path(ID, "2026-11"), site.vault.sealed.path(other_id, "2026-11")
    mine.write_bytes(other.read_bytes())
    with pytest.raises(KeyProblemError, match="another recording"):
        site.open(path)


def test_unsafe_names_are_refused(site: Site) -> None:
    with pytest.raises(ValueError, match="not a recording id"):
        site.begin(type(ID)("../../etc/passwd"))
    with pytest.raises(ValueError, match="leads out"):
        site.vault.locate("../keys/node/sign.key")


def test_epochs_fall_back_to_the_newest_and_say_so(site: Site) -> None:
    folder = site.home / "keys" / "epochs"
    assert not current_public(folder, STARTED).is_fallback
    later = current_public(folder, datetime(2028, 5, 1, tzinfo=UTC))
    assert (later.name, later.is_fallback) == ("2027-01", True)
    with pytest.raises(KeyProblemError, match="no epoch key"):
        current_public(site.home / "nothing", STARTED)


def test_private_keys_keep_their_passphrase_and_are_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPSLIMIT", "MEMLIMIT"):
        monkeypatch.setattr(argon2id, f"{name}_MODERATE", getattr(argon2id, f"{name}_MIN"))
    locked = EpochKeys(tmp_path / "epochs", tmp_path / "private", passphrase=b"correct horse")
    public = locked.create_epoch("2026-11")
    before = (tmp_path / "private" / "2026-11.key").read_bytes()
    assert locked.create_epoch("2026-11") == public
    assert (tmp_path / "private" / "2026-11.key").read_bytes() == before
    assert locked.load_private("2026-11").public == public.public
    for passphrase, words in ((None, "needs its passphrase"), (b"wrong", "does not open")):
        with pytest.raises(KeyProblemError, match=words):
            EpochKeys(tmp_path / "epochs", tmp_path / "private", passphrase=passphrase).load_private("2026-11")
    (tmp_path / "epochs" / "2026-11.pub").unlink()
    assert locked.create_epoch("2026-11") == public  # a kill between the halves is made good
    (tmp_path / "private" / "2026-11.key").chmod(0o644)
    with pytest.raises(KeyProblemError, match="0600"):
        locked.load_private("2026-11")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=False).returncode:
        assert os.geteuid() != 0, "root must be able to mount a small tmpfs"
        pytest.skip("mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_full_disk_is_an_error_and_what_was_written_stays(small_disk: Path) -> None:
    site = Site(small_disk)
    opened = site.begin()
    written = 0
    with pytest.raises(WriteFailedError, match="No space left") as failure:
        for second in range(100):
            opened.append(block(second))
            written += 1
    assert failure.value.is_taken
    assert written > 3
    with pytest.raises(WriteFailedError) as failure:
        opened.append(block(50))
    assert not failure.value.is_taken
    with pytest.raises(WriteFailedError):
        opened.close(row(), is_complete=False)
    filler = small_disk / "home" / "keys" / "sealed"
    assert filler.is_dir()
    (recovered,) = recover(site.vault, lambda _: False)
    assert recovered.finished is not None, recovered.problem
    path = site.vault.root / recovered.finished.path
    assert verify(path, site.node.sign_public).problem is None
    assert list(site.open(path).blocks()) == [block(second) for second in range(written)]


def test_room_made_again_loses_nothing(small_disk: Path) -> None:
    site = Site(small_disk)
    filler = small_disk / "filler"
    opened = site.begin()
    opened.append(block(0))
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(bytes(1 << 20))
    with pytest.raises(WriteFailedError):
        opened.append(block(1))
    filler.unlink()
    opened.append(block(2))
    finished = opened.close(row(), is_complete=True)
    path = site.vault.root / finished.path
    assert verify(path, site.node.sign_public).problem is None
    assert list(site.open(path).blocks()) == [block(0), block(1), block(2)]


def test_a_sweep_that_removes_a_folder_does_not_end_a_walk_through_all(site: Site) -> None:
    folders = [site.vault.root / "2026" / "11" / day / "k7" for day in ("21", "22", "23")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "x.rec").touch()
    walk = site.vault.finished()
    first = next(walk)
    for folder in folders:
        if folder != first.parent:
            shutil.rmtree(folder.parent)
    assert list(walk) == []
    assert list(site.vault.finished()) == [first]


def test_days_that_a_sweep_removes_meanwhile_are_passed_over(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    recordings = site.vault.root
    for day in ("21", "22", "23"):
        (recordings / "2026" / "11" / day / "k7").mkdir(parents=True)
    (recordings / "2026" / "12").mkdir()
    listed = os.scandir

    def scandir(folder: str | Path) -> object:
        if Path(folder).name == "12":  # listed a moment ago, gone now
            Path(folder).rmdir()
        return listed(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    assert Tree(recordings).days() == ["20261120", "20261121", "20261122", "20261123"]
