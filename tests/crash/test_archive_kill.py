"""Archiving is killed at each step: the recording opens as the old or as the new one, never neither."""

import shutil
from pathlib import Path

import pytest

from recorder.recordings.inspection import Inspector
from storage.format import ContainerScan
from storage.recovery import recover
from tests.crash.counted import Steps
from tests.crash.zygote import Zygote
from tests.helpers.archive_site import ArchiveSite
from tests.helpers.storage_home import ID


def archive(steps: Steps, folder: Path) -> None:
    """Archive what is due."""
    site = ArchiveSite(folder)
    steps.watch(
        of_os=("write", "writev", "fdatasync", "fsync", "ftruncate", "link"), of_path=("rename", "replace", "unlink")
    )
    steps.watch_one(site.index, "save")
    done = site.archiver.run()
    assert not done.problems, done.problems


def version(site: ArchiveSite) -> int:
    with site.path.open("rb") as file:
        return ContainerScan(file).prologue.version


@pytest.mark.slow
def test_killed_at_each_step_of_archiving(memory_path: Path, zygote: Zygote) -> None:
    first = ArchiveSite(memory_path / "first")
    row = first.record_spoken()
    content = b"".join(first.open(first.path).blocks())
    key = first.vault.sealed.path(ID, "2026-11").read_bytes()
    first.index.close()
    step, seen = 1, set()
    while True:
        folder = shutil.copytree(memory_path / "first", memory_path / str(step))
        site = ArchiveSite(folder)
        total = zygote.until(archive, step, folder)

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
        site.index.close()
        shutil.rmtree(folder)
        if total is not None:
            assert total == step - 1
            break
        step += 1
    assert seen == {(False, 1, False), (True, 1, False), (True, 2, False), (True, 2, True)}
    assert step > 15
