"""What the commands share: the home option, one way to fail, tables for people and JSON for programs."""

import getpass
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
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
from recorder.access.database import AuditNote, open_people
from recorder.access.listening.appointments import Appointments
from recorder.access.listening.requests import Requests
from recorder.access.seals import Seals
from recorder.access.second_factor import WRONG_CODE_SENTENCE, SecondFactors
from recorder.access.sessions import SessionKind, Sessions
from recorder.audit.audit_service import AuditService
from recorder.audit.late_entries import SHELL_FOLDER, LateEntries
from recorder.cli.command_access import ASKED_BY_THE_DAEMON, WITHOUT_ACCOUNT, requirement_of, takes_person
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.common.plain_text import clean, one_line
from recorder.common.system_user import os_user
from recorder.config.reading import read_config
from recorder.config.toml_tables import ConfigError
from recorder.permissions import Act, Allowed, Person, Refusal
from recorder.rules.authorisation import may
from recorder.rules.requirement import UnlistedError, missing_act
from recorder.rules.signing_in import SignInRules
from storage.audit import AuditLog
from storage.errors import AuditUnavailableError

messages = Console(stderr=True, highlight=False)
"""For everything that is not the result."""

TOKEN_VARIABLE = "RECORDER_TOKEN"  # noqa: S105 - a name
"""The environment variable that holds what `recorder login` printed."""

HomeOption = Annotated[
    Path,
    typer.Option("-C", "--home", envvar="RECORDER_HOME", help="The recorder's folder.", show_default="current folder"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
AsOption = Annotated[str | None, typer.Option("--as", metavar="NAME", help="The account of the person who acts.")]
PasswordOption = Annotated[
    Path | None,
    typer.Option("--password-file", metavar="FILE", help="A file with the password, instead of asking for it."),
]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="A file with the private keys' passphrase, instead of the one that is configured.",
    ),
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME")]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it goes into the audit log.")]


def fail(sentence: str, code: int = 1) -> NoReturn:
    """Print a sentence on standard error and leave with an exit code."""
    messages.print(f"recorder: {escape(clean(sentence))}", style="red" if messages.is_terminal else "", soft_wrap=True)
    raise typer.Exit(code)


def say(sentence: str) -> None:
    """Print a message on standard error."""
    messages.print(escape(clean(sentence)), soft_wrap=True)


def print_json(document: object) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(document, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False) + "\n")


def print_json_list(items: Iterable[object]) -> None:
    """Print a JSON list on standard output as its items come, so that a long one needs no memory."""
    opening = "[\n" if sys.stdout.isatty() else "["
    for item in items:
        sys.stdout.write(opening + json.dumps(item, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False))
        opening = ",\n" if sys.stdout.isatty() else ", "
    sys.stdout.write("]\n" if opening.startswith(",") else "[]\n")


def print_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[tuple[str, str]], *, empty: str) -> None:
    """Print rows as a table for people: a drawn one on a terminal, tab-separated elsewhere.

    Args:
        rows: Values by key.
        columns: Key and heading of each column.
        empty: Said instead of an empty table.
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
        table.add_row(*(escape(one_line(_shown(row.get(key)))) for key, _ in columns))
    Console(highlight=False).print(table)


def _shown(value: object) -> object:
    return "" if value is None else value


@contextmanager
def progress_bar(what: str, total_s: float) -> Iterator[Callable[[float, float], None]]:
    """Show how far something is, on a terminal only; gives a function that takes seconds done and seconds in all."""
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
    """Return a password, or a PIN, from the first line of a file, or ask for it on the terminal."""
    if path is not None:
        try:
            return path.read_text().splitlines()[0]
        except (OSError, UnicodeDecodeError, IndexError) as error:
            fail(f"{path} holds no {what}: {getattr(error, 'strerror', None) or 'it is empty or not text'}", 2)
    if not sys.stdin.isatty():
        fail(f"a {what} is needed: give --{what.lower()}-file FILE", 2)
    return getpass.getpass(prompt)


def people_of(home: Home) -> People:
    """Open the accounts of a home, or leave with a sentence: a folder without them is no recorder's."""
    if not home.people.exists():
        fail(f"{home.people} is missing; run `recorder init` or give the folder with -C", 2)
    try:
        return People(open_people(home.people), now=utc_now, seals=Seals(AuditLog(home.audit)))
    except OSError as error:
        fail(f"{home.people}: {error.strerror}")


