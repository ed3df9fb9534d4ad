"""`recorder login` and `recorder logout`: one sign-in for several commands."""

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Engine

from recorder.access.accounts import SignedIn
from recorder.access.attempts import REFUSED_SENTENCE, SignInRefused
from recorder.access.database import AuditNote
from recorder.access.second_factor import WRONG_CODE_SENTENCE, SecondFactors
from recorder.access.sessions import SessionKind, Sessions
from recorder.access.totp import address_of, new_secret, spaced
from recorder.cli.accounts import accounts_of
from recorder.cli.context import CommandContext, HomeContext, PersonContext
from recorder.cli.entries import audit
from recorder.cli.identity import TOKEN_VARIABLE, people_of, read_password
from recorder.cli.output import fail, say
from recorder.cli.results.accounts import EndedSession, NewSession
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.permissions import Person

CodeOption = Annotated[
    Path | None,
    typer.Option("--code-file", metavar="FILE", help="A file or pipe with the authenticator's code."),
]


SetUpOption = Annotated[
    bool, typer.Option("--set-up-authenticator", help="Set one up where your role does not need it, such as to listen.")
]


def login(context: PersonContext, code_file: CodeOption = None, set_up_authenticator: SetUpOption = False) -> None:
    """Sign in for the commands that follow; prints a token for RECORDER_TOKEN.

    In a shell: export RECORDER_TOKEN=$(recorder login --as NAME). If you need an authenticator and have none, you set
    it up here. The token expires like a session in the browser; `recorder logout` ends it.
    """
    name = context.name or fail("give --as NAME: your account", 2)
    result = people_of(context.home).verify(name, read_password(context.password_file, f"Password of {name}: "))
    if not isinstance(result, SignedIn):
        audit(context.home, result.note, actor=name)
        fail(REFUSED_SENTENCE)
    audit(context.home, result.note, actor=result.person.name)
    engine = accounts_of(context.home)
    is_proven = True
    if result.takes_code:
        _check_code(context.home, engine, result.person, code_file)
    elif set_up_authenticator or context.config.console.sign_in.must_enrol(result.person):
        _enrol(context, engine, result.person, code_file)
    else:
        is_proven = False
    sessions = Sessions(engine, now=utc_now, limits=context.config.console.sign_in.limits)
    token = sessions.start(result.person.name, kind=SessionKind.SHELL, is_proven=is_proven)
    context.print_text(NewSession(account=result.person.name, token=token), f"{token}\n")


def logout(context: HomeContext) -> None:
    """End the session of `recorder login`."""
    token = os.environ.get(TOKEN_VARIABLE)
    if not token:
        fail(f"{TOKEN_VARIABLE} is not set", 2)
    people_of(context.home)
    sessions = Sessions(accounts_of(context.home), now=utc_now, limits=context.config.console.sign_in.limits)
    session = sessions.find(token, kind=SessionKind.SHELL)
    if session is not None:
        sessions.end(session.key)
        audit(context.home, AuditNote(act="people.sign_out", subject=session.account), actor=session.account)
    document = EndedSession(account=session.account if session else None)
    context.tell(document, f"signed out; unset {TOKEN_VARIABLE}")


def _check_code(home: Home, engine: Engine, person: Person, code_file: Path | None) -> None:
    checked = SecondFactors(engine, now=utc_now).check(person.name, _read_code(person.name, code_file))
    audit(home, checked.note, actor=person.name)
    if isinstance(checked, SignInRefused):
        fail(WRONG_CODE_SENTENCE)


def _enrol(context: CommandContext, engine: Engine, person: Person, code_file: Path | None) -> None:
    secret, name = new_secret(), person.name
    say(f"{name} needs an authenticator: add this secret to an app on your phone that makes time-based codes (TOTP).")
    say(f"secret: {spaced(secret)}")
    say(f"or this address: {address_of(secret, name, f'{context.config.site.name} call recorder')}")
    enrolled = SecondFactors(engine, now=utc_now).enrol(name, secret, _read_code(name, code_file))
    audit(context.home, enrolled.note, actor=name)
    if isinstance(enrolled, SignInRefused):
        fail(WRONG_CODE_SENTENCE)
    say("Recovery codes for when the phone is lost. Each works once. They are not shown again:")
    for code in enrolled.codes:
        say(f"  {code}")


def _read_code(name: str, path: Path | None) -> str:
    if path is None and not sys.stdin.isatty():
        say(f"Code of {name}, one line:")
        return sys.stdin.readline().strip()
    if path is None:
        return getpass.getpass(f"Code of {name}: ")
    return read_password(path, "", what="code")
