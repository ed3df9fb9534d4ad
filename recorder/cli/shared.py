"""Common functions of the commands: options, errors, output, sign-in and audit entries."""

import getpass
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import tzinfo
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from recorder.access.accounts import People, SignedIn
from recorder.access.attempts import REFUSED_SENTENCE, SignInRefused
from recorder.access.database import AuditNote
from recorder.access.listening.appointments import Appointments
from recorder.access.listening.requests import Requests
from recorder.access.reachability import AccountsAwayError
from recorder.access.seals import Seals
from recorder.access.second_factor import WRONG_CODE_SENTENCE, SecondFactors
from recorder.access.sessions import SessionKind, Sessions
from recorder.audit.audit_service import AuditService
from recorder.audit.late_entries import IN_MEMORY, SHELL_FOLDER, LateEntries
from recorder.cli.accounts import accounts_exist, accounts_of
from recorder.cli.cells import cell
from recorder.cli.command_access import ASKED_BY_THE_DAEMON, WITHOUT_ACCOUNT, requirement_of, takes_person
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.common.plain_text import clean, one_line
from recorder.common.system_user import os_user
from recorder.config.reading import read_config
from recorder.config.toml_tables import ConfigError
from recorder.permissions import Act, Allowed, Fault, Person, Refusal
from recorder.rules.authorisation import may
from recorder.rules.requirement import UnlistedError, missing_act
from recorder.rules.signing_in import SignInRules
from storage.audit import AuditLog
from storage.errors import AuditUnavailableError, StorageError

messages = Console(stderr=True, highlight=False)
"""Standard error, for everything except the result."""

TOKEN_VARIABLE = "RECORDER_TOKEN"  # noqa: S105 - a name
"""Environment variable with the token that `recorder login` printed."""

HomeOption = Annotated[
    Path,
    typer.Option("-C", "--home", envvar="RECORDER_HOME", help="The recorder's home.", show_default="current folder"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
AsOption = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Your account.")]
PasswordOption = Annotated[
    Path | None,
    typer.Option("--password-file", metavar="FILE", help="A file with the password; asked for if not given."),
]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="A file with the private keys' passphrase, instead of the configured one.",
    ),
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME")]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Reason, for the audit log.")]


def fail(sentence: str, code: int = 1) -> NoReturn:
    """Print an error on standard error and exit."""
    messages.print(f"recorder: {escape(clean(sentence))}", style="red" if messages.is_terminal else "", soft_wrap=True)
    raise typer.Exit(code)


def say(sentence: str) -> None:
    """Print a message on standard error."""
    messages.print(escape(clean(sentence)), soft_wrap=True)


def print_json(document: object) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(document, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False) + "\n")


def print_json_list(items: Iterable[object]) -> None:
    """Print a JSON list on standard output item by item, so that memory stays small."""
    opening = "[\n" if sys.stdout.isatty() else "["
    for item in items:
        sys.stdout.write(opening + json.dumps(item, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False))
        opening = ",\n" if sys.stdout.isatty() else ", "
    sys.stdout.write("]\n" if opening.startswith(",") else "[]\n")


def print_table(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[tuple[str, str]], *, empty: str, zone: tzinfo | None = None
) -> None:
    """Print rows as a table: drawn in words on a terminal, tab-separated and with codes elsewhere.

    Args:
        rows: Values by key.
        columns: Key and heading of each column.
        empty: Message instead of an empty table.
        zone: The site's time zone, in which a terminal shows times; None is UTC.
    """
    listed = list(rows)
    if not listed:
        say(empty)
        return
    if not sys.stdout.isatty():
        sys.stdout.writelines("\t".join(one_line(row.get(key, "")) for key, _ in columns) + "\n" for row in listed)
        return
    table = Table(box=None, header_style="bold")
    for _, heading in columns:
        table.add_column(heading, overflow="fold")
    for row in listed:
        table.add_row(*(escape(one_line(cell(key, row.get(key), zone))) for key, _ in columns))
    Console(highlight=False).print(table)


@contextmanager
def progress_bar(what: str, total_s: float) -> Iterator[Callable[[float, float], None]]:
    """Show a progress bar, on a terminal only; yields a function of seconds done and seconds in all."""
    bar = Progress(
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=messages,
        disable=not messages.is_terminal,
    )
    with bar:
        task = bar.add_task(what, total=max(total_s, 0.1))
        yield lambda done, total: bar.update(task, completed=done, total=max(total, 0.1))


def read_password(path: Path | None, prompt: str, *, what: str = "password") -> str:
    """Return a password or PIN from the first line of a file, or ask for it on the terminal."""
    if path is not None:
        try:
            return path.read_text().splitlines()[0]
        except (OSError, UnicodeDecodeError, IndexError) as error:
            fail(f"{path} has no {what}: {getattr(error, 'strerror', None) or 'it is empty or not text'}", 2)
    if not sys.stdin.isatty():
        fail(f"a {what} is needed: give --{what.lower()}-file FILE", 2)
    return getpass.getpass(prompt)


