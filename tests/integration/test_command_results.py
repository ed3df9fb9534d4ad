"""What commands print with --json, each on its own: one document on standard output that fits its schema."""

import json
from pathlib import Path
from typing import Any

import pytest
import soundfile
from nacl.pwhash import argon2id
from typer.testing import CliRunner

from recorder.cli.cli import app
from recorder.cli.identity import TOKEN_VARIABLE
from recorder.permissions import Role
from tests.helpers.json_results import problem_with
from tests.helpers.recorder_home import ADMIN, PASSWORD, RecorderHome
from tests.helpers.signed_in import token_of

WHY = ["--reason", "complaint 17"]


_WITHOUT_HOME = (("notices", "generate"), ("notices", "check"))


class Shell:
    """A home without a daemon, and whoever is signed in."""

    def __init__(self, home: RecorderHome) -> None:
        self.home = home.root
        self._tokens: dict[str, str] = {}

    def __call__(self, *words: str, by: str = ADMIN, count: int = 2, code: int = 0) -> Any:
        """Run a command, whose first ``count`` words are its name, and return its document, which fits the schema."""
        if by not in self._tokens:
            self._tokens[by] = token_of(self.home, by)
        where = () if words[:2] in _WITHOUT_HOME else ("-C", str(self.home))
        done = CliRunner().invoke(app, [*words, "--json", *where], env={TOKEN_VARIABLE: self._tokens[by]})
        assert done.exit_code == code, (words, done.stderr, done.exception)
        document = json.loads(done.stdout)
        assert isinstance(document, dict) or all(isinstance(one, dict) for one in document)
        assert problem_with(" ".join(words[:count]), document) == ""
        return document


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    home = RecorderHome(tmp_path_factory.mktemp("results"), next_hop="127.0.0.1:5070")
    for name, role in (
        ("lena", Role.TEAM_LEADER),
        ("dora", Role.DPO),
        ("ines", Role.ADMIN),
        ("olive", Role.OFFICER),
        ("ida", Role.ICT),
    ):
        home.add_person(name, role)
    return Shell(home)


def test_accounts(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "new").write_text(PASSWORD + " again\n")
    (tmp_path / "pin").write_text("482915\n")
    new = ("--new-password-file", str(tmp_path / "new"))
    assert shell("users", "add", "paul", "--role", "officer", "--display-name", "Paul", *new)["is_done"]
    added = shell("users", "add", "pia", "--role", "manager", "--role", "dpo", *new)
    assert added["account"] == "pia" and not added["is_done"]
    waiting = shell("proposals", "list", by="dora")
    assert [one["id"] for one in waiting] == [added["proposal"]]
    assert shell("proposals", "decline", added["proposal"], by="dora")["state"] == "declined"
    assert shell("users", "show", "paul")["roles"] == ["officer"]
    assert shell("users", "add-role", "paul", "--role", "manager", *WHY)["is_done"]
    shell("users", "team", "paul", "Revenues")
    shell("users", "pin", "paul", "--pin-file", str(tmp_path / "pin"))
    shell("users", "remove-role", "paul", "--role", "manager")
    shell("users", "password", "paul", *new, *WHY)
    shell("users", "disable", "paul")
    shell("users", "enable", "paul")
    shell("users", "disable", "paul")
    assert shell("users", "remove", "paul", "--yes") == {"account": "paul", "is_done": True, "proposal": None}
    assert "paul" not in {one["name"] for one in shell("users", "list")}
    assert shell("mail", "address", "olive", "olive@council.example")["address"] == "olive@council.example"
    assert shell("mail", "show")["addresses"]["olive"] == "olive@council.example"


def test_a_proposal_that_is_confirmed(shell: Shell) -> None:
    proposed = shell("users", "add-role", "olive", "--role", "team_leader", *WHY)
    assert shell("proposals", "confirm", proposed["proposal"], by="dora")["state"] == "confirmed"


def test_tokens(shell: Shell) -> None:
    made = shell("tokens", "add", "till", "--scope", "pause", "--extension", "2001", *WHY)
    assert made["token"] and made["proposal"]
    assert [one["is_waiting"] for one in shell("tokens", "list")] == [True]
    assert shell("tokens", "revoke", "till") == {"name": "till", "is_revoked": True}


