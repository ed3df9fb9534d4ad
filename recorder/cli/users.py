"""`recorder users`: accounts, their roles and teams."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, time
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from recorder.access.account_rows import PeopleError
from recorder.access.accounts import usable_people
from recorder.access.acknowledgements import Acknowledgements
from recorder.access.database import AuditNote
from recorder.access.granting import POWERFUL, combination_problem
from recorder.access.operator_names import misnamed_operators
from recorder.access.pins import PinError, PinFile
from recorder.cli.account_key import enrol_again
from recorder.cli.accounts import accounts_of
from recorder.cli.context import PersonContext, PersonJsonContext
from recorder.cli.credentials import NewPasswordOption, reset_authenticator, set_password, set_pin
from recorder.cli.identities import connect, disconnect
from recorder.cli.proposals import confirm, decline, list_proposals, open_proposals, proposed, sign_in_reader
from recorder.cli.reseal import reseal
from recorder.cli.shared import NameArgument, ReasonOption, audit, fail, people_of, read_password, say
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.permissions import TABLE, Act, Role
from recorder.rules.typed_dates import TypedDateError, date_typed
from recorder.rules.wording import listed, words

users = typer.Typer(no_args_is_help=True, help="Accounts and their roles.")


@users.command("add")
def add_user(
    context: PersonContext,
    account: NameArgument,
    role: Annotated[list[Role], typer.Option("--role", help="Repeat for several.")],
    display_name: Annotated[str, typer.Option("--display-name", help="Name of the operator, as calls have it.")] = "",
    team: Annotated[list[str] | None, typer.Option("--team")] = None,
    extension: Annotated[str | None, typer.Option("--extension")] = None,
    new_password_file: NewPasswordOption = None,
    reason: ReasonOption = "",
) -> None:
    """Add an account. dpo, team_leader, admin and ict need a second person's `recorder users confirm`."""
    actor = context.admin(Act.MANAGE_PEOPLE, account)
    problem = combination_problem(account, frozenset(), frozenset(role))
    if problem is not None:
        fail(problem)
    password = read_password(new_password_file, f"New password of {account}: ")
    powerful = POWERFUL & set(role)
    try:
        note = people_of(context.home).add(
            account, password, display_name=display_name, roles=set(role) - powerful, teams=team or (),
            extension=extension,
        )  # fmt: skip
    except PeopleError as error:
        fail(str(error))
    audit(context.home, note, actor=actor)
    say(f"{account} can sign in, roles: {_in_words(set(role) - powerful) or 'none'}")
    operators = [(one.number, one.operator) for one in context.config.extension]
    for one in misnamed_operators(operators, usable_people(people_of(context.home))):
        if one.person.name == account:
            say(one.sentence)
    if powerful:
        why = reason or "a new account"
        proposed(
            context, actor, why, lambda known, enter: known.grant(actor, account, powerful, reason=why, enter=enter)
        )


@users.command("grant")
def grant(
    context: PersonContext,
    account: NameArgument,
    role: Annotated[list[Role], typer.Option("--role", help="Repeat for several.")],
    reason: ReasonOption = "",
) -> None:
    """Add roles to an account. dpo, team_leader, admin and ict need a second person's `recorder users confirm`."""
    actor = context.admin(Act.MANAGE_PEOPLE, account)
    proposed(context, actor, reason, lambda known, enter: known.grant(actor, account, role, reason=reason, enter=enter))


@users.command("revoke")
def revoke(
    context: PersonContext,
    account: NameArgument,
    role: Annotated[list[Role], typer.Option("--role", help="Repeat for several.")],
) -> None:
    """Remove roles from an account at once. The PIN is removed with a role that grants opt-outs."""
    actor = context.admin(Act.MANAGE_PEOPLE, account)
    try:
        open_proposals(context.home).revoke(account, role, enter=lambda note: audit(context.home, note, actor=actor))
    except PeopleError as error:
        fail(str(error))
    if any(Act.OPT_OUT in TABLE[one] for one in role):
        _remove_pin(context.home, account, actor, "the roles are removed")
    say(f"{account} no longer has {_in_words(role)}")


users.command("proposals")(list_proposals)
users.command("confirm")(confirm)
users.command("decline")(decline)
users.command("password")(set_password)


FromOption = Annotated[
    str | None, typer.Option("--from", metavar="DATE", help="From the beginning of this day, like 28/11/2026.")
]


