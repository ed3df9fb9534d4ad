"""The tree of commands: every word leads somewhere, words of before lead on, and common options are the same."""

from collections.abc import Iterator

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.testing import CliRunner

from docs.make_commands import PAGE, updated
from recorder.cli.cli import Commands, app, first_line
from recorder.cli.former_words import BARE, OLD, OPTION_NAMES, former, renamed
from recorder.cli.results.table import RESULTS, WITHOUT_RESULT
from recorder.cli.tree import COMMANDS, NOUNS

COMMON = ("--as", "--password-file", "--passphrase-file", "--home", "--json")
"""Options of the context, in their order."""
SAME = (*COMMON, "--dry-run", "--reason")
OWN = {
    ("init", "--passphrase-file"), ("backups restore", "--home"), ("index reconcile", "--reason"),
    ("retention write-off", "--reason"),
}  # fmt: skip
"""Where an option means something of its own."""


def leaves() -> Iterator[tuple[str, TyperCommand]]:
    for name, command in Commands().items():
        if isinstance(command, TyperGroup):
            for verb, leaf in command.commands.items():
                assert isinstance(leaf, TyperCommand)
                yield f"{name} {verb}", leaf
        else:
            yield name, command


LEAVES = dict(leaves())


def test_every_command_has_a_function_whose_first_line_is_its_help() -> None:
    assert set(LEAVES) == set(COMMANDS)
    assert {words.partition(" ")[0] for words in COMMANDS if " " in words} == set(NOUNS)
    for words, command in LEAVES.items():
        assert command.help is not None
        assert first_line(words) == command.help.partition("\n")[0] != "", words


def test_words_of_before_lead_to_words_of_today() -> None:
    for old, new in {**OLD, **BARE}.items():
        assert " ".join(new.split()[:2]) in COMMANDS or new in NOUNS, old
        assert old not in COMMANDS, old
    for (words, _), now in OPTION_NAMES.items():
        assert now in {option for parameter in LEAVES[words].params for option in parameter.opts}


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("find --json", "recordings list --json"),
        ("hold add X --kind training", "holds add X --kind training"),
        ("hold --help", "holds --help"),
        ("calls", "calls list"),
        ("calls --json", "calls list --json"),
        ("calls --help", None),
        ("calls pause --call X", None),
        ("retention --dry-run", "retention show --dry-run"),
        ("retention run", None),
        ("retention run --confirm-share --as a", "retention confirm-share --as a"),
        ("sar fee-paid SAR-1 --on 2026-11-01", "cases record fee-paid SAR-1 --on 2026-11-01"),
        ("erase --confirm X --reason y", "erasures confirm X --reason y"),
        ("erase --confirm=X", "erasures confirm X"),
        ("erase --list", "erasures list"),
        ("erase X --from 1 --to 2", "recordings erase X --from 1 --to 2"),
        ("reconcile --confirm --reason y", "index reconcile --yes --reason y"),
        ("users list", None),
        ("users confirm X", "proposals confirm X"),
        ("requests ask X --leave listen", "requests add X --access listen"),
        ("requests add X --leave=listen", "requests add X --access=listen"),
        ("holds add X --complained-about y", None),
        ("no-such", None),
        ("", None),
    ],
)
def test_a_command_line_of_before(before: str, now: str | None) -> None:
    found = renamed(before.split())
    assert (None if found is None else " ".join(found.arguments)) == now


def test_a_word_of_before_says_the_new_one_on_standard_error_alone() -> None:
    now, before = (CliRunner().invoke(app, [*words, "--help"]) for words in (["notices", "list"], ["notice", "list"]))
    assert before.stdout == now.stdout != ""
    assert (now.stderr, before.stderr) == (
        "", "recorder: `notice list` is now `notices list`; the old word works until 1.0\n",
    )  # fmt: skip


def test_common_options_have_one_order_and_one_meaning() -> None:
    helps: dict[str, set[str | None]] = {}
    for words, command in LEAVES.items():
        options = [next(one for one in parameter.opts if one.startswith("--")) for parameter in command.params
                   if parameter.param_type_name == "option"]  # fmt: skip
        common = [option for option in options if option in COMMON]
        if (words, "--home") not in OWN and words != "init":
            assert (
                common == [option for option in COMMON if option in common] == options[len(options) - len(common) :]
            ), words
        for parameter in command.params:
            for option in set(parameter.opts) & set(SAME):
                if (words, option) not in OWN:
                    helps.setdefault(option, set()).add(getattr(parameter, "help", None))
    assert {option: len(found) for option, found in helps.items() if len(found) > 1} == {}


def test_every_command_with_a_result_has_json() -> None:
    with_json = {words for words, command in LEAVES.items() if any("--json" in one.opts for one in command.params)}
    assert with_json == set(COMMANDS) - WITHOUT_RESULT - {"config schema"}, "a schema is JSON anyway"
    assert set(RESULTS) == set(COMMANDS) - WITHOUT_RESULT


def test_confirming_and_dry_runs_have_one_word() -> None:
    options = {option for command in LEAVES.values() for parameter in command.params for option in parameter.opts}
    assert not options & {"--confirm", "--confirm-share", "--force", "--sure", "--preview", "--simulate"}
    assert {"--yes", "--dry-run"} <= options


def test_the_page_of_commands_is_that_of_the_tree() -> None:
    assert updated(PAGE.read_text()) == PAGE.read_text(), "run python -m docs.make_commands"
    assert former("erasures confirm") == ["erase --confirm"]
    assert former("calls list") == ["calls"]
