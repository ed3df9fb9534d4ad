"""Looks for digits in everything that a recorder has written since a moment."""

import json
from datetime import datetime
from pathlib import Path

from recorder.common.home import Home
from storage.rows import row_to_json
from storage.types import RecordingRow

_LARGEST_BYTES = 64 << 20
_SEALED = "recordings"


def is_written(home: Home, digits: str, *, since: datetime, row: RecordingRow, plain: bytes) -> list[str]:
    """Return the places where digits are found: the row, the recording, and files that were written since.

    Containers are sealed, so what is in them is looked at opened. Larger files than 64 MB, as an index may be, are left
    out; the row is looked at itself.
    """
    wanted = digits.encode()
    found = []
    if wanted in json.dumps(row_to_json(row)).encode():
        found.append("the index")
    if wanted in plain:
        found.append("the recording")
    new = (path for path in home.root.rglob("*") if _SEALED not in path.parts and _is_new(path, since))
    return [*found, *(str(path.relative_to(home.root)) for path in new if wanted in _content(path))]


def _is_new(path: Path, since: datetime) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    return path.is_file() and status.st_mtime >= since.timestamp() - 1 and status.st_size <= _LARGEST_BYTES


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
