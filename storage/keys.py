"""The node's keys, and the sealed keys of recordings. Key epochs are in `storage.epochs`.

The node has ``keys/node`` and reads ``keys/epochs``; only the key holder has the private folder. A key is never
overwritten, except by `SealedKeys.take_next`.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from storage import crypto
from storage.durable import SavedFile, make_folder, remove, sync_folder
from storage.epochs import (
    EpochKeys,
    EpochPrivateKey,
    EpochPublicKey,
    epoch_order,
    is_epoch,
    read_public,
)
from storage.errors import KeyProblemError
from storage.format import is_recording_id
from storage.key_files import create_once, read_secret
from storage.types import RecordingId

_SEALED_MAGIC = b"CCKEY\r\n\x01"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKeys:
    """The keys with which a node signs footers and seals index metadata. Neither opens audio."""

    sign_public: bytes
    sign_secret: bytes = field(repr=False)
    index_key: bytes = field(repr=False)

    @classmethod
    def create(cls, home: Path) -> "NodeKeys":
        """Write ``keys/node/sign.key`` and ``index.key`` under a home if they are missing, and load them."""
        for name in ("sign.key", "index.key"):
            create_once(home / "keys" / "node" / name, crypto.new_key().hex().encode() + b"\n", mode=None)
        return cls.load(home)

    @classmethod
    def load(cls, home: Path) -> "NodeKeys":
        """Read the node's keys.

        Raises:
            KeyProblemError: One is missing, malformed, or readable by others.
        """
        seed, index_key = (cls._read(home / "keys" / "node" / name) for name in ("sign.key", "index.key"))
        public, secret = crypto.signing_pair(seed)
        return cls(sign_public=public, sign_secret=secret, index_key=index_key)

    @staticmethod
    def _read(path: Path) -> bytes:
        try:
            key = bytes.fromhex(read_secret(path, is_groups=True).decode("ascii"))
        except ValueError as error:
            raise KeyProblemError(f"{path} does not hold a key") from error
        if len(key) != crypto.KEY_BYTES:
            raise KeyProblemError(f"{path} holds {len(key)} bytes, expected {crypto.KEY_BYTES}")
        return key

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public signing key in hex, as in files."""
        return crypto.fingerprint(self.sign_public).hex()


def destroy_key(path: Path) -> None:
    """Remove a sealed key durably; it may be missing."""
    remove_twins(path)
    remove(path)


