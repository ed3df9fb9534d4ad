"""Commands for accounts and tokens. The first admin is made by `recorder init`; everybody else by an admin."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from recorder.clock import utc_now
from recorder.commands.shared import (
    AsOption,
    HomeOption,
    JsonOption,
    PasswordOption,
    audit,
    fail,
    load_home,
    people_of,
    permit,
    print_json,
    print_table,
    read_password,
    say,
    sign_in,
)
from recorder.domain.access import Act, Role, Scope
from recorder.home import Home
from recorder.people.account_rows import PeopleError
from recorder.people.database import AuditNote, open_people
from recorder.people.pins import PinError, PinFile
from recorder.people.second_factor import SecondFactors
from recorder.people.tokens import TokenError, Tokens

users = typer.Typer(no_args_is_help=True, help="Accounts and their roles.")
tokens = typer.Typer(no_args_is_help=True, help="Tokens for other systems.")

NewPasswordOption = Annotated[
    Path | None, typer.Option("--new-password-file", metavar="FILE", help="A file with the account's new password.")
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME")]


def _admin(home: Home, name: str | None, password_file: Path | None, act: Act, subject: str) -> str:
    person = sign_in(home, name, password_file, "a change to accounts or tokens")
    permit(home, act, person, reason="", subject=subject, operator=None, details={})
    return person.actor


@users.command("add")
def add_user(
    account: NameArgument,
    role: Annotated[list[Role], typer.Option("--role", help="Repeat for several.")],
    display_name: Annotated[str, typer.Option("--display-name", help="As calls name their operator.")] = "",
    team: Annotated[list[str] | None, typer.Option("--team")] = None,
    extension: Annotated[str | None, typer.Option("--extension")] = None,
    new_password_file: NewPasswordOption = None,
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
) -> None:
    """Make an account."""
    place, _ = load_home(home)
    actor = _admin(place, name, password_file, Act.MANAGE_PEOPLE, account)
    password = read_password(new_password_file, f"New password of {account}: ")
    try:
        note = people_of(place).add(
            account, password, display_name=display_name, roles=role, teams=team or (), extension=extension
        )
    except PeopleError as error:
        fail(str(error))
    audit(place, note, actor=actor)
    say(f"{account} can sign in as {', '.join(role)}")


@users.command("password")
def set_password(
    account: NameArgument,
    new_password_file: NewPasswordOption = None,
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
) -> None:
    """Set an account's password and unlock it; people may change their own."""
    place, _ = load_home(home)
    person = sign_in(place, name, password_file, "a new password")
    if person.name != account:
        permit(place, Act.MANAGE_PEOPLE, person, reason="", subject=account, operator=None, details={})
    try:
        note = people_of(place).set_password(account, read_password(new_password_file, f"New password of {account}: "))
    except PeopleError as error:
        fail(str(error))
    audit(place, note, actor=person.actor)
    say(f"{account} has a new password")


