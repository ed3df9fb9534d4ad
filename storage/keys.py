"""Keys: the node's own, the months' (epochs), and each recording's sealed one.

The node holds ``keys/node`` and reads ``keys/epochs``; only the key holder has the private folder. Nothing here
ever overwrites a key: a second writer of the same name gets what is there.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.secret import SecretBox
from nacl.utils import random as random_bytes

from storage import crypto
from storage.durable import SavedFile, make_folder, remove, sync_folder
from storage.errors import KeyProblemError
from storage.types import RecordingId

_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
_SEALED_MAGIC = b"CCKEY\r\n\x01"


def month_of(moment: datetime) -> str:
    """Return ``YYYY-MM`` of an aware moment, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m")


def _months_from(moment: datetime, count: int) -> list[str]:
    first = moment.astimezone(UTC)
    months = [first.year * 12 + first.month - 1 + step for step in range(count)]
    return [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in months]


def _read_private(path: Path) -> bytes:
    try:
        if path.stat().st_mode & 0o077:
            raise KeyProblemError(f"{path} can be read by others: its mode must be 0600")
        return path.read_bytes()
    except OSError as error:
        raise KeyProblemError(f"{path} cannot be read: {error.strerror}") from error


def _create_once(path: Path, content: bytes, mode: int = 0o600) -> bool:
    make_folder(path.parent)
    try:
        SavedFile(path, mode=mode).create(content)
    except FileExistsError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKeys:
    """What a node signs footers with and seals index metadata to. Neither opens any audio."""

    sign_public: bytes
    sign_secret: bytes = field(repr=False)
    index_key: bytes = field(repr=False)

    @classmethod
    def create(cls, home: Path) -> "NodeKeys":
        """Write ``keys/node/sign.key`` and ``index.key`` under home where they are missing, and load them."""
        for name in ("sign.key", "index.key"):
            _create_once(home / "keys" / "node" / name, crypto.new_key().hex().encode() + b"\n")
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
            key = bytes.fromhex(_read_private(path).decode("ascii"))
        except ValueError as error:
            raise KeyProblemError(f"{path} does not hold a key") from error
        if len(key) != crypto.KEY_BYTES:
            raise KeyProblemError(f"{path} holds {len(key)} bytes, expected {crypto.KEY_BYTES}")
        return key

    @property
    def fingerprint(self) -> str:
        """Return the hex SHA-256 of the signing public key, as files name it."""
        return crypto.fingerprint(self.sign_public).hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochPublicKey:
    """The public key of a month. ``is_fallback``: the month asked for has none, this is the newest there is."""

    month: str
    public: bytes
    is_fallback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochPrivateKey:
    """The private key of a month: opens every recording's key of it."""

    month: str
    public: bytes
    private: bytes = field(repr=False)