def test_requests(shell: Shell) -> None:
    assert shell("approvers", "absent", "lena", by="dora") == {"account": "lena", "is_absent": True}
    assert shell("approvers", "back", "lena", by="dora") == {"account": "lena", "is_absent": False}
    assert shell("approvers", "deputy", "lena", *WHY, by="ines")["is_done"] is False
    assert shell("break-glass", "list", by="dora") == []


def test_keys_and_the_home(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPSLIMIT", "MEMLIMIT"):  # that a passphrase is stretched by much is tested with its keys
        monkeypatch.setattr(argon2id, f"{name}_MODERATE", getattr(argon2id, f"{name}_MIN"))
    (tmp_path / "passphrase").write_text("a long enough passphrase here\n")
    (tmp_path / "passphrase").chmod(0o600)
    assert shell("keys", "rotate-accounts", by="ida")["path"].endswith("accounts.key")
    assert shell("keys", "rotate-signing", by="ida")["missing"] == []
    new = ("--new-passphrase-file", str(tmp_path / "passphrase"))
    assert shell("keys", "passphrase", *new, by="ida")["has_passphrase"]
    removed = ("--remove", "--passphrase-file", str(tmp_path / "passphrase"))
    assert not shell("keys", "passphrase", *removed, by="ida")["has_passphrase"]
    assert shell("share", "0", "--dry-run", count=1)["dry_run"]
    shell("database", "upgrade", "--dry-run")
    shell("index", "check", "--quick")
    shell("reports", "pauses", by="dora")
    shell("retention", "show", "--dry-run")
    shell("retention", "run", by="ida")


def test_messages(shell: Shell, tmp_path: Path) -> None:
    words = shell("notices", "template", "second", "--language", "cy")["text"]
    (tmp_path / "text").write_text(words)
    made = shell("notices", "generate", str(tmp_path / "text"), "-o", str(tmp_path / "made.flac"), "--language", "cy")
    assert made["is_placeholder"]
    assert shell("notices", "check", made["path"])["findings"] == []
    stored = shell("notices", "import", "second", made["path"], "--language", "cy", "--from", "2099-01-01")
    assert (stored["has_text"], stored["starts_at"]) == (True, "2099-01-01T00:00:00Z")
    (row,) = [one for one in shell("notices", "list") if one["sha256"] == stored["sha256"]]
    assert (row["version"], row["language"], row["text"].strip()) == (stored["version"], "cy", words)
    assert row["is_placeholder"]
    assert [(one["state"], one["starts_at"]) for one in row["periods"]] == [("coming", stored["starts_at"])]
    used = shell("notices", "use", "second", str(stored["version"]), "--from", "never", by="dora")
    assert used["starts_at"] is None
    assert shell("notices", "play", "second", "-o", str(tmp_path / "heard.wav"))["path"] == str(tmp_path / "heard.wav")
    with soundfile.SoundFile(tmp_path / "heard.wav") as heard:
        assert (heard.samplerate, heard.channels) == (8000, 1)
    acts = [one["details"] for one in shell("audit", "list", "--act", "notice.set", by="dora", count=2)]
    assert [one["is_given_up"] for one in acts if one["version"] == stored["version"] and "is_given_up" in one] == [
        True
    ]


def test_a_new_home_and_a_session(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD + "\n")
    given = (
        "--sip", "127.0.0.1:5060", "--next-hop", "127.0.0.1:5070", "--extension", "2001:alice:Revenues",
        "--admin", "founder", "--password-file", str(tmp_path / "password"), "--json",
    )  # fmt: skip
    done = CliRunner().invoke(app, ["init", str(tmp_path / "home"), *given])
    assert problem_with("init", json.loads(done.stdout)) == ""
    config = tmp_path / "home" / "recorder.toml"
    config.write_text(config.read_text().replace('second_factor = "required"', 'second_factor = "off"'))
    where = ("--json", "-C", str(tmp_path / "home"))
    who = ("--as", "founder", "--password-file", str(tmp_path / "password"))
    session = json.loads(CliRunner().invoke(app, ["login", *who, *where]).stdout)
    assert problem_with("login", session) == ""
    ended = json.loads(CliRunner().invoke(app, ["logout", *where], env={TOKEN_VARIABLE: session["token"]}).stdout)
    assert (problem_with("logout", ended), ended["account"]) == ("", "founder")
