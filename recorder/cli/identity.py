"""The person who runs a command: signed in by password or by the token of `recorder login`."""

import getpass
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

from recorder.access.accounts import People, SignedIn
from recorder.access.attempts import REFUSED_SENTENCE, SignInRefused
from recorder.access.database import AuditNote
from recorder.access.listening.appointments import Appointments
from recorder.access.listening.requests import Requests
from recorder.access.reachability import AccountsAwayError
from recorder.access.seals import Seals
from recorder.access.second_factor import WRONG_CODE_SENTENCE, SecondFactors
from recorder.access.sessions import SessionKind, Sessions
from recorder.cli.accounts import accounts_exist, accounts_of
from recorder.cli.command_access import ASKED_BY_THE_DAEMON, requirement_of, takes_person
from recorder.cli.entries import append, audit, refuse
from recorder.cli.errors import said_plainly
from recorder.cli.output import fail, say
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.config.toml_tables import ConfigError
from recorder.permissions import Person, Refusal
from recorder.rules.authorisation import may
from recorder.rules.requirement import UnlistedError, missing_act
from recorder.rules.signing_in import SignInRules
from storage.audit import AuditLog
from storage.errors import AuditUnavailableError

TOKEN_VARIABLE = "RECORDER_TOKEN"  # noqa: S105 - a name
"""Environment variable with the token that `recorder login` printed."""


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
    with said_plainly(passing=AccountsAwayError):
        if not accounts_exist(home):
            fail(f"{home.people} is missing; run `recorder init` or give the folder with -C", 2)
        return People(accounts_of(home), now=utc_now, seals=Seals(AuditLog(home.audit)))


def requests_of(home: Home) -> Requests:
    """Open the access requests of a home; exit with a message if there are none."""
    people_of(home)
    return Requests(accounts_of(home), now=utc_now)


_COMMAND: ContextVar[str] = ContextVar("command", default="")
"""Words of the running command."""


@contextmanager
def running(command: str) -> Iterator[None]:
    """Set the running command, whose permission sign-ins are checked for; its words, such as ``holds list``."""
    before = _COMMAND.set(command)
    try:
        yield
    finally:
        _COMMAND.reset(before)


def command_running() -> str:
    """Return the words of the running command; empty outside of one."""
    return _COMMAND.get()


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
    command = command_running()
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
        command: Words of the command, such as ``holds list``.
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
