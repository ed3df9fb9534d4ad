"""`recorder notices` in the shell: what is refused changes nothing, and old words take what they took."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from recorder.calls.notices import SHIPPED, NoticeStore
from recorder.cli.cli import app
from recorder.cli.identity import TOKEN_VARIABLE
from storage.audit import AuditLog
from tests.helpers.recorder_home import ADMIN, RecorderHome, tone_file
from tests.helpers.signed_in import token_of

SPEECH = SHIPPED / "first.en.flac"


class Shell:
    """A home without a daemon, and its administrator."""

    def __init__(self, folder: Path) -> None:
        self.root = RecorderHome(folder, next_hop="127.0.0.1:5070").root
        self.env = {TOKEN_VARIABLE: token_of(self.root, ADMIN)}
        self.store = NoticeStore(self.root / "notices")

    def __call__(self, *words: str) -> Result:
        where = ("-C", str(self.root))
        return CliRunner().invoke(app, ["notices", *words, *where], env=self.env)

    def said(self, *words: str, code: int = 1) -> str:
        """Return what a command says on standard error, in one line."""
        done = self(*words)
        assert done.exit_code == code, (words, done.stderr, done.exception)
        return " ".join(done.stderr.split())

    def state(self) -> tuple[list[dict[str, Any]], int]:
        """Return what a refusal leaves as it was."""
        acts = [entry for entry in AuditLog(self.root / "audit").entries() if entry.act == "notice.set"]
        return [one.as_json() for one in self.store.versions()], len(acts)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("notices"))


def test_what_callers_would_not_understand_is_refused(shell: Shell, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(40000), 8000)
    (tmp_path / "page.wav").write_text("<html>")
    tone = tone_file(tmp_path / "tone.wav", 440, 3)
    before = shell.state()
    assert "is silent" in shell.said("import", "first", str(tmp_path / "silence.wav"), "--accept-warnings")
    assert "is not a WAV, FLAC or Ogg file" in shell.said("import", "first", str(tmp_path / "page.wav"))
    said = shell.said("import", "first", str(tone))
    assert "warning: speech was found in 0.0 s of 3.0 s" in said
    assert "give --accept-warnings if callers understand it" in said
    checked = CliRunner().invoke(app, ["notices", "check", str(tone)])
    assert (checked.exit_code, "speech was found" in checked.stderr) == (1, True)
    for words, code, told in (
        (("--from", "1 January 2020"), 1, "is past: what callers heard until now stays as it was"),
        (("--from", "soon"), 2, "--from soon: Enter a date like"),
        (("--service", "Parks"), 2, "there is no service 'Parks'; recorder.toml has Revenues"),
        (("--language", "Welsh"), 2, "'Welsh' is no language tag: give en for English, cy for Welsh"),
        (("--text", str(tmp_path / "none.txt")), 1, "none.txt cannot be read as text: No such file"),
    ):
        assert told in shell.said("import", "first", str(SPEECH), *words, code=code)
    assert "no version 99 of message 'first'" in shell.said("use", "first", "99")
    assert "does not wait for a date" in shell.said("use", "first", "1", "--from", "never")
    assert "would be stored" in shell.said("import", "first", str(SPEECH), "--dry-run", code=0)
    assert shell.state() == before


def test_a_message_is_stored_for_a_service_from_a_day_on(shell: Shell) -> None:
    words = ("--service", "Revenues", "--from", "1 January 2099", "--text", str(SHIPPED / "second.en.txt"))
    said = shell.said("import", "first", str(SPEECH), *words, code=0)
    assert "callers of Revenues hear it from 1 January 2099, midnight; the daemon needs no reload" in said
    assert "no call plays it" not in said
    (version,) = [one for one in shell.store.versions() if one.uses[0].service]
    assert shell.store.text_of(version) == (SHIPPED / "second.en.txt").read_text().strip() + "\n"
    assert version.speech_dbfs == pytest.approx(-25, abs=2)
    listed = shell("list").stdout.splitlines()
    assert [row.split("\t")[:5] for row in listed if "Revenues" in row] == [
        ["first", str(version.version), "en", "Revenues", "coming"]
    ]
    log = [entry for entry in AuditLog(shell.root / "audit").entries() if entry.act == "notice.set"]
    assert (log[-1].details["service"], log[-1].details["starts_at"]) == ("Revenues", "2099-01-01T00:00:00Z")
    assert log[-1].details["sha256"] == version.sha256


@pytest.mark.parametrize("old", [("notices", "add"), ("notice", "set")])
def test_the_old_words_store_what_they_stored(shell: Shell, tmp_path: Path, old: tuple[str, str]) -> None:
    tone = tone_file(tmp_path / "tone.wav", 440, 0.5)
    before = len(shell.store.versions())
    done = CliRunner().invoke(app, [*old, "first", str(tone), "--json", "-C", str(shell.root)], env=shell.env)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["version"] == shell.store.versions()[-1].version
    assert len(shell.store.versions()) == before + 1


def test_wording_is_filled_from_the_configuration(shell: Shell) -> None:
    first = shell("template", "first").stdout
    assert "We keep a recording for 90 days." in first
    assert "Press 1 to hear" in first
    welsh = shell("template", "second", "--language", "cy").stdout
    assert "Rydym yn cadw'r recordiad am 90 diwrnod." in welsh
    assert "there is no wording in 'fr'; there is in en and cy" in shell.said("template", "--language", "fr", code=2)


def test_a_computer_speaks_a_placeholder(shell: Shell, tmp_path: Path) -> None:
    made = tmp_path / "cy.flac"
    arguments = ["notices", "generate", "-", "-o", str(made), "--language", "cy"]
    done = CliRunner().invoke(app, arguments, input=shell("template", "first", "--language", "cy").stdout)
    assert "spoken by a computer: a placeholder, until a person records it" in " ".join(done.stderr.split())
    assert (tmp_path / "cy.txt").read_text().startswith("Diolch am ffonio")
    said = shell.said("import", "first", str(made), "--language", "cy", code=0)
    assert "no call plays it yet: 'cy' is not among the languages in recorder.toml" in said
    assert shell.store.versions()[-1].is_placeholder
    assert shell.store.text_of(shell.store.versions()[-1]).startswith("Diolch am ffonio")
