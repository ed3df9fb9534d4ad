"""`recorder keys`: what it lists, rotates, destroys and seals, and the passphrase in every command that opens audio."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import nacl.bindings
import pytest
from nacl.pwhash import argon2id

from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.service.run_console import serve
from storage.audit import AuditLog
from storage.epochs import EpochKeys, month_of
from storage.errors import KeyProblemError
from storage.vault import Vault
from tests.helpers.recorder_home import ADMIN, PASSWORD, RecorderHome, recorder_home
from tests.helpers.steady_clock import mid_month
from tests.helpers.wave_file import wave_channels
from tests.integration.test_erase_command import SECONDS, Shell

PASSPHRASE, ANOTHER = "marmalade under seven lanterns", "wet slate and wider rivers"


def secret_file(path: Path, text: str) -> Path:
    """Write a file that only its owner reads."""
    path.touch(mode=0o600)
    path.write_text(text + "\n")
    return path


class KeyShell(Shell):
    """A home without a daemon; ``ian`` is of ICT."""

    def __init__(self, home: RecorderHome) -> None:
        super().__init__(home)
        self.private = home.root / "private"
        self.folder = home.root.parent

    def keys(self, *words: str, by: str = "ian") -> Any:
        """Run `recorder keys` as somebody; returns the finished process."""
        who = ("--as", by, "--password-file", str(self.home.password_file))
        return self.home.run("keys", *words, *who, "-C", str(self.home.root))

    def export(self, recording: str, *words: str) -> Any:
        """Export a recording as ``lea``; returns the finished process."""
        who = ("--as", "lea", "--password-file", str(self.home.password_file), "--reason", "checking keys")
        target = self.folder / "copy.wav"
        target.unlink(missing_ok=True)
        self.home.give_leave(recording, account="lea")
        return self.home.run(
            "export", recording, "--format", "g711", "-o", str(target), *who, *words, "-C", str(self.home.root)
        )

    def entries(self, act: str) -> list[dict[str, Any]]:
        """Return the details of the audit log's entries of an act."""
        return [dict(e.details) for e in AuditLog(Home(self.home.root).audit).entries() if e.act == act]


@pytest.fixture
def _mid_month() -> Iterator[None]:
    """Have no month end while a test says which keys are those of this month."""
    with mid_month():
        yield


@pytest.fixture
def shell(tmp_path: Path, _mid_month: None) -> Iterator[KeyShell]:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5999", is_started=False) as home:
        yield KeyShell(home)


def test_the_list_says_what_is_here_and_needed(shell: KeyShell) -> None:
    shell.record()
    month = month_of(utc_now())
    listed = {epoch["epoch"]: epoch for epoch in shell.home.json("keys", "list")}
    assert len(listed) == 3
    mine = listed[month]
    assert (mine["month"], mine["sealed"], mine["is_private_here"], mine["has_passphrase"]) == (month, 1, True, False)
    assert (mine["is_current"], mine["is_fallback"], mine["is_over"]) == (True, False, False)
    assert len(mine["fingerprint"]) == 64
    assert mine["needed_because"] == ["new recordings are sealed to it now", "1 recording's key is sealed to it"]
    shell.private.rename(shell.folder / "elsewhere")
    away = {epoch["epoch"]: epoch for epoch in shell.home.json("keys", "list")}[month]
    assert (away["is_private_here"], away["has_passphrase"], away["fingerprint"]) == (False, None, mine["fingerprint"])
    text = shell.home.recorder("keys", "list", "-C", str(shell.home.root))
    assert f"{month}\t{mine['fingerprint'][:16]}\t1\tnot here\tnow\n" in text


def test_a_month_without_a_key_is_flagged(shell: KeyShell) -> None:
    epochs = shell.home.root / "keys" / "epochs"
    (epochs / f"{month_of(utc_now())}.pub").unlink()
    done = shell.home.run("keys", "list", "-C", str(shell.home.root))
    assert "now, as this month has none" in done.stdout
    assert "this month has no key" in done.stderr