def requests_of(home: Home) -> Requests:
    """Open the requests of a home, or leave with a sentence."""
    people_of(home)
    return Requests(open_people(home.people), now=utc_now)


_COMMAND: ContextVar[str] = ContextVar("command", default="")
"""The words of the command that runs."""


@contextmanager
def running(command: str) -> Iterator[None]:
    """Have whoever signs in meanwhile asked for the role that a command takes; its words, as ``hold list``."""
    before = _COMMAND.set(command)
    try:
        yield
    finally:
        _COMMAND.reset(before)


def sign_in(home: Home, name: str | None, password_file: Path | None, what: str, *, goes_on: bool = False) -> Person:
    """Have a person sign in whose role the command takes, or leave with a sentence; both are audited.

    Who has signed in with `recorder login` is known by RECORDER_TOKEN and gives no password.

    Args:
        home: Whose accounts.
        name: The account; None is whose token it is.
        password_file: Its password; given, it counts and not the token.
        what: What they want, for the sentence.
        goes_on: What they want must not stop because the audit log cannot be written, as a pause must not.
    """
    if is_by_token(password_file):
        person = _by_token(home, name, os.environ[TOKEN_VARIABLE])
    else:
        person = _by_password(home, name, password_file, what, goes_on=goes_on)
    _check_role(home, person)
    return person


def _check_role(home: Home, person: Person) -> None:
    """Leave where a person's role has nothing of what the command takes."""
    command = _COMMAND.get()
    needed = None if command in ASKED_BY_THE_DAEMON else requirement_of(command)
    act = None if needed is None else missing_act(person, needed)
    if needed is None or act is None:
        return
    if needed.is_deputys:
        approvers = Appointments(open_people(home.people), now=utc_now).approvers(people_of(home))
        if person.name in approvers.deputies:
            return
    decision = may(person, act, reason="asked elsewhere", has_grant=True)
    assert isinstance(decision, Refusal), "their role has not got it"
    refuse(home, act, person, decision.reason, details={"command": command})


def _by_password(home: Home, name: str | None, password_file: Path | None, what: str, *, goes_on: bool) -> Person:
    if name is None:
        fail(f"{what} takes a person: give --as NAME and --password-file FILE, or `recorder login` first", 2)
    result = people_of(home).verify(name, read_password(password_file, f"Password of {name}: "))
    if not isinstance(result, SignedIn):
        audit(home, result.note, actor=name)
        fail(REFUSED_SENTENCE)
    note, is_proven = result.note, False
    if result.takes_code:
        note, is_proven = _second(home, result), True
    elif sign_in_rules(home).must_enrol(result.person):
        audit(home, AuditNote(act="people.second_factor_missing", subject=name), actor=name)
        fail(f"{name} has no authenticator yet: `recorder login --as {name}`, or sign in to the console, sets one up")
    if goes_on:
        try:
            append(home, note, actor=result.person.actor)
        except AuditUnavailableError as error:
            say(f"{error}; what you asked for goes on")
    else:
        audit(home, note, actor=result.person.actor)
    return replace(result.person, is_proven=sign_in_rules(home).counts_as_proven(is_proven=is_proven))


def require_person(command: str, parameters: Mapping[str, Any]) -> None:
    """Leave with exit code 2 where a command names a person and was given none, or was never listed.

    Args:
        command: Its words, as ``hold list``.
        parameters: What it was called with, by the names of its parameters.
    """
    try:
        is_personal = takes_person(command, parameters)
    except UnlistedError as error:
        fail(str(error), 2)
    if is_personal and parameters.get("name") is None and not is_by_token(parameters.get("password_file")):
        fail(
            f"`recorder {command}` takes a person: give --as NAME, and --password-file FILE where nobody can be asked; "
            f"or sign in for many commands: export {TOKEN_VARIABLE}=$(recorder login --as NAME)",
            2,
        )


