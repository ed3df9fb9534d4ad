import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip import sdes
from sip.sdes import Suite
from tests.helpers.extent import CHARACTERS

KEY = bytes(range(1, 31))
LONG = bytes(range(1, 47))
INLINE = base64.b64encode(KEY).decode()
LONG_INLINE = base64.b64encode(LONG).decode()
SHORT_TAG = "AES_CM_128_HMAC_SHA1_32"


@pytest.mark.parametrize(
    ("value", "tag", "suite", "key", "lifetime", "mki"),
    [
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE}", 1, Suite.AES_CM_128_HMAC_SHA1_80, KEY, None, b""),
        (f"0 {SHORT_TAG} inline:{INLINE}|2^20", 0, Suite.AES_CM_128_HMAC_SHA1_32, KEY, 1 << 20, b""),
        (f"7 {SHORT_TAG.lower()} INLINE:{INLINE}|1048576|1:4", 7, Suite[SHORT_TAG], KEY, 1 << 20, b"\0\0\0\1"),
        (f"1 {SHORT_TAG} inline:{INLINE}|65535:2", 1, Suite[SHORT_TAG], KEY, None, b"\xff\xff"),
        (f"3  AES_256_CM_HMAC_SHA1_80  inline:{LONG_INLINE}", 3, Suite.AES_256_CM_HMAC_SHA1_80, LONG, None, b""),
        (f"3 AES_256_CM_HMAC_SHA1_32 inline:{LONG_INLINE[:-2]}", 3, Suite.AES_256_CM_HMAC_SHA1_32, LONG, None, b""),
        (f"999999999 {SHORT_TAG} inline:{INLINE} WSH=64 -X=1", 999999999, Suite[SHORT_TAG], KEY, None, b""),
    ],
)
def test_lines_that_can_be_used(
    value: str, tag: int, suite: Suite, key: bytes, lifetime: int | None, mki: bytes
) -> None:
    crypto = sdes.read(value)
    assert crypto is not None
    assert (crypto.tag, crypto.suite, bytes(crypto.key), crypto.lifetime, crypto.mki) == (
        tag,
        suite,
        key,
        lifetime,
        mki,
    )


@pytest.mark.parametrize(
    "value",
    [
        "",
        f"1 {SHORT_TAG}",
        f"x {SHORT_TAG} inline:{INLINE}",
        f"1000000000 {SHORT_TAG} inline:{INLINE}",
        f"1 F8_128_HMAC_SHA1_80 inline:{INLINE}",
        f"1 AEAD_AES_128_GCM inline:{INLINE}",
        f"1 {SHORT_TAG} uri:{INLINE}",
        f"1 {SHORT_TAG} inline:{INLINE[:-4]}",
        f"1 {SHORT_TAG} inline:{LONG_INLINE}",
        f"1 AES_256_CM_HMAC_SHA1_80 inline:{INLINE}",
        f"1 {SHORT_TAG} inline:{INLINE[:-1]}!",
        f"1 {SHORT_TAG} inline:{INLINE}|1:4;inline:{INLINE}|2:4",  # several keys
        f"1 {SHORT_TAG} inline:{INLINE}|2^49",
        f"1 {SHORT_TAG} inline:{INLINE}|0",
        f"1 {SHORT_TAG} inline:{INLINE}|256:1",
        f"1 {SHORT_TAG} inline:{INLINE}|1:0",
        f"1 {SHORT_TAG} inline:{INLINE}|1:129",
        f"1 {SHORT_TAG} inline:{INLINE}|1:4|2^20",
        f"1 {SHORT_TAG} inline:{INLINE} UNENCRYPTED_SRTP",
        f"1 {SHORT_TAG} inline:{INLINE} UNAUTHENTICATED_SRTP",
        f"1 {SHORT_TAG} inline:{INLINE} KDR=24",
        f"1 {SHORT_TAG} inline:{INLINE} FEC_ORDER=FEC_SRTP",
    ],
)
def test_lines_that_are_passed_over(value: str) -> None:
    assert sdes.read(value) is None


def test_what_we_write_we_read() -> None:
    for crypto in sdes.offered():
        again = sdes.read(sdes.line(crypto).removeprefix("a=crypto:"))
        assert again is not None
        assert again == crypto
        assert again.key == crypto.key
    assert [(crypto.tag, crypto.suite) for crypto in sdes.offered()] == [
        (1, Suite.AES_CM_128_HMAC_SHA1_80),
        (2, SHORT_TAG),
    ]


def test_keys_of_ours_are_never_twice_the_same() -> None:
    names = [crypto.name for _ in range(20) for crypto in sdes.offered()]
    assert len(set(names)) == len(names)


def test_names_tell_keys_apart_and_outlive_them() -> None:
    one, same, other = (
        sdes.read(f"{tag} {SHORT_TAG} inline:{key}")
        for tag, key in ((1, INLINE), (2, INLINE), (1, INLINE.replace("A", "B", 1)))
    )
    assert one is not None
    assert same is not None
    assert other is not None
    assert one.name == same.name != other.name
    marked = sdes.read(f"1 {SHORT_TAG} inline:{INLINE}|1:1")
    assert marked is not None
    assert marked.name != one.name
    one.wipe()
    assert (one.key, one.name) == (bytearray(), same.name)


def test_no_key_is_shown() -> None:
    crypto = sdes.read(f"1 {SHORT_TAG} inline:{INLINE}")
    shown = repr(crypto)
    assert INLINE not in shown
    assert "bytearray" not in shown


@given(st.text(CHARACTERS))
def test_fuzz_anything_is_read_or_passed_over(text: str) -> None:
    sdes.read(text)
    sdes.read(f"1 {SHORT_TAG} inline:{text}")
    sdes.read(f"1 {SHORT_TAG} inline:{INLINE}|{text}")
