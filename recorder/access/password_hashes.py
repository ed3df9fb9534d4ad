"""Hashes of passwords, by argon2id. Each blocks for about 0.1 s: not for an event loop."""

import secrets
import threading
from base64 import b64encode

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.low_level import ARGON2_VERSION

from recorder.access.passwords import MAX_CHARACTERS

_HASHES_AT_ONCE = 2
"""Each hash takes 64 MiB; a flood of sign-ins must not take the machine's memory."""


class PasswordHashes:
    """Makes and checks hashes; safe to use from several threads.

    Args:
        hasher: argon2id; None is with its usual costs.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._hashing = threading.BoundedSemaphore(_HASHES_AT_ONCE)
        self._nobody = hash_of_nobody(self._hasher)

    def hash_of(self, password: str) -> str:
        """Return a new hash of a password."""
        with self._hashing:
            return self._hasher.hash(password)

    def rehashed(self, password_hash: str, password: str) -> str:
        """Return the hash of a password that is right: a new one if it was made with other costs."""
        return self.hash_of(password) if self._hasher.check_needs_rehash(password_hash) else password_hash

    def matches(self, password_hash: str, password: str) -> bool:
        """Tell whether a hash is that of a password."""
        with self._hashing:
            try:
                return self._hasher.verify(password_hash, password[: MAX_CHARACTERS + 1])
            except (Argon2Error, InvalidHashError):
                return False

    def check_nobody(self, password: str) -> None:
        """Take as long as checking the password of an account."""
        self.matches(self._nobody, password)


def hash_of_nobody(hasher: PasswordHasher) -> str:
    """Return a hash that costs as much to check as any account's and is no password's: random bytes stand in it.

    It is not computed: every command opens the accounts, and most of them have nobody sign in.
    """
    salt, digest = (
        b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (hasher.salt_len, hasher.hash_len)
    )
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${cost}${salt}${digest}"
