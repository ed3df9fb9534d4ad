"""The key that seals authenticator secrets and recovery codes in the accounts database.

It is in a file of its own that only the console's user can read, so that a copy of the database gives nobody a code.
Each value is sealed with XChaCha20-Poly1305 and bound to its account and its use: a value that was copied to another
account does not open, and a value that was put in without the key does not count.

The file has one key a line, the newest first; there are two only while a rotation is under way. It is read at each use,
inside the transaction of the database, so that a value is never sealed with a key that is being replaced.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path

from nacl.exceptions import CryptoError
from nacl.secret import Aead
from sqlalchemy import Connection, Engine

from recorder.common.home import Home
from storage import crypto
from storage.errors import KeyProblemError
from storage.key_files import create_once, read_secret, replace_wiped

PEOPLE = "people"
"""Execution option of an engine of accounts on a server: where the home's file of people would be."""
_VERSION = "s1"
_ID_BYTES = 4


class AccountKeyError(KeyProblemError):
    """A value cannot be sealed or opened; the message says what to do.

    Attributes:
        is_lost: No key that is there opens the value. False: the key is there, and this user may not read it.
    """

    def __init__(self, message: str, *, is_lost: bool = True) -> None:
        super().__init__(message)
        self.is_lost = is_lost


class Use(StrEnum):
    """What a sealed value is."""

    AUTHENTICATOR = "authenticator"
    RECOVERY_CODE = "recovery code"
    ENROLLING = "enrolling"
    """The secret of an authenticator that is being set up."""


class AccountKey:
    """Seals and opens the secrets of accounts. Safe between threads and processes.

    Args:
        people: The file of accounts, which is missing if they are on a server; the key is in the ``private`` folder
            beside it.
    """

    def __init__(self, people: Path) -> None:
        self._people = people
        self.path = Home(people.parent).accounts_key

    def create(self) -> bool:
        """Create the key if it is missing, for the owner of the accounts; returns whether it was.

        Raises:
            OSError: From the system.
        """
        if self.path.exists() or not create_once(self.path, _line(crypto.new_key())):
            return False
        owner = (self._people if self._people.exists() else self._people.parent).stat()
        for made in (self.path.parent, self.path):  # root may be running the command, in a folder that two users share
            found = made.stat()
            if (found.st_uid, found.st_gid) != (owner.st_uid, owner.st_gid):
                os.chown(made, owner.st_uid, owner.st_gid, follow_symlinks=False)
        return True

    def seal(self, account: str, use: Use, plain: str) -> str:
        """Return a value sealed with the newest key.

        Raises:
            AccountKeyError: There is no usable key.
        """
        key = self._keys()[0]
        sealed = Aead(key).encrypt(plain.encode(), _bound(account, use))
        return f"{_VERSION}:{_id_of(key)}:{base64.b64encode(sealed).decode('ascii')}"

    def open(self, account: str, use: Use, sealed: str) -> str:
        """Return the value that `seal` sealed for the same account and use.

        Raises:
            AccountKeyError: There is no usable key, another key sealed it, or it was changed.
        """
        sealed_by, text = key_id_of(sealed), sealed.rpartition(":")[2]
        keys = {_id_of(key): key for key in self._keys()}
        if sealed_by and sealed_by not in keys:
            raise AccountKeyError(f"the {use} of {account} was sealed with key {sealed_by}, {self.what_to_do()}")
        try:
            return Aead(keys[sealed_by]).decrypt(base64.b64decode(text), _bound(account, use)).decode()
        except (CryptoError, KeyError, ValueError, binascii.Error) as error:
            raise AccountKeyError(
                f"the {use} of {account} in {self._people.name} was not stored by the recorder: find out who changed "
                "it, then reset the authenticator with `recorder users reset-authenticator`"
            ) from error

    def add(self) -> None:
        """Make a new key the newest; the older ones stay until `forget_older`. In a transaction of the database.

        Raises:
            AccountKeyError: There is no usable key.
            OSError: From the system.
        """
        self._replace([crypto.new_key(), *self._keys()])

    def forget_older(self, used: Collection[str]) -> None:
        """Destroy all keys but the newest and those that are used. In a transaction of the database.

        Args:
            used: Ids of the keys that a value is sealed with, such as after another rotation was killed.

        Raises:
            AccountKeyError: There is no usable key.
            OSError: From the system.
        """
        newest, *older = self._keys()
        self._replace([newest, *(key for key in older if _id_of(key) in used)])

    def newest(self) -> str:
        """Return the id of the newest key, as in sealed values.

        Raises:
            AccountKeyError: There is no usable key.
        """
        return _id_of(self._keys()[0])

    def _replace(self, keys: list[bytes]) -> None:
        found = self.path.stat()
        replace_wiped(self.path, b"".join(map(_line, keys)))
        if os.geteuid() != found.st_uid:
            os.chown(self.path, found.st_uid, found.st_gid, follow_symlinks=False)

    def _keys(self) -> list[bytes]:
        try:
            keys = [bytes.fromhex(line) for line in read_secret(self.path).decode("ascii").split()]
        except KeyProblemError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise AccountKeyError(
                    f"{self.path}, which seals the authenticators, is missing: {self.what_to_do()}"
                ) from error
            raise AccountKeyError(
                f"{error}; it belongs to the owner of {self._people.name}, mode 0600", is_lost=False
            ) from error
        except ValueError:
            keys = []
        if not keys or any(len(key) != crypto.KEY_BYTES for key in keys):
            raise AccountKeyError(f"{self.path} does not hold a key: {self.what_to_do()}")
        return keys

    def what_to_do(self) -> str:
        """Return what to do when a value does not open."""
        return (
            f"restore {self.path} from its backup; if it is lost, `recorder users enrol-again` lets everybody set up a "
            "new authenticator"
        )


def key_of(accounts: Engine | Connection) -> AccountKey:
    """Return the key of opened accounts."""
    return AccountKey(Path(accounts.get_execution_options().get(PEOPLE) or str(accounts.engine.url.database)))


def key_id_of(sealed: str) -> str:
    """Return the id of the key that a value is sealed with."""
    return sealed.split(":")[1] if sealed.startswith(f"{_VERSION}:") else ""


def _line(key: bytes) -> bytes:
    return key.hex().encode() + b"\n"


def _id_of(key: bytes) -> str:
    return hashlib.blake2b(key, digest_size=_ID_BYTES, person=b"accounts key id").hexdigest()


def _bound(account: str, use: Use) -> bytes:
    return f"council recorder {use}\0{account}".encode()