def note_unnamed(home: Home, act: str, details: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Write down what is done without an account; that it cannot be written keeps nobody from it."""
    if not home.audit.exists():
        return
    try:
        append(home, AuditNote(act=act, subject="", details={**details, **WITHOUT_ACCOUNT}), actor=f"os:{os_user()}")
    except AuditUnavailableError as error:
        say(f"{error}; what you asked for goes on")


def is_by_token(password_file: Path | None) -> bool:
    """Tell whether RECORDER_TOKEN says who acts: a password that is given counts, and not the token."""
    return bool(os.environ.get(TOKEN_VARIABLE)) and password_file is None


def prove_password(home: Home, person: Person, path: Path | None) -> None:
    """Have somebody who is signed in give their password again, or leave with a sentence; that is audited."""
    result = people_of(home).verify(person.name, read_password(path, f"Current password of {person.name}: "))
    if isinstance(result, SignInRefused):
        audit(home, result.note, actor=person.actor)
        fail(REFUSED_SENTENCE)


def sign_in_rules(home: Home) -> SignInRules:
    """Return how people sign in, or leave with exit code 2 and the sentence."""
    try:
        return read_config(home.config).console.sign_in
    except ConfigError as error:
        fail(str(error), 2)


def _by_token(home: Home, name: str | None, token: str) -> Person:
    people, rules = people_of(home), sign_in_rules(home)
    session = Sessions(open_people(home.people), now=utc_now, limits=rules.limits).find(token, kind=SessionKind.SHELL)
    found = people.find(session.account) if session else None
    person = rules.as_signed_in(found, is_proven=session.is_proven) if session and found else None
    if person is None:
        fail(f"{TOKEN_VARIABLE} is not good any more: `recorder login` again, or unset it")
    if name not in (None, person.name):
        fail(f"{TOKEN_VARIABLE} is {person.name}'s, not {name}'s: leave --as away, or give --password-file", 2)
    return person


def _second(home: Home, result: SignedIn) -> AuditNote:
    """Ask for the code of somebody's authenticator on the terminal, or leave."""
    name = result.person.name
    if not sys.stdin.isatty():
        fail(f"{name} signs in with a code too: `recorder login --as {name}` first, then set {TOKEN_VARIABLE}")
    checked = SecondFactors(open_people(home.people), now=utc_now).check(name, getpass.getpass(f"Code of {name}: "))
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
    """Decide whether a person may do an act on a recording, and audit it before it is done; or leave.

    The entry is of ``noted_as`` where one of the act itself would say that it is done.
    """
    decision = may(person, act, reason=reason, operator=operator, has_grant=has_grant)
    if isinstance(decision, Refusal):
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
    """Write a refusal down and leave with its sentence, or with another one that tells less."""
    service = shell_audit(home, origin={"os_user": os_user()})
    service.note_late(f"{act.value}.refused", person.actor, subject, {**details, "why": why}, text=text or None)
    fail(said or why)


def shell_audit(home: Home, *, origin: Mapping[str, str] | None = None) -> AuditService:
    """Return the audit log as acts at the shell are written to it; ``origin`` None: the shell, and its user."""
    log = AuditLog(home.audit)
    late = LateEntries(log, home.state / SHELL_FOLDER, alarm=_late, now=utc_now, clock=time.monotonic)
    return AuditService(audit=log, late=late, origin=origin or {"where": "shell", "os_user": os_user()})


def _late(_alarm: str) -> None:
    sys.stderr.write("the audit log cannot be written; the refusal is entered later\n")


def audit(home: Home, note: AuditNote, *, actor: str, text: str = "") -> None:
    """Write an audit entry, or leave: what cannot be audited does not happen."""
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
