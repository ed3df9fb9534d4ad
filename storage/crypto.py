"""All cryptography of storage: libsodium by PyNaCl's bindings, without own constructions. Pure.

Frames go from the caller's buffer straight to libsodium, without the copies in ``bytes`` that the bindings would make
and that could not be wiped. The owner of a stream wipes its state. Keys given as ``bytes`` (of the node, of epochs)
live until Python frees them.
"""

import hashlib

import nacl.bindings as sodium
from nacl._sodium import ffi, lib  # type: ignore[import-not-found]  # nacl.bindings uses it too
from nacl.exceptions import CryptoError

from storage.errors import DamagedError, KeyProblemError

STREAM_OVERHEAD_BYTES: int = sodium.crypto_secretstream_xchacha20poly1305_ABYTES
_FINAL: int = sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL
_MESSAGE: int = sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
_NONCE_BYTES: int = sodium.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
INDEX_OVERHEAD_BYTES: int = _NONCE_BYTES + sodium.crypto_aead_xchacha20poly1305_ietf_ABYTES
_INDEX_DOMAIN = b"council-call-recorder index v1\0"
_STATE_BYTES: int = sodium.crypto_secretstream_xchacha20poly1305_STATEBYTES
_HEADER_BYTES: int = sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES
KEY_BYTES = 32
SEAL_OVERHEAD_BYTES: int = sodium.crypto_box_SEALBYTES

Readable = bytes | bytearray | memoryview
"""Contiguous bytes."""


def fingerprint(public_key: bytes) -> bytes:
    """Return the SHA-256 of a public key, 32 bytes."""
    return hashlib.sha256(public_key).digest()


def new_key() -> bytes:
    """Return a random key of 32 bytes."""
    return sodium.randombytes(KEY_BYTES)


def new_wipeable_key() -> bytearray:
    """Return a random key of 32 bytes that `wipe` can overwrite."""
    key = bytearray(KEY_BYTES)
    lib.randombytes(ffi.from_buffer(key), KEY_BYTES)
    return key


def wipe(buffer: bytearray | memoryview) -> None:
    """Fill a buffer with zeros, in a way that a compiler does not remove."""
    lib.sodium_memzero(ffi.from_buffer(buffer), len(buffer))


class StreamSealer:
    """Seals the frames of one recording in order; a changed, moved or missing frame is noticed when they are opened.

    Args:
        key: 32 bytes; the caller may wipe them at once.
    """

    __slots__ = ("_is_wiped", "_state", "header")

    def __init__(self, key: Readable) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
        self._state = ffi.new("unsigned char[]", _STATE_BYTES)
        self._is_wiped = False
        header = bytearray(_HEADER_BYTES)
        lib.crypto_secretstream_xchacha20poly1305_init_push(self._state, ffi.from_buffer(header), ffi.from_buffer(key))
        self.header = bytes(header)

    def seal(self, plain: Readable, associated: bytes, *, is_final: bool = False) -> bytearray:
        """Return the ciphertext, STREAM_OVERHEAD_BYTES longer; ``associated`` is bound but not stored.

        Nothing of ``plain`` is kept or copied.

        Raises:
            RuntimeError: The sealer was wiped.
        """
        if self._is_wiped:  # sealing with a state of zeros would use a known key
            raise RuntimeError("the stream has ended and its key is gone")
        sealed = bytearray(len(plain) + STREAM_OVERHEAD_BYTES)
        lib.crypto_secretstream_xchacha20poly1305_push(
            self._state, ffi.from_buffer(sealed), ffi.NULL, ffi.from_buffer(plain), len(plain),
            associated, len(associated), _FINAL if is_final else _MESSAGE,
        )  # fmt: skip
        return sealed

    def wipe(self) -> None:
        """Wipe the key; nothing can be sealed any more. Idempotent."""
        self._is_wiped = True
        lib.sodium_memzero(self._state, _STATE_BYTES)


class StreamOpener:
    """Opens the frames that a StreamSealer sealed, in the same order."""

    def __init__(self, key: bytes, header: bytes) -> None:
        self._state = sodium.crypto_secretstream_xchacha20poly1305_state()
        sodium.crypto_secretstream_xchacha20poly1305_init_pull(self._state, header, key)

    def open(self, sealed: bytes | bytearray, associated: bytes) -> tuple[bytes, bool]:
        """Return the plaintext, and whether it was sealed as the last frame.

        Raises:
            DamagedError: Another key, another order, or changed bytes.
        """
        if len(sealed) < STREAM_OVERHEAD_BYTES:
            raise DamagedError("a sealed frame is shorter than its seal")
        try:
            plain, tag = sodium.crypto_secretstream_xchacha20poly1305_pull(self._state, bytes(sealed), associated)
        except (CryptoError, RuntimeError) as error:
            raise DamagedError("a frame does not open with this recording's key") from error
        return plain, tag == _FINAL


def key_beside(key: bytes) -> bytes:
    """Return the key for a file beside a recording, derived from the recording's key, so that both expire together."""
    return hashlib.blake2b(digest_size=KEY_BYTES, key=key, person=b"recorder.beside").digest()


def seal_index(plain: bytes, key: bytes, associated: bytes) -> bytes:
    """Seal index metadata with the node's index key: random nonce, then XChaCha20-Poly1305."""
    nonce = sodium.randombytes(_NONCE_BYTES)
    sealed: bytes = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, _INDEX_DOMAIN + associated, nonce, key)
    return nonce + sealed


def open_index(sealed: bytes, key: bytes, associated: bytes) -> bytes:
    """Open index metadata that `seal_index` sealed.

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


def seal_to(public_key: bytes, plain: Readable) -> bytes:
    """Seal to an X25519 public key; only its private key opens it (crypto_box_seal). ``plain`` is not copied.

    Raises:
        ValueError: The public key does not have 32 bytes, or is not valid.
    """
    if len(public_key) != KEY_BYTES:
        raise ValueError(f"a public key has {KEY_BYTES} bytes, not {len(public_key)}")
    sealed = bytearray(len(plain) + sodium.crypto_box_SEALBYTES)
    if lib.crypto_box_seal(ffi.from_buffer(sealed), ffi.from_buffer(plain), len(plain), public_key) != 0:
        raise ValueError("the public key is no point of the curve that can be sealed to")
    return bytes(sealed)


def open_sealed(sealed: bytes, public_key: bytes, private_key: bytes) -> bytes:
    """Open bytes that `seal_to` sealed.

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
