"""Every use of a cipher, in one place: libsodium by PyNaCl's bindings, no construction of our own.

Pure. Keys are bytes and live in this process's memory until it ends: Python cannot wipe them.
"""

import hashlib

import nacl.bindings as sodium
from nacl.exceptions import CryptoError

from storage.errors import DamagedError, KeyProblemError

STREAM_OVERHEAD_BYTES: int = sodium.crypto_secretstream_xchacha20poly1305_ABYTES
_FINAL: int = sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL
_MESSAGE: int = sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
_NONCE_BYTES: int = sodium.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
INDEX_OVERHEAD_BYTES: int = _NONCE_BYTES + sodium.crypto_aead_xchacha20poly1305_ietf_ABYTES
_INDEX_DOMAIN = b"council-call-recorder index v1\0"
KEY_BYTES = 32


def fingerprint(public_key: bytes) -> bytes:
    """Return the SHA-256 of a public key, 32 bytes."""
    return hashlib.sha256(public_key).digest()


def new_key() -> bytes:
    """Return a random key of 32 bytes."""
    return sodium.randombytes(KEY_BYTES)


class StreamSealer:
    """Seals the frames of one recording in order; a frame cannot be changed, moved or left out unnoticed."""

    def __init__(self, key: bytes) -> None:
        self._state = sodium.crypto_secretstream_xchacha20poly1305_state()
        self.header: bytes = sodium.crypto_secretstream_xchacha20poly1305_init_push(self._state, key)

    def seal(self, plain: bytes, associated: bytes, *, is_final: bool = False) -> bytes:
        """Return the ciphertext, STREAM_OVERHEAD_BYTES longer; ``associated`` is bound but not stored."""
        tag = _FINAL if is_final else _MESSAGE
        sealed: bytes = sodium.crypto_secretstream_xchacha20poly1305_push(self._state, plain, associated, tag)
        return sealed


class StreamOpener:
    """Opens what a StreamSealer sealed, in the same order."""

    def __init__(self, key: bytes, header: bytes) -> None:
        self._state = sodium.crypto_secretstream_xchacha20poly1305_state()
        sodium.crypto_secretstream_xchacha20poly1305_init_pull(self._state, header, key)

    def open(self, sealed: bytes, associated: bytes) -> tuple[bytes, bool]:
        """Return the plaintext and whether it was sealed as the last.

        Raises:
            DamagedError: Another key, another order, or changed bytes.
        """
        if len(sealed) < STREAM_OVERHEAD_BYTES:
            raise DamagedError("a sealed frame is shorter than its seal")
        try:
            plain, tag = sodium.crypto_secretstream_xchacha20poly1305_pull(self._state, sealed, associated)
        except (CryptoError, RuntimeError) as error:
            raise DamagedError("a frame does not open with this recording's key") from error
        return plain, tag == _FINAL


def seal_index(plain: bytes, key: bytes, associated: bytes) -> bytes:
    """Seal index metadata to the node's index key: random nonce, then XChaCha20-Poly1305."""
    nonce = sodium.randombytes(_NONCE_BYTES)
    sealed: bytes = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, _INDEX_DOMAIN + associated, nonce, key)
    return nonce + sealed


def open_index(sealed: bytes, key: bytes, associated: bytes) -> bytes:
    """Open what `seal_index` sealed.

    Raises:
        DamagedError: Another node's key, or changed or moved bytes.
    """
    if len(sealed) < INDEX_OVERHEAD_BYTES:
        raise DamagedError("an index frame is shorter than its seal")
    nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        plain: bytes = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(text, _INDEX_DOMAIN + associated, nonce, key)
    except CryptoError as error:
        raise DamagedError("an index frame does not open with this node's index key") from error
    return plain


def seal_to(public_key: bytes, plain: bytes) -> bytes:
    """Seal to an X25519 public key; only its private key opens it (crypto_box_seal)."""
    sealed: bytes = sodium.crypto_box_seal(plain, public_key)
    return sealed


def open_sealed(sealed: bytes, public_key: bytes, private_key: bytes) -> bytes:
    """Open what `seal_to` sealed.

    Raises:
        KeyProblemError: Another private key, or changed bytes.
    """
    try:
        plain: bytes = sodium.crypto_box_seal_open(sealed, public_key, private_key)
    except (CryptoError, TypeError, ValueError) as error:
        raise KeyProblemError("the sealed key does not open with this private key") from error
    return plain


def public_of(private_key: bytes) -> bytes:
    """Return the X25519 public key of a private key."""
    public: bytes = sodium.crypto_scalarmult_base(private_key)
    return public


def signing_pair(seed: bytes) -> tuple[bytes, bytes]:
    """Return the ed25519 public key and secret key of a 32-byte seed."""
    public, secret = sodium.crypto_sign_seed_keypair(seed)
    return public, secret


def sign(message: bytes, secret: bytes) -> bytes:
    """Return the 64-byte ed25519 signature."""
    signed: bytes = sodium.crypto_sign(message, secret)
    return signed[:64]


def is_signed(message: bytes, signature: bytes, public_key: bytes) -> bool:
    """Tell whether the signature is that key's over that message."""
    try:
        sodium.crypto_sign_open(signature + message, public_key)
    except (CryptoError, ValueError):
        return False
    return True
