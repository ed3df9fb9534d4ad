"""Hashes of passwords, by argon2id. Each blocks for about 0.1 s, so do not call this from an event loop."""

import secrets
import threading
from base64 import b64encode

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.low_level import ARGON2_VERSION

from recorder.access.passwords import MAX_CHARACTERS

CLOSED = "closed by a restore"
"""In place of a hash: no password is right, until another one is set (`recorder.backups.closing`)."""
_HASHES_AT_ONCE = 2
"""Each hash takes 64 MiB; many simultaneous sign-ins must not exhaust the memory."""


class PasswordHashes:
    """Makes and checks hashes; safe to use from several threads.

    Args:
        hasher: argon2id; None for its usual costs.
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
        """Return the hash of a password that is right: a new one if the costs have changed."""
        return self.hash_of(password) if self._hasher.check_needs_rehash(password_hash) else password_hash

    def matches(self, password_hash: str, password: str) -> bool:
        """Tell whether a hash is that of a password; takes as long for `CLOSED`, of which none is."""
        if password_hash == CLOSED:
            password_hash = self._nobody
        with self._hashing:
            try:
                return self._hasher.verify(password_hash, password[: MAX_CHARACTERS + 1])
            except (Argon2Error, InvalidHashError):
                return False

    def check_nobody(self, password: str) -> None:
        """Take as long as checking the password of an account."""
        self.matches(self._nobody, password)


def hash_of_nobody(hasher: PasswordHasher) -> str:
    """Return a hash of no password, made of random bytes, that costs as much to check as any other.

    It is not computed: every command opens the accounts, and most involve no sign-in.
    """
    salt, digest = (
        b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (hasher.salt_len, hasher.hash_len)
    )
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${cost}${salt}${digest}"
