"""Parsers are fed whole, cut, trailing and random; each failure is the one documented error."""

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import crypto, runs
from storage.alignment import Alignment
from storage.errors import DamagedError, KeyProblemError
from storage.format import (
    CHECK_BYTES,
    MAGIC,
    ContainerScan,
    FrameType,
    Prologue,
    RunningHash,
    frame_header,
    is_recording_id,
)
from storage.g711 import DECODE
from storage.runs import AUDIO, LOST, PCMA, PCMU, end_of_audio, pack, parse

PROLOGUE = Prologue(
    id="20261124T093000Z-2001-0a1b2c", epoch="2026-11", epoch_fingerprint=bytes(32), stream_header=bytes(24)
)


def test_prologue_comes_back_and_every_cut_is_refused() -> None:
    clear = PROLOGUE.pack()
    content = clear + RunningHash().check(clear)
    assert ContainerScan(io.BytesIO(content)).prologue == PROLOGUE
    assert ContainerScan(io.BytesIO(content)).whole_bytes == len(clear) + CHECK_BYTES
    for cut in range(len(content)):
        with pytest.raises(DamagedError):
            ContainerScan(io.BytesIO(content[:cut]))


def test_only_version_2_has_packed_frames() -> None:
    for version in (1, 2):
        running = RunningHash()
        clear = replace(PROLOGUE, version=version).pack()
        content = clear + running.check(clear)
        header = frame_header(FrameType.PACKED, 4, 0)
        content += header + b"body" + running.check(header, b"body")
        if version == 1:
            with pytest.raises(DamagedError, match="frame 0 at byte 124 has a changed header"):
                list(ContainerScan(io.BytesIO(content)).frames())
        else:
            assert [frame.type for frame in ContainerScan(io.BytesIO(content)).frames()] == [FrameType.PACKED]


@given(st.binary(max_size=300))
def test_random_bytes_are_damage_and_nothing_else(junk: bytes) -> None:
    clear = PROLOGUE.pack()
    for content in (junk, MAGIC + junk, clear + RunningHash().check(clear) + b"\x02" + junk):
        with pytest.raises(DamagedError):
            list(ContainerScan(io.BytesIO(content)).frames())


@pytest.mark.parametrize("text", ["../x", "20261124T093000Z-2001-0a1b2C", "20261124T093000Z-20/1-0a1b2c", ""])
def test_unsafe_ids(text: str) -> None:
    assert not is_recording_id(text)


def test_runs_come_back_and_every_cut_is_refused() -> None:
    block = pack(AUDIO, 1, PCMA, 7, payload=b"abc") + pack(LOST, 0, PCMU, 10, length=20)
    audio, lost = parse(block)
    assert (audio.channel, audio.codec, audio.start, bytes(audio.payload)) == (1, PCMA, 7, b"abc")
    assert (lost.kind, lost.start, lost.length) == (LOST, 10, 20)
    assert end_of_audio(block) == 30
    whole = {0, runs._RUN.size + 3, len(block)}
    for cut in set(range(len(block) + 1)) - whole:
        with pytest.raises(ValueError, match="run at byte"):
            list(parse(block[:cut]))


@given(st.binary(min_size=1, max_size=100))
def test_random_blocks_never_crash(junk: bytes) -> None:
    try:
        end_of_audio(junk)
    except ValueError as error:
        assert "run at byte" in str(error)


def test_sealed_things_open_only_in_their_place() -> None:
    key = crypto.new_key()
    sealer = crypto.StreamSealer(key)
    first, last = sealer.seal(b"one", b"h1"), sealer.seal(b"two", b"h2", is_final=True)
    opener = crypto.StreamOpener(key, sealer.header)
    assert opener.open(first, b"h1") == (b"one", False)
    assert opener.open(last, b"h2") == (b"two", True)
    for bytes_, bound in ((last, b"h2"), (first, b"h2"), (first[:5], b"h1")):
        with pytest.raises(DamagedError):
            crypto.StreamOpener(key, sealer.header).open(bytes_, bound)
    sealed = crypto.seal_index(b"row", key, b"here")
    assert crypto.open_index(sealed, key, b"here") == b"row"
    with pytest.raises(DamagedError):
        crypto.open_index(sealed, key, b"there")
    private = crypto.new_key()
    box = crypto.seal_to(crypto.public_of(private), b"secret")
    assert crypto.open_sealed(box, crypto.public_of(private), private) == b"secret"
    with pytest.raises(KeyProblemError):
        crypto.open_sealed(box, crypto.public_of(key), key)


def test_g711_tables_are_those_of_the_recommendation() -> None:
    """End points and silence of ITU-T G.711 tables 1 and 2, scaled to 16 bits."""
    assert [int(DECODE[PCMU][code]) for code in (0x00, 0x7F, 0x80, 0xFF)] == [-32124, 0, 32124, 0]
    assert [int(DECODE[PCMA][code]) for code in (0x2A, 0xAA, 0xD5, 0x55)] == [-32256, 32256, 8, -8]
    assert len(set(DECODE[PCMA].tolist())) == 256


def test_a_new_stream_steps_and_drift_slides() -> None:
    drift = [(second * 8000 + second * 4, second * 1_000_000_000) for second in range(20)]
    jump = [(second * 8000 + 4000, second * 1_000_000_000) for second in range(20, 40)]
    alignment = Alignment(drift + jump)
    times = np.array([0, 80000, 159999, 160000, 300000])
    assert (alignment.positions(times) - times).tolist() == [0, 40, 76, 4000, 4000]
    assert alignment.largest_ticks == 4000
    assert Alignment([]).positions(times).tolist() == times.tolist()


def test_a_first_packet_that_was_read_late_makes_no_step() -> None:
    late, seconds = 1200, range(5)
    anchors = [(second * 8000 + (late if second else 0), second * 1_000_000_000) for second in seconds]
    clock = [(position + 0xFFFFF000) % (1 << 32) for position, _ in anchors]
    times = np.arange(0, 40_000, 1000)
    alignment = Alignment(anchors, clock)
    assert (alignment.positions(times) - times).tolist() == [late] * len(times)
    another = Alignment(anchors, [7, *clock[1:]])
    assert (another.positions(times) - times).tolist() == [0] * 8 + [late] * 32, "the second is another stream's"
    slow = [(0, 0), (7900, 1_000_000_000)]
    assert Alignment(slow, [0, 7900]).positions(times).tolist() == Alignment(slow).positions(times).tolist()
