"""The archive tier: audio is packed, everything else stays; FLAC gives every byte back."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audio.speech import speech_kept
from recorder.recordings.inspection import Inspector
from recorder.retention.housekeeping import KeyHolder, run_housekeeping
from storage.archive import archive
from storage.archive_codec import compress, decompress
from storage.container_rows import read_row
from storage.encoding import CopyFormat
from storage.erase import erase_spans
from storage.errors import ArchiveError, DamagedError
from storage.export import export
from storage.format import ContainerScan, FrameType
from storage.g711 import DECODE
from storage.recovery import recover
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState, HoldKind
from storage.rows import row_from_json
from storage.runs import ANCHOR, AUDIO, G722, LOST, PCMA, PCMU, Run, pack, parse
from storage.spans import Span
from storage.types import ArchiveFormat, RecordingId, SegmentKind
from storage.verify import verify
from tests.helpers.archive_site import ArchiveSite
from tests.helpers.peak_memory import growth_kib
from tests.helpers.recorder_home import eventually
from tests.helpers.storage_home import ID
from tests.helpers.wave_file import wave_channels

OTHER = RecordingId("20261124T093000Z-2001-ffffff")
FORMATS = list(ArchiveFormat)


@pytest.fixture
def site(tmp_path: Path) -> ArchiveSite:
    made = ArchiveSite(tmp_path)
    made.record_spoken()
    return made


def runs_of(site: ArchiveSite) -> list[Run]:
    return [run for block in site.open(site.path).blocks() for run in parse(block)]


def content(site: ArchiveSite) -> bytes:
    return b"".join(site.open(site.path).blocks())


def frame_types(site: ArchiveSite) -> list[str]:
    with site.path.open("rb") as file:
        return [frame.type.name for frame in ContainerScan(file).frames()]


def decoded(run: Run) -> list[int]:
    return DECODE[run.codec][np.frombuffer(run.payload, np.uint8)].tolist() if run.codec in DECODE else []


def test_flac_gives_every_byte_of_every_run_back(site: ArchiveSite) -> None:
    before, row = content(site), site.row
    assert row.bytes is not None
    done = site.archiver.run()
    assert (done.recordings, done.problems) == (1, [])
    assert content(site) == before
    now = site.index.get(ID)
    assert now.archived is not None
    assert (now.archived.format, now.archived.at) == ("flac", site.now)
    assert (now.archived.original_sha256, now.archived.original_bytes) == (row.sha256, row.bytes)
    assert now.bytes is not None
    assert now.bytes < row.bytes
    assert (done.bytes_before, done.bytes_after) == (row.bytes, now.bytes)
    assert replace(now, archived=None, sha256=row.sha256, bytes=row.bytes) == row, "nothing else of the row changes"
    assert frame_types(site) == ["HEAD", "INDEX", "PACKED", "MARK", "PACKED", "MARK", "END", "INDEX", "FOOTER"]


def test_all_codes_of_both_laws_come_back_from_flac() -> None:
    """Both zeros of mu-law too."""
    for law in (PCMU, PCMA):
        codes = bytes(range(256)) + bytes(reversed(range(256)))
        block = pack(AUDIO, 1, law, 3, payload=codes)
        assert decompress(compress(block, ArchiveFormat.FLAC)) == block


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_kept_of_each_format(tmp_path: Path, form: ArchiveFormat) -> None:
    site = ArchiveSite(tmp_path, form)
    row = site.record_spoken()
    before = runs_of(site)
    assert site.archiver.run().problems == []
    after = runs_of(site)
    assert [(r.kind, r.channel, r.codec, r.length, r.start, r.aux) for r in after] == [
        (r.kind, r.channel, r.codec, r.length, r.start, r.aux) for r in before
    ]
    exact = [(a, b) for a, b in zip(before, after, strict=True) if a.kind != AUDIO or a.codec == G722]
    assert {a.kind for a, _ in exact} == {AUDIO, ANCHOR, LOST}
    assert all(a == b for a, b in exact)
    for channel in (0, 1):
        was, now = (
            np.array([s for r in runs if r.channel == channel and r.kind == AUDIO for s in decoded(r)], float)
            for runs in (before, after)
        )
        noise = float(np.mean((was - now) ** 2))
        assert noise == 0 if form is ArchiveFormat.FLAC else noise < float(np.mean(was**2))
    found = verify(site.path, site.node.sign_public)
    assert (found.problem, found.is_complete) == (None, True)
    assert [one.problem for one in Inspector(vault=site.vault, index=site.index).all()] == [None]
    assert row_from_json(read_row(site.vault, site.path)) == site.index.get(ID)
    told = site.index.get(ID).archived
    assert told is not None
    assert list(site.open(site.path).marks()) == [
        {"kind": "paused", "at_s": 2.5},
        {
            "kind": "archived", "format": str(form), "at": "2027-01-03T00:00:00Z", "original_sha256": row.sha256,
            "original_bytes": row.bytes,
        },
    ]  # fmt: skip
    (entry,) = site.entries("recording.archived")
    assert (entry.subject, entry.details["original_sha256"], entry.details["original_bytes"]) == (
        ID, row.sha256, row.bytes,
    )  # fmt: skip
    assert (entry.details["sha256"], entry.details["format"]) == (site.index.get(ID).sha256, str(form))
    assert site.archiver.run().recordings == 0, "once"


@pytest.mark.parametrize("form", FORMATS)
def test_silence_stays_silence_and_a_copy_can_be_made(tmp_path: Path, form: ArchiveFormat) -> None:
    site = ArchiveSite(tmp_path, form)
    site.record_spoken()
    site.archiver.run()
    copy = tmp_path / "copy.wav"
    export(site.open(site.path), copy, CopyFormat.WAV, duration_s=5.0)
    frames = np.frombuffer(copy.read_bytes()[44:], np.int16).reshape(-1, 2)
    assert len(frames) == 5 * 16_000
    for second in range(5):
        paused = frames[second * 16_000 + 8_200 : second * 16_000 + 11_800]
        assert not paused.any()
        assert np.abs(frames[second * 16_000 + 200 : second * 16_000 + 7_800]).max() > 1000


@pytest.mark.parametrize("form", FORMATS)
def test_a_span_is_erased_from_an_archived_recording(tmp_path: Path, form: ArchiveFormat) -> None:
    site = ArchiveSite(tmp_path, form)
    original = site.record_spoken()
    site.archiver.run()
    before = runs_of(site)
    span = Span(start_s=1.0, end_s=2.0, reason="card_data", by="olive")
    erased = erase_spans(site.vault, site.epochs, site.index.get(ID), [span], speech=speech_kept)
    site.index.save(erased)
    after = runs_of(site)
    assert not [run for run in after if run.kind == AUDIO and 8000 <= run.start < 16_000]
    assert after == [run for run in before if run.kind == ANCHOR or not 8000 <= run.start < 16_000]
    assert "PACKED" not in frame_types(site)
    assert erased.archived is not None
    assert erased.archived.original_sha256 == original.sha256
    assert [s.kind for s in erased.segments if s.start_s == 1.0] == [SegmentKind.ERASED]
    assert [one.problem for one in Inspector(vault=site.vault, index=site.index).all()] == [None]
    assert site.archiver.run().recordings == 0


def test_a_partial_recording_stays_partial(tmp_path: Path) -> None:
    site = ArchiveSite(tmp_path)
    site.record_spoken(is_complete=False)
    site.archiver.run()
    assert not verify(site.path, site.node.sign_public).is_complete
    assert site.index.get(ID).archived is not None


def test_what_cannot_be_made_smaller_is_kept_as_it_is(tmp_path: Path) -> None:
    site = ArchiveSite(tmp_path)  # the usual recording holds noise
    before = content(site)
    site.archiver.run()
    assert content(site) == before
    assert site.index.get(ID).archived is not None


def test_what_is_left_alone(site: ArchiveSite) -> None:
    before = site.path.read_bytes()

    def is_left_alone() -> bool:
        due, done = site.archiver.due(), site.archiver.run()
        return due.recordings == done.recordings == 0 and site.path.read_bytes() == before

    hold = site.hold(HoldKind.COMPLAINT)
    assert is_left_alone()
    site.holds.save([replace(hold, released_by="lea", released_at=site.now, grace_until=site.now)])
    order = ErasureOrder(
        id="0a0a0a0a", recording=ID, start_s=0.0, end_s=1.0, kind=ErasureKind.OTHER, ordered_by="lea",
        ordered_at=site.now, state=ErasureState.WAITING,
    )  # fmt: skip
    site.erasures.place(order)
    assert is_left_alone()
    site.erasures.decide(order.id, by="lea", at=site.now, confirm=False)
    at = site.now
    site.now = site.row.started_at
    assert is_left_alone(), "too young"
    site.now = at
    off = replace(site.archiver, rule=replace(site.archiver.rule, after_days=None))
    assert off.due().recordings == off.run().recordings == 0
    assert (site.archiver.due().recordings, site.archiver.due().bytes) == (1, site.row.bytes)
    assert site.archiver.run().recordings == 1


def test_a_damaged_one_is_a_problem_and_keeps_nobody_else(site: ArchiveSite) -> None:
    site.another(OTHER)
    damaged = bytearray(site.path.read_bytes())
    damaged[-300] ^= 1
    site.path.write_bytes(damaged)
    done = site.archiver.run()
    assert done.recordings == 1
    assert ["is not rewritten" in problem and ID in problem for problem in done.problems] == [True]
    assert site.path.read_bytes() == damaged
    assert site.index.get(OTHER).archived is not None


def test_an_old_copy_opens_with_no_key_that_is_left(site: ArchiveSite) -> None:
    old = site.path.read_bytes()
    site.archiver.run()
    site.path.write_bytes(old)
    with pytest.raises(DamagedError, match="does not open"):
        site.open(site.path)


def test_twice_is_refused(site: ArchiveSite) -> None:
    site.archiver.run()
    with pytest.raises(ArchiveError, match="archived already"):
        archive(site.vault, site.epochs, site.index.get(ID), ArchiveFormat.FLAC, at=site.now)


def test_a_kill_between_container_and_row_is_made_good(site: ArchiveSite) -> None:
    row = site.row
    done = archive(site.vault, site.epochs, row, ArchiveFormat.FLAC, at=site.now)
    inspector = Inspector(vault=site.vault, index=site.index)
    assert [one.problem for one in inspector.all()] == [None], "no finding: the container names the digest in the row"
    site.archiver.run()
    assert site.index.get(ID) == done
    assert len(site.entries("recording.archived")) == 1
    site.index.save(replace(done, archived=None, sha256="0" * 64))
    assert "the index says sha256 000" in str(inspector.one(site.index.get(ID)).problem)


def test_recovery_and_what_the_row_says_survive(site: ArchiveSite) -> None:
    site.archiver.run()
    assert recover(site.vault, lambda _: False) == []
    assert row_from_json(read_row(site.vault, site.path)).archived == site.index.get(ID).archived


def test_it_is_part_of_the_key_holders_daily_work(site: ArchiveSite) -> None:
    holder = KeyHolder(
        vault=site.vault, keys=site.epochs, index=site.index, audit=site.audit, lock=site.archiver.lock,
        now=lambda: site.now,
    )  # fmt: skip
    stopping = threading.Event()
    thread = threading.Thread(
        target=run_housekeeping, args=(holder, site.archiver, stopping), kwargs={"first_after_s": 0.01, "every_s": 0.01}
    )
    thread.start()
    try:
        eventually(lambda: site.index.get(ID).archived, "the first day", timeout_s=20)
    finally:
        stopping.set()
        thread.join(20)
    assert not thread.is_alive()


@pytest.mark.parametrize("harm", ["cut", "format", "lengths", "empty", "more runs"])
def test_a_packed_block_that_is_none_is_damage(harm: str) -> None:
    good = compress(pack(AUDIO, 0, PCMA, 0, payload=bytes(range(200))), ArchiveFormat.FLAC)
    bad = {
        "cut": good[:-1],
        "format": b"\x09" + good[1:],
        "lengths": good[:4] + b"\xff\xff\xff\xff" + good[8:],
        "empty": b"",
        "more runs": good[:16] + good[16:-20] + bytes(20),
    }[harm]
    with pytest.raises(DamagedError):
        decompress(bad)


def test_g711_export_of_a_flac_archive_is_byte_for_byte_the_same(tmp_path: Path) -> None:
    site = ArchiveSite(tmp_path)  # G.711 only
    copies = []
    for name in ("before", "after"):
        export(site.open(site.path), tmp_path / name, CopyFormat.G711, duration_s=5.0)
        copies.append(wave_channels((tmp_path / name).read_bytes()))
        site.archiver.run()
    assert copies[0] == copies[1]
    assert FrameType.PACKED.name in frame_types(site) or site.index.get(ID).archived is not None


def test_a_long_call_takes_no_more_memory(tmp_path: Path) -> None:
    act = "archive(site.vault, site.epochs, found, ArchiveFormat.FLAC, at=datetime.now(UTC))"
    imports = """
from datetime import UTC, datetime
from storage.archive import archive
from storage.types import ArchiveFormat
"""
    more = growth_kib(tmp_path, act, imports=imports)
    assert more < 5_000, f"{more} KiB more for a recording of 14 MB than for one of 2 MB"  # all of it at once: 24,000