def remove_twins(path: Path) -> None:
    """Remove the temporary name of a key that a killed writer left."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    if found.st_nlink > 1:
        for twin in path.parent.glob(".new-*"):
            if twin.stat().st_ino == found.st_ino:
                twin.unlink()


def open_sealed_key(content: bytes, recording: RecordingId, epoch: EpochPrivateKey, where: str) -> bytes:
    """Open the content of a recording's sealed key with its epoch's private key.

    Args:
        content: Of the file.
        recording: The recording.
        epoch: The private key.
        where: Where the key was read, for messages.

    Raises:
        KeyProblemError: It is of another epoch or recording, or changed.
    """
    head, sealed = content[: len(_SEALED_MAGIC) + 32], content[len(_SEALED_MAGIC) + 32 :]
    if head != _SEALED_MAGIC + crypto.fingerprint(epoch.public):
        raise KeyProblemError(f"{where} is not sealed to this key of epoch {epoch.name}")
    plain = crypto.open_sealed(sealed, epoch.public, epoch.private)
    if plain[crypto.KEY_BYTES :] != recording.encode("ascii"):
        raise KeyProblemError(f"{where} holds the key of another recording")
    return plain[: crypto.KEY_BYTES]


@dataclass(slots=True, kw_only=True)
class OneTimeSeal:
    """Seals the key of one recording to a second key besides that of its epoch: that of a self-test, which opens it.

    Attributes:
        public: The X25519 public key.
        sealed: The sealed key; None before the recording began.
    """

    public: bytes
    sealed: bytes | None = None

    def take(self, recording: RecordingId, key: crypto.Readable) -> None:
        """Seal the key of the first recording that begins; those of others are not sealed."""
        if self.sealed is None:
            plain = bytearray(key) + recording.encode("ascii")
            self.sealed = crypto.seal_to(self.public, plain)
            crypto.wipe(plain)

    @staticmethod
    def open(sealed: bytes, public: bytes, private: bytes, recording: RecordingId) -> bytes:
        """Return the recording's key.

        Raises:
            KeyProblemError: It is of another key or recording.
        """
        plain = crypto.open_sealed(sealed, public, private)
        if plain[crypto.KEY_BYTES :] != recording.encode("ascii"):
            raise KeyProblemError("the sealed key is that of another recording")
        return plain[: crypto.KEY_BYTES]


class SealedKeys:
    """The sealed keys of recordings: ``keys/sealed/<epoch>/<id>.key`` under a home.

    A recording's key is sealed to the epoch of its month, until it is resealed to a later one. If it is in two epochs,
    because resealing was killed or a backup was restored, the newest epoch counts.
    """

    def __init__(self, home: Path) -> None:
        self._folder = home / "keys" / "sealed"

    def path(self, recording: RecordingId, epoch: str) -> Path:
        """Return the path of a recording's key that is sealed to an epoch."""
        return self._folder / epoch / f"{recording}.key"

    def epochs(self) -> list[str]:
        """Return the epochs that ever had a sealed key in this home, oldest first."""
        if not self._folder.is_dir():
            return []
        names = [path.name for path in self._folder.iterdir() if path.is_dir()]
        return sorted(filter(is_epoch, names), key=epoch_order)

    def each(self, epoch: str) -> Iterator[RecordingId]:
        """Yield the recordings whose present or next key is sealed to an epoch, in no order."""
        for path in (self._folder / epoch).glob("*"):
            if path.suffix in (".key", ".next") and is_recording_id(path.stem):
                yield RecordingId(path.stem)

    def find_all(self, recording: RecordingId) -> list[str]:
        """Return the epochs that a recording's key is sealed to, newest first; the first counts."""
        return [epoch for epoch in reversed(self.epochs()) if self.path(recording, epoch).exists()]

    def find(self, recording: RecordingId) -> str | None:
        """Return the epoch that a recording's key is sealed to, or None: there is no key."""
        return next(iter(self.find_all(recording)), None)

    def locate(self, recording: RecordingId) -> str:
        """Return the epoch that a recording's key is sealed to.

        Raises:
            KeyProblemError: There is no key; it may have been destroyed with the recording.
        """
        epoch = self.find(recording)
        if epoch is None:
            raise KeyProblemError(f"the key of recording {recording} is gone: nothing opens it any more")
        return epoch

    def problem(self, recording: RecordingId) -> str | None:
        """Return what is wrong with a recording's sealed key, checked without a private key, or None."""
        epoch = self.find(recording)
        if epoch is None:
            return "its sealed key is missing, so nothing opens it: it was deleted, or keys/sealed was not restored"
        path = self.path(recording, epoch)
        sealed_bytes = len(_SEALED_MAGIC) + 32 + crypto.SEAL_OVERHEAD_BYTES + crypto.KEY_BYTES + len(recording)
        try:
            content = read_secret(path, is_groups=True)
            public = read_public(self._folder.parent / "epochs", epoch).public
        except KeyProblemError as error:
            return f"its key cannot be judged: {error}"
        if len(content) != sealed_bytes:
            return f"its sealed key {path.name} in {epoch} has {len(content)} bytes, expected {sealed_bytes}"
        if content[: len(_SEALED_MAGIC) + 32] != _SEALED_MAGIC + crypto.fingerprint(public):
            return f"its sealed key {path.name} is not one of epoch {epoch}: its first 40 bytes were changed"
        return None

    def destroy(self, recording: RecordingId) -> None:
        """Destroy every sealed key of a recording, in all epochs, durably; there may be none.

        Raises:
            OSError: The system refused; call again.
        """
        for epoch in self.epochs():
            for path in (self.next_path(recording, epoch), self.path(recording, epoch)):
                if path.exists():
                    destroy_key(path)

    def seal(self, recording: RecordingId, key: crypto.Readable, epoch: EpochPublicKey) -> Path:
        """Seal a recording's key to an epoch, durable when this returns.

        Raises:
            FileExistsError: The recording already has a key of that epoch.
            OSError: It could not be written.
        """
        return self._seal(self.path(recording, epoch.name), recording, key, epoch)

    def restore(self, recording: RecordingId, epoch: str, content: bytes) -> None:
        """Write a sealed key that was stored elsewhere, unless it is there; durable when this returns.

        Raises:
            KeyProblemError: The name is not one of an epoch; it would be the name of a folder here.
            OSError: It could not be written.
        """
        if not is_epoch(epoch):
            raise KeyProblemError(f"{epoch!r} is not an epoch of the form YYYY-MM or YYYY-MM.2")
        path = self.path(recording, epoch)
        make_folder(path.parent)
        with suppress(FileExistsError):
            SavedFile(path).create(content)

    def read(self, recording: RecordingId) -> tuple[str, bytes] | None:
        """Return the epoch and the content of a recording's sealed key, or None: there is no key.

        Raises:
            KeyProblemError: It cannot be read.
        """
        epoch = self.find(recording)
        return None if epoch is None else (epoch, read_secret(self.path(recording, epoch), is_groups=True))

    def _seal(self, path: Path, recording: RecordingId, key: crypto.Readable, epoch: EpochPublicKey) -> Path:
        make_folder(path.parent)
        plain = bytearray().join((key, recording.encode("ascii")))
        try:
            sealed = crypto.seal_to(epoch.public, plain)
        finally:
            crypto.wipe(plain)
        SavedFile(path).create(_SEALED_MAGIC + crypto.fingerprint(epoch.public) + sealed)
        return path

    def next_path(self, recording: RecordingId, epoch: str) -> Path:
        """Return the path of the key that will replace a recording's key."""
        return self._folder / epoch / f"{recording}.next"

    def seal_next(self, recording: RecordingId, key: crypto.Readable, epoch: EpochPublicKey) -> None:
        """Seal a key that will replace a recording's key, durable when this returns; the old key stays.

        Raises:
            FileExistsError: There is already a next key.
            OSError: It could not be written.
        """
        self._seal(self.next_path(recording, epoch.name), recording, key, epoch)

    def take_next(self, recording: RecordingId, epoch: str) -> None:
        """Replace a recording's key by the next key, atomically and durably; the old key is destroyed."""
        path = self.path(recording, epoch)
        remove_twins(path)
        self.next_path(recording, epoch).replace(path)
        sync_folder(path.parent)

    def unseal(self, recording: RecordingId, epoch: EpochPrivateKey) -> bytes:
        """Open a recording's key with its epoch's private key.

        Raises:
            KeyProblemError: It is missing, of another epoch or recording, or changed.
        """
        path = self.path(recording, epoch.name)
        return open_sealed_key(read_secret(path, is_groups=True), recording, epoch, str(path))

    def open(self, recording: RecordingId, keys: EpochKeys) -> bytes:
        """Open a recording's key, in the epoch that counts.

        Raises:
            KeyProblemError: There is no key, or the private key of its epoch is missing or does not open it.
        """
        return self.unseal(recording, keys.load_private(self.locate(recording)))
