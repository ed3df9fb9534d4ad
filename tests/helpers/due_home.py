"""A recorder's home, as `recorder init` makes it, with finished recordings of any age."""

import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.recordings.home_stores import open_index
from storage.epochs import EpochKeys
from storage.keys import NodeKeys
from storage.rows import row_from_json, time_to_json
from storage.types import RecordingHead, RecordingId
from storage.vault import Vault
from tests.helpers.recorder_home import RecorderHome
from tests.helpers.storage_home import block, row

DAY = timedelta(days=1)


def add_recording(
    home: RecorderHome, age: timedelta, number: int, *, service: str = "housing", **changes: Any
) -> RecordingId:
    """Put a recording into vault, keys and index that ended so long ago."""
    ended = utc_now().replace(microsecond=0) - age
    started = ended - timedelta(seconds=1)
    recording = RecordingId(f"{started:%Y%m%dT%H%M%SZ}-2001-{number:06x}")
    times = {"started_at": time_to_json(started), "ended_at": time_to_json(ended)}
    fields = row(recording, service=service, **times, **changes)
    place = Home(home.root)
    EpochKeys(home.root / "keys" / "epochs", place.private_keys).ensure_epochs(started, months_ahead=0)
    opened = Vault(home.root, NodeKeys.load(home.root)).create(
        RecordingHead(id=recording, started_at=started, operator_key="k7", index_row=fields)
    )
    opened.append(block(0))
    done = opened.close(fields, is_complete=True)
    index = open_index(place, read_config(home.config))
    try:
        index.save(replace(row_from_json(fields), path=done.path, bytes=done.bytes, sha256=done.sha256))
    finally:
        index.close()
    return recording


def is_there(home: RecorderHome, recording: RecordingId) -> bool:
    """Tell whether anything of a recording is left: a file, a key."""
    return bool(left_of(home.root, recording))


def left_of(root: Path, recording: RecordingId) -> list[Path]:
    """Return the files and keys of a recording."""
    # Not Path.glob: it fails where a sweep removes a folder while it looks.
    places = (root / "recordings", root / "keys" / "sealed")
    found = (Path(folder, name) for place in places for folder, _, names in os.walk(place) for name in names)
    return [path for path in found if path.name.startswith(f"{recording}.")]


def moment(text: str) -> datetime:
    """Return a time as JSON has it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
