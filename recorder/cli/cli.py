"""The command line. Exit codes: 0 done, 1 refused or failed with a reason, 2 wrong usage.

A command's module is imported when the command is used, so that `recorder pause` does not wait for the PDF library.
"""

import functools
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

DISTRIBUTION = "council-call-recorder"
"""The name of the installed package."""

Command = TyperCommand | TyperGroup

COMMANDS = {
    "init": "init.init",
    "site-check": "site_check.site_check",
    "up": "service.up",
    "run": "service.run",
    "console": "service.console",
    "reload": "live.reload",
    "config": "config.config",
    "drain": "drain.drain",
    "health": "health.health",
    "demo": "service.demo",
    "calls": "live.calls",
    "pause": "live.pause",
    "resume": "live.resume",
    "forgot": "retroactive_pause.forgot",
    "second-message": "second_message.second_message",
    "opt-out": "opt_outs.opt_out",
    "find": "records.find",
    "show": "records.show",
    "play": "copies.play",
    "export": "exports.export",
    "erase": "erase.erase",
    "archive": "archive.archive",
    "verify": "upkeep.verify",
    "recover": "upkeep.recover",
    "reindex": "repair.reindex",
    "reconcile": "repair.reconcile",
    "fsck": "repair.fsck",
    "backup": "backup.backup",
    "backups": "backup.backups",
    "restore": "backup.restore",
    "login": "login.login",
    "logout": "login.logout",
    "users": "users.users",
    "tokens": "tokens.tokens",
    "opt-outs": "opt_outs.opt_outs",
    "requests": "requests.requests",
    "sar": "cases.sar",
    "hold": "hold.hold",
    "rights": "rights.rights",
    "mail": "mail.mail",
    "webhooks": "webhooks.webhooks",
    "audit": "audit.audit",
    "keys": "keys.keys",
    "retention": "retention.retention",
    "agents": "agents.agents",
    "report": "reports.report",
    "notice": "notices.notice",
    "share": "share.share",
    "node": "node.node",
    "database": "database.database",
}
"""Module and name of each command below `recorder.cli`, a function or a group; in the order of the help."""


class Commands(Mapping[str, Command]):
    """The commands by name; each is imported on first use."""

    def __getitem__(self, name: str) -> Command:
        """Return a command, importing it if necessary.

        Raises:
            KeyError: No command of this name.
        """
        return _load(name)

    def __iter__(self) -> Iterator[str]:
        """Return the names, in the order of the help."""
        return iter(COMMANDS)

    def __len__(self) -> int:
        """Return the number of commands."""
        return len(COMMANDS)


@functools.cache  # tests run many commands in one process
def _load(name: str) -> Command:
    from recorder.cli.context import with_options  # noqa: PLC0415 - the names of the commands need none

    module, _, attribute = COMMANDS[name].partition(".")
    found = getattr(import_module(f"recorder.cli.{module}"), attribute)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command(name)(with_options(found))
        return _asking(cast(TyperCommand, get_command(alone)), name)
    found.info.name = name
    for known in (found.registered_callback, *found.registered_commands):
        if known is not None and known.callback is not None:
            known.callback = with_options(known.callback)
    group = get_group(found)
    for inner, command in group.commands.items():
        _asking(cast(Command, command), f"{name} {inner}")
    return _asking(group, name) if group.invoke_without_command else group


def _asking(command: Command, words: str) -> Command:
    """Check before a command runs that it has a person, if `recorder.cli.command_access` requires one."""
    run = command.callback
    assert run is not None, f"recorder {words} does nothing"

    @functools.wraps(run)
    def asked(**parameters: Any) -> Any:  # noqa: ANN401 - click's
        from recorder.cli.shared import fail, require_person, running  # noqa: PLC0415 - help and completion need none
        from storage.errors import DatabaseError, KeyProblemError  # noqa: PLC0415

        require_person(words, parameters)
        try:
            with running(words):
                return run(**parameters)
        except (DatabaseError, KeyProblemError) as error:  # such as those of the accounts, which any sign-in needs
            fail(str(error))

    command.callback = asked
    return command


class CommandLine(TyperGroup):
    """The program `recorder`: a group whose commands are imported on first use."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - typer's
        super().__init__(**settings)
        self.commands = cast(Any, Commands())


app = typer.Typer(
    cls=CommandLine,
    name="recorder",
    help="A call recorder for public bodies.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
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
