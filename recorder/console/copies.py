"""Decoded copies of recordings, for playing and taking away: made in memory, never on a disk."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from recorder.console.deps import AudioFile, RecordingUnavailableError
from storage.errors import StorageError
from storage.export import Format, export
from storage.keys import EpochKeys
from storage.reader import open_recording
from storage.types import RecordingRow
from storage.vault import Vault
from storage.verify import verify

MEMORY = Path("/dev/shm")  # noqa: S108 - a file system in memory is what is meant
_CHUNK_BYTES = 64 * 1024

_KINDS = {
    Format.WAV: ("audio/wav", "wav"),
    Format.G711: ("audio/wav", "wav"),
    Format.FLAC: ("audio/flac", "flac"),
    Format.MP3: ("audio/mpeg", "mp3"),
    Format.OPUS: ("audio/ogg", "opus"),
}


class Copies:
    """Opens containers with the private keys; an `Exporter`.

    Args:
        home: The recorder's home.
        vault: Finds containers.
        keys: Private keys.
        memory: A folder in memory (tmpfs). The copy has a name there only while it is being made.
    """

    def __init__(self, home: Path, vault: Vault, keys: EpochKeys, *, memory: Path = MEMORY) -> None:
        self._home = home
        self._vault = vault
        self._keys = keys
        self._memory = memory

    def __call__(self, row: RecordingRow, audio_format: str, /) -> AudioFile:
        """Decode a recording.

        Raises:
            RecordingUnavailableError: The container or its key is gone or damaged, or the format cannot hold it.
        """
        form = Format(audio_format)
        media_type, suffix = _KINDS[form]
        try:
            return AudioFile(media_type=media_type, suffix=suffix, chunks=_chunks(self._make(row, form)))
        except StorageError as error:
            raise RecordingUnavailableError(f"The recording cannot be opened: {error}.") from error
        except OSError as error:
            raise RecordingUnavailableError(f"The recording cannot be opened: {error.strerror}.") from error

    def _make(self, row: RecordingRow, form: Format) -> BinaryIO:
        assert row.path is not None, "asked for a recording of which something was kept"
        path = self._vault.locate(row.path)
        found = verify(path, self._vault.node.sign_public)
        if found.problem is not None:
            raise RecordingUnavailableError(f"The recording is not what was recorded: {found.problem}.")
        reader = open_recording(path, self._home, self._keys)
        with tempfile.TemporaryDirectory(dir=self._memory, prefix="recorder-") as folder:
            target = Path(folder) / "copy"
            export(reader, target, form, duration_s=row.duration_s)
            return target.open("rb")


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
