"""Key epochs: the key pairs of the months. Any process reads public keys; the key holder makes and uses private keys.

An epoch is named ``YYYY-MM``, after a rotation within the month ``YYYY-MM.2`` and so on. A rotation also replaces the
pairs that were made in advance, so that a stolen folder of private keys opens no later recording.
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
from storage.durable import remove
from storage.errors import KeyProblemError
from storage.key_files import create_once, destroy_secret, finish_destroying, read_secret, replace_wiped

_EPOCH = re.compile(r"(\d{4}-(?:0[1-9]|1[0-2]))(?:\.([2-9]|[1-9]\d{1,3}))?", re.ASCII)


def month_of(moment: datetime) -> str:
    """Return the month of an aware time as ``YYYY-MM``, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m")


def is_epoch(name: str) -> bool:
    """Tell whether a name has the form of an epoch's name."""
    return _EPOCH.fullmatch(name) is not None


def epoch_order(name: str) -> tuple[str, int]:
    """Return the sort key of an epoch: its month, and its number within the month from 1.

    Raises:
        ValueError: Not the name of an epoch.
    """
    found = _EPOCH.fullmatch(name)
    if found is None:
        raise ValueError(f"{name!r} is not an epoch of the form YYYY-MM or YYYY-MM.2")
    return found[1], int(found[2] or 1)


def next_epoch(name: str) -> str:
    """Return the name of the next epoch of the same month."""
    month, generation = epoch_order(name)
    return f"{month}.{generation + 1}"


def names_in(folder: Path, suffix: str) -> list[str]:
    """Return the epochs that have a file with a suffix in a folder, oldest first."""
    names = (path.name.removesuffix(suffix) for path in folder.glob(f"*{suffix}"))
    return sorted(filter(is_epoch, names), key=epoch_order)