def test_a_rotation(shell: KeyShell) -> None:
    before = shell.record(ended_ago=timedelta(minutes=2))
    done = shell.keys("rotate", "--json")
    assert done.returncode == 0, done.stderr
    month = month_of(utc_now())
    after = shell.record(ended_ago=-timedelta(seconds=SECONDS))
    sealed = Vault(shell.home.root, shell.vault.node).sealed
    assert (sealed.find(before), sealed.find(after)) == (month, f"{month}.2")
    assert len(shell.entries("keys.rotated")[0]["epochs"]) == 3
    assert shell.entries("keys.rotated")[0]["epochs"][f"{month}.2"] in done.stdout
    for recording in (before, after):
        assert shell.export(recording).returncode == 0


def test_only_ict_may_and_needed_keys_stay(shell: KeyShell) -> None:
    month = month_of(utc_now())
    for words in (("rotate",), ("tidy",), ("destroy", month, "--yes"), ("passphrase", "--remove")):
        done = shell.keys(*words, by="lea")
        assert done.returncode == 1
        assert "does not allow you to manage keys. Roles that do: ICT" in done.stderr
    looked = shell.keys("destroy", month)
    assert (looked.returncode, "cannot be destroyed: new recordings are sealed to it now" in looked.stderr) == (1, True)
    sure = shell.keys("destroy", month, "--yes")
    assert (sure.returncode, len(list(shell.private.glob("2*.key")))) == (1, 3)
    assert f"the private key of {month} cannot be destroyed: new recordings are sealed to it now" in sure.stderr
    assert shell.keys("destroy", "2026-13").returncode == 2
    old = EpochKeys(shell.home.root / "keys/epochs", shell.private)
    old.create_epoch("2026-02")
    unsure = shell.keys("destroy", "2026-02")
    assert (unsure.returncode, (shell.private / "2026-02.key").exists()) == (2, True)
    assert "give --yes" in unsure.stderr
    fingerprint = old.public_of("2026-02").fingerprint
    done = shell.keys("destroy", "2026-02", "--yes", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"epoch": "2026-02", "is_destroyed": True})
    assert not (shell.private / "2026-02.key").exists()
    noted = shell.entries("epoch.destroyed")
    assert [(entry["epoch"], entry["fingerprint"]) for entry in noted] == [("2026-02", fingerprint)]
    again = shell.keys("destroy", "2026-02", "--yes")
    assert (again.returncode, "2026-02.key cannot be read" in again.stderr) == (1, True)


def test_the_daily_work_by_hand(shell: KeyShell) -> None:
    EpochKeys(shell.home.root / "keys/epochs", shell.private).create_epoch("2026-02")
    done = shell.keys("tidy", "--json")
    assert done.returncode == 0, done.stderr
    assert '"destroyed": ["2026-02"]' in " ".join(done.stdout.split()).replace("[ ", "[").replace(" ]", "]")


def test_a_passphrase_is_set_changed_and_removed(shell: KeyShell) -> None:
    recording = shell.record()
    first, second = (secret_file(shell.folder / n, t) for n, t in (("first", PASSPHRASE), ("second", ANOTHER)))
    weak = shell.keys("passphrase", "--new-passphrase-file", str(secret_file(shell.folder / "weak", "password1234")))
    assert (weak.returncode, "The passphrase" in weak.stderr) == (1, True)
    done = shell.keys("passphrase", "--new-passphrase-file", str(first))
    assert done.returncode == 0, done.stderr
    assert f'set passphrase_file = "{first}"' in done.stderr
    assert {e["has_passphrase"] for e in shell.home.json("keys", "list")} == {True}

    without = shell.export(recording)
    assert (without.returncode, "needs its passphrase: set passphrase_file in [storage]" in without.stderr) == (1, True)
    wrong = shell.export(recording, "--passphrase-file", str(second))
    assert (wrong.returncode, "the passphrase does not open" in wrong.stderr) == (1, True)
    assert shell.export(recording, "--passphrase-file", str(first)).returncode == 0
    left, _, law = wave_channels((shell.folder / "copy.wav").read_bytes())
    assert (len(left), law) == (5 * 8000, "alaw")

    shell.home.edit('passphrase_file = "off"', f'passphrase_file = "{first}"')
    assert shell.export(recording).returncode == 0
    done = shell.keys("passphrase", "--new-passphrase-file", str(second))
    assert done.returncode == 0, done.stderr
    assert "does not open" in shell.export(recording).stderr
    assert shell.export(recording, "--passphrase-file", str(second)).returncode == 0
    assert shell.keys("passphrase", "--remove").returncode == 1, "the one that is configured is the old one"
    assert shell.keys("passphrase", "--remove", "--passphrase-file", str(second)).returncode == 0
    assert {e["has_passphrase"] for e in shell.home.json("keys", "list")} == {False}
    assert shell.export(recording).returncode == 0, "a passphrase too many does no harm"
    assert [entry["is_set"] for entry in shell.entries("keys.passphrase")] == [True, True, False]
    audit = (shell.home.root / "audit/audit.log").read_text()
    assert PASSPHRASE not in audit
    assert ANOTHER not in audit


