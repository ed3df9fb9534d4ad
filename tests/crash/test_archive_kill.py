"""Archiving is killed at each step: the recording opens as the old or as the new one, never neither."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recorder.keeping.inspection import Inspector
from storage.format import ContainerScan
from storage.vault import recover
from tests.helpers.archive_site import ArchiveSite
from tests.helpers.storage_home import ID

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from recorder.keeping.archiving import Archiver
from recorder.config import Archive
from storage.audit import AuditLog
from storage.erasures import Erasures
from storage.holds import Holds
from storage.index import Index, sqlite_url
from storage.keys import EpochKeys, NodeKeys
from storage.vault import Vault
sys.path.insert(0, "tests/crash")
from counted import Steps
steps, home, private = Steps(int(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3])
now = lambda: datetime(2027, 1, 3, tzinfo=UTC)
index = Index(sqlite_url(home / "index.sqlite"), now=now)
archiver = Archiver(
    vault=Vault(home, NodeKeys.load(home)), keys=EpochKeys(home / "keys/epochs", private), index=index,
    erasures=Erasures(index.database), holds=Holds(index.database), audit=AuditLog(home / "audit"),
    lock=home / "state/erasing.lock", rule=Archive(after_days=30), now=now,
)
steps.watch(
    of_os=("write", "writev", "fdatasync", "fsync", "ftruncate", "link"), of_path=("rename", "replace", "unlink")
)
index.save = steps.counted(index.save)
done = archiver.run()
assert not done.problems, done.problems
print(steps.count, flush=True)
"""


def archive_until(step: int, site: ArchiveSite, private: Path) -> int | None:
    """Archive until the step, where the process is killed; return the number of steps if it got to the end."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(step), str(site.home), str(private)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if done.returncode == -signal.SIGKILL:
        return None
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def version(site: ArchiveSite) -> int:
    with site.path.open("rb") as file:
        return ContainerScan(file).prologue.version


@pytest.mark.slow
def test_killed_at_each_step_of_archiving(tmp_path: Path) -> None:
    step, seen = 1, set()
    while True:
        site = ArchiveSite(tmp_path / str(step))
        row = site.record_spoken()
        content = b"".join(site.open(site.path).blocks())
        key = site.vault.sealed.path(ID, "2026-11").read_bytes()
        total = archive_until(step, site, tmp_path / str(step) / "private")

        # What a daemon that starts now does changes nothing; whoever looks gets every byte, and nothing is wrong.
        assert recover(site.vault, lambda _: False) == []
        assert list(site.vault.finished()) == [site.path]
        assert b"".join(site.open(site.path).blocks()) == content
        assert [one.problem for one in Inspector(vault=site.vault, index=site.index).all()] == [None]
        is_committed = site.vault.sealed.path(ID, "2026-11").read_bytes() != key
        is_filed = site.index.get(ID).archived is not None
        assert not is_filed or site.entries("recording.archived"), "the audit log has it first"
        seen.add((is_committed, version(site), is_filed))

        # The next day's run goes on.
        assert site.archiver.run().problems == []
        now = site.index.get(ID)
        assert now.archived is not None
        assert now.archived.original_sha256 == row.sha256
        assert version(site) == 2
        assert b"".join(site.open(site.path).blocks()) == content
        assert [one.problem for one in Inspector(vault=site.vault, index=site.index).all()] == [None]
        assert [p.name for p in (site.home / "recordings").rglob("*") if p.is_file()] == [site.path.name]
        left = [p.name for p in (site.home / "keys/sealed/2026-11").iterdir() if not p.name.startswith(".new-")]
        assert left == [f"{ID}.key"]
        assert site.audit.verify().bad is None
        if total is not None:
            assert total == step - 1
            break
        step += 1
    assert seen == {(False, 1, False), (True, 1, False), (True, 2, False), (True, 2, True)}
    assert step > 15