def _decode(path: Path, content: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(content)
        if fields["version"] != 1:
            raise KeyProblemError(f"{path} has version {fields['version']}, this program reads 1")
        bytes.fromhex(fields["public"])
    except (ValueError, KeyError, TypeError) as error:
        raise KeyProblemError(f"{path} does not hold an epoch key") from error
    return dict(fields)


def read_public(folder: Path, month: str) -> EpochPublicKey:
    """Read ``<month>.pub`` from the epochs' folder.

    Raises:
        KeyProblemError: It is missing or malformed.
    """
    path = folder / f"{month}.pub"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise KeyProblemError(f"{path} cannot be read: {error.strerror}") from error
    public = bytes.fromhex(_decode(path, content)["public"])
    if len(public) != crypto.KEY_BYTES:
        raise KeyProblemError(f"{path} holds {len(public)} bytes, expected {crypto.KEY_BYTES}")
    return EpochPublicKey(month=month, public=public)


def current_public(folder: Path, now: datetime) -> EpochPublicKey:
    """Return the key of now's month, or the newest there is, flagged.

    The newest and not an older one, because the private key of an old epoch may have been destroyed already.

    Raises:
        KeyProblemError: There is no epoch at all, or the one chosen cannot be read.
    """
    month = month_of(now)
    if (folder / f"{month}.pub").exists():
        return read_public(folder, month)
    months = sorted(path.stem for path in folder.glob("*.pub") if _MONTH.fullmatch(path.stem))
    if not months:
        raise KeyProblemError(f"there is no epoch key in {folder}: the key holder has to create one")
    newest = read_public(folder, months[-1])
    return EpochPublicKey(month=newest.month, public=newest.public, is_fallback=True)


class EpochKeys:
    """The key holder's side: makes epochs and opens their private keys.

    Args:
        public_folder: ``keys/epochs`` of the node's home.
        private_folder: Where private keys live, mode 0700; may be on another machine's disk.
        passphrase: If given, new private keys are sealed with it (argon2id, then secretbox), and it opens them.
    """

    def __init__(self, public_folder: Path, private_folder: Path, *, passphrase: bytes | None = None) -> None:
        self._public = public_folder
        self._private = private_folder
        self._passphrase = passphrase

    def create_epoch(self, month: str) -> EpochPublicKey:
        """Make the pair of a month ``YYYY-MM`` where it is missing; the private key is durable first.

        A pair of which only the private half was written is completed; nothing is ever overwritten.

        Raises:
            ValueError: Not a month.
            KeyProblemError: A public key is there without its private half, or the halves differ.
        """
        if not _MONTH.fullmatch(month):
            raise ValueError(f"{month!r} is not a month of the form YYYY-MM")
        path = self._private / f"{month}.key"
        if not path.exists():
            if (self._public / f"{month}.pub").exists():
                raise KeyProblemError(f"epoch {month} has a public key, but {path} is missing")
            _create_once(path, self._encode_private(month))
        public = bytes.fromhex(_decode(path, _read_private(path))["public"])
        content = json.dumps({"version": 1, "epoch": month, "public": public.hex()}).encode() + b"\n"
        _create_once(self._public / f"{month}.pub", content, 0o600)
        stored = read_public(self._public, month)
        if stored.public != public:
            raise KeyProblemError(f"the two halves of epoch {month} do not belong together")
        return stored

    def ensure_epochs(self, now: datetime, *, months_ahead: int = 2) -> list[str]:
        """Make the epochs of now's month and the following ones; returns the months that are new."""
        months = _months_from(now, months_ahead + 1)
        missing = [month for month in months if not (self._public / f"{month}.pub").exists()]
        for month in missing:
            self.create_epoch(month)
        return missing

    def months(self) -> list[str]:
        """Return the months whose private key is here, oldest first."""
        return sorted(path.stem for path in self._private.glob("*.key") if _MONTH.fullmatch(path.stem))

    def load_private(self, month: str) -> EpochPrivateKey:
        """Open the private key of a month.

        Raises:
            KeyProblemError: Missing, readable by others, malformed, or the passphrase is missing or wrong.
        """
        path = self._private / f"{month}.key"
        fields = _decode(path, _read_private(path))
        public = bytes.fromhex(fields["public"])
        try:
            secret = bytes.fromhex(fields["secret"])
            private = self._open_secret(path, secret, fields["kdf"]) if fields["kdf"] else secret
        except (KeyError, ValueError, TypeError) as error:
            raise KeyProblemError(f"{path} does not hold an epoch key") from error
        if len(private) != crypto.KEY_BYTES or crypto.public_of(private) != public:
            raise KeyProblemError(f"{path} holds a private key that is not that of its public key")
        return EpochPrivateKey(month=month, public=public, private=private)

    def _encode_private(self, month: str) -> bytes:
        private = crypto.new_key()
        secret, kdf = private, None
        if self._passphrase is not None:
            kdf = {
                "name": "argon2id",
                "salt": random_bytes(argon2id.SALTBYTES).hex(),
                "ops": argon2id.OPSLIMIT_MODERATE,
                "memory_bytes": argon2id.MEMLIMIT_MODERATE,
            }
            secret = bytes(SecretBox(_stretch(self._passphrase, kdf)).encrypt(private))
        fields = {
            "version": 1,
            "epoch": month,
            "public": crypto.public_of(private).hex(),
            "kdf": kdf,
            "secret": secret.hex(),
        }
        return json.dumps(fields).encode() + b"\n"

    def _open_secret(self, path: Path, secret: bytes, kdf: Mapping[str, Any]) -> bytes:
        if self._passphrase is None:
            raise KeyProblemError(f"{path} needs its passphrase")
        try:
            return SecretBox(_stretch(self._passphrase, kdf)).decrypt(secret)
        except CryptoError as error:
            raise KeyProblemError(f"the passphrase does not open {path}") from error


def _stretch(passphrase: bytes, kdf: Mapping[str, Any]) -> bytes:
    key: bytes = argon2id.kdf(
        SecretBox.KEY_SIZE,
        passphrase,
        bytes.fromhex(kdf["salt"]),
        opslimit=kdf["ops"],
        memlimit=kdf["memory_bytes"],
    )
    return key


def destroy_key(path: Path) -> None:
    """Remove a sealed key for good; durable, a missing one is fine."""
    _remove_twins(path)
    remove(path)


def unlink_key(path: Path) -> bool:
    """Remove a sealed key, durable only after a `sync_folder` of its folder; tells whether there was one.

    For many at once: what counts is that the folder is synced before anybody is told that they are gone.
    """
    _remove_twins(path)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _remove_twins(path: Path) -> None:
    """Remove the temporary name of a key whose writer was killed before it could do so itself."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    if found.st_nlink > 1:
        for twin in path.parent.glob(".new-*"):
            if twin.stat().st_ino == found.st_ino:
                twin.unlink()


class SealedKeys:
    """The sealed keys of recordings: ``keys/sealed/<YYYY-MM>/<id>.key`` under a home."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "keys" / "sealed"

    def path(self, recording: RecordingId, month: str) -> Path:
        """Return where the sealed key of a recording lies."""
        return self._folder / month / f"{recording}.key"

    def seal(self, recording: RecordingId, key: crypto.Readable, epoch: EpochPublicKey) -> Path:
        """Seal a recording's key to its epoch, durable when this returns.

        Raises:
            FileExistsError: The recording has a key already.
            OSError: It could not be written.
        """
        return self._seal(self.path(recording, epoch.month), recording, key, epoch)

    def _seal(self, path: Path, recording: RecordingId, key: crypto.Readable, epoch: EpochPublicKey) -> Path:
        make_folder(path.parent)
        plain = bytearray().join((key, recording.encode("ascii")))
        try:
            sealed = crypto.seal_to(epoch.public, plain)
        finally:
            crypto.wipe(plain)
        SavedFile(path).create(_SEALED_MAGIC + crypto.fingerprint(epoch.public) + sealed)
        return path

    def next_path(self, recording: RecordingId, month: str) -> Path:
        """Return where the key lies that is about to take the place of a recording's."""
        return self._folder / month / f"{recording}.next"

    def seal_next(self, recording: RecordingId, key: crypto.Readable, epoch: EpochPublicKey) -> None:
        """Seal a key that is to take the place of a recording's, durable when this returns; the old one stays.

        Raises:
            FileExistsError: There is one already.
            OSError: It could not be written.
        """
        self._seal(self.next_path(recording, epoch.month), recording, key, epoch)

    def take_next(self, recording: RecordingId, month: str) -> None:
        """Put the next key in the place of a recording's, which is destroyed by it; durable, in one step."""
        path = self.path(recording, month)
        _remove_twins(path)
        self.next_path(recording, month).replace(path)
        sync_folder(path.parent)

    def unseal(self, recording: RecordingId, epoch: EpochPrivateKey) -> bytes:
        """Open a recording's key with its epoch's private key.

        Raises:
            KeyProblemError: Missing (destroyed with the recording, perhaps), of another epoch or recording, changed.
        """
        path = self.path(recording, epoch.month)
        content = _read_private(path)
        head, sealed = content[: len(_SEALED_MAGIC) + 32], content[len(_SEALED_MAGIC) + 32 :]
        if head != _SEALED_MAGIC + crypto.fingerprint(epoch.public):
            raise KeyProblemError(f"{path} is not sealed to this key of epoch {epoch.month}")
        plain = crypto.open_sealed(sealed, epoch.public, epoch.private)
        if plain[crypto.KEY_BYTES :] != recording.encode("ascii"):
            raise KeyProblemError(f"{path} holds the key of another recording")
        return plain[: crypto.KEY_BYTES]
