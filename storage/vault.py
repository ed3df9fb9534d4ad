"""The store of containers under a recorder's home: creating, finding and locating them.

One writer thread uses a Vault's recordings. Recovery of open containers is in `storage.recovery`, reading rows in
`storage.container_rows`, playing in `storage.reader`.
"""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from storage import crypto
from storage.containers import Container, Elsewhere
from storage.durable import AppendFile, make_folder, remove
from storage.epochs import current_public
from storage.errors import OutsideError, WriteFailedError
from storage.format import Prologue, is_recording_id
from storage.keys import NodeKeys, OneTimeSeal, SealedKeys, destroy_key
from storage.known_nodes import trusted_keys
from storage.reader import fresh_path
from storage.recording import OpenRecording
from storage.tree import DEPTH, each_file, files_of
from storage.types import RecordingHead, RecordingId, RecordingRow

_SUFFIXES = (".rec", ".part", ".erasing")
_OPERATOR_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Vault:
    """Creates and finds containers.

    Args:
        home: The recorder's home; ``recordings`` and ``keys`` are below it.
        node: The node's keys.
        elsewhere: Where finished containers are besides; None for nowhere.
        second: What seals the key of a recording a second time; None for all calls but a self-test's.
    """

    def __init__(
        self, home: Path, node: NodeKeys, elsewhere: Elsewhere | None = None, *, second: OneTimeSeal | None = None
    ) -> None:
        self._second = second
        self.home = home
        self.root = home / "recordings"
        self.node = node
        self.elsewhere = elsewhere
        self.sealed = SealedKeys(home)
        self._epochs = home / "keys" / "epochs"

    @property
    def trusted(self) -> tuple[bytes, ...]:
        """Return the public keys of the nodes whose signatures count here: the own node, and those of the site.

        Raises:
            KeyProblemError: The site's key list cannot be read.
        """
        return trusted_keys(self.home, self.node.sign_public)

    def folder(self, started_at: datetime, operator_key: str) -> Path:
        """Return the folder of a recording: UTC date, then the operator's opaque key.

        Raises:
            ValueError: The operator key is not 1 to 64 letters, digits, ``-`` and ``_``.
        """
        if not _OPERATOR_KEY.fullmatch(operator_key):
            raise ValueError("an operator key is 1 to 64 letters, digits, '-' and '_'")
        return self.root / started_at.astimezone(UTC).strftime("%Y/%m/%d") / operator_key

    def create(self, head: RecordingHead) -> OpenRecording:
        """Begin a recording: its file, its sealed key and its first frames are durable when this returns.

        The file is made before the key, so that a kill never leaves a key without a file. Such a key could not be told
        from the key of a container that a restored disk lacks, and its epoch's private key would be kept for it.

        Raises:
            ValueError: The id or the operator key is not safe as a file name.
            KeyProblemError: There is no epoch key to seal to.
            WriteFailedError: The disk refused; a file that may be left is removed by recovery.
        """
        if not is_recording_id(head.id):
            raise ValueError(f"{head.id!r} is not a recording id")
        folder = self.folder(head.started_at, head.operator_key)
        epoch = current_public(self._epochs, head.started_at)
        key = crypto.new_wipeable_key()
        try:
            make_folder(folder)
            file = AppendFile.create(folder / f"{head.id}.part")
            try:
                key_path = self.sealed.seal(head.id, key, epoch)
                if self._second is not None:
                    self._second.take(head.id, key)
                sealer = crypto.StreamSealer(key)
            except OSError:
                file.close()
                remove(file.path)
                raise
        except OSError as error:
            raise _refused(head.id, error) from error
        finally:
            crypto.wipe(key)
        prologue = Prologue(
            id=head.id,
            epoch=epoch.month,
            epoch_fingerprint=crypto.fingerprint(epoch.public),
            stream_header=sealer.header,
        )
        recording = OpenRecording(
            file=file, head=head, root=self.root, key_path=key_path, prologue=prologue,
            sealer=sealer, node=self.node, is_fallback_epoch=epoch.is_fallback,
        )  # fmt: skip
        try:
            recording.begin()
        except OSError as error:
            recording.discard()
            raise _refused(head.id, error) from error
        return recording

    def unfinished(self) -> list[Path]:
        """Return every ``.part``, oldest first."""
        return sorted(_ending_in(".part", self.root), key=lambda path: path.name)

    def finished(self) -> Iterator[Path]:
        """Yield every ``.rec``, in no order; `read_row` gives each one's row (reindex)."""
        return _ending_in(".rec", self.root)

    def files_of(self, recording: RecordingId) -> list[Path]:
        """Return the files of one recording, in any state, as `storage.tree.files_of` finds them.

        Raises:
            ValueError: Not a recording id.
        """
        if not is_recording_id(recording):
            raise ValueError(f"{recording!r} is not a recording id")
        return sorted(map(Path, files_of(self.root, [recording]).get(recording, ())))

    def locate(self, path: str) -> Path:
        """Return the file that a row's path names.

        Raises:
            OutsideError: The path, or a link on it, leads out of the recordings.
        """
        found = self.root / path
        is_plain = not Path(path).is_absolute() and ".." not in Path(path).parts
        if not is_plain or not found.resolve().is_relative_to(self.root.resolve()):
            raise OutsideError(
                f"the index says that it is at {path!r}, which leads out of the recordings: the index was changed, "
                "or a folder is a link; nothing was opened"
            )
        return found

    def container(self, row: RecordingRow) -> Container:
        """Return where the container of a row with a path is read.

        Raises:
            OutsideError: As `locate`.
        """
        path = self._located(row)
        return path if self.elsewhere is None else self.elsewhere.container(row, path)

    def has(self, row: RecordingRow) -> bool:
        """Tell whether the container of a row with a path is in this home or elsewhere.

        Raises:
            OutsideError: As `locate`.
            DatabaseError: The database cannot be read.
        """
        return self._located(row).exists() or (self.elsewhere is not None and self.elsewhere.has(row))

    def bring(self, row: RecordingRow) -> Path:
        """Return the file of a row with a path; brings it here first if it is only elsewhere.

        A container that waits to replace the file counts as here.

        Raises:
            OutsideError: As `locate`.
            StorageError: It is elsewhere, and cannot be reached; nothing was changed.
            OSError: The disk refuses.
        """
        path = self._located(row)
        is_here = path.exists() or fresh_path(path).exists()
        if not is_here and self.elsewhere is not None:
            self.elsewhere.bring(row, path)
        return path

    def _located(self, row: RecordingRow) -> Path:
        assert row.path is not None, "asked for a recording of which something was kept"
        return self.locate(row.path)

    def strangers(self) -> Iterator[Path]:
        """Yield the files and links among the recordings that are not containers: foreign, or at a wrong depth."""
        for folder, folders, files in os.walk(self.root):
            names = [*files, *(name for name in folders if Path(folder, name).is_symlink())]
            depth = len(Path(folder).relative_to(self.root).parts)
            for name in names:
                path = Path(folder, name)
                is_container = depth == DEPTH and is_recording_id(path.stem) and path.suffix in _SUFFIXES
                if not is_container:
                    yield path


def _ending_in(suffix: str, root: Path) -> Iterator[Path]:
    return (path for path in each_file(root) if path.name.endswith(suffix))


def _refused(recording: RecordingId, error: OSError) -> WriteFailedError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    return WriteFailedError(f"recording {recording} cannot be begun: {reason}", is_taken=False)


def destroy(vault: Vault, recording: RecordingId) -> None:
    """Destroy the sealed key of an open recording, then its ``.part``; either may be missing.

    Raises:
        ValueError: Not a recording id.
        OSError: The system refused; call again.
    """
    if not is_recording_id(recording):
        raise ValueError(f"{recording!r} is not a recording id")
    for path in vault.home.glob(f"keys/sealed/*/{recording}.key"):
        destroy_key(path)
    for path in vault.root.glob(f"*/*/*/*/{recording}.part"):
        remove(path)
