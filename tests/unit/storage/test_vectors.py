"""Fixed vectors of the format: what was sealed, signed and laid out once opens, verifies and comes out the same.

Sealing takes random nonces, so sealed things are only opened; what is deterministic is made anew and compared.
"""

import json
from pathlib import Path

from storage import crypto
from storage.epochs import EpochKeys
from storage.format import Footer, FrameType, Prologue, RunningHash, Status, frame_header

KEY = bytes(range(32))
ID = "20261124T093000Z-2001-0a1b2c"
STREAM_HEADER = bytes.fromhex("3ca5bc8e70212dc693c6a904b3b4a5bdef78705523c68b30")
STREAM = (
    (b"first", b"head", False, "3c16e33222ab1ebd29c147900a049e91cb2fbea681d9"),
    (b"last", b"tail", True, "bb2b848167f2cf9b0e3f602e973fcf8c8566a27137"),
)
INDEX = "949a7624e9b887ac9fb5a6f9dc2c121c8a999cdbbd4c8830c85b0ba1456be35e0e3c968f919e4b0f421b6c4b6739d4390e0e"
BOX = "971224ebdef0c4644c93928736f4154ffe0ebf673a966052019239b9b9e9f330a7a099744dc6ee8d0c21345f7ab595815bcdd05e6e6f"
PUBLIC = "8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f"
SIGN_PUBLIC = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
FOOTER_HEADER = "06000000b5000000c05d000000000000"
FOOTER = (
    "02000000000000007be897b69a0100006712000000000000202122232425262728292a2b2c2d2e2f3031323334353637"
    "38393a3b3c3d3e3f56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c1c32303236313132"
    "34543039333030305a2d323030312d306131623263"
)
SIGNATURE = (
    "ef68a7e08330079cd18841e6326e3ce8e1ff1929d0ec70b09b0af5da4f5f957b9bb285400653562904f251f0b87670ed"
    "3abe91c55fa9f8dea9749a57a8e91501"
)
PROLOGUE = (
    "8943435245430d0a01006c001c323032362d3131000102030405060708090a0b0c0d0e0f101112131415161718191a1b"
    "1c1d1e1f000102030405060708090a0b0c0d0e0f1011121314151617000000003230323631313234543039333030305a"
    "2d323030312d306131623263"
)
PRIVATE = {
    "version": 1,
    "epoch": "2026-11",
    "public": PUBLIC,
    "kdf": {"name": "argon2id", "salt": "d2df15d40b36329c055ae5230a3a4ed5", "ops": 1, "memory_bytes": 8192},
    "secret": (
        "5ddcc6f691ce3a56d91ae2adebe12f107b1a5f7377ae6eaaad120f94aa586afa30746391932289bcc171216494f3ec96"
        "9823fe7d392c6aa887781f6b976e2c97b55ec12e135b2c55"
    ),
}
"""Sealed with the passphrase "correct horse" and the weakest argon2id there is."""


def test_a_stream_opens() -> None:
    opener = crypto.StreamOpener(KEY, STREAM_HEADER)
    for plain, associated, is_final, sealed in STREAM:
        assert opener.open(bytes.fromhex(sealed), associated) == (plain, is_final)


def test_an_index_frame_and_a_sealed_key_open() -> None:
    assert crypto.open_index(bytes.fromhex(INDEX), KEY, b"here") == b'{"id":"x"}'
    assert crypto.public_of(KEY).hex() == PUBLIC
    assert crypto.open_sealed(bytes.fromhex(BOX), bytes.fromhex(PUBLIC), KEY) == b"secret"


def test_a_private_key_with_a_passphrase_opens(tmp_path: Path) -> None:
    path = tmp_path / "2026-11.key"
    path.write_text(json.dumps(PRIVATE))
    path.chmod(0o600)
    assert EpochKeys(tmp_path, tmp_path, passphrase=b"correct horse").load_private("2026-11").private == KEY


def test_a_footer_comes_out_the_same_signature_included() -> None:
    public, secret = crypto.signing_pair(KEY)
    assert public.hex() == SIGN_PUBLIC
    footer = Footer(
        status=Status.PARTIAL,
        closed_ms=1764000000123,
        covered_bytes=4711,
        digest=bytes(range(32, 64)),
        fingerprint=crypto.fingerprint(public),
        id=ID,
    )
    header = frame_header(FrameType.FOOTER, footer.body_bytes(), 24000)
    assert header.hex() == FOOTER_HEADER
    assert footer.pack().hex() == FOOTER
    assert crypto.sign(footer.signed_message(header), secret).hex() == SIGNATURE
    assert crypto.is_signed(footer.signed_message(header), bytes.fromhex(SIGNATURE), public)


def test_a_prologue_and_the_running_hash_come_out_the_same() -> None:
    clear = Prologue(id=ID, epoch="2026-11", epoch_fingerprint=bytes(range(32)), stream_header=bytes(range(24))).pack()
    assert clear.hex() == PROLOGUE
    running = RunningHash()
    assert running.check(clear).hex() == "934dcd4b6fb9c7d309e30a673ecdf9d0"
    assert running.check(bytes.fromhex(FOOTER_HEADER)).hex() == "5cc54914279477a3e53fab6628d97f43"
