"""Spans of a finished recording are erased: silence for good inside, every byte as it was outside."""

import os
import resource
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from audio.speech import speech_kept
from storage.container_rows import read_row
from storage.encoding import CopyFormat
from storage.epochs import EpochKeys
from storage.erase import erase_spans, preview
from storage.errors import DamagedError, KeyProblemError, RewrittenError, WriteFailedError
from storage.export import export
from storage.format import FrameType
from storage.keys import SealedKeys
from storage.reader import RecordingReader, epoch_of, fresh_path
from storage.recovery import recover
from storage.rows import row_from_json
from storage.runs import ANCHOR, AUDIO, parse
from storage.spans import Span
from storage.types import RecordingId, RecordingRow, SegmentKind
from storage.verify import verify
from tests.helpers.peak_memory import growth_kib
from tests.helpers.storage_home import ID, Site, block, row
from tests.helpers.wave_file import wave_channels

SECONDS = 5
SILENCE = 0xD5


def recorded(site: Site, seconds: int = SECONDS) -> tuple[Path, RecordingRow]:
    path, finished = site.record(seconds)
    fields = row(
        path=finished.path, bytes=finished.bytes, sha256=finished.sha256, duration_s=float(seconds),
        recorded_s=float(seconds), reason="ended",
        segments=[{"start_s": 0.0, "end_s": float(seconds), "kind": "recording", "reason": "", "by": ""}],
    )  # fmt: skip
    peaks = bytes([40] * (10 * seconds))
    return path, replace(row_from_json(fields), peaks=(peaks, peaks), speech_s=(5.0, 5.0))


def span(start_s: float, end_s: float | None) -> Span:
    return Span(start_s=start_s, end_s=end_s, reason="card_data", by="olive")


def erase(site: Site, found: RecordingRow, *spans: Span) -> RecordingRow:
    return erase_spans(site.vault, site.epochs, found, spans, speech=speech_kept)


def channels(site: Site, path: Path, tmp_path: Path, name: str) -> tuple[bytes, bytes]:
    target = tmp_path / f"{name}.wav"
    export(site.open(path), target, CopyFormat.G711, duration_s=SECONDS)
    left, right, _ = wave_channels(target.read_bytes())
    return left, right


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_whoever_reads_meanwhile_is_told_to_try_again_and_not_that_it_is_damaged(tmp_path: Path) -> None:
    site = Site(tmp_path)
    path, found = recorded(site)
    reader = site.open(path)
    before = list(reader.blocks())
    begun = reader.blocks()
    assert next(begun) == before[0]
    erase(site, found, span(1.0, 2.0))
    assert list(begun) == before[1:], "what was begun ends whole"
    with pytest.raises(RewrittenError, match="while it was read: try again"):
        next(reader.blocks())
    again = site.open(path)
    assert list(again.blocks()) != before
    path.unlink()
    with pytest.raises(RewrittenError, match="deleted while it was read"):
        again.end()


def test_an_erasure_between_key_and_container_is_not_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path)
    path, found = recorded(site)
    real = SealedKeys.open

    def slow(sealed: SealedKeys, recording: RecordingId, keys: EpochKeys) -> bytes:
        key = real(sealed, recording, keys)
        monkeypatch.setattr(SealedKeys, "open", real)
        erase(site, found, span(1.0, 2.0))
        return key

    monkeypatch.setattr(SealedKeys, "open", slow)
    assert site.open(path).end() is not None


