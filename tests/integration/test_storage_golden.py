"""A container of version 1, written once, stays readable for ever."""

import shutil
from pathlib import Path

import pytest

from storage.keys import EpochKeys, NodeKeys
from storage.runs import ANCHOR, AUDIO, PCMA, pack
from storage.vault import Vault, open_recording, read_row, verify
from tests.helpers.storage_home import ID, row

DATA = Path(__file__).parents[1] / "data" / "container-v1"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    places = {
        f"{ID}.rec": home / "recordings/2026/11/24/k7" / f"{ID}.rec",
        "sealed.key": home / "keys/sealed/2026-11" / f"{ID}.key",
        "epoch.key": tmp_path / "private/2026-11.key",
        "sign.key": home / "keys/node/sign.key",
        "index.key": home / "keys/node/index.key",
    }
    for name, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(DATA / name, place)
        place.chmod(0o600)
    return home


def test_version_1_is_readable(home: Path, tmp_path: Path) -> None:
    node = NodeKeys.load(home)
    path = home / "recordings/2026/11/24/k7" / f"{ID}.rec"
    found = verify(path, node.sign_public)
    assert (found.problem, found.is_complete) == (None, True)
    rebuilt = read_row(Vault(home, node), path)
    assert rebuilt | {"path": None, "bytes": None, "sha256": None} == row(
        ended_at="2026-11-24T09:30:01Z", path=None, bytes=None, sha256=None
    )
    reader = open_recording(path, home, EpochKeys(home / "keys/epochs", tmp_path / "private"))
    assert list(reader.blocks()) == [
        pack(AUDIO, 0, PCMA, at, payload=bytes(range(200)))
        + pack(ANCHOR, 0, PCMA, at, aux=at * 125_000)
        + pack(AUDIO, 1, PCMA, at + 3, payload=bytes(range(50, 250)))
        for at in (0, 400)
    ]
    assert list(reader.marks()) == [{"kind": "paused", "at_s": 0.05}]
