"""Plaintext is sealed where it lies, and what a stream was sealed with can be taken away."""

import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage import crypto
from storage.epochs import EpochKeys, current_public
from storage.keys import SealedKeys
from storage.types import RecordingId

BLOCK_BYTES = 1 << 20


def test_a_view_of_a_buffer_is_sealed_and_opens_again() -> None:
    key = crypto.new_wipeable_key()
    sealer = crypto.StreamSealer(key)
    opener = crypto.StreamOpener(bytes(key), sealer.header)
    buffer = bytearray(range(256))
    for plain in (memoryview(buffer)[16:48], buffer, bytes(buffer), b""):
        sealed = sealer.seal(plain, b"place")
        assert opener.open(sealed, b"place") == (bytes(plain), False)
    assert buffer == bytes(range(256)), "the caller's buffer was changed"


def test_sealing_makes_no_copy_of_the_plaintext() -> None:
    sealer, plain = crypto.StreamSealer(crypto.new_key()), memoryview(bytearray(BLOCK_BYTES))
    tracemalloc.start()
    try:
        sealed = sealer.seal(plain, b"")
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(sealed) == BLOCK_BYTES + crypto.STREAM_OVERHEAD_BYTES
    assert peak_bytes < BLOCK_BYTES * 1.2, f"{peak_bytes} bytes for a ciphertext of {len(sealed)}"


def test_the_key_may_be_wiped_as_soon_as_the_stream_has_begun() -> None:
    key = crypto.new_wipeable_key()
    kept = bytes(key)
    sealer = crypto.StreamSealer(key)
    crypto.wipe(key)
    assert key == bytes(crypto.KEY_BYTES)
    assert kept != bytes(crypto.KEY_BYTES), "the key was no key"
    assert crypto.StreamOpener(kept, sealer.header).open(sealer.seal(b"audio", b""), b"") == (b"audio", False)


def test_a_wiped_sealer_seals_nothing_more() -> None:
    sealer = crypto.StreamSealer(crypto.new_key())
    sealer.wipe()
    sealer.wipe()
    with pytest.raises(RuntimeError, match="its key is gone"):
        sealer.seal(b"audio", b"")


def test_keys_are_random_and_of_the_right_length() -> None:
    keys = {bytes(crypto.new_wipeable_key()) for _ in range(8)}
    assert len(keys) == 8
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        crypto.StreamSealer(bytes(31))
    with pytest.raises(ValueError, match="32 bytes, not 3"):
        crypto.seal_to(b"abc", b"plain")


def test_sealing_a_key_to_its_month_leaves_it_to_its_owner(tmp_path: Path) -> None:
    now = datetime(2026, 11, 25, tzinfo=UTC)
    epochs = EpochKeys(tmp_path / "epochs", tmp_path / "private")
    epochs.ensure_epochs(now)
    key, recording = crypto.new_wipeable_key(), RecordingId("20261125T093000Z-2001-0a1b2c")
    kept = bytes(key)
    sealed = SealedKeys(tmp_path)
    sealed.seal(recording, key, current_public(tmp_path / "epochs", now))
    assert key == kept
    assert sealed.unseal(recording, epochs.load_private("2026-11")) == kept
