"""Containers that were written once stay readable for ever: of each version, however they came about.

The files are never made anew, by no test and no tool; that they are what they were is checked first.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from storage.container_rows import read_row
from storage.epochs import EpochKeys
from storage.format import ContainerScan, FrameType
from storage.keys import NodeKeys
from storage.reader import RecordingReader, open_recording
from storage.runs import ANCHOR, AUDIO, G722, PCMA, Run, pack, parse
from storage.types import RecordingId
from storage.vault import Vault
from storage.verify import verify
from tests.helpers.storage_home import ID, row

DATA = Path(__file__).parents[1] / "data"
V1, V2 = "container-v1", "container-v2"
FOLDERS = {
    V1: "c4dc949466d0b4f72b10f8d02cfd01369723010b39862edd275274e2c5a61bda",
    V2: "a1f81f452b313d482e020d57613664cc80f8dce1665d4fcb3f4a7a2c19629510",
}
"""Digest of each folder's list of digests: a test that passes only because its file was made anew proves nothing."""


class Golden:
    """The golden files of one version in a home and, apart from it, the key holder's folder."""

    def __init__(self, data: Path, folder: Path) -> None:
        self.home, self.private = folder / "home", folder / "private"
        for name in ("sign.key", "index.key"):
            self._put(data / name, self.home / "keys/node" / name)
        self._put(data / "epoch.key", self.private / "2026-11.key")
        if (data / "epoch-2026-12.key").exists():
            self._put(data / "epoch-2026-12.key", self.private / "2026-12.key")
        if (data / "sealed.key").exists():
            self._put(data / "sealed.key", self.home / "keys/sealed/2026-11" / f"{ID}.key")
        for path in data.glob("*.sealed-*.key"):
            recording, epoch = path.name.removesuffix(".key").split(".sealed-")
            self._put(path, self.home / "keys/sealed" / epoch / f"{recording}.key")
        for path in data.glob("*.rec"):
            self._put(path, self.home / "recordings/2026/11/24/k7" / path.name)
        self.node = NodeKeys.load(self.home)
        self.vault = Vault(self.home, self.node)
        self.keys = EpochKeys(self.home / "keys/epochs", self.private)

    @staticmethod
    def _put(source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o600)

    def path(self, recording: str) -> Path:
        return self.vault.root / "2026/11/24/k7" / f"{recording}.rec"

    def open(self, recording: str) -> RecordingReader:
        return open_recording(self.path(recording), self.home, self.keys)


@pytest.fixture
def golden(tmp_path: Path) -> Golden:
    return Golden(DATA / V1, tmp_path)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_golden_files_are_what_they_were(folder: str) -> None:
    listed = (DATA / folder / "SHA256SUMS").read_text()
    assert hashlib.sha256(listed.encode()).hexdigest() == FOLDERS[folder]
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (DATA / folder).iterdir()
        if path.name not in ("SHA256SUMS", "ORIGIN.md")
    }
    assert found == {name: digest for digest, name in (line.split("  ") for line in listed.splitlines())}


def test_version_1_is_readable(golden: Golden) -> None:
    found = verify(golden.path(ID), golden.node.sign_public)
    assert (found.problem, found.is_complete) == (None, True)
    rebuilt = read_row(golden.vault, golden.path(ID))
    assert rebuilt | {"path": None, "bytes": None, "sha256": None} == row(
        ended_at="2026-11-24T09:30:01Z", path=None, bytes=None, sha256=None
    )
    reader = golden.open(ID)
    assert list(reader.blocks()) == [
        pack(AUDIO, 0, PCMA, at, payload=bytes(range(200)))
        + pack(ANCHOR, 0, PCMA, at, aux=at * 125_000)
        + pack(AUDIO, 1, PCMA, at + 3, payload=bytes(range(50, 250)))
        for at in (0, 400)
    ]
    assert list(reader.marks()) == [{"kind": "paused", "at_s": 0.05}]


EXPECTED: dict[str, tuple[str, dict[str, Any]]] = {
    f"{folder}-{expected['kind']}": (folder, {"id": recording, **expected})
    for folder in FOLDERS
    for recording, expected in json.loads((DATA / folder / "expected.json").read_text()).items()
}


def test_every_kind_of_container_has_a_golden_file() -> None:
    assert set(EXPECTED) == {
        f"{V1}-partial", f"{V1}-erased", f"{V1}-resealed", f"{V2}-flac", f"{V2}-opus",
    }  # fmt: skip


def _exact(run: Run) -> bytes:
    """Return the bytes of a run that come back from Opus as they were: those that are not G.711."""
    return bytes(run.payload) if run.codec == G722 else b""


@pytest.mark.parametrize("name", EXPECTED)
def test_each_is_decoded_to_the_bytes_that_it_held(name: str, tmp_path: Path) -> None:
    folder, expected = EXPECTED[name]
    golden = Golden(DATA / folder, tmp_path)
    recording = RecordingId(expected["id"])
    found = verify(golden.path(recording), golden.node.sign_public)
    assert (found.problem, found.is_complete) == (None, expected["is_complete"])
    assert read_row(golden.vault, golden.path(recording)) == expected["row"]
    assert (found.bytes, found.sha256) == (expected["row"]["bytes"], expected["row"]["sha256"])
    assert golden.vault.sealed.find(recording) == expected["epoch"]
    reader = golden.open(recording)
    if expected["kind"] == "opus":
        runs, meant = (
            [
                (r.kind, r.channel, r.codec, r.length, r.start, r.aux, _exact(r))
                for block in blocks
                for r in parse(block)
            ]
            for blocks in (reader.blocks(), map(bytes.fromhex, expected["blocks"]))
        )
        assert runs == meant
    else:
        assert [block.hex() for block in reader.blocks()] == expected["blocks"]
    assert list(reader.marks()) == expected["marks"]
    assert reader.end() == expected["end"]


def test_every_changed_byte_of_an_archived_container_is_named(tmp_path: Path) -> None:
    golden = Golden(DATA / V2, tmp_path)
    path = golden.path("20261124T093000Z-2001-0a1b30")
    content = path.read_bytes()
    with path.open("rb") as file:
        scan = ContainerScan(file)
        begin, frames = scan.whole_bytes, list(scan.frames())
    assert FrameType.PACKED in [frame.type for frame in frames]
    with path.open("r+b", buffering=0) as file:
        for frame in frames:
            for at in range(frame.offset, frame.end):
                file.seek(at)
                file.write(bytes([content[at] ^ 1 << at % 8]))
                named = str(verify(path, golden.node.sign_public).problem)
                assert f"frame {frame.number} at byte {frame.offset} " in named
                file.seek(at)
                file.write(content[at : at + 1])
    assert begin == frames[0].offset
    assert verify(path, golden.node.sign_public).problem is None
