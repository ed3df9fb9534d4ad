"""The command line. Exit codes: 0 done, 1 refused or failed with a reason, 2 wrong usage.

A command's module is imported when the command is used, so that a pause does not wait for the PDF library. Lists of
commands take the first line of each from its source, so that help and completion import none.
"""

import ast
import functools
import sys
from collections.abc import Iterator, Mapping
from enum import Enum
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from recorder.cli.former_words import renamed
from recorder.cli.tree import COMMANDS, NOUNS

DISTRIBUTION = "council-call-recorder"
"""The name of the installed package."""

_HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}

Command = TyperCommand | TyperGroup


class Commands(Mapping[str, Command]):
    """The commands below some words, by name; each is imported on first use."""

    def __init__(self, noun: str = "") -> None:
        self._noun = noun

    def __getitem__(self, name: str) -> Command:
        """Return a command, importing it if necessary.

        Raises:
            KeyError: No command of this name.
        """
        return _noun(name) if not self._noun and name in NOUNS else _load(f"{self._noun} {name}".strip())

    def __iter__(self) -> Iterator[str]:
        """Return the names, in the order of the help."""
        if self._noun:
            return (words.partition(" ")[2] for words in COMMANDS if words.startswith(f"{self._noun} "))
        return iter([*(words for words in COMMANDS if " " not in words), *NOUNS])

    def __len__(self) -> int:
        """Return the number of commands."""
        return sum(1 for _ in self)


class _Listed(TyperCommand):
    """A command in a list: its name and the first line of its help. It is imported when somebody runs it."""

    def __init__(self, words: str) -> None:
        super().__init__(name=words.rpartition(" ")[2], help=first_line(words))
        self._words = words

    def make_context(self, *arguments: Any, **settings: Any) -> Any:  # noqa: ANN401 - typer's click is not typed
        """Return the context of the command itself."""
        return _load(self._words).make_context(*arguments, **settings)


class _Group(TyperGroup):
    """A group whose commands are imported when they are run; listing them imports none."""

    def __init__(self, noun: str = "", **settings: Any) -> None:  # noqa: ANN401 - typer's
        super().__init__(**settings)
        self._noun = noun
        self.commands = cast(Any, Commands(noun))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401 - typer's click is not typed
        """Return a command, for a list or to run it."""
        words = f"{self._noun} {cmd_name}".strip()
        if words in NOUNS:
            return _noun(words)
        return _Listed(words) if words in COMMANDS else None

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - typer's
        """Return the names, in the order of the help."""
        return list(self.commands)


_UsageError: Any = typer.BadParameter.__base__
"""What typer raises for wrong usage; it does not export the class."""


def _sentence_of(error: Any) -> str:  # noqa: ANN401 - typer's click is not typed
    """Return what is wrong with the usage; typer's own sentence about a value is pydantic's."""
    findings = getattr(error.__cause__, "errors", None)
    if findings is None or error.param is None:
        return str(error.format_message())
    from recorder.common.known_values import fault_of, unknown  # noqa: PLC0415 - only of use after a mistake

    name, finding = error.param.opts[0] if error.param.opts[0].startswith("-") else error.param.metavar, findings()[0]
    given = finding["input"]
    kinds = [error.param.type_descriptor.annotation]
    while kinds:  # an enumeration, or one in a list or beside None
        kind = kinds.pop()
        if isinstance(kind, type) and issubclass(kind, Enum):
            return f"{name}: {unknown(str(given), [str(one.value) for one in kind], what='valid')}"
        kinds += get_args(kind)
    return f"{name} {fault_of(finding)}, not {given!r}"


class CommandLine(_Group):
    """The program `recorder`. Takes the words of before, too, and says which are new."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - typer's click is not typed
        """Run a command. Wrong usage is one line, as every error is."""
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            if type(error).__name__ == "NoArgsIsHelpError":
                raise
            path, sentence = error.ctx.command_path if error.ctx else "recorder", _sentence_of(error).rstrip(".")
            sys.stderr.write(f"recorder: {sentence}; `{path} --help` says how it is used\n")
            raise typer.Exit(2) from error

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - typer's click is not typed
        """Return the command of some arguments."""
        found = renamed(args)
        if found is not None:
            args = found.arguments
            if not ctx.resilient_parsing:  # completion
                sys.stderr.write(f"recorder: `{found.old}` is now `{found.new}`; the old word works until 1.0\n")
        return super().resolve_command(ctx, args)


@functools.cache
def first_line(words: str) -> str:
    """Return the first line of a command's help, without importing the command.

    Args:
        words: Of the command, such as ``holds add``.
    """
    module, _, name = COMMANDS[words].partition(":")
    for node in _parsed(module).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    raise KeyError(words)


@functools.cache
def _parsed(module: str) -> ast.Module:
    return ast.parse((Path(__file__).parent / f"{module}.py").read_text())


@functools.cache
def _noun(name: str) -> TyperGroup:
    return _Group(name, name=name, help=NOUNS[name], no_args_is_help=True, rich_markup_mode="rich",
                  context_settings=_HELP_OPTIONS)  # fmt: skip


@functools.cache  # tests run many commands in one process
def _load(words: str) -> TyperCommand:
    from recorder.cli.context import with_options  # noqa: PLC0415 - the names of the commands need none

    module, _, attribute = COMMANDS[words].partition(":")
    alone = typer.Typer(add_completion=False, context_settings=_HELP_OPTIONS)
    function = getattr(import_module(f"recorder.cli.{module}"), attribute)
    alone.command(words.rpartition(" ")[2])(with_options(function))
    return _asking(cast(TyperCommand, get_command(alone)), words)


def _asking(command: TyperCommand, words: str) -> TyperCommand:
    """Check before a command runs that it has a person, if `recorder.cli.command_access` requires one."""
    run = command.callback
    assert run is not None, f"recorder {words} does nothing"

    @functools.wraps(run)
    def asked(**parameters: Any) -> Any:  # noqa: ANN401 - click's
        from recorder.cli.errors import said_plainly  # noqa: PLC0415 - help and completion need none
        from recorder.cli.identity import require_person, running  # noqa: PLC0415

        require_person(words, parameters)
        with said_plainly(), running(words):
            return run(**parameters)

    command.callback = asked
    return command


app = typer.Typer(
    cls=CommandLine,
    name="recorder",
    help="A call recorder for public bodies.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings=_HELP_OPTIONS,
)


def _print_version(is_asked: bool) -> None:
    """Print the version of the installed package and exit."""
    if is_asked:
        print(f"recorder {version(DISTRIBUTION)}")
        raise typer.Exit


@app.callback()
def _program(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Exist as the root of the commands; does nothing."""
