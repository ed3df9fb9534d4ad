"""The key holder's daily work is killed at each step: a held recording always opens, its old month goes in the end.

So is a change of passphrase: every key opens with the old one or with the new one.
"""

import shutil
from pathlib import Path

import pytest
from nacl.pwhash import argon2id

from storage.epochs import EpochKeys
from storage.recovery import recover
from storage.verify import verify
from tests.crash.counted import Steps
from tests.crash.zygote import Zygote
from tests.helpers.key_site import KeySite
from tests.helpers.storage_home import ID, block


def watch(steps: Steps) -> None:
    steps.watch(
        of_os=("write", "writev", "pwrite", "fdatasync", "fsync", "link"),
        of_path=("rename", "replace", "unlink", "rmdir"),
    )


def tend(steps: Steps, folder: Path) -> None:
    """Do the key holder's daily work."""
    site = KeySite(folder)
    watch(steps)
    done = site.holder.maintain()
    assert not done.problems, done.problems


def change_passphrase(steps: Steps, public: Path, private: Path) -> None:
    """Change the passphrase from the old one to the new one."""
    for name in ("OPSLIMIT", "MEMLIMIT"):
        setattr(argon2id, f"{name}_MODERATE", getattr(argon2id, f"{name}_MIN"))
    keys = EpochKeys(public, private, passphrase=b"the old one")
    watch(steps)
    keys.change_passphrase(b"the new one")


@pytest.mark.slow
def test_killed_at_each_step_of_resealing_and_destroying(memory_path: Path, zygote: Zygote) -> None:
    first = KeySite(memory_path / "first")
    first.hold()
    content = first.path.read_bytes()
    first.index.close()
    step, seen = 1, set()
    while True:
        folder = shutil.copytree(memory_path / "first", memory_path / str(step))
        site = KeySite(folder)
        total = zygote.until(tend, step, folder)

        assert recover(site.vault, lambda _: False) == []
        assert site.path.read_bytes() == content
        assert verify(site.path, site.node.sign_public).problem is None
        assert list(site.open(site.path).blocks()) == [block(n) for n in range(5)]
        epochs, has_old = site.vault.sealed.find_all(ID), (site.private_folder / "2026-11.key").exists()
        noted = {entry.act for entry in site.audit.entries()}
        assert epochs == ["2026-11"] or "2027-01" in epochs
        assert epochs != ["2027-01"] or "recording.resealed" in noted, "nothing shows before it is in the audit log"
        assert has_old or "epoch.destroyed" in noted
        seen.add((tuple(epochs), has_old))

        assert site.holder.maintain().problems == []
        assert site.vault.sealed.find_all(ID) == ["2027-01"]
        assert site.epochs.names() == ["2027-01", "2027-02", "2027-03"]
        assert [path.name for path in site.private_folder.iterdir() if not path.name.startswith("2027-")] == []
        assert [path.name for path in (site.home / "keys/sealed").iterdir()] == ["2027-01"]
        assert list(site.open(site.path).blocks()) == [block(n) for n in range(5)]
        assert site.audit.verify().bad is None
        site.index.close()
        if total is not None:
            assert total == step - 1
            break
        step += 1
    assert seen == {
        (("2026-11",), True), (("2027-01", "2026-11"), True), (("2027-01",), True), (("2027-01",), False),
    }  # fmt: skip
    assert step > 15


def test_nothing_is_sealed_to_an_epoch_of_which_a_killed_rotation_made_one_half(memory_path: Path) -> None:
    site = KeySite(memory_path)
    site.epochs.create_epoch("2026-11.2")
    (site.home / "keys/epochs/2026-11.2.pub").unlink()  # it is written last
    assert site.holder.maintain().problems == []
    assert site.vault.sealed.problem(ID) is None
    site.epochs.create_epoch("2026-11.2")
    assert [done.new.name for done in site.holder.maintain().resealed] == ["2026-11.2"], "once it is whole"


@pytest.mark.slow
def test_killed_at_each_step_of_a_change_of_passphrase(memory_path: Path, zygote: Zygote) -> None:
    first = KeySite(memory_path / "first")
    first.epochs.change_passphrase(b"the old one")
    first.index.close()
    step, seen = 1, set()
    while True:
        folder = shutil.copytree(memory_path / "first", memory_path / str(step))
        public, private = folder / "home/keys/epochs", folder / "private"
        total = zygote.until(change_passphrase, step, public, private)
        old, new = (EpochKeys(public, private, passphrase=word) for word in (b"the old one", b"the new one"))
        opens = [(_opens(old, name), _opens(new, name)) for name in old.names()]
        assert set(opens) <= {(True, False), (False, True)}, "each key opens with one of them"
        seen.add(sum(is_new for _, is_new in opens))
        assert len(old.change_passphrase(b"the new one")) == opens.count((True, False))
        assert all(_opens(new, name) for name in new.names())
        if total is not None:
            break
        step += 1
    assert seen == set(range(6))


def _opens(keys: EpochKeys, name: str) -> bool:
    try:
        keys.load_private(name)
    except Exception as error:  # noqa: BLE001 - any other than the one that is expected fails the test by its words
        assert "does not open" in str(error)
        return False
    return True