def people_of(home: Home) -> People:
    """Open the accounts of a home; exit with a message if there are none. Raises AccountsAwayError from a server."""
    try:
        if not accounts_exist(home):
            fail(f"{home.people} is missing; run `recorder init` or give the folder with -C", 2)
        return People(accounts_of(home), now=utc_now, seals=Seals(AuditLog(home.audit)))
    except ConfigError as error:
        fail(str(error), 2)
    except AccountsAwayError:
        raise
    except StorageError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{home.people}: {error.strerror}")


def requests_of(home: Home) -> Requests:
    """Open the access requests of a home; exit with a message if there are none."""
    people_of(home)
    return Requests(accounts_of(home), now=utc_now)


_COMMAND: ContextVar[str] = ContextVar("command", default="")
"""Words of the running command."""


@contextmanager
def running(command: str) -> Iterator[None]:
    """Set the running command, whose permission sign-ins are checked for; its words, such as ``hold list``."""
    before = _COMMAND.set(command)
    try:
        yield
    finally:
        _COMMAND.reset(before)


def sign_in(home: Home, name: str | None, password_file: Path | None, what: str, *, goes_on: bool = False) -> Person:
    """Sign a person in and check their role for the running command; exit if refused. Both are logged.

    With RECORDER_TOKEN, from `recorder login`, no password is needed.

    Args:
        home: The home whose accounts are used.
        name: The account; None takes the token's.
        password_file: File with its password; takes precedence over the token.
        what: What the person asks for, for the message.
        goes_on: Whether to go on if the audit log cannot be written, as a pause must.
    """
    if is_by_token(password_file):
        person = _by_token(home, name, os.environ[TOKEN_VARIABLE])
    else:
        person = _by_password(home, name, password_file, what, goes_on=goes_on)
    _check_role(home, person)
    return person


def _check_role(home: Home, person: Person) -> None:
    """Exit if a person's role has no permission that the command needs."""
    command = _COMMAND.get()
    needed = None if command in ASKED_BY_THE_DAEMON else requirement_of(command)
    act = None if needed is None else missing_act(person, needed)
    if needed is None or act is None:
        return
    if needed.is_deputys:
        approvers = Appointments(accounts_of(home), now=utc_now).approvers(people_of(home))
        if person.name in approvers.deputies:
            return
    decision = may(person, act, reason="asked elsewhere", has_grant=True)
    assert isinstance(decision, Refusal), "the role has no such permission"
    refuse(home, act, person, decision.reason, details={"command": command})


def _by_password(home: Home, name: str | None, password_file: Path | None, what: str, *, goes_on: bool) -> Person:
    if name is None:
        fail(f"{what} needs a person: give --as NAME and --password-file FILE, or `recorder login` first", 2)
    result = people_of(home).verify(name, read_password(password_file, f"Password of {name}: "))
    if not isinstance(result, SignedIn):
        audit(home, result.note, actor=name)
        fail(REFUSED_SENTENCE)
    note, is_proven = result.note, False
    if result.takes_code:
        note, is_proven = _second(home, result), True
    elif sign_in_rules(home).must_enrol(result.person):
        audit(home, AuditNote(act="people.second_factor_missing", subject=name), actor=name)
        fail(f"{name} has no authenticator yet: set one up with `recorder login --as {name}` or in the console")
    if goes_on:
        try:
            append(home, note, actor=result.person.actor)
        except AuditUnavailableError as error:
            say(f"{error}; your command continues")
    else:
        audit(home, note, actor=result.person.actor)
    return replace(result.person, is_proven=sign_in_rules(home).counts_as_proven(is_proven=is_proven))


def require_person(command: str, parameters: Mapping[str, Any]) -> None:
    """Exit with code 2 if a command needs a person and none is named, or if it is in no table.

    Args:
        command: Words of the command, such as ``hold list``.
        parameters: Its parameters by name.
    """
    try:
        is_personal = takes_person(command, parameters)
    except UnlistedError as error:
        fail(str(error), 2)
    if is_personal and parameters.get("name") is None and not is_by_token(parameters.get("password_file")):
        fail(
            f"`recorder {command}` needs a person: give --as NAME, and --password-file FILE if there is no terminal; "
            f"or sign in for several commands: export {TOKEN_VARIABLE}=$(recorder login --as NAME)",
            2,
        )


