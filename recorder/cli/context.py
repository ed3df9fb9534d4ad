"""What a command was called with, as one object: the home, its configuration, who acts, how the result is printed.

A command takes it as its first parameter, and the annotation says which options it stands for. `with_options` has them
come after the command's own.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, get_args
from zoneinfo import ZoneInfo

from recorder.cli.shared import (
    AsOption,
    HomeOption,
    JsonOption,
    PassphraseOption,
    PasswordOption,
    fail,
    is_by_token,
    permit,
    print_json,
    print_table,
    say,
    sign_in,
)
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.config.settings import Config
from recorder.config.toml_tables import ConfigError
from recorder.permissions import Act, Person


class CommandContext:
    """What a command was called with.

    Attributes:
        home: The recorder's home.
        name: The account of the person who acts; None: nobody was named, or RECORDER_TOKEN says who.
        password_file: A file with its password.
        passphrase_file: A file with the private keys' passphrase, instead of the one that is configured.
        json: Whether the result is printed as JSON.
    """

    def __init__(
        self,
        home: Path,
        *,
        name: str | None = None,
        password_file: Path | None = None,
        passphrase_file: Path | None = None,
        json: bool = False,
    ) -> None:
        self.home = Home(home.resolve())
        self.name = name
        self.password_file = password_file
        self.passphrase_file = passphrase_file
        self.json = json

    @functools.cached_property
    def config(self) -> Config:
        """The home's configuration; where it cannot be read, leaves with exit code 2 and the sentence."""
        try:
            return read_config(self.home.config)
        except ConfigError as error:
            fail(str(error), 2)

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.config.site.timezone)

    @property
    def is_by_token(self) -> bool:
        """Whether RECORDER_TOKEN says who acts."""
        return is_by_token(self.password_file)

    @property
    def is_personal(self) -> bool:
        """Whether a person was named, or RECORDER_TOKEN says who."""
        return self.name is not None or self.is_by_token

    def sign_in(self, what: str, *, goes_on: bool = False) -> Person:
        """Have a person sign in whose role the command takes, or leave with a sentence; see `recorder.cli.shared`."""
        return sign_in(self.home, self.name, self.password_file, what, goes_on=goes_on)

    def admin(self, act: Act, subject: str, *, noted_as: str = "") -> str:
        """Have an administrator sign in, or leave; returns the account. ``noted_as`` is `permit`'s."""
        person = self.sign_in("a change to accounts or tokens")
        permit(self.home, act, person, reason="", subject=subject, operator=None, details={}, noted_as=noted_as)
        return person.actor

    def tell(self, document: object, sentence: str) -> None:
        """Say what was done: as a document for programs, as a sentence for people."""
        if self.json:
            print_json(document)
        else:
            say(sentence)

    def print_rows(
        self,
        rows: Sequence[Mapping[str, Any]],
        columns: Sequence[tuple[str, str]],
        *,
        empty: str,
        lines: Iterable[Mapping[str, Any]] | None = None,
    ) -> None:
        """Print rows: as a document for programs, as a table for people.

        Args:
            rows: What there is.
            columns: Key and heading of each column of the table.
            empty: Said instead of an empty table.
            lines: The rows as the table has them, where people read some values otherwise.
        """
        if self.json:
            print_json(rows)
        else:
            print_table(rows if lines is None else lines, columns, empty=empty)


@dataclass(frozen=True, slots=True)
class _Options:
    """The options that a context stands for, and whether the command needs the configuration."""

    names: tuple[str, ...]
    reads_config: bool = True


_DECLARED: Mapping[str, tuple[Any, Any]] = MappingProxyType(
    {
        "name": (AsOption, None),
        "password_file": (PasswordOption, None),
        "passphrase_file": (PassphraseOption, None),
        "home": (HomeOption, Path()),
        "json": (JsonOption, False),
    }
)
"""How each is declared, and its default."""

HomeContext = Annotated[CommandContext, _Options(("home",))]
HomeJsonContext = Annotated[CommandContext, _Options(("home", "json"))]
PersonContext = Annotated[CommandContext, _Options(("name", "password_file", "home"))]
PersonJsonContext = Annotated[CommandContext, _Options(("name", "password_file", "home", "json"))]
KeysContext = Annotated[CommandContext, _Options(("name", "password_file", "passphrase_file", "home"))]
KeysJsonContext = Annotated[CommandContext, _Options(("name", "password_file", "passphrase_file", "home", "json"))]
"""Of a person who opens private keys."""

# A mistake in the configuration must not keep anybody from pausing a call, or from what else is done to live calls.
LazyHomeContext = Annotated[CommandContext, _Options(("home",), reads_config=False)]
LazyHomeJsonContext = Annotated[CommandContext, _Options(("home", "json"), reads_config=False)]
LazyPersonJsonContext = Annotated[
    CommandContext, _Options(("name", "password_file", "home", "json"), reads_config=False)
]
LazyKeysJsonContext = Annotated[
    CommandContext, _Options(("name", "password_file", "passphrase_file", "home", "json"), reads_config=False)
]


def with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command with the options that its context stands for, in the place of the context."""
    options = _options_of(command)
    if options is None:
        return command
    signature = inspect.signature(command)
    _, *own = signature.parameters.values()
    declared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        for name, (annotation, default) in _DECLARED.items()
        if name in options.names
    ]

    @functools.wraps(command)
    def called(**given: Any) -> Any:  # noqa: ANN401 - typer's
        context = CommandContext(**{name: given.pop(name) for name in options.names})
        if options.reads_config:
            _ = context.config
        return command(context, **given)

    called.__signature__ = signature.replace(parameters=[*own, *declared])  # type: ignore[attr-defined]
    return called


def _options_of(command: Callable[..., Any]) -> _Options | None:
    """Return what the first parameter of a command stands for; None: it takes no context."""
    first = next(iter(inspect.signature(command).parameters.values()), None)
    marks = () if first is None else get_args(first.annotation)
    return next((mark for mark in marks if isinstance(mark, _Options)), None)
