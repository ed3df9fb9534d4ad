"""A site with one finished recording of November, an archiver, and a clock that stands 40 days after the call."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from recorder.config.settings import Archive
from recorder.recordings.archiving import Archiver
from storage.rows import row_from_json
from storage.runs import ANCHOR, AUDIO, G722, LOST, PCMA, PCMU, pack
from storage.types import ArchiveFormat, RecordingId, RecordingRow
from tests.helpers.erasure_site import SECONDS, ErasureSite
from tests.helpers.storage_home import ID, head, row

LATER = datetime(2027, 1, 3, tzinfo=UTC)
_HERTZ = (440.0, 620.0)


def spoken(second: int, *, laws: tuple[int, int] = (PCMA, PCMU)) -> bytes:
    """One second with a pause from 0.5 to 0.75 s, a loss, wide audio at the end, and every code of each law."""
    start = second * 8000
    parts = []
    for channel, law in enumerate(laws):
        ticks = np.arange(start, start + 4000)
        wave = np.round(90 * np.sin(2 * np.pi * _HERTZ[channel] * ticks / 8000)).astype(int)
        # Sign and magnitude, as both laws have it; A-law toggles every other bit, mu-law inverts all.
        codes = np.where(wave < 0, -wave, wave | 0x80) & 0xFF
        tone = (codes ^ 0x55 if law == PCMA else ~(codes ^ 0x80) & 0xFF).astype(np.uint8).tobytes()
        parts += [
            pack(AUDIO, channel, law, start, payload=tone),
            pack(ANCHOR, channel, law, start, length=start + 7, aux=second * 1_000_000_000),
            pack(AUDIO, channel, law, start + 6000, payload=bytes(range(256))),
            pack(LOST, channel, 0, start + 6256, length=160),
            pack(AUDIO, channel, G722, start + 7000, payload=bytes(i * 7 % 256 for i in range(800))),
        ]
    return b"".join(parts)


class ArchiveSite(ErasureSite):
    """`record_spoken` puts a recording in the place of the usual one, in the index too."""

    def __init__(self, folder: Path, form: ArchiveFormat = ArchiveFormat.FLAC, after_days: int | None = 30) -> None:
        super().__init__(folder)
        self.now = LATER
        self.archiver = Archiver(
            vault=self.vault, keys=self.epochs, index=self.index, erasures=self.erasures, holds=self.holds,
            audit=self.audit, lock=self.home / "state" / "erasing.lock",
            rule=Archive(after_days=after_days, format=form), now=lambda: self.now,
        )  # fmt: skip

    def record_spoken(self, *, is_complete: bool = True) -> RecordingRow:
        """Record something that can be packed, in the place of the recording that is there."""
        self.vault.sealed.destroy(ID)
        self.path.unlink()
        opened = self.vault.create(head())
        for second in range(SECONDS):
            opened.append(spoken(second))
            if second == 2:
                opened.mark({"kind": "paused", "at_s": 2.5})
        segments = list(
            itertools.chain.from_iterable(
                (
                    {"start_s": s, "end_s": s + 0.5, "kind": "recording", "reason": "", "by": ""},
                    {"start_s": s + 0.5, "end_s": s + 0.75, "kind": "paused", "reason": "agent", "by": "olive"},
                    {"start_s": s + 0.75, "end_s": s + 1.0, "kind": "recording", "reason": "", "by": ""},
                )
                for s in map(float, range(SECONDS))
            )
        )
        fields = row(duration_s=float(SECONDS), recorded_s=SECONDS * 0.75, segments=segments, team="Revenues")
        done = opened.close(fields, is_complete=is_complete)
        made = row_from_json({**fields, "path": done.path, "bytes": done.bytes, "sha256": done.sha256})
        self.row = replace(made, peaks=(bytes([40] * 10 * SECONDS),) * 2)
        self.index.save(self.row)
        return self.row

    def another(self, recording: RecordingId) -> RecordingRow:
        """Make a second recording, of the same minute."""
        _, finished = self.record(1, recording)
        made = row_from_json(row(recording, path=finished.path, bytes=finished.bytes, sha256=finished.sha256))
        self.index.save(made)
        return made
