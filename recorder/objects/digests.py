"""Digests of files and of objects, in constant memory."""

import hashlib
from pathlib import Path

from recorder.objects.store import RecordingStore


def digest_of_file(file: Path) -> str:
    """Return the SHA-256 of a file, hex. Raises OSError."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def digest_of_object(store: RecordingStore, key: str) -> str | None:
    """Return the SHA-256 of an object as it is read back, hex; None: there is none. Raises StoreError."""
    digest = hashlib.sha256()
    try:
        for part in store.stream(key):
            digest.update(part)
    except FileNotFoundError:
        return None
    return digest.hexdigest()
