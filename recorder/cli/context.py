"""The context of a command: the home, its configuration, the person who acts, and how the result is printed.

A command takes it as its first parameter; the annotation says which options it stands for. `with_options` appends these
to the command's own.
"""

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, get_args
from zoneinfo import ZoneInfo

from recorder.cli.entries import permit
from recorder.cli.identity import is_by_token, sign_in
from recorder.cli.options import AsOption, HomeOption, JsonOption, PassphraseOption, PasswordOption
from recorder.cli.output import fail, print_json, print_table, say
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.config.settings import Config
from recorder.config.toml_tables import ConfigError
from recorder.permissions import Act, Person
from recorder.rules import times


class CommandContext:
    """The common options of a command.

    Attributes:
        home: The recorder's home.
        name: Account of the person who acts; None if not given, or given by RECORDER_TOKEN.
        password_file: File with its password.
        passphrase_file: File with the private keys' passphrase, instead of the configured one.
        json: Whether to print the result as JSON.
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
        """The home's configuration; exits with code 2 if it cannot be read."""
        try:
            return read_config(self.home.config)
        except ConfigError as error:
            fail(str(error), 2)

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.config.site.timezone)

    def day(self, at: datetime) -> str:
        """Return a moment's day in words."""
        return times.day(at.astimezone(self.zone))

    def moment(self, at: datetime) -> str:
        """Return a moment in words."""
        return times.moment(at, self.zone)

    def _known_zone(self) -> ZoneInfo | None:
        """Return the site's time zone, or None if the configuration cannot be read."""
        try:
            return ZoneInfo(read_config(self.home.config).site.timezone)
        except ConfigError:
            return None

    @property
    def is_by_token(self) -> bool:
        """Whether RECORDER_TOKEN names the person."""
        return is_by_token(self.password_file)

    @property
    def is_personal(self) -> bool:
        """Whether a person is named, by option or by RECORDER_TOKEN."""
        return self.name is not None or self.is_by_token

    def sign_in(self, what: str, *, goes_on: bool = False) -> Person:
        """Sign a person in and check their role for the command; exit if refused. See `recorder.cli.identity`."""
        return sign_in(self.home, self.name, self.password_file, what, goes_on=goes_on)

    def admin(self, act: Act, subject: str, *, noted_as: str = "") -> str:
        """Sign an administrator in and return the account; exit if refused. For ``noted_as`` see `permit`."""
        person = self.sign_in("a change to accounts or tokens")
        permit(self.home, act, person, reason="", subject=subject, operator=None, details={}, noted_as=noted_as)
        return person.actor

    def tell(self, document: object, *sentences: str) -> None:
        """Print a result: as JSON for programs, as sentences for people.

        Args:
            document: JSON values, or a dataclass of `recorder.cli.results`.
            sentences: The same in words.
        """
        if self.json:
            print_json(asdict(document) if is_dataclass(document) and not isinstance(document, type) else document)
            return
        for sentence in sentences:
            say(sentence)

    def print_text(self, document: object, text: str) -> None:
        """Print a text that people want as it is, such as a letter; as JSON for programs."""
        if self.json:
            self.tell(document)
        else:
            sys.stdout.write(text)

    def print_rows(
        self,
        rows: Sequence[Mapping[str, Any]],
        columns: Sequence[tuple[str, str]],
        *,
        empty: str,
        lines: Iterable[Mapping[str, Any]] | None = None,
    ) -> None:
        """Print rows: as JSON for programs, as a table for people.

        Args:
            rows: The rows.
            columns: Key and heading of each column of the table.
            empty: Message instead of an empty table.
            lines: Rows of the table, if some values are written otherwise for people.
        """
        if self.json:
            print_json(rows)
        else:
            print_table(rows if lines is None else lines, columns, empty=empty, zone=self._known_zone())

    def print_fields(self, document: Mapping[str, Any], lines: Mapping[str, Any] | None = None) -> None:
        """Print one thing: as JSON for programs, as a table of its fields for people.

        Args:
            document: Its fields.
            lines: Fields of the table, if some are written otherwise for people.
        """
        if self.json:
            print_json(document)
        else:
            rows = [{"key": key, "value": value} for key, value in (document if lines is None else lines).items()]
            print_table(rows, [("key", ""), ("value", "")], empty="", zone=self._known_zone())


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
"""Declaration and default of each option."""

_PERSON, _KEYS = ("name", "password_file"), ("name", "password_file", "passphrase_file")
HomeContext = Annotated[CommandContext, _Options(("home", "json"))]
PersonContext = Annotated[CommandContext, _Options((*_PERSON, "home", "json"))]
KeysContext = Annotated[CommandContext, _Options((*_KEYS, "home", "json"))]
"""For commands of a person who opens private keys."""
ServiceContext = Annotated[CommandContext, _Options(("home",))]
"""For commands that run for months, and have no result."""

# A mistake in the configuration must not stop pauses and other acts on live calls.
LazyHomeContext = Annotated[CommandContext, _Options(("home", "json"), reads_config=False)]
LazyPersonContext = Annotated[CommandContext, _Options((*_PERSON, "home", "json"), reads_config=False)]
LazyKeysContext = Annotated[CommandContext, _Options((*_KEYS, "home", "json"), reads_config=False)]
LazyServiceContext = Annotated[CommandContext, _Options(("home",), reads_config=False)]


def with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Replace a command's context parameter by the options that it stands for."""
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
    """Return the options that a command's context stands for, or None if it takes no context."""
    first = next(iter(inspect.signature(command).parameters.values()), None)
    marks = () if first is None else get_args(first.annotation)
    return next((mark for mark in marks if isinstance(mark, _Options)), None)
