"""A process is killed at each step of writing and of recovery; then recovery and verify must tell the truth."""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, combinations, pairwise
from pathlib import Path

import pytest

from storage.errors import WriteFailedError
from storage.recovery import recover
from storage.rows import row_from_json
from storage.runs import AUDIO, PCMA, pack
from storage.verify import verify
from tests.crash.counted import Steps
from tests.crash.zygote import Zygote
from tests.helpers.storage_home import ID, Site, block, row


def watched(steps: Steps, folder: Path) -> Site:
    site = Site(folder)
    steps.watch(of_os=("writev", "fdatasync", "fsync", "ftruncate", "link"), of_path=("rename",))
    return site


def write(steps: Steps, folder: Path) -> None:
    """Record three seconds."""
    opened = watched(steps, folder).begin()
    for second in range(3):
        opened.append(block(second))
        opened.sync()
    opened.close(row(ended_at="2026-11-24T09:30:03Z"), is_complete=True)


def recover_all(steps: Steps, folder: Path) -> None:
    """Recover what a crash left."""
    recover(watched(steps, folder).vault, lambda _: False)


@pytest.mark.slow
def test_killed_at_each_step_of_writing(memory_path: Path, zygote: Zygote) -> None:
    step, outcomes = 1, set()
    while True:
        site = Site(memory_path / str(step))
        hidden = (memory_path / str(step) / "private").rename(memory_path / f"private-{step}")
        total = zygote.until(write, step, site.home.parent)
        recovered = recover(site.vault, lambda _: False)
        assert recover(site.vault, lambda _: False) == []
        assert all(r.problem is None for r in recovered)
        sealed = {one for epoch in site.vault.sealed.epochs() for one in site.vault.sealed.each(epoch)}
        assert sealed == {path.stem for path in site.vault.finished()}, f"step {step}: a key that opens nothing"
        assert not (site.home.parent / "private").exists()
        hidden.rename(site.home.parent / "private")
        for path in site.vault.finished():
            found = verify(path, site.node.sign_public)
            assert found.problem is None, f"step {step}: {found.problem}"
            blocks = list(site.open(path).blocks())
            assert blocks == [block(second) for second in range(len(blocks))]
            outcomes.add((len(blocks), found.is_complete))
            if recovered and not found.is_complete:
                assert recovered[0].row["reason"] == "daemon_stopped"
                assert recovered[0].row["duration_s"] == len(blocks)
                assert recovered[0].row["segments"][0]["end_s"] == len(blocks)
        if total is not None:
            break
        step += 1
    assert {(0, False), (1, False), (2, False), (3, False), (3, True)} <= outcomes


@pytest.mark.slow
def test_killed_at_each_step_of_recovery(memory_path: Path, zygote: Zygote) -> None:
    step = 1
    while True:
        site = Site(memory_path / str(step))
        opened = site.begin()
        opened.append(block(0))
        opened.append(block(1))
        torn = opened.path.read_bytes()[:-100]
        opened.path.write_bytes(torn)
        total = zygote.until(recover_all, step, site.home.parent)
        recover(site.vault, lambda _: False)
        (path,) = site.vault.finished()
        found = verify(path, site.node.sign_public)
        assert (found.problem, found.is_complete) == (None, False)
        assert list(site.open(path).blocks()) == [block(0)]
        if total is not None:
            assert total == step - 1
            break
        step += 1
    assert step > 4


def test_torn_tails_of_every_kind_cost_one_frame(tmp_path: Path) -> None:
    site = Site(tmp_path)
    opened = site.begin()
    opened.append(block(0))
    whole = opened.path.stat().st_size
    opened.append(block(1))
    content = opened.path.read_bytes()
    tails = [content[:cut] for cut in (whole, whole + 1, whole + 16, whole + 40, len(content) - 1)] + [
        content[:whole] + bytes(5000),
        content[: whole + 900] + bytes(len(content) - whole - 900),
    ]
    for tail in tails:
        opened.path.write_bytes(tail)
        assert recover(site.vault, lambda _: True) == []
        (recovered,) = recover(site.vault, lambda _: False)
        assert recovered.finished is not None, recovered.problem
        assert recovered.cut_bytes == len(tail) - whole
        path = site.vault.root / recovered.finished.path
        assert verify(path, site.node.sign_public).problem is None
        assert list(site.open(path).blocks()) == [block(0)]
        path.unlink()


def test_a_torn_beginning_becomes_a_failed_row(tmp_path: Path) -> None:
    site = Site(tmp_path)
    opened = site.begin()
    opened.path.write_bytes(opened.path.read_bytes()[:60])
    (recovered,) = recover(site.vault, lambda _: False)
    assert (recovered.id, recovered.finished, recovered.row["outcome"]) == (ID, None, "failed")
    assert recovered.row["started_at"] == "2026-11-24T09:30:00Z"
    assert not opened.path.exists()
    assert site.vault.sealed.find(ID) is None, "its key opens nothing"


def begun_in_parts(site: Site, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[bytes]]:
    """Begin a recording; return its file and the parts of its only write before the first sync."""
    seen: list[list[bytes]] = []
    real = os.writev

    def writev(descriptor: int, parts: Sequence[bytes]) -> int:
        seen.append([bytes(part) for part in parts])
        return real(descriptor, parts)

    with monkeypatch.context() as watched:
        watched.setattr(os, "writev", writev)
        opened = site.begin()
    (parts,) = seen
    return opened.path, parts


