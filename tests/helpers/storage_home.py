"""A recorder's home with keys, and recordings in it."""

import functools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from storage.epochs import EpochKeys, EpochPrivateKey
from storage.keys import NodeKeys
from storage.reader import RecordingReader, epoch_of, open_recording
from storage.recording import OpenRecording
from storage.runs import ANCHOR, AUDIO, PCMA, pack
from storage.types import FinishedFile, RecordingHead, RecordingId
from storage.vault import Vault

STARTED = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
ID = RecordingId("20261124T093000Z-2001-0a1b2c")


def row(recording: RecordingId = ID, **changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "id": recording,
        "started_at": "2026-11-24T09:30:00Z",
        "ended_at": None,
        "direction": "inbound",
        "extension": "2001",
        "operator": "a.officer",
        "service": "housing",
        "caller": "02079460000",
        "called": "2001",
        "outcome": "recorded",
        "reason": "ended",
        "segments": [{"start_s": 0.0, "end_s": 0.0, "kind": "recording", "reason": "", "by": ""}],
        "operator_key": "k7",
    }
    return fields | changes


def block(second: int, *, codec: int = PCMA) -> bytes:
    """One second of both channels, every byte told by its position and channel."""
    start = second * 8000
    left, right = (_counted(start * factor % size, factor, size) for factor, size in ((7, 251), (11, 241)))
    return (
        pack(AUDIO, 0, codec, start, payload=left)
        + pack(ANCHOR, 0, codec, start, aux=second * 1_000_000_000)
        + pack(AUDIO, 1, codec, start, payload=right)
        + pack(ANCHOR, 1, codec, start, aux=second * 1_000_000_000)
    )


@functools.cache
def _turn(factor: int, size: int) -> bytes:
    """Return multiples of a number, modulo another, until they come again, and on for a second."""
    return bytes(i * factor % size for i in range(size + 8000))


def _counted(first: int, factor: int, size: int) -> bytes:
    turn = _turn(factor, size)
    at = turn.index(first)
    return turn[at : at + 8000]


def head(recording: RecordingId = ID) -> RecordingHead:
    return RecordingHead(id=recording, started_at=STARTED, operator_key="k7", index_row=row(recording))


class Site:
    """A home and, apart from it, the key holder's folder."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.node = NodeKeys.create(self.home)
        self.epochs = EpochKeys(self.home / "keys" / "epochs", folder / "private")
        self.epochs.ensure_epochs(STARTED)
        self.vault = Vault(self.home, self.node)

    def private(self, path: Path) -> EpochPrivateKey:
        return self.epochs.load_private(epoch_of(path))

    def begin(self, recording: RecordingId = ID) -> OpenRecording:
        return self.vault.create(head(recording))

    def record(self, seconds: int = 3, recording: RecordingId = ID) -> tuple[Path, FinishedFile]:
        opened = self.begin(recording)
        for second in range(seconds):
            opened.append(block(second))
        opened.mark({"kind": "paused", "at_s": 1.5})
        finished = opened.close(row(recording, ended_at="2026-11-24T09:30:03Z"), is_complete=True)
        return self.vault.root / finished.path, finished

    def open(self, path: Path) -> RecordingReader:
        return open_recording(path, self.home, self.epochs)
