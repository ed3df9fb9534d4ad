"""Containers and paths that are not what they should be: a sentence, exit 1, nothing lost and nothing left behind."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from recorder.cli.cli import app
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.recordings.home_stores import open_index
from storage.keys import NodeKeys
from storage.rows import row_from_json
from storage.types import RecordingHead, RecordingRow
from storage.vault import Vault
from tests.helpers.recorder_home import ADMIN, HEARER, RecorderHome, recorder_home
from tests.helpers.signed_in import environment_for
from tests.helpers.storage_home import ID, block, row

SECONDS = 3


class BadSite:
    """A home without a daemon, with one finished recording that is about to be harmed."""

    def __init__(self, home: RecorderHome) -> None:
        self.home = home
        self.vault = Vault(home.root, NodeKeys.load(home.root))
        started = row_from_json(row()).started_at
        fields = row(
            duration_s=float(SECONDS), recorded_s=float(SECONDS),
            segments=[{"start_s": 0.0, "end_s": float(SECONDS), "kind": "recording", "reason": "", "by": ""}],
        )  # fmt: skip
        opened = self.vault.create(RecordingHead(id=ID, started_at=started, operator_key="k7", index_row=fields))
        for second in range(SECONDS):
            opened.append(block(second))
        done = opened.close(fields, is_complete=True)
        self.path = self.vault.root / done.path
        self.content = self.path.read_bytes()
        self.row = row_from_json({**fields, "path": done.path, "bytes": done.bytes, "sha256": done.sha256})
        self.save(self.row)
        home.give_leave(ID)
        self.copy = home.root.parent / "copy.wav"

    def save(self, changed: RecordingRow) -> None:
        index = open_index(Home(self.home.root), read_config(self.home.config))
        index.save(changed)
        index.close()

    def flip(self, at: int) -> None:
        changed = bytearray(self.content)
        changed[at] ^= 0x10
        self.path.write_bytes(changed)

    def elsewhere(self) -> Path:
        """Move the container out of the recordings."""
        moved = self.home.root.parent / "moved.rec"
        self.path.rename(moved)
        return moved

    def run(self, *words: str) -> Result:
        asked = [*words, "-C", str(self.home.root)]
        environment = environment_for(asked, reader=ADMIN, at_phones=HEARER)
        result = CliRunner().invoke(app, asked, env=environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        return result

    def as_admin(self, *words: str) -> Result:
        who = self.home.as_hearer() if words[0] in {"play", "export"} else self.home.as_admin()
        return self.run(*words, *who, "--reason", "because of a test")

    def files(self) -> dict[str, bytes]:
        """Return what must be left as it is, whatever was asked for."""
        found = [p for k in ("recordings", "keys", "private") for p in (self.home.root / k).rglob("*") if p.is_file()]
        return {str(path): path.read_bytes() for path in found}


Harm = Callable[[BadSite], object]


def _replaced(site: BadSite, content: bytes) -> None:
    site.path.write_bytes(content)


def _pathed(site: BadSite, path: str) -> None:
    site.save(replace(site.row, path=path))


def _key(site: BadSite) -> Path:
    epoch = site.vault.sealed.find(ID)
    assert epoch is not None
    return site.vault.sealed.path(ID, epoch)


def _piped(site: BadSite) -> None:
    site.elsewhere()
    os.mkfifo(site.path)


HARMS: dict[str, tuple[Harm, str]] = {
    "corrupt head": (lambda site: site.flip(200), "frame 0 at byte 124"),
    "corrupt audio": (lambda site: site.flip(len(site.content) // 2), "was changed"),
    "truncated": (lambda site: _replaced(site, site.content[: len(site.content) // 2]), "is cut"),
    "cut at a frame": (lambda site: _replaced(site, site.content[:124]), "is cut after byte 124"),
    "empty": (lambda site: _replaced(site, b""), "the file is empty"),
    "foreign": (lambda site: _replaced(site, b"RIFF\x24\0\0\0WAVEfmt "), "not a recording"),
    "future version": (lambda site: site.flip(9), "format version 4097 at byte 8"),
    "missing": (lambda site: site.path.unlink(), "cannot be read"),
    "no key": (lambda site: _key(site).unlink(), "nothing opens it"),
    "key of nobody": (lambda site: _key(site).write_bytes(b"nonsense" * 20), "sealed"),
    "a folder up": (lambda site: _pathed(site, "../keys/node/sign.key"), "leads out of the recordings"),
    "absolute": (lambda site: _pathed(site, "/etc/hostname"), "leads out of the recordings"),
    "link": (lambda site: site.path.symlink_to(site.elsewhere()), "leads out of the recordings"),
    "pipe": (_piped, "no file"),
}
PLAYED_AND_ERASED = {"corrupt audio", "missing", "a folder up"}
"""Signing in takes its time: for the others it is enough to export."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[BadSite]:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5999", is_started=False) as home:
        yield BadSite(home)


@pytest.mark.parametrize("harm", HARMS)
def test_bad_input_is_a_sentence_and_changes_nothing(site: BadSite, harm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: "/bin/true")
    do_harm, words = HARMS[harm]
    do_harm(site)
    before = site.files()

    verified = site.run("verify", ID, "--json")
    assert verified.exit_code == 1
    (finding,) = json.loads(verified.stdout)
    assert finding["ok"] is False
    assert finding["problem"]

    shown = site.run("show", ID, "--json")
    assert shown.exit_code == 0, "what the index says can be shown"
    assert json.loads(shown.stdout)["id"] == ID

    commands: list[tuple[str, ...]] = [("export", ID, "-o", str(site.copy))]
    if harm in PLAYED_AND_ERASED:
        commands += [("play", ID), ("erase", ID, "--from", "0", "--to", "1", "--dry-run")]
    for command in commands:
        result = site.as_admin(*command)
        said = " ".join(result.stderr.split())
        assert result.exit_code == 1, (command, said)
        assert words in said or "its file is gone" in said, (command, said)
    assert not site.copy.exists()
    assert not list(Path("/dev/shm").glob(f"recorder-{ID}*"))
    assert site.files() == before


def test_a_damaged_row_is_a_sentence(site: BadSite) -> None:
    index = open_index(Home(site.home.root), read_config(site.home.config))
    with index.database.begin() as connection:
        connection.exec_driver_sql("UPDATE recordings SET document = '[]'")
    index.close()
    readers: list[tuple[str, ...]] = [("verify", ID), ("verify", "--all"), ("show", ID), ("find",)]
    for command in readers:
        result = site.run(*command)
        assert result.exit_code == 1
        assert f"row of recording {ID} is damaged" in " ".join(result.output.split()) + result.stderr
    result = site.as_admin("export", ID, "-o", str(site.copy))
    assert result.exit_code == 1
    assert f"row of recording {ID} is damaged" in " ".join(result.stderr.split())
    result = site.as_admin("erase", ID, "--from", "0", "--to", "1")
    assert result.exit_code == 1
    assert result.stderr
    assert not site.copy.exists()
