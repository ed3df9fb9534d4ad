"""SRTP keys in session descriptions: a=crypto (RFC 4568; suites of RFC 6188 too). Pure but for the random source.

A key is in its `Crypto` only, never in a ``repr`` or an error. `Crypto.wipe` overwrites it once the media core has it;
`Crypto.name`, a digest, still identifies it.
"""

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

_SALT_BYTES = 14
_CRYPTO = re.compile(r"(\d{1,9})\s+(\S+)\s+inline:([^\s;]+)((?:\s+\S+)*)", re.IGNORECASE)
_LIFETIME = re.compile(r"2\^(\d{1,2})|(\d{1,15})")
_MKI = re.compile(r"(\d{1,38}):(\d{1,3})")
_MAX_MKI_BYTES = 128
"""RFC 4568 section 6.1."""
_MAX_LIFETIME = 1 << 48
"""Packets that SRTP's index can count (RFC 3711 section 9.2)."""


class Srtp(StrEnum):
    """Whether the audio of a side is encrypted."""

    OFF = "off"
    """Plain RTP only."""
    OPTIONAL = "optional"
    """As the other side wants."""
    REQUIRED = "required"
    """SRTP only."""


class Suite(StrEnum):
    """The crypto suites that the media core supports, as spelled in SDP."""

    AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80"
    AES_CM_128_HMAC_SHA1_32 = "AES_CM_128_HMAC_SHA1_32"
    AES_256_CM_HMAC_SHA1_80 = "AES_256_CM_HMAC_SHA1_80"
    AES_256_CM_HMAC_SHA1_32 = "AES_256_CM_HMAC_SHA1_32"

    @property
    def key_bytes(self) -> int:
        """Length of master key and master salt together."""
        return (32 if self.startswith("AES_256") else 16) + _SALT_BYTES


OFFERED = (Suite.AES_CM_128_HMAC_SHA1_80, Suite.AES_CM_128_HMAC_SHA1_32)
"""The suites of our offers: the two that every implementation has (RFC 4568 section 6.2), the long tag first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crypto:
    """One usable a=crypto line: the key with which its owner encrypts.

    Attributes:
        tag: Number of the line within its m-line; an answer repeats one of the offer.
        suite: The crypto suite.
        key: Master key, then master salt; empty once wiped. Never shown.
        lifetime: Packets for which the owner will use the key, or None for the maximum.
        mki: Value before the authentication tag of every packet, or empty.
        name: Digest of suite, key and MKI: identifies the key without disclosing it.
    """

    tag: int
    suite: Suite
    key: bytearray = field(repr=False, compare=False)
    lifetime: int | None = None
    mki: bytes = b""
    name: bytes = field(repr=False)

    def wipe(self) -> None:
        """Overwrite the key."""
        self.key[:] = bytes(len(self.key))
        self.key.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """The negotiated keys: ours for what we send, the peer's for what it sends; both of one suite."""

    ours: Crypto
    theirs: Crypto


def read(value: str) -> Crypto | None:
    """Parse the value of ``a=crypto:``, or return None if it cannot be used.

    Not usable are: another suite or key method, a key of the wrong length, several keys, and session parameters that
    change what the suite protects (RFC 4568 section 6.3; those after a dash and WSH are ignored).
    """
    match = _CRYPTO.fullmatch(value.strip())
    if match is None or match[2].upper() not in Suite.__members__:
        return None
    if not all(parameter.startswith("-") or parameter.upper().startswith("WSH=") for parameter in match[4].split()):
        return None
    suite = Suite[match[2].upper()]
    encoded, *rest = match[3].split("|")
    parameters = _key_parameters(rest)
    key = _decoded(encoded)
    if parameters is None or len(key) != suite.key_bytes:
        return None
    lifetime, mki = parameters
    return _made(int(match[1]), suite, key, lifetime=lifetime, mki=mki)


def _decoded(encoded: str) -> bytearray:
    """Decode base64, padded or not; empty if it is invalid."""
    try:
        return bytearray(base64.b64decode(encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4), validate=True))
    except (binascii.Error, ValueError):
        return bytearray()


def _key_parameters(fields: list[str]) -> tuple[int | None, bytes] | None:
    """Parse the optional lifetime and MKI after a key; None if they are invalid."""
    lifetime, mki = None, b""
    if fields and (match := _LIFETIME.fullmatch(fields[0])):
        lifetime = 1 << int(match[1]) if match[1] else int(match[2])
        fields = fields[1:]
    if fields and (match := _MKI.fullmatch(fields[0])):
        value, length = int(match[1]), int(match[2])
        if not 1 <= length <= _MAX_MKI_BYTES or value >> 8 * length:
            return None
        mki = value.to_bytes(length, "big")
        fields = fields[1:]
    if fields or (lifetime is not None and not 0 < lifetime <= _MAX_LIFETIME):
        return None
    return lifetime, mki


def _made(tag: int, suite: Suite, key: bytearray, *, lifetime: int | None = None, mki: bytes = b"") -> Crypto:
    digest = hashlib.sha256(suite.encode() + bytes([len(mki)]) + mki)
    digest.update(key)
    return Crypto(tag=tag, suite=suite, key=key, lifetime=lifetime, mki=mki, name=digest.digest())


def new(tag: int, suite: Suite, random: Callable[[int], bytes] = secrets.token_bytes) -> Crypto:
    """Return a new random key."""
    return _made(tag, suite, bytearray(random(suite.key_bytes)))


def offered() -> tuple[Crypto, ...]:
    """Return new keys for an offer, one for each suite of `OFFERED`."""
    return tuple(new(tag, suite) for tag, suite in enumerate(OFFERED, 1))


def line(crypto: Crypto) -> str:
    """Return the SDP line of one of our keys, which have no lifetime and no MKI."""
    return f"a=crypto:{crypto.tag} {crypto.suite} inline:{base64.b64encode(crypto.key).decode()}"