def test_inside_is_silence_and_outside_every_byte_is_the_same(tmp_path: Path) -> None:
    site = Site(tmp_path)
    path, found = recorded(site)
    before = channels(site, path, tmp_path, "before")
    erased = erase(site, found, span(1.25, 2.5), span(4.0, 4.5))
    after = channels(site, path, tmp_path, "after")
    for was, now in zip(before, after, strict=True):
        expected = bytearray(was)
        for begin, end in ((10_000, 20_000), (32_000, 36_000)):
            expected[begin:end] = bytes([SILENCE]) * (end - begin)
        assert now == expected
        assert was != now
    runs = [run for block in site.open(path).blocks() for run in parse(block)]
    assert sum(run.kind == ANCHOR for run in runs) == 2 * SECONDS
    assert not [r for r in runs if r.kind == AUDIO and r.start < 20_000 and r.start + r.length > 10_000]
    assert erased.recorded_s == SECONDS - 1.75
    assert [(s.start_s, s.end_s, str(s.kind), s.reason, s.by) for s in erased.segments] == [
        (0.0, 1.25, "recording", "", ""),
        (1.25, 2.5, "erased", "card_data", "olive"),
        (2.5, 4.0, "recording", "", ""),
        (4.0, 4.5, "erased", "card_data", "olive"),
        (4.5, 5.0, "recording", "", ""),
    ]
    assert (erased.outcome, erased.reason, erased.duration_s) == (found.outcome, found.reason, found.duration_s)
    assert all(peaks[12:25] == bytes(13) and peaks[25] == 40 for peaks in erased.peaks)


def test_the_new_file_is_whole_signed_and_rebuilds_its_row(tmp_path: Path) -> None:
    site = Site(tmp_path)
    path, found = recorded(site)
    erased = erase(site, found, span(1.0, 2.0))
    state = verify(path, site.node.sign_public)
    assert (state.problem, state.is_complete) == (None, True)
    assert (state.bytes, state.sha256) == (erased.bytes, erased.sha256)
    assert row_from_json(read_row(site.vault, path)) == erased
    reader = site.open(path)
    assert list(reader.marks()) == [
        {"kind": "paused", "at_s": 1.5},
        {"kind": "erased", "start_s": 1.0, "end_s": 2.0, "reason": "card_data", "by": "olive"},
    ]
    end = reader.end()
    assert end is not None
    assert end["ticks"] == SECONDS * 8000
    assert end["audio_frames"] == len(list(reader.blocks()))
    assert row_from_json(end["row"]).segments == erased.segments
    assert recover(site.vault, lambda _: False) == []
    assert list(site.vault.finished()) == [path]


def test_the_old_file_of_a_backup_opens_with_no_key_that_is_left(tmp_path: Path) -> None:
    site = Site(tmp_path)
    path, found = recorded(site)
    backup = tmp_path / "backup" / path.name
    backup.parent.mkdir()
    shutil.copy(path, backup)
    month = epoch_of(path)
    key_path = site.vault.sealed.path(ID, month)
    old_sealed, old_key = key_path.read_bytes(), site.vault.sealed.unseal(ID, site.private(path))
    erase(site, found, span(1.0, 2.0))
    new_key = site.vault.sealed.unseal(ID, site.private(path))
    assert new_key != old_key
    with pytest.raises(DamagedError, match="does not open"):
        RecordingReader(backup, new_key)
    assert RecordingReader(backup, old_key).id == ID, "the test would notice a key that fits"
    assert epoch_of(path) == month, "an erasure must not make a recording live longer"
    assert [p.name for p in key_path.parent.iterdir()] == [key_path.name]
    assert all(old_sealed not in content for content in files(tmp_path / "home").values())
    backup.unlink()


def test_a_second_name_that_a_kill_left_to_the_old_key_goes_too(tmp_path: Path) -> None:
    site = Site(tmp_path)
    path, found = recorded(site)
    key_path = site.vault.sealed.path(ID, epoch_of(path))
    os.link(key_path, key_path.with_name(".new-0123456789abcdef"))
    other = key_path.with_name(".new-fedcba9876543210")
    other.write_bytes(b"of a recording that begins just now")
    erase(site, found, span(1.0, 2.0))
    assert sorted(p.name for p in key_path.parent.iterdir()) == [other.name, key_path.name]


def test_the_whole_recording(tmp_path: Path) -> None:
    site = Site(tmp_path)
    path, found = recorded(site)
    erased = erase(site, found, span(0.0, None))
    left, right = channels(site, path, tmp_path, "after")
    assert left == right == bytes([SILENCE]) * (SECONDS * 8000)
    assert [(s.start_s, s.end_s, s.kind) for s in erased.segments] == [(0.0, 5.0, SegmentKind.ERASED)]
    assert (erased.recorded_s, erased.outcome, erased.speech_s) == (0.0, found.outcome, (0.0, 0.0))
    assert verify(path, site.node.sign_public).problem is None
    assert erased.peaks == (bytes(50), bytes(50))