@users.command("team")
def set_team(
    context: PersonContext,
    account: NameArgument,
    team: Annotated[str, typer.Argument(metavar="TEAM")],
    remove: Annotated[bool, typer.Option("--remove", help="Remove the team from the manager.")] = False,
    from_: FromOption = None,
) -> None:
    """Add a team to a manager, or remove one, now or from a day on.

    Removing a team also removes the manager's PIN at once, because the PIN holds the teams of the day it was set.
    """
    actor = context.admin(Act.MANAGE_PEOPLE, account)
    moment = _day(from_, context.config)
    try:
        note = people_of(context.home).set_team(account, team, answers=not remove, from_=moment)
    except PeopleError as error:
        fail(str(error))
    audit(context.home, note, actor=actor)
    if remove:
        _remove_pin(context.home, account, actor, "the team is removed")
    say(f"{account} {'no longer manages' if remove else 'manages'} {team}{f' from {from_} on' if from_ else ''}")


def _remove_pin(place: Home, account: str, actor: str, done: str) -> None:
    """Remove the PIN of a person who may grant less than when it was set; phones check only the PIN."""
    try:
        had_pin = PinFile(place.pins).remove(account)
    except PinError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{done}, but the PIN of {account} was not removed: {place.pins}: {error.strerror}")
    if had_pin:
        audit(place, AuditNote(act="people.remove_pin", subject=account), actor=actor)
        say(f"{account} has no PIN now; set a new one with `recorder users pin {account}`")


def _in_words(roles: Iterable[Role]) -> str:
    return listed(sorted(map(words, roles)))


def _day(text: str | None, config: Config) -> datetime | None:
    try:
        return None if text is None else datetime.combine(date_typed(text), time(), ZoneInfo(config.site.timezone))
    except TypedDateError as error:
        fail(f"--from: {text!r} is not a day: {error}", 2)


@users.command("disable")
def disable_user(context: PersonContext, account: NameArgument, from_: FromOption = None) -> None:
    """Disable an account, now or from a day on. The PIN is removed at once; the person's calls can still be found."""
    actor = context.admin(Act.MANAGE_PEOPLE, account)
    try:
        note = people_of(context.home).disable(account, from_=_day(from_, context.config))
        had_pin = PinFile(context.home.pins).remove(account)
    except (PeopleError, PinError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{account} is disabled, but its PIN was not removed: {context.home.pins}: {error.strerror}")
    audit(context.home, replace(note, details={**note.details, "had_pin": had_pin}), actor=actor)
    say(f"{account} is disabled{f' from {from_} on' if from_ else ''}")


@users.command("enable")
def enable_user(context: PersonContext, account: NameArgument) -> None:
    """Enable a disabled account, with its old password.

    The roles dpo, team_leader, admin and ict are not restored; propose them with `recorder users grant`.
    """
    actor = context.admin(Act.MANAGE_PEOPLE, account)
    try:
        note = people_of(context.home).enable(account)
    except PeopleError as error:
        fail(str(error))
    audit(context.home, note, actor=actor)
    without = f", without {', '.join(note.details['without'])}" if note.details["without"] else ""
    say(f"{account} is enabled{without}")


users.command("reset-authenticator")(reset_authenticator)
users.command("reseal")(reseal)
users.command("enrol-again")(enrol_again)
users.command("connect")(connect)
users.command("disconnect")(disconnect)
users.command("pin")(set_pin)


@users.command("list")
def list_users(context: PersonJsonContext) -> None:
    """List accounts. Needs a person who changes accounts or confirms changes."""
    sign_in_reader(context, "accounts")
    try:
        with_pin = PinFile(context.home.pins).names()
    except (PinError, OSError) as error:
        fail(str(error))
    told = Acknowledgements(accounts_of(context.home)).days()
    rows = [
        {
            "name": account.person.name,
            "display_name": account.person.display_name,
            "roles": sorted(account.person.roles),
            "teams": list(account.person.teams),
            "extension": account.person.extension,
            "has_second_factor": account.has_second_factor,
            "is_connected": account.is_connected,
            "has_pin": account.person.name in with_pin,
            "is_disabled": account.is_disabled,
            "closes_at": account.closes_at.isoformat() if account.closes_at else None,
            "told_on": day.isoformat() if (day := told.get(account.person.name)) else None,
            "is_locked": account.locked_until is not None and account.locked_until > utc_now(),
        }
        for account in people_of(context.home).list()
    ]
    shown = [{**row, "roles": ", ".join(row["roles"])} for row in rows]  # type: ignore[arg-type]
    columns = [
        ("name", "Name"), ("display_name", "Operator"), ("roles", "Roles"),
        ("has_second_factor", "Authenticator"), ("is_connected", "Connected"), ("is_disabled", "Disabled"),
    ]  # fmt: skip
    context.print_rows(rows, columns, empty="there are no accounts; `recorder init` makes the first", lines=shown)