def test_the_old_bytes_of_a_private_key_are_overwritten(shell: KeyShell) -> None:
    path = shell.private / f"{month_of(utc_now())}.key"
    twin = shell.folder / "twin"
    twin.hardlink_to(path)
    before = twin.read_bytes()
    EpochKeys(shell.home.root / "keys/epochs", shell.private).change_passphrase(PASSPHRASE.encode())
    assert len(twin.read_bytes()) == len(before)
    assert before[:40] not in twin.read_bytes()


def test_a_guess_of_a_passphrase_costs_256_mib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPSLIMIT", "MEMLIMIT"):  # tests stretch by little, but here
        monkeypatch.setattr(
            argon2id, f"{name}_MODERATE", getattr(nacl.bindings, f"crypto_pwhash_argon2id_{name}_MODERATE")
        )
    keys = EpochKeys(tmp_path / "epochs", tmp_path / "private", passphrase=PASSPHRASE.encode())
    keys.create_epoch("2026-11")
    kdf = json.loads((tmp_path / "private" / "2026-11.key").read_text())["kdf"]
    assert (kdf["name"], kdf["ops"], kdf["memory_bytes"]) == ("argon2id", 3, 256 * 2**20)


@pytest.mark.usefixtures("_mid_month")
def test_init_with_a_passphrase(tmp_path: Path) -> None:
    file = secret_file(tmp_path / "passphrase", PASSPHRASE)
    password = secret_file(tmp_path / "password", PASSWORD)
    words = (
        "--sip", "127.0.0.1:5070", "--next-hop", "127.0.0.1:5999", "--extension", "2001:alice:Revenues",
        "--admin", ADMIN, "--password-file", str(password), "--passphrase-file", str(file),
    )  # fmt: skip
    with recorder_home(tmp_path / "other", next_hop="127.0.0.1:5999", is_started=False) as runner:
        root = tmp_path / "home"
        runner.recorder("init", str(root), *words)
        settings = read_config(root / "recorder.toml")
        assert settings.storage.passphrase_file == str(file)
        bare = EpochKeys(root / "keys/epochs", root / "private")
        assert all(bare.is_sealed(name) for name in bare.names())
        with pytest.raises(KeyProblemError, match="needs its passphrase"):
            bare.load_private(month_of(utc_now()))
        EpochKeys(root / "keys/epochs", root / "private", passphrase=PASSPHRASE.encode()).check_passphrase()
        # no key is ever made that nobody, or everybody, could open
        for passphrase, sentence in ((None, "needs its passphrase"), (b"wrong", "does not open")):
            with pytest.raises(KeyProblemError, match=sentence):
                EpochKeys(root / "keys/epochs", root / "private", passphrase=passphrase).create_epoch("2028-01")

        toml = root / "recorder.toml"
        toml.write_text(toml.read_text().replace(f'passphrase_file = "{file}"', 'passphrase_file = "off"'))
        said = runner.run_apart("console", "-C", str(root))
        assert said.returncode == 1
        assert "needs its passphrase: set passphrase_file in [storage]" in said.stderr
        file.chmod(0o644)
        refused = runner.run("init", str(tmp_path / "more"), *words)
        assert (refused.returncode, "can be read by others" in refused.stderr) == (2, True)


def test_a_console_does_not_start_with_a_passphrase_that_is_wrong(shell: KeyShell) -> None:
    EpochKeys(shell.home.root / "keys/epochs", shell.private).change_passphrase(PASSPHRASE.encode())
    wrong = secret_file(shell.folder / "wrong", ANOTHER)
    shell.home.edit('passphrase_file = "off"', f'passphrase_file = "{wrong}"')
    shell.home.edit('[console]\nlisten = "off"', '[console]\nlisten = "127.0.0.1:0"')
    settings = read_config(shell.home.config)
    with pytest.raises(KeyProblemError, match="does not open"):
        serve(Home(shell.home.root), settings)
