"""Small finished recordings for `benchmarks.sweep`: real containers, sealed keys and rows, made quickly.

Nothing is synced while they are made: what is measured begins when they are there.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from storage.epochs import EpochKeys
from storage.index import Index
from storage.keys import NodeKeys
from storage.rows import row_from_json, time_to_json
from storage.runs import AUDIO, PCMA, pack
from storage.types import RecordingHead, RecordingId, RecordingRow
from storage.vault import Vault

OPERATORS = 200
A_DAY = 20_000
"""Recordings a day: a large council's."""
_TICKS = 800
_PEAKS = bytes(i % 251 for i in range(200))
_AT_ONCE = 500
_WORKERS = 2

Made = tuple[int, int]
"""First number and one beyond the last."""


def prepare(root: Path, oldest: datetime, newest: datetime) -> None:
    """Make the keys of a home for the months of its recordings."""
    NodeKeys.create(root)
    epochs = EpochKeys(root / "keys" / "epochs", root / "private")
    for moment in (oldest, newest):
        epochs.ensure_epochs(moment, months_ahead=0)


def make(root: Path, url: str, newest: datetime, count: int) -> Iterator[int]:
    """Make recordings, the last of which ended at a moment and the others before it; yields how many there are."""
    done = 0
    with ProcessPoolExecutor(_WORKERS, mp_context=get_context("spawn")) as pool:
        parts = [(at, min(at + _AT_ONCE, count)) for at in range(0, count, _AT_ONCE)]
        for future in as_completed([pool.submit(_make, root, url, newest, part) for part in parts]):
            done += future.result()
            yield done


def _make(root: Path, url: str, newest: datetime, part: Made) -> int:
    os.fsync = os.fdatasync = lambda _: None  # type: ignore[assignment]
    index, vault = Index(url), Vault(root, NodeKeys.load(root))
    try:
        index.save_many([_made(vault, number, newest) for number in range(*part)])
    finally:
        index.close()
    return part[1] - part[0]


def _made(vault: Vault, number: int, newest: datetime) -> RecordingRow:
    ended = newest - number * timedelta(days=1) / A_DAY
    started = ended - timedelta(seconds=0.1)
    operator = number * 7919 % OPERATORS
    recording = RecordingId(f"{started:%Y%m%dT%H%M%SZ}-{2000 + operator}-{number:06x}")
    fields = row_of(recording, started, ended, operator)
    head = RecordingHead(id=recording, started_at=started, operator_key=fields["operator_key"], index_row=fields)
    opened = vault.create(head)
    opened.append(b"".join(pack(AUDIO, side, PCMA, 0, payload=bytes([85 + side]) * _TICKS) for side in (0, 1)))
    closed = opened.close(fields, is_complete=True)
    found = row_from_json(fields)
    return replace(found, path=closed.path, bytes=closed.bytes, sha256=closed.sha256, peaks=(_PEAKS, _PEAKS))


def row_of(recording: RecordingId, started: datetime, ended: datetime, operator: int) -> dict[str, Any]:
    """Return the row of a made-up call, as JSON."""
    segment = {"start_s": 0.0, "end_s": 0.1, "kind": "recording", "reason": "", "by": ""}
    return {
        "id": recording, "started_at": time_to_json(started), "ended_at": time_to_json(ended), "direction": "inbound",
        "extension": str(2000 + operator), "operator": f"Officer {operator}", "team": "Revenues", "service": "housing",
        "caller": f"02079{operator:06d}", "called": "02079460000", "outcome": "recorded", "reason": "ended",
        "duration_s": 0.1, "recorded_s": 0.1, "paused_s": 0.0, "segments": [segment],
        "operator_key": f"operator{operator:04d}",
    }  # fmt: skip