def test_twice_is_as_good_as_once(tmp_path: Path) -> None:
    site = Site(tmp_path)
    path, found = recorded(site)
    first = erase(site, found, span(1.0, 2.0))
    heard = channels(site, path, tmp_path, "first")
    again = erase(site, found, span(1.0, 2.0))
    assert channels(site, path, tmp_path, "again") == heard
    assert again.segments == first.segments
    more = erase(site, again, span(3.0, 4.0))
    assert [str(s.kind) for s in more.segments] == ["recording", "erased", "recording", "erased", "recording"]
    assert len([m for m in site.open(path).marks() if m["kind"] == "erased"]) == 3


def test_a_partial_recording_stays_partial(tmp_path: Path) -> None:
    site = Site(tmp_path)
    opened = site.begin()
    for second in range(3):
        opened.append(block(second))
    (recovered,) = recover(site.vault, lambda _: False)
    found = row_from_json(recovered.row)
    assert found.path is not None
    path = site.vault.locate(found.path)
    erased = erase(site, found, span(1.0, 2.0))
    state = verify(path, site.node.sign_public)
    assert (state.problem, state.is_complete) == (None, False)
    assert (erased.outcome, erased.recorded_s) == (found.outcome, 2.0)
    assert FrameType.END not in [kind for kind, _ in site.open(path).frames()]


def test_a_dry_run_says_what_would_go_and_changes_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    _, found = recorded(site)
    before = files(tmp_path)
    seen = preview(site.vault, site.epochs, found, [span(4.5, 9.0)], speech=speech_kept)
    assert seen.silenced_s == (0.5, 0.5)
    assert [(s.start_s, s.end_s, str(s.kind)) for s in seen.row.segments] == [
        (0.0, 4.5, "recording"), (4.5, 5.0, "erased"),
    ]  # fmt: skip
    assert files(tmp_path) == before


@pytest.mark.parametrize("harm", ["changed", "no_private", "no_sealed", "cut", "other_node"])
def test_what_is_refused_leaves_every_file_as_it_was(tmp_path: Path, harm: str) -> None:
    site = Site(tmp_path)
    path, found = recorded(site)
    if harm == "changed":
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:-50])
    elif harm == "no_private":
        (tmp_path / "private" / f"{epoch_of(path)}.key").unlink()
    elif harm == "no_sealed":
        site.vault.sealed.path(ID, epoch_of(path)).unlink()
    else:
        shutil.rmtree(site.home / "keys" / "node")
        other = Site(tmp_path)
        site.vault = other.vault
    before = files(tmp_path)
    with pytest.raises((DamagedError, KeyProblemError)):
        erase(site, found, span(1.0, 2.0))
    assert files(tmp_path) == before


def test_a_full_disk_leaves_the_old_recording(tmp_path: Path) -> None:
    site = Site(tmp_path)
    path, found = recorded(site)
    before = files(tmp_path)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, old[1]))
    try:
        with pytest.raises(WriteFailedError, match="too large"):
            erase(site, found, span(1.0, 2.0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert files(tmp_path) == before
    assert verify(path, site.node.sign_public).problem is None


def test_leftovers_of_a_run_that_was_killed_early_are_removed(tmp_path: Path) -> None:
    site = Site(tmp_path)
    path, found = recorded(site)
    fresh_path(path).write_bytes(b"torn")
    next_key = site.vault.sealed.next_path(ID, epoch_of(path))
    next_key.write_bytes(b"torn")
    next_key.chmod(0o600)
    erase(site, found, span(1.0, 2.0))
    assert not fresh_path(path).exists()
    assert not next_key.exists()
    assert verify(path, site.node.sign_public).problem is None


def test_a_long_call_takes_no_more_memory(tmp_path: Path) -> None:
    spans = '[Span(start_s=3, end_s=9, reason="x", by="y")]'
    act = f"erase_spans(site.vault, site.epochs, found, {spans}, speech=speech_kept)"
    imports = """
from audio.speech import speech_kept
from storage.erase import erase_spans
from storage.spans import Span
"""
    more = growth_kib(tmp_path, act, imports=imports)
    assert more < 2_000, f"{more} KiB more for a recording of 14 MB than for one of 2 MB"
