"""SRTP for tests, twice: libsrtp by way of pylibsrtp, and the formulas of RFC 3711 where libsrtp is silent.

`Written` has AES-256, MKI and any packet index; the tests hold it against libsrtp and the vectors of the RFCs.
"""

import base64
import hashlib
import hmac
import re
import secrets
import struct
from dataclasses import dataclass, field

from Crypto.Cipher import AES
from pylibsrtp import Policy, Session

from audio.types import SrtpKey, SrtpKeys, SrtpSuite

_PROFILES = {
    SrtpSuite.AES_CM_128_HMAC_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    SrtpSuite.AES_CM_128_HMAC_SHA1_32: Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}
SUITE = SrtpSuite.AES_CM_128_HMAC_SHA1_80


def key_bytes(suite: SrtpSuite) -> int:
    return (32 if suite & 2 else 16) + 14


def new_key(suite: SrtpSuite = SUITE, *, mki: bytes = b"") -> SrtpKey:
    key = secrets.token_bytes(key_bytes(suite))
    return SrtpKey(suite=suite, key=bytearray(key), mki=mki, name=hashlib.sha256(key + mki).digest())


def session(key: SrtpKey, *, is_sender: bool) -> Session:
    """Return libsrtp at the other end of a key of ours."""
    kind = Policy.SSRC_ANY_OUTBOUND if is_sender else Policy.SSRC_ANY_INBOUND
    policy = Policy(key=bytes(key.key), ssrc_type=kind, srtp_profile=_PROFILES[key.suite])
    policy.window_size = 128
    return Session(policy)


@dataclass
class Far:
    """What a peer has: its key and ours, and libsrtp under both."""

    suite: SrtpSuite = SUITE
    keys: SrtpKeys = field(init=False)

    def __post_init__(self) -> None:
        self.keys = SrtpKeys(send=new_key(self.suite), receive=new_key(self.suite))
        self.sends, self.hears = session(self.keys.receive, is_sender=True), session(self.keys.send, is_sender=False)


def crypto_of(key: SrtpKey, tag: int = 1) -> str:
    """Return what stands behind a=crypto: for a key."""
    return f"{tag} {key.suite.name} inline:{base64.b64encode(key.key).decode()}"


def their_key(sdp: bytes, ours: SrtpKey) -> SrtpKey:
    """Return the key in an SDP that has the suite of ours; there must be one."""
    found = re.search(rf"^a=crypto:\d+ {ours.suite.name} inline:([A-Za-z0-9+/=]+)\r?$", sdp.decode(), re.MULTILINE)
    assert found is not None, "no key for us in the SDP"
    return SrtpKey(suite=ours.suite, key=bytearray(base64.b64decode(found[1])), name=found[1].encode())


class Written:
    """RFC 3711 sections 3 and 4 in words of Python, for one key."""

    def __init__(self, key: SrtpKey) -> None:
        self.master, self.salt = bytes(key.key[:-14]), bytes(key.key[-14:])
        self.tag_bytes, self.mki = 4 if key.suite & 1 else 10, key.mki

    def stream(self, key: bytes, counter: int, length: int) -> bytes:
        blocks = AES.new(key, AES.MODE_ECB)
        count = -(-length // 16)
        return b"".join(blocks.encrypt((counter + i).to_bytes(16, "big")) for i in range(count))[:length]

    def derived(self, label: int, length: int) -> bytes:
        return self.stream(self.master, (int.from_bytes(self.salt, "big") ^ label << 48) << 16, length)

    def crypted(self, label: int, ssrc: int, index: int, data: bytes) -> bytes:
        salt = int.from_bytes(self.derived(label + 2, 14), "big")
        counter = salt << 16 ^ ssrc << 64 ^ index << 16
        pad = self.stream(self.derived(label, len(self.master)), counter, len(data))
        return bytes(a ^ b for a, b in zip(data, pad, strict=True))

    def tag(self, label: int, data: bytes, length: int) -> bytes:
        return hmac.digest(self.derived(label + 1, 20), data, "sha1")[:length]

    def protect(self, packet: bytes, rounds: int = 0) -> bytes:
        """Protect an RTP packet without CSRCs or extension whose numbers have gone round so often."""
        sequence, ssrc = struct.unpack_from("!2xH4xI", packet)
        sealed = packet[:12] + self.crypted(0, ssrc, rounds << 16 | sequence, packet[12:])
        return sealed + self.mki + self.tag(0, sealed + rounds.to_bytes(4, "big"), self.tag_bytes)

    def unprotect(self, packet: bytes, rounds: int = 0) -> bytes:
        end = len(packet) - self.tag_bytes - len(self.mki)
        sequence, ssrc = struct.unpack_from("!2xH4xI", packet)
        plain = packet[:12] + self.crypted(0, ssrc, rounds << 16 | sequence, packet[12:end])
        assert self.protect(plain, rounds) == packet, "not under this key and count"
        return plain

    def protect_rtcp(self, packet: bytes, index: int, *, is_encrypted: bool = True) -> bytes:
        (ssrc,) = struct.unpack_from("!4xI", packet)
        body = self.crypted(3, ssrc, index, packet[8:]) if is_encrypted else packet[8:]
        sealed = packet[:8] + body + (index | is_encrypted << 31).to_bytes(4, "big")
        return sealed + self.mki + self.tag(3, sealed, 10)
