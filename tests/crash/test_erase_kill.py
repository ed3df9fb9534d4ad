"""An erasure is killed at each step: the recording is the old or the new one, never both, never none."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from audio.speech import speech_kept
from storage.container_rows import read_row
from storage.erase import erase_spans
from storage.errors import StorageError
from storage.reader import RecordingReader, epoch_of, fresh_path
from storage.recovery import recover
from storage.rows import row_from_json
from storage.runs import AUDIO, parse
from storage.spans import Span
from storage.verify import verify
from tests.crash.counted import Steps
from tests.crash.zygote import Zygote
from tests.helpers.storage_home import ID, Site, block, row

SPAN = Span(start_s=0.5, end_s=1.5, reason="card_data", by="olive")


def erase(steps: Steps, folder: Path) -> None:
    """Erase the span."""
    site = Site(folder)
    (path,) = site.vault.finished()
    found = row_from_json(read_row(site.vault, path))
    steps.watch(of_os=("writev", "fdatasync", "fsync", "ftruncate", "link"), of_path=("rename", "replace", "unlink"))
    erase_spans(site.vault, site.epochs, found, [SPAN], speech=speech_kept)


def is_silent(reader: RecordingReader) -> bool:
    """Tell whether nothing is in the span, and everything beside it."""
    runs = [run for block in reader.blocks() for run in parse(block) if run.kind == AUDIO]
    inside = [run for run in runs if run.start < 12_000 and run.start + run.length > 4_000]
    assert sum(run.length for run in runs) in (2 * 24_000, 2 * 16_000)
    return not inside


def record(folder: Path) -> None:
    site = Site(folder)
    opened = site.begin()
    for second in range(3):
        opened.append(block(second))
    segments = [{"start_s": 0.0, "end_s": 3.0, "kind": "recording", "reason": "", "by": ""}]
    opened.close(row(duration_s=3.0, recorded_s=3.0, segments=segments), is_complete=True)


@pytest.mark.slow
def test_killed_at_each_step_of_an_erasure(memory_path: Path, zygote: Zygote) -> None:
    record(memory_path / "first")
    step, seen = 1, set()
    while True:
        site = Site(shutil.copytree(memory_path / "first", memory_path / str(step)))
        (path,) = site.vault.finished()
        before = row_from_json(read_row(site.vault, path))
        old_key = site.vault.sealed.unseal(ID, site.private(path))
        old_file = path.read_bytes()
        total = zygote.until(erase, step, memory_path / str(step))

        # What a daemon that starts now does must not bring anything back.
        assert recover(site.vault, lambda _: False) == []
        assert list(site.vault.finished()) == [path]
        assert verify(path, site.node.sign_public).problem is None

        # Whoever opens it by the books gets the old or the new, between the two renames too; never neither.
        key = site.vault.sealed.unseal(ID, site.private(path))
        is_committed, has_place = key != old_key, path.read_bytes() != old_file
        assert is_silent(site.open(path)) == is_committed
        if is_committed and not has_place:
            with pytest.raises(StorageError):
                RecordingReader(path, key)
            assert is_silent(RecordingReader(fresh_path(path), key))
        seen.add((is_committed, has_place))

        # The order is still open, and a restart carries it out.
        after = erase_spans(site.vault, site.epochs, before, [SPAN], speech=speech_kept)
        assert is_silent(site.open(path))
        assert verify(path, site.node.sign_public).problem is None
        assert row_from_json(read_row(site.vault, path)) == after
        assert after.recorded_s == 2.0
        assert replace(after, segments=(), recorded_s=0, bytes=0, sha256="") == replace(
            before, segments=(), recorded_s=0, bytes=0, sha256=""
        )
        left = sorted(p.name for p in (site.home / "recordings").rglob("*") if p.is_file())
        keys = sorted(p.name for p in (site.home / "keys" / "sealed" / epoch_of(path)).iterdir())
        assert left == [path.name]
        assert [name for name in keys if not name.startswith(".new-")] == [f"{ID}.key"]
        if total is not None:
            assert total == step - 1
            break
        step += 1
    assert seen == {(False, False), (True, False), (True, True)}
    assert step > 15
