"""The key holder's daily work is killed at each step: a held recording always opens, its old month goes in the end.

So is a change of passphrase: every key opens with the old one or with the new one.
"""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage.keys import EpochKeys
from storage.vault import recover
from storage.verify import verify
from tests.helpers.key_site import KeySite
from tests.helpers.storage_home import ID, block

ROOT = Path(__file__).parents[2]

COUNTING = """
import sys
from pathlib import Path
sys.path[:0] = [".", "tests/crash"]
from counted import Steps
steps = Steps(int(sys.argv[1]))
def count_calls():
    steps.watch(
        of_os=("write", "writev", "pwrite", "fdatasync", "fsync", "link"),
        of_path=("rename", "replace", "unlink", "rmdir"),
    )
"""
TENDING = (
    COUNTING
    + """
from datetime import UTC, datetime
from recorder.keeping.housekeeping import KeyHolder
from storage.audit import AuditLog
from storage.index import Index, sqlite_url
from storage.keys import EpochKeys, NodeKeys
from storage.vault import Vault
home, private = Path(sys.argv[2]), Path(sys.argv[3])
now = lambda: datetime(2027, 1, 15, tzinfo=UTC)
holder = KeyHolder(
    vault=Vault(home, NodeKeys.load(home)), keys=EpochKeys(home / "keys/epochs", private),
    index=Index(sqlite_url(home / "index.sqlite"), now=now), audit=AuditLog(home / "audit"),
    lock=home / "state/erasing.lock", now=now,
)
count_calls()
done = holder.tend()
assert not done.problems, done.problems
print(steps.count, flush=True)
"""
)
CHANGING = (
    COUNTING
    + """
from nacl.pwhash import argon2id
argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE = argon2id.OPSLIMIT_MIN, argon2id.MEMLIMIT_MIN
from storage.keys import EpochKeys
home, private = Path(sys.argv[2]), Path(sys.argv[3])
keys = EpochKeys(home / "keys/epochs", private, passphrase=b"the old one")
count_calls()
keys.change_passphrase(b"the new one")
print(steps.count, flush=True)
"""
)


def run_until(program: str, step: int, site: KeySite) -> int | None:
    """Run a program until the step, where it is killed; return the number of steps if it got to the end."""
    done = subprocess.run(
        [sys.executable, "-c", program, str(step), str(site.home), str(site.private_folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if done.returncode == -signal.SIGKILL:
        return None
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.slow
def test_killed_at_each_step_of_resealing_and_destroying(tmp_path: Path) -> None:
    step, seen = 1, set()
    while True:
        site = KeySite(tmp_path / str(step))
        site.hold()
        content = site.path.read_bytes()
        total = run_until(TENDING, step, site)

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

        assert site.holder.tend().problems == []
        assert site.vault.sealed.find_all(ID) == ["2027-01"]
        assert site.epochs.names() == ["2027-01", "2027-02", "2027-03"]
        assert [path.name for path in site.private_folder.iterdir() if not path.name.startswith("2027-")] == []
        assert [path.name for path in (site.home / "keys/sealed").iterdir()] == ["2027-01"]
        assert list(site.open(site.path).blocks()) == [block(n) for n in range(5)]
        assert site.audit.verify().bad is None
        if total is not None:
            assert total == step - 1
            break
        step += 1
    assert seen == {
        (("2026-11",), True), (("2027-01", "2026-11"), True), (("2027-01",), True), (("2027-01",), False),
    }  # fmt: skip
    assert step > 15


def test_nothing_is_sealed_to_an_epoch_of_which_a_killed_rotation_made_one_half(tmp_path: Path) -> None:
    site = KeySite(tmp_path)
    site.epochs.create_epoch("2026-11.2")
    (site.home / "keys/epochs/2026-11.2.pub").unlink()  # it is written last
    assert site.holder.tend().problems == []
    assert site.vault.sealed.problem(ID) is None
    site.epochs.create_epoch("2026-11.2")
    assert [done.new.name for done in site.holder.tend().resealed] == ["2026-11.2"], "once it is whole"


@pytest.mark.slow
def test_killed_at_each_step_of_a_change_of_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPSLIMIT", "MEMLIMIT"):
        least = getattr(__import__("nacl.pwhash.argon2id", fromlist=["x"]), f"{name}_MIN")
        monkeypatch.setattr(f"nacl.pwhash.argon2id.{name}_MODERATE", least)
    step, seen = 1, set()
    while True:
        site = KeySite(tmp_path / str(step))
        public = site.home / "keys/epochs"
        site.epochs.change_passphrase(b"the old one")
        total = run_until(CHANGING, step, site)
        old, new = (
            EpochKeys(public, site.private_folder, passphrase=word) for word in (b"the old one", b"the new one")
        )
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
