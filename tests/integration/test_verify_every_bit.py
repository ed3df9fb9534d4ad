"""Every bit, every cut and every byte too many of a real container, and of the index's copy of its digest, is named.

`make test` flips every bit of the container, but only some of the digest and of the sealed key (`EVERY`).
"""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recorder.recordings.inspection import Inspector
from storage.database import sqlite_url
from storage.format import CHECK_BYTES, FRAME_HEADER, ContainerScan, Frame
from storage.index import Index
from storage.rows import row_from_json
from storage.runs import AUDIO, PCMA, pack
from storage.verify import verify
from tests.helpers.extent import examples
from tests.helpers.storage_home import ID, Site, row

EVERY = examples(quick=7, full=1)
"""One bit in so many is flipped; coprime to 8, so that each bit of a byte has its turn."""


class Small:
    """A site with the smallest container that has a frame of each type, and its row."""

    def __init__(self, folder: Path) -> None:
        self.site = Site(folder)
        opened = self.site.begin()
        opened.append(pack(AUDIO, 0, PCMA, 0, payload=bytes(range(40))))
        opened.mark({"kind": "paused", "at_s": 1.5})
        finished = opened.close(row(), is_complete=True)
        self.path = self.site.vault.root / finished.path
        self.content = self.path.read_bytes()
        with self.path.open("rb") as file:
            scan = ContainerScan(file)
            self.prologue_bytes = scan.whole_bytes
            self.frames: list[Frame] = list(scan.frames())
        self.row = row_from_json(
            row(path=finished.path, bytes=finished.bytes, sha256=finished.sha256, outcome="recorded")
        )
        self.index = Index(sqlite_url(self.site.home / "index.sqlite"))
        self.index.save(self.row)
        self.inspector = Inspector(vault=self.site.vault, index=self.index)

    def problem(self) -> str:
        found = verify(self.path, self.site.node.sign_public).problem
        assert found is not None
        return found

    def frame_at(self, at: int) -> Frame:
        return next(frame for frame in self.frames if frame.offset <= at < frame.end)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    made = Small(tmp_path_factory.mktemp("small"))
    yield made
    made.index.close()


def test_it_has_a_frame_of_each_type(small: Small) -> None:
    assert [frame.type.name for frame in small.frames] == ["HEAD", "INDEX", "AUDIO", "MARK", "END", "INDEX", "FOOTER"]
    assert verify(small.path, small.site.node.sign_public).problem is None


def test_every_flipped_bit_is_found_and_named(small: Small) -> None:
    descriptor = os.open(small.path, os.O_WRONLY)
    try:
        for at, byte in enumerate(small.content):
            for bit in range(8):
                os.pwrite(descriptor, bytes([byte ^ 1 << bit]), at)
                named = small.problem()
                if at < 8:
                    assert "magic at byte 0" in named
                elif at < 10:
                    assert "at byte 8" in named
                elif at < small.prologue_bytes:
                    assert "prologue" in named
                else:
                    frame = small.frame_at(at)
                    assert f"frame {frame.number} at byte {frame.offset} " in named, (at, bit, named)
            os.pwrite(descriptor, bytes([byte]), at)
    finally:
        os.close(descriptor)
    assert verify(small.path, small.site.node.sign_public).problem is None


def test_every_cut_is_found_and_named(small: Small) -> None:
    try:
        for size in range(len(small.content) - 1, -1, -1):
            os.truncate(small.path, size)
            named = small.problem()
            if size < 8:
                assert named == "the file is empty" if size == 0 else "magic at byte 0" in named
            elif size < small.prologue_bytes:
                assert f"cut after byte {size}" in named
            elif size == small.prologue_bytes:
                assert f"cut after byte {size}, after its prologue" in named
            elif any(frame.end == size for frame in small.frames):
                assert f"cut after byte {size}, after frame {small.frame_at(size - 1).number}" in named
            else:
                frame = small.frame_at(size)
                assert f"frame {frame.number} at byte {frame.offset} is cut" in named
                if size - frame.offset >= FRAME_HEADER.size:
                    there = size - frame.offset - FRAME_HEADER.size
                    assert f"{there} of {len(frame.body) + CHECK_BYTES} bytes" in named
    finally:
        small.path.write_bytes(small.content)


def test_every_appended_byte_is_found_and_named(small: Small) -> None:
    size = len(small.content)
    tails = [bytes([value]) for value in range(256)]
    tails += [bytes(length) for length in (2, 15, 16, 17, 4096)] + [small.content]
    try:
        for tail in tails:
            small.path.write_bytes(small.content + tail)
            assert f"extended by {len(tail)} bytes, from byte {size} on" in small.problem()
    finally:
        small.path.write_bytes(small.content)


def test_every_bit_of_the_indexs_digest_is_found_and_named(small: Small) -> None:
    """The digest as the row holds it: 256 bits of number, and the 512 bits of the characters it is written in."""
    assert small.inspector.one(small.row).problem is None
    assert small.row.sha256 is not None
    try:
        for bit in range(0, 256, EVERY):
            changed = f"{int(small.row.sha256, 16) ^ 1 << bit:064x}"
            small.index.save(replace(small.row, sha256=changed))
            found = str(small.inspector.one(small.index.get(ID)).problem)
            assert f"the index says sha256 {changed}, the file is {small.row.sha256}" in found
        small.index.save(small.row)
        with small.index.database.connect() as connection:
            document = connection.exec_driver_sql("SELECT document FROM recordings").scalar_one().encode()
        start = document.index(small.row.sha256.encode())
        for bit in range(0, 64 * 8, EVERY):
            flipped = bytearray(document)
            flipped[start + bit // 8] ^= 1 << bit % 8
            with small.index.database.begin() as connection:
                connection.exec_driver_sql("UPDATE recordings SET document = CAST(? AS TEXT)", (bytes(flipped),))
            (found_one,) = small.inspector.all()
            assert found_one.id == ID
            named = str(found_one.problem)
            assert re.search(rf"the index says sha256 .+, the file is|row of recording {ID} is damaged", named)
    finally:
        small.index.save(small.row)
    assert [one.problem for one in small.inspector.all()] == [None]


def test_every_bit_of_the_sealed_key_that_shows_is_named(small: Small) -> None:
    """Magic and fingerprint; the rest opens for the private key only."""
    path = small.site.vault.sealed.path(ID, "2026-11")
    content = path.read_bytes()
    try:
        for bit in range(0, 40 * 8, EVERY):
            at = bit // 8
            path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit % 8]) + content[at + 1 :])
            assert "is not one of epoch 2026-11" in str(small.inspector.one(small.row).problem)
        for size in (0, 39, len(content) - 1):
            path.write_bytes(content[:size])
            assert f"has {size} bytes, expected {len(content)}" in str(small.inspector.one(small.row).problem)
    finally:
        path.write_bytes(content)
    assert small.inspector.one(small.row).problem is None