def cut_short(parts: list[bytes]) -> Iterator[bytes]:
    """Yield what a power cut may leave of one unsynced write: zeros in place of parts, of halves and of sectors."""
    whole = b"".join(parts)
    ends = [0, *accumulate(map(len, parts))]
    halves = [(begin + (end - begin) // 2, end) for begin, end in pairwise(ends)]
    sectors = [(at, min(at + 512, len(whole))) for at in range(0, len(whole), 512)]
    pieces = [*pairwise(ends), *halves, *sectors]
    for lost in (*combinations(pieces, 1), *combinations(pairwise(ends), 2), sectors, pieces[: len(parts) - 1]):
        left = bytearray(whole)
        for begin, end in lost:
            left[begin:end] = bytes(end - begin)
        yield bytes(left)
        yield bytes(left).rstrip(b"\0")


def test_a_beginning_of_which_a_power_cut_lost_some_becomes_a_failed_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later part is on the disk, an earlier is not: `create` has not returned, and nothing was recorded."""
    site = Site(tmp_path)
    path, parts = begun_in_parts(site, monkeypatch)
    whole = b"".join(parts)
    for left in cut_short(parts):
        if left == whole:  # it was zeros
            continue
        path.write_bytes(left)
        (recovered,) = recover(site.vault, lambda _: False)
        assert recovered.problem is None, f"{len(left)} bytes of {len(whole)}"
        assert (recovered.finished, recovered.row["outcome"]) == (None, "failed")
        assert not path.exists()


def changed(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def zeroed(content: bytes, begin: int, end: int) -> bytes:
    return content[:begin] + bytes(end - begin) + content[end:]


@pytest.mark.parametrize("seconds", [0.25, 1], ids=["short", "second"])
@pytest.mark.parametrize(
    "harm",
    [
        lambda content: zeroed(content, 0, 124),
        lambda content: zeroed(content, 0, 512),
        lambda content: zeroed(content, 124, 512),
        lambda content: changed(content, 200),
        lambda content: changed(content, 20),
        lambda content: changed(content, 1000),
    ],
    ids=["prologue", "sector", "head", "bit of the head", "bit of the prologue", "bit of the first row"],
)
def test_a_damaged_beginning_before_audio_is_left_alone(
    tmp_path: Path, harm: Callable[[bytes], bytes], seconds: float
) -> None:
    """Audio is only written after the beginning was synced: no power cut does that, and a person has to look."""
    site = Site(tmp_path)
    opened = site.begin()
    opened.append(block(0) if seconds == 1 else pack(AUDIO, 0, PCMA, 0, payload=bytes(range(250)) * 8))
    opened.sync()
    left = harm(opened.path.read_bytes())
    opened.path.write_bytes(left)
    (recovered,) = recover(site.vault, lambda _: False)
    assert recovered.problem is not None
    assert opened.path.read_bytes() == left
    assert site.vault.sealed.find(ID) is not None


def test_a_changed_prologue_without_audio_is_left_alone(tmp_path: Path) -> None:
    """A power cut leaves zeros, not another byte."""
    site = Site(tmp_path)
    opened = site.begin()
    left = changed(opened.path.read_bytes(), 20)
    opened.path.write_bytes(left)
    (recovered,) = recover(site.vault, lambda _: False)
    assert recovered.problem is not None
    assert opened.path.read_bytes() == left


def test_the_key_of_a_torn_beginning_stays_while_another_file_of_its_recording_is_there(tmp_path: Path) -> None:
    site = Site(tmp_path)
    path, _ = site.record()
    path.with_suffix(".part").write_bytes(path.read_bytes()[:60])
    elsewhere = site.vault.root / "2026" / "10" / "01" / "k7" / path.name
    elsewhere.parent.mkdir(parents=True)
    path.rename(elsewhere)
    (recovered,) = recover(site.vault, lambda _: False)
    assert recovered.finished is None
    assert site.vault.sealed.find(ID) is not None


def test_a_key_that_cannot_be_sealed_leaves_no_file(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.vault.sealed.path(ID, "2026-11").parent.mkdir(parents=True)
    site.vault.sealed.path(ID, "2026-11").write_bytes(b"another key of this id")
    with pytest.raises(WriteFailedError):
        site.begin()
    assert site.vault.files_of(ID) == []


def test_damage_that_is_no_torn_tail_is_left_alone(tmp_path: Path) -> None:
    site = Site(tmp_path)
    opened = site.begin()
    opened.append(block(0))
    content = bytearray(opened.path.read_bytes())
    content[0] ^= 1
    opened.path.write_bytes(content)
    (recovered,) = recover(site.vault, lambda _: False)
    assert recovered.problem is not None
    assert "magic" in recovered.problem
    assert opened.path.read_bytes() == content


def test_what_was_still_in_memory_before_a_pause_is_lost_and_says_so(tmp_path: Path) -> None:
    site = Site(tmp_path)
    opened = site.begin()
    opened.append(block(0))
    opened.append(block(1))
    spans = [(0.0, 5.0, "recording"), (5.0, 5.5, "paused")]
    opened.update(row(segments=[{"start_s": a, "end_s": b, "kind": k, "reason": "", "by": ""} for a, b, k in spans]))
    (recovered,) = recover(site.vault, lambda _: False)
    found = [(s["start_s"], s["end_s"], s["kind"]) for s in recovered.row["segments"]]
    assert found == [(0.0, 2.0, "recording"), (2.0, 5.0, "lost"), (5.0, 5.5, "paused")]
    assert (recovered.row["recorded_s"], recovered.row["paused_s"], recovered.row["duration_s"]) == (2.0, 0.5, 5.5)
    assert (recovered.row["outcome"], recovered.row["reason"]) == ("partial", "daemon_stopped")
    row_from_json(recovered.row)