def _months_from(moment: datetime, count: int) -> list[str]:
    first = moment.astimezone(UTC)
    months = [first.year * 12 + first.month - 1 + step for step in range(count)]
    return [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in months]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochPublicKey:
    """The public key of an epoch. ``is_fallback``: it is the newest, because the wanted month has none."""

    name: str
    public: bytes
    is_fallback: bool = False

    @property
    def month(self) -> str:
        """``YYYY-MM``."""
        return epoch_order(self.name)[0]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public key in hex, as in files."""
        return crypto.fingerprint(self.public).hex()

    def write_once(self, folder: Path) -> None:
        """Write it into the epochs' folder, durably, unless it is there."""
        content = json.dumps({"version": 1, "epoch": self.name, "public": self.public.hex()}).encode() + b"\n"
        create_once(folder / f"{self.name}.pub", content, mode=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochPrivateKey:
    """The private key of an epoch; opens every recording's key that is sealed to it."""

    name: str
    public: bytes
    private: bytes = field(repr=False)

    @property
    def public_key(self) -> EpochPublicKey:
        """The public key, to seal to."""
        return EpochPublicKey(name=self.name, public=self.public)


def _decode(path: Path, content: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(content)
        if fields["version"] != 1:
            raise KeyProblemError(f"{path} has version {fields['version']}, this program reads 1")
        if len(bytes.fromhex(fields["public"])) != crypto.KEY_BYTES:
            raise KeyProblemError(f"{path} holds a public key that has not {crypto.KEY_BYTES} bytes")
    except (ValueError, KeyError, TypeError) as error:
        raise KeyProblemError(f"{path} does not hold an epoch key") from error
    return dict(fields)


def read_public(folder: Path, name: str) -> EpochPublicKey:
    """Read the public key of an epoch from the epochs' folder. Raises KeyProblemError if it is missing or malformed."""
    path = folder / f"{name}.pub"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise KeyProblemError(f"{path} cannot be read: {error.strerror}") from error
    return EpochPublicKey(name=name, public=bytes.fromhex(_decode(path, content)["public"]))


def current_public(folder: Path, now: datetime) -> EpochPublicKey:
    """Return the newest key of now's month, or without one the newest of all as a fallback.

    Not an older one: its private key may already be destroyed.

    Raises:
        KeyProblemError: There is no epoch, or its public key cannot be read.
    """
    names, month = names_in(folder, ".pub"), month_of(now)
    if not names:
        raise KeyProblemError(f"there is no epoch key in {folder}: the key holder has to create one")
    of_month = [name for name in names if epoch_order(name)[0] == month]
    if of_month:
        return read_public(folder, of_month[-1])
    newest = read_public(folder, names[-1])
    return EpochPublicKey(name=newest.name, public=newest.public, is_fallback=True)


class EpochKeys:
    """The key holder's keys: makes epochs, opens their private keys, destroys them.

    A private key that a passphrase opened stays in memory, since opening it costs a second and 256 MiB.

    Args:
        public_folder: ``keys/epochs`` of the node's home.
        private_folder: Folder of the private keys, mode 0700; may be on another machine's disk.
        passphrase: Seals new private keys (argon2id, then secretbox) and opens them; None: they are in clear.
    """

    def __init__(self, public_folder: Path, private_folder: Path, *, passphrase: bytes | None = None) -> None:
        self.public_folder = public_folder
        self.private_folder = private_folder
        self._passphrase = passphrase
        self._opened: dict[str, tuple[tuple[int, int], EpochPrivateKey]] = {}

    def create_epoch(self, name: str) -> EpochPublicKey:
        """Make the key pair of an epoch if it is missing; the private key is durable first.

        If only the private key was written before, the pair is completed; nothing is overwritten.

        Raises:
            ValueError: Not the name of an epoch.
            KeyProblemError: The public key exists without the private key, the two do not belong together, or the
                passphrase is not that of the other private keys.
        """
        epoch_order(name)
        path = self._path(name)
        if not path.exists():
            if (self.public_folder / f"{name}.pub").exists():
                raise KeyProblemError(f"epoch {name} has a public key, but {path} is missing")
            self._check_here()
            self.check_passphrase()
            create_once(path, self._encode(name, crypto.new_key(), self._passphrase))
        public = _decode(path, read_secret(path))["public"]
        EpochPublicKey(name=name, public=bytes.fromhex(public)).write_once(self.public_folder)
        stored = read_public(self.public_folder, name)
        if stored.public.hex() != public:
            raise KeyProblemError(f"the two halves of epoch {name} do not belong together")
        return stored

    def _check_here(self) -> None:
        """Raise KeyProblemError if public keys exist but the private folder is empty: it may be the wrong folder."""
        if not self.names() and names_in(self.public_folder, ".pub"):
            raise KeyProblemError(
                f"there are public keys, but no private one in {self.private_folder}: "
                "is its disk mounted, and private_keys in [storage] right?"
            )

    def ensure_epochs(self, now: datetime, *, months_ahead: int = 2) -> list[str]:
        """Make the missing epochs of now's month and the following ones; returns their months."""
        there = {epoch_order(name)[0] for name in names_in(self.public_folder, ".pub")}
        missing = [month for month in _months_from(now, months_ahead + 1) if month not in there]
        for month in missing:
            self.create_epoch(month)
        return missing

    def rotate(self, now: datetime) -> list[EpochPublicKey]:
        """Make new pairs for now's month and every later month with a pair; they are used for new recordings at once.

        Returns:
            The new epochs, oldest first.

        Raises:
            KeyProblemError: As `create_epoch`.
            OSError: From the system; pairs made before the error are in use.
        """
        newest = {epoch_order(name)[0]: name for name in names_in(self.public_folder, ".pub")}
        return [self.create_epoch(next_epoch(newest[m])) for m in sorted(newest) if m >= month_of(now)]

    def names(self) -> list[str]:
        """Return the epochs whose private key is here, oldest first."""
        return names_in(self.private_folder, ".key")

    def public_of(self, name: str) -> EpochPublicKey:
        """Return the public key that is stored with a private key; needs no passphrase.

        Raises:
            KeyProblemError: It is missing, readable by others, or malformed.
        """
        path = self._path(name)
        return EpochPublicKey(name=name, public=bytes.fromhex(_decode(path, read_secret(path))["public"]))

    def is_sealed(self, name: str) -> bool:
        """Tell whether a private key is sealed with a passphrase.

        Raises:
            KeyProblemError: It is missing, readable by others, or malformed.
        """
        path = self._path(name)
        return _decode(path, read_secret(path)).get("kdf") is not None

    @property
    def has_passphrase(self) -> bool:
        """Tell whether a passphrase was given."""
        return self._passphrase is not None

    def check_passphrase(self) -> None:
        """Check the passphrase against the newest private key, if there is one.

        Raises:
            KeyProblemError: The passphrase is missing, wrong, or not needed; the message says what to do.
        """
        names = self.names()
        if not names:
            return
        if self._passphrase is not None and not self.is_sealed(names[-1]):
            raise KeyProblemError(
                f"a passphrase was given, but the private keys in {self.private_folder} are not sealed with one: "
                "`recorder keys passphrase` seals them"
            )
        self.load_private(names[-1])

    def load_private(self, name: str) -> EpochPrivateKey:
        """Open the private key of an epoch.

        Raises:
            KeyProblemError: Missing, readable by others, malformed, or the passphrase is missing or wrong.
        """
        path = self._path(name)
        if not path.exists():
            raise KeyProblemError(
                f"{path} cannot be read, for it is not here: run this where the private keys are, "
                "or set private_keys in [storage] to their folder"
            )
        content = read_secret(path)
        stamp = (path.stat().st_ino, path.stat().st_mtime_ns)
        if name in self._opened and self._opened[name][0] == stamp:
            return self._opened[name][1]
        key = self._open(path, content, self._passphrase)
        if self._passphrase is not None:
            self._opened[name] = (stamp, key)
        return key

    def change_passphrase(self, new: bytes | None) -> list[str]:
        """Seal every private key with another passphrase, or with none; each atomically.

        After a kill some keys have the old and some the new passphrase; call it again to continue.

        Args:
            new: The new passphrase; None stores the keys in clear.

        Returns:
            The epochs whose private key was changed.

        Raises:
            KeyProblemError: A key opens with neither; nothing was changed.
            OSError: From the system.
        """
        opened = {name: self._open_either(name, new) for name in self.names()}
        changed = [name for name, (_, is_new) in opened.items() if not is_new]
        for name in changed:
            replace_wiped(self._path(name), self._encode(name, opened[name][0].private, new))
        self._passphrase = new
        self._opened.clear()
        return changed

    def _open_either(self, name: str, new: bytes | None) -> tuple[EpochPrivateKey, bool]:
        path = self._path(name)
        content = read_secret(path)
        if self.is_sealed(name) is (new is not None):
            try:
                return self._open(path, content, new), True
            except KeyProblemError:
                if new is None:
                    raise
        return self._open(path, content, self._passphrase), False

    def made_at(self, name: str) -> datetime | None:
        """Return when the public key of an epoch was written, or None if there is none."""
        try:
            found = (self.public_folder / f"{name}.pub").stat()
        except FileNotFoundError:
            return None
        return datetime.fromtimestamp(found.st_mtime, UTC)

    def retire(self, name: str) -> None:
        """Remove the public key of an epoch durably, so that nothing is sealed to it any more; it may be missing."""
        remove(self.public_folder / f"{name}.pub")

    def destroy(self, name: str) -> None:
        """Destroy the private key of an epoch: overwrite and remove it, durably; it may be missing.

        Raises:
            OSError: From the system; call again.
        """
        epoch_order(name)
        self._opened.pop(name, None)
        destroy_secret(self._path(name))

    def finish_destroying(self) -> None:
        """Complete a `destroy` that a kill interrupted.

        Raises:
            OSError: From the system; call again.
        """
        finish_destroying(self.private_folder)

    def _path(self, name: str) -> Path:
        return self.private_folder / f"{name}.key"

    def _open(self, path: Path, content: bytes, passphrase: bytes | None) -> EpochPrivateKey:
        fields = _decode(path, content)
        public = bytes.fromhex(fields["public"])
        try:
            secret = bytes.fromhex(fields["secret"])
            private = _open_secret(path, secret, fields["kdf"], passphrase) if fields["kdf"] else secret
        except (KeyError, ValueError, TypeError) as error:
            raise KeyProblemError(f"{path} does not hold an epoch key") from error
        if len(private) != crypto.KEY_BYTES or crypto.public_of(private) != public:
            raise KeyProblemError(f"{path} holds a private key that is not that of its public key")
        return EpochPrivateKey(name=path.name.removesuffix(".key"), public=public, private=private)

    @staticmethod
    def _encode(name: str, private: bytes, passphrase: bytes | None) -> bytes:
        secret, kdf = private, None
        if passphrase is not None:
            kdf = {
                "name": "argon2id",
                "salt": random_bytes(argon2id.SALTBYTES).hex(),
                "ops": argon2id.OPSLIMIT_MODERATE,
                "memory_bytes": argon2id.MEMLIMIT_MODERATE,
            }
            secret = bytes(SecretBox(_stretch(passphrase, kdf)).encrypt(private))
        fields = {
            "version": 1,
            "epoch": name,
            "public": crypto.public_of(private).hex(),
            "kdf": kdf,
            "secret": secret.hex(),
        }
        return json.dumps(fields).encode() + b"\n"


def _open_secret(path: Path, secret: bytes, kdf: Mapping[str, Any], passphrase: bytes | None) -> bytes:
    if passphrase is None:
        raise KeyProblemError(f"{path} needs its passphrase: set passphrase_file in [storage], or give one")
    try:
        return SecretBox(_stretch(passphrase, kdf)).decrypt(secret)
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