@users.command("disable")
def disable_user(
    account: NameArgument, name: AsOption = None, password_file: PasswordOption = None, home: HomeOption = Path()
) -> None:
    """Disable an account for good."""
    place, _ = load_home(home)
    actor = _admin(place, name, password_file, Act.MANAGE_PEOPLE, account)
    try:
        note = people_of(place).disable(account)
        had_pin = PinFile(place.pins).remove(account)
    except (PeopleError, PinError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{account} is disabled, but its PIN was not removed: {place.pins}: {error.strerror}")
    audit(place, replace(note, details={**note.details, "had_pin": had_pin}), actor=actor)
    say(f"{account} is disabled")


@users.command("reset-authenticator")
def reset_authenticator(
    account: NameArgument, name: AsOption = None, password_file: PasswordOption = None, home: HomeOption = Path()
) -> None:
    """Take somebody's authenticator away, because the phone is lost; they set up another one when they sign in."""
    place, _ = load_home(home)
    actor = _admin(place, name, password_file, Act.MANAGE_PEOPLE, account)
    try:
        note = SecondFactors(open_people(place.people), now=utc_now).remove(account)
    except PeopleError as error:
        fail(str(error))
    audit(place, note, actor=actor)
    say(f"{account} has no authenticator now, and is signed out everywhere")


@users.command("pin")
def set_pin(
    account: NameArgument,
    pin_file: Annotated[
        Path | None, typer.Option("--pin-file", metavar="FILE", help="A file with the PIN, instead of asking for it.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the PIN away.")] = False,
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
) -> None:
    """Set the PIN with which a manager grants an opt-out on an officer's phone; people may set their own.

    Works where manager_keys is set in the configuration. 6 to 12 digits.
    """
    place, _ = load_home(home)
    person = sign_in(place, name, password_file, "a PIN")
    if person.name != account:
        permit(place, Act.MANAGE_PEOPLE, person, reason="", subject=account, operator=None, details={})
    manager = people_of(place).find(account)
    if manager is None:
        fail(f"There is no account {account!r} in use: see `recorder users list`.")
    pins = PinFile(place.pins)
    try:
        if remove and not pins.remove(account):
            fail(f"{account} has no PIN.")
        if not remove:
            pins.set(manager, read_password(pin_file, f"New PIN of {account}: ", what="PIN"))
    except PinError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{place.pins}: {error.strerror}")
    audit(
        place, AuditNote(act="people.remove_pin" if remove else "people.set_pin", subject=account), actor=person.actor
    )
    say(f"{account} has no PIN now" if remove else f"{account} has a new PIN")


@users.command("list")
def list_users(home: HomeOption = Path(), json: JsonOption = False) -> None:
    """List accounts."""
    place, _ = load_home(home)
    try:
        with_pin = PinFile(place.pins).names()
    except (PinError, OSError) as error:
        fail(str(error))
    rows = [
        {
            "name": account.person.name,
            "display_name": account.person.display_name,
            "roles": sorted(account.person.roles),
            "teams": list(account.person.teams),
            "extension": account.person.extension,
            "has_second_factor": account.has_second_factor,
            "has_pin": account.person.name in with_pin,
            "is_disabled": account.is_disabled,
            "is_locked": account.locked_until is not None and account.locked_until > utc_now(),
        }
        for account in people_of(place).list()
    ]
    if json:
        print_json(rows)
        return
    shown = [{**row, "roles": ", ".join(row["roles"])} for row in rows]  # type: ignore[arg-type]
    columns = [
        ("name", "Name"), ("display_name", "Operator"), ("roles", "Roles"),
        ("has_second_factor", "Authenticator"), ("is_disabled", "Disabled"),
    ]  # fmt: skip
    print_table(shown, columns, empty="there are no accounts; `recorder init` makes the first")


def _tokens(home: Home) -> Tokens:
    return Tokens(open_people(home.people), now=utc_now)


@tokens.command("add")
def add_token(
    token: NameArgument,
    scope: Annotated[list[Scope], typer.Option("--scope", help="Repeat for several.")],
    extension: Annotated[list[str] | None, typer.Option("--extension", help="Only these; repeat for several.")] = None,
    network: Annotated[list[str] | None, typer.Option("--network", metavar="CIDR", help="Only from here.")] = None,
    days: Annotated[int | None, typer.Option("--days", min=1, help="Days until it expires.")] = None,
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """Make a token; it is shown once."""
    place, _ = load_home(home)
    actor = _admin(place, name, password_file, Act.MANAGE_TOKENS, token)
    expires_at = utc_now() + timedelta(days=days) if days else None
    try:
        made = _tokens(place).add(
            token, scopes=scope, extensions=extension or (), networks=network or (), expires_at=expires_at
        )
    except TokenError as error:
        fail(str(error))
    audit(place, made.note, actor=actor)
    if json:
        print_json({"name": token, "token": made.secret})
    else:
        say("Keep it now, it cannot be shown again:")
        typer.echo(made.secret)


@tokens.command("revoke")
def revoke_token(
    token: NameArgument, name: AsOption = None, password_file: PasswordOption = None, home: HomeOption = Path()
) -> None:
    """Make a token useless for good."""
    place, _ = load_home(home)
    actor = _admin(place, name, password_file, Act.MANAGE_TOKENS, token)
    try:
        note = _tokens(place).revoke(token)
    except TokenError as error:
        fail(str(error))
    audit(place, note, actor=actor)
    say(f"token {token} is revoked")


@tokens.command("list")
def list_tokens(home: HomeOption = Path(), json: JsonOption = False) -> None:
    """List tokens, without their secrets."""
    place, _ = load_home(home)
    rows = [
        {
            "name": line.application.name,
            "scopes": ", ".join(sorted(line.application.scopes)),
            "extensions": ", ".join(sorted(line.application.extensions)),
            "networks": ", ".join(line.networks),
            "expires_at": line.expires_at.isoformat() if line.expires_at else None,
            "is_revoked": line.is_revoked,
        }
        for line in _tokens(place).list()
    ]
    if json:
        print_json(rows)
    else:
        columns = [("name", "Name"), ("scopes", "Scopes"), ("extensions", "Extensions"), ("is_revoked", "Revoked")]
        print_table(rows, columns, empty="there are no tokens")
