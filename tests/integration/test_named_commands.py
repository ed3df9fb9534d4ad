"""Every command is in a table: those that name a person show nothing without one, the others say why they need none."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.testing import CliRunner, Result

from recorder.cli.cli import Commands, app
from recorder.cli.command_access import takes_person
from recorder.cli.identity import TOKEN_VARIABLE
from recorder.rules.requirement import UnlistedError
from storage.audit import AuditLog
from tests.helpers.recorder_home import ADMIN, HEARER, PASSWORD, RecorderHome
from tests.helpers.signed_in import token_of


def leaves() -> Iterator[tuple[str, TyperCommand | TyperGroup]]:
    """Yield every command that does something, by its words."""
    for name, command in Commands().items():
        if isinstance(command, TyperGroup):
            yield from ((f"{name} {inner}", cast(TyperCommand, leaf)) for inner, leaf in command.commands.items())
            if command.invoke_without_command:
                yield name, command
        else:
            yield name, command


LEAVES = dict(leaves())
PERSONAL = [words for words in LEAVES if takes_person(words, {})]


def arguments(command: TyperCommand | TyperGroup) -> list[str]:
    """Return what a command must be given before it does anything."""
    words: list[str] = []
    for parameter in command.params:
        if not parameter.required or parameter.name in ("name", "home"):
            continue
        kind = getattr(parameter, "type_descriptor", None) or getattr(parameter, "type", None)
        first = next(iter(getattr(kind, "choices", None) or ["1"]))
        value = str(getattr(first, "value", first))
        words += [value] if parameter.param_type_name == "argument" else [parameter.opts[0], value]
    return words


def run(home: Path, words: str, *more: str, token: str | None = None) -> Result:
    command = [*words.split(), *(arguments(LEAVES[words]) if words in LEAVES else ()), *more, "-C", str(home)]
    return CliRunner().invoke(app, command, env={TOKEN_VARIABLE: token})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return RecorderHome(tmp_path_factory.mktemp("named"), next_hop="127.0.0.1:5070").root


def entries(home: Path) -> list[tuple[str, str, dict[str, object]]]:
    return [(entry.act, entry.actor, entry.details) for entry in AuditLog(home / "audit").entries()]


def test_a_command_that_nobody_listed_does_not_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnlistedError):
        takes_person("mail forgotten", {})
    monkeypatch.setattr("recorder.cli.command_access.UNNAMED", {})
    result = run(home, "notices list")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "`recorder notices list` is not listed" in " ".join(result.stderr.split())


@pytest.mark.parametrize("words", PERSONAL)
def test_what_names_a_person_refuses_without_one_and_says_what_to_do(home: Path, words: str) -> None:
    result = run(home, words)
    assert (result.exit_code, result.stdout) == (2, "")
    said = " ".join(result.stderr.split())
    assert f"`recorder {words}` needs a person: give --as NAME" in said
    assert "RECORDER_TOKEN=$(recorder login --as NAME)" in said


@pytest.mark.parametrize("words", PERSONAL)
def test_what_names_a_person_has_the_options_for_it(words: str) -> None:
    options = {option for parameter in LEAVES[words].params for option in parameter.opts}
    assert {"--as", "--password-file"} <= options


def test_what_names_a_person_shows_nothing_for_a_wrong_token_or_password(tmp_path: Path) -> None:
    home = RecorderHome(tmp_path, next_hop="127.0.0.1:5070").root
    (tmp_path / "wrong").write_text("not the password of anybody\n")
    by_password = ("--as", HEARER, "--password-file", str(tmp_path / "wrong"))
    for words in (*PERSONAL, "erasures list", "retention confirm-share"):
        for result in (run(home, words, token="nonsense"), run(home, words, *by_password)):
            assert (result.exit_code != 0, result.stdout) == (True, ""), words


_SHOWN = {
    "recordings list": (ADMIN, "recording.search"),
    "holds list": (ADMIN, "hold.view"),
    "break-glass list": (ADMIN, "break_glass.view"),
    "erasures list": (ADMIN, "recording.erase"),
    "users list": (ADMIN, "people.manage"),
    "proposals list": (ADMIN, "people.manage"),
    "tokens list": (ADMIN, "tokens.manage"),
    "mail show": (ADMIN, "system.view"),
}


@pytest.mark.parametrize("words", _SHOWN)
def test_what_is_shown_to_somebody_is_in_the_audit_log_with_their_name(home: Path, words: str) -> None:
    account, act = _SHOWN[words]
    result = run(home, words, "--json", token=token_of(home, account))
    assert result.exit_code == 0, result.stderr
    json.loads(result.stdout)
    assert entries(home)[-1][:2] == (act, account)


def test_whose_role_does_not_allow_it_is_refused_and_that_is_written_down(home: Path) -> None:
    token = token_of(home, HEARER)
    for words, act in (
        ("users list", "people.confirm"),
        ("tokens list", "tokens.manage"),
        ("notices import", "notice.set"),
    ):
        result = run(home, words, token=token)
        assert (result.exit_code, result.stdout) == (1, ""), words
        assert entries(home)[-1][:2] == (f"{act}.refused", HEARER)
    result = run(home, "break-glass list", token=token)
    assert result.exit_code == 1
    assert entries(home)[-1][:2] == ("break_glass.acknowledge.refused", HEARER)


def test_nobody_signs_on_under_another_name_and_who_tries_is_written_down(home: Path) -> None:
    """The daemon is not even asked: no person signs another on, not a manager either."""
    result = run(home, "agents sign-on", "--operator", "Somebody Else", token=token_of(home, HEARER))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "you can only sign on as yourself" in result.stderr
    assert entries(home)[-1][:2] == ("agent.sign_on.refused", HEARER)


def test_repair_needs_no_account_and_the_entry_says_so(tmp_path: Path) -> None:
    home = RecorderHome(tmp_path, next_hop="127.0.0.1:5070").root
    for left in home.glob("people.sqlite*"):
        left.unlink()
    acts: list[tuple[str, str, dict[str, object]]] = []
    for words, more in (
        ("recordings recover", ()),
        ("index rebuild", ()),
        ("index check", ("--repair",)),
        ("recordings verify", ("--all",)),
    ):
        result = run(home, words, *more, token="of accounts that are gone")
        assert result.exit_code == 0, (words, result.stderr)
        acts += [entry for entry in entries(home) if entry[2].get("without_account")][len(acts) :]
    assert [act for act, _, _ in acts] == [
        "recording.recovered", "index.repair", "index.repair", "recording.verified",
    ]  # fmt: skip
    assert all(actor.startswith("os:") for _, actor, _ in acts)
    refused = run(home, "index check", "--repair", "--write-off-missing")
    assert refused.exit_code == 2
    assert "needs a person" in refused.stderr


def test_a_name_that_is_given_to_a_repair_counts(home: Path) -> None:
    result = run(home, "index rebuild", "--as", HEARER, "--password-file", str(home.parent / "password"))
    assert result.exit_code == 1
    assert entries(home)[-1][:2] == ("index.repair.refused", HEARER)
    assert PASSWORD not in result.stderr


@pytest.mark.parametrize(
    ("typed", "word"), [("rec", "recordings"), ("hold li", "list"), ("find --a", "--as"), ("pro", "proposals")]
)
def test_tab_completion_goes_on(typed: str, word: str) -> None:
    words = f"recorder {typed}"
    environment = {
        "_RECORDER_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1),
        TOKEN_VARIABLE: None,
    }  # fmt: skip
    result = CliRunner().invoke(app, [], prog_name="recorder", env=environment)
    assert word in result.stdout.split()
