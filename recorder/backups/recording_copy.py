"""Copies one finished recording to a destination: its container and its sealed key, which belong together."""

import time
from pathlib import Path

from recorder.backups.errors import BackupError
from recorder.backups.pieces import Pieces, look_at
from recorder.backups.rules import is_in_media
from recorder.backups.snapshots import StoredFile
from storage.types import RecordingId
from storage.vault import Vault

_NEW = ".erasing"
_TRIES, _BETWEEN_TRIES_S = 20, 0.1
"""An erasure or an archiving replaces key and container within moments."""


class RecordingCopier:
    """Copies recordings to one destination.

    Args:
        vault: The recordings.
        pieces: The destination.
    """

    def __init__(self, vault: Vault, pieces: Pieces) -> None:
        self._vault = vault
        self._pieces = pieces

    def copy(self, container: Path, known: dict[str, StoredFile]) -> list[StoredFile]:
        """Copy a container and its key; empty if it is not there any more.

        Args:
            container: A ``.rec``.
            known: Files of an earlier snapshot by path; those that are unchanged are not read.

        Raises:
            BackupError: The destination cannot be used, or the recording does not come to rest.
            OSError: The recording cannot be read.
        """
        recording = RecordingId(container.stem)
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_BETWEEN_TRIES_S)
            if (files := self._files(container, recording)) is None:
                return []
            if container.with_suffix(_NEW).exists() and attempt < _TRIES - 1:
                continue  # it is being rewritten
            if all(path in known and self._is_known(known[path], file) for path, file in files.items()):
                return [known[path] for path in files]
            before = self._seen(files)
            try:
                copied = [self._one(path, file, recording, known) for path, file in files.items()]
            except FileNotFoundError:
                continue
            if before == self._seen(files) and self._files(container, recording) == files:
                return copied
        raise BackupError(f"recording {recording} kept changing while it was copied: run the backup again")

    def _files(self, container: Path, recording: RecordingId) -> dict[str, Path] | None:
        """Return the files of a recording by their path in the snapshot; None: there is no container."""
        if not container.exists():
            return None
        # A killed erasure may have replaced the key, and left the container that it opens beside the old one.
        new, sealed = container.with_suffix(_NEW), self._vault.sealed
        epochs = sealed.find_all(recording)
        is_new = new.exists() and not any(sealed.next_path(recording, epoch).exists() for epoch in epochs)
        files = {self._relative(container): new if is_new else container}
        for epoch in epochs:
            path = sealed.path(recording, epoch)
            files[self._relative(path)] = path
        return files

    def _seen(self, files: dict[str, Path]) -> list[tuple[int, int, int] | None]:
        return [look_at(file) for file in files.values()]

    def _one(self, path: str, file: Path, recording: RecordingId, known: dict[str, StoredFile]) -> StoredFile:
        before = known.get(path)
        if before is not None and self._is_known(before, file):
            return before
        return self._pieces.add(file, path=path, folder=is_in_media(recording))

    def _is_known(self, before: StoredFile, file: Path) -> bool:
        """Tell whether a file is as a snapshot has it, and still at the destination."""
        seen = look_at(file)
        return seen is not None and before.seen == seen and self._pieces.has(before)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._vault.home).as_posix()