def note_unnamed(home: Home, act: str, details: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Log an act without an account; if the log cannot be written, the act goes on."""
    if not home.audit.exists():
        return
    try:
        append(home, AuditNote(act=act, subject="", details={**details, **WITHOUT_ACCOUNT}), actor=f"os:{os_user()}")
    except AuditUnavailableError as error:
        say(f"{error}; your command continues")


def is_by_token(password_file: Path | None) -> bool:
    """Tell whether RECORDER_TOKEN names the person; a password file takes precedence."""
    return bool(os.environ.get(TOKEN_VARIABLE)) and password_file is None


def prove_password(home: Home, person: Person, path: Path | None) -> None:
    """Ask a signed-in person for their password again; a wrong one is logged and exits."""
    result = people_of(home).verify(person.name, read_password(path, f"Current password of {person.name}: "))
    if isinstance(result, SignInRefused):
        audit(home, result.note, actor=person.actor)
        fail(REFUSED_SENTENCE)


def sign_in_rules(home: Home) -> SignInRules:
    """Return the rules for signing in; exit with code 2 if the configuration cannot be read."""
    try:
        return read_config(home.config).console.sign_in
    except ConfigError as error:
        fail(str(error), 2)


def _by_token(home: Home, name: str | None, token: str) -> Person:
    people, rules = people_of(home), sign_in_rules(home)
    session = Sessions(accounts_of(home), now=utc_now, limits=rules.limits).find(token, kind=SessionKind.SHELL)
    found = people.find(session.account) if session else None
    person = rules.as_signed_in(found, is_proven=session.is_proven) if session and found else None
    if person is None:
        fail(f"{TOKEN_VARIABLE} has expired: run `recorder login` again, or unset it")
    if name not in (None, person.name):
        fail(f"{TOKEN_VARIABLE} is {person.name}'s, not {name}'s: leave out --as, or give --password-file", 2)
    return person


def _second(home: Home, result: SignedIn) -> AuditNote:
    """Ask for the authenticator's code on the terminal; exit if it is wrong."""
    name = result.person.name
    if not sys.stdin.isatty():
        fail(f"{name} needs a code to sign in: run `recorder login --as {name}` first, then set {TOKEN_VARIABLE}")
    checked = SecondFactors(accounts_of(home), now=utc_now).check(name, getpass.getpass(f"Code of {name}: "))
    if isinstance(checked, SignInRefused):
        audit(home, checked.note, actor=name)
        fail(WRONG_CODE_SENTENCE)
    return checked.note


def permit(
    home: Home,
    act: Act,
    person: Person,
    *,
    reason: str,
    subject: str,
    operator: str | None,
    details: Mapping[str, Any],
    has_grant: bool = False,
    noted_as: str = "",
) -> None:
    """Check that a person may do an act on a recording, and log it before it is done; exit if refused.

    The entry's act is ``noted_as``, if the act itself would say that it is already done.
    """
    decision = may(person, act, reason=reason, operator=operator, has_grant=has_grant)
    if isinstance(decision, Refusal):
        if decision.fault is Fault.INCOMPLETE and decision.field:
            fail(decision.reason)
        refuse(home, act, person, decision.reason, subject=subject, details=details, text=reason)
    assert isinstance(decision, Allowed)
    note = AuditNote(
        act=noted_as or act.value, subject=subject, details={**details, "break_glass": decision.break_glass}
    )
    audit(home, note, actor=person.actor, text=reason)


def refuse(
    home: Home,
    act: Act,
    person: Person,
    why: str,
    *,
    subject: str = "",
    details: Mapping[str, Any] = MappingProxyType({}),
    text: str = "",
    said: str | None = None,
) -> NoReturn:
    """Log a refusal and exit with its message, or with ``said``, which may tell less."""
    service = shell_audit(home, origin={"os_user": os_user()})
    service.note_late(f"{act.value}.refused", person.actor, subject, {**details, "why": why}, text=text or None)
    fail(said or why)


def shell_audit(home: Home, *, origin: Mapping[str, str] | None = None) -> AuditService:
    """Return the audit service of commands; the default ``origin`` is the shell and its user."""
    log = AuditLog(home.audit)
    late = LateEntries(
        log, home.state / SHELL_FOLDER, alarm=_late, now=utc_now, clock=time.monotonic, is_left_to_daemon=True
    )
    return AuditService(audit=log, late=late, origin=origin or {"where": "shell", "os_user": os_user()})


def _late(alarm: str) -> None:
    if alarm == IN_MEMORY:
        sys.stderr.write("The refusal is in no log: neither the audit log nor its queue can be written\n")
    else:
        sys.stderr.write("The audit log cannot be written; the daemon enters the refusal later\n")


def audit(home: Home, note: AuditNote, *, actor: str, text: str = "") -> None:
    """Write an audit entry; exit if it cannot be written, as nothing may happen without one."""
    try:
        append(home, note, actor=actor, text=text)
    except AuditUnavailableError as error:
        fail(f"{error}; nothing was done")


def append(home: Home, note: AuditNote, *, actor: str, text: str = "") -> None:
    """Write an audit entry.

    Raises:
        AuditUnavailableError: It cannot be written.
    """
    details = {**note.details, "os_user": os_user()}
    AuditLog(home.audit).append(act=note.act, actor=actor, subject=note.subject, details=details, text=text or None)
