"""`recorder users`: accounts, their roles and teams."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, time
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from recorder.access.account_rows import PeopleError
from recorder.access.accounts import usable_people
from recorder.access.acknowledgements import Acknowledgements
from recorder.access.database import AuditNote
from recorder.access.granting import POWERFUL, combination_problem
from recorder.access.operator_names import misnamed_operators
from recorder.access.pins import PinError, PinFile
from recorder.access.removal import check_removable, remove_account
from recorder.cli.accounts import accounts_of
from recorder.cli.context import CommandContext, PersonContext
from recorder.cli.credentials import NewPasswordOption
from recorder.cli.entries import audit
from recorder.cli.identity import people_of, read_password
from recorder.cli.options import AccountArgument, ReasonOption, YesOption
from recorder.cli.output import fail, say
from recorder.cli.proposals import changed, open_proposals, proposed, sign_in_reader
from recorder.cli.results.accounts import AccountChange
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.permissions import MIN_REASON_CHARACTERS, TABLE, Act, Role
from recorder.rules.typed_dates import TypedDateError, date_typed
from recorder.rules.wording import listed, words
from storage.types import Search


def add_user(
    context: PersonContext,
    account: AccountArgument,
    role: Annotated[list[Role], typer.Option("--role", help="Repeat for several.")],
    display_name: Annotated[str, typer.Option("--display-name", help="Name of the operator, as calls have it.")] = "",
    team: Annotated[list[str] | None, typer.Option("--team")] = None,
    extension: Annotated[str | None, typer.Option("--extension")] = None,
    new_password_file: NewPasswordOption = None,
    reason: ReasonOption = "",
    same_person: Annotated[
        bool,
        typer.Option("--same-person", help="The display name was used before, by the same person. Needs --reason."),
    ] = False,
) -> None:
    """Add an account. dpo, team_leader, admin and ict need a second person's `recorder proposals confirm`."""
    actor = context.admin(Act.MANAGE_PEOPLE, account)
    problem = combination_problem(account, frozenset(), frozenset(role))
    if problem is not None:
        fail(problem)
    if same_person and len(reason.strip()) < MIN_REASON_CHARACTERS:
        fail("--same-person needs --reason: how you know that they are the same person", 2)
    password = read_password(new_password_file, f"New password of {account}: ")
    powerful = POWERFUL & set(role)
    note = people_of(context.home).add(
        account, password, display_name=display_name, roles=set(role) - powerful, teams=team or (),
        extension=extension, by=actor, has_calls=_has_calls(context, display_name or account),
        is_same_person=same_person,
    )  # fmt: skip
    audit(context.home, note, actor=actor, text=reason if same_person else "")
    told = [f"{account} can sign in, roles: {_in_words(set(role) - powerful) or 'none'}"]
    operators = [(one.number, one.operator) for one in context.config.extension]
    misnamed = misnamed_operators(operators, usable_people(people_of(context.home)))
    told += [one.sentence for one in misnamed if one.person.name == account]
    change = AccountChange(account=account)
    if powerful:
        why = reason or "a new account"
        change, sentence = changed(
            context, actor, why, lambda known, enter: known.grant(actor, account, powerful, reason=why, enter=enter)
        )
        told.append(sentence)
    context.tell(change, *told)


def _has_calls(context: CommandContext, display_name: str) -> bool:
    """Tell whether calls on record have a display name; exit if the index cannot be read."""
    from recorder.cli.records import opened_index  # noqa: PLC0415 - the other commands here open no index

    if context.config.storage.index_url is None and not context.home.index.exists():
        return False
    with opened_index(context) as index:
        return bool(index.find(Search(operator=display_name, limit=1)))


def grant(
    context: PersonContext,
    account: AccountArgument,
    role: Annotated[list[Role], typer.Option("--role", help="Repeat for several.")],
    reason: ReasonOption = "",
) -> None:
    """Add roles to an account. dpo, team_leader, admin and ict need a second person's `recorder proposals confirm`."""
    actor = context.admin(Act.MANAGE_PEOPLE, account)
    proposed(context, actor, reason, lambda known, enter: known.grant(actor, account, role, reason=reason, enter=enter))


def revoke(
    context: PersonContext,
    account: AccountArgument,
    role: Annotated[list[Role], typer.Option("--role", help="Repeat for several.")],
) -> None:
    """Remove roles from an account at once. The PIN is removed with a role that grants opt-outs."""
    actor = context.admin(Act.MANAGE_PEOPLE, account)
    open_proposals(context.home).revoke(account, role, enter=lambda note: audit(context.home, note, actor=actor))
    if any(Act.OPT_OUT in TABLE[one] for one in role):
        _remove_pin(context.home, account, actor, "the roles are removed")
    context.tell(AccountChange(account=account), f"{account} no longer has {_in_words(role)}")


_COLUMNS = [
    ("name", "Name"), ("display_name", "Operator"), ("roles", "Roles"),
    ("has_second_factor", "Authenticator"), ("is_connected", "Connected"), ("is_disabled", "Disabled"),
]  # fmt: skip

FromOption = Annotated[
    str | None, typer.Option("--from", metavar="DATE", help="From the beginning of this day, like 28/11/2026.")
]


def set_team(
    context: PersonContext,
    account: AccountArgument,
    team: Annotated[str, typer.Argument(metavar="TEAM")],
    remove: Annotated[bool, typer.Option("--remove", help="Remove the team from the manager.")] = False,
    from_: FromOption = None,
) -> None:
    """Add a team to a manager, or remove one, now or from a day on.

    Removing a team also removes the manager's PIN at once, because the PIN holds the teams of the day it was set.
    """
    actor = context.admin(Act.MANAGE_PEOPLE, account)
    moment = _day(from_, context.config)
    note = people_of(context.home).set_team(account, team, answers=not remove, from_=moment)
    audit(context.home, note, actor=actor)
    if remove:
        _remove_pin(context.home, account, actor, "the team is removed")
    context.tell(
        AccountChange(account=account),
        f"{account} {'no longer manages' if remove else 'manages'} {team}{f' from {from_} on' if from_ else ''}",
    )


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


def disable_user(context: PersonContext, account: AccountArgument, from_: FromOption = None) -> None:
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
    context.tell(AccountChange(account=account), f"{account} is disabled{f' from {from_} on' if from_ else ''}")


def enable_user(context: PersonContext, account: AccountArgument) -> None:
    """Enable a disabled account, with its old password.

    The roles dpo, team_leader, admin and ict are not restored; propose them with `recorder users add-role`.
    """
    actor = context.admin(Act.MANAGE_PEOPLE, account)
    note = people_of(context.home).enable(account)
    audit(context.home, note, actor=actor)
    without = f", without {', '.join(note.details['without'])}" if note.details["without"] else ""
    context.tell(AccountChange(account=account), f"{account} is enabled{without}")


def vouch_for_user(context: PersonContext, account: AccountArgument) -> None:
    """Confirm whose account this is, so that it and others of the same maker count as two people.

    Do it only for somebody you know and who has told you that the account is theirs. It takes somebody who confirms
    changes to accounts and has not vouched for it, such as the data protection officer or another administrator.
    """
    person = context.sign_in("vouching for an account")
    audit(context.home, people_of(context.home).vouch(person.name, account), actor=person.actor)
    context.tell(AccountChange(account=account), f"you vouch for {account}")


def remove_user(context: PersonContext, account: AccountArgument, yes: YesOption = False) -> None:
    """Remove an account that is disabled, with its mail address, teams and authenticator. This cannot be undone.

    The person's calls are still found by their name, and the audit log still names them. A disabled account is also
    removed by itself when its period of [retention] is over.
    """
    actor = context.admin(Act.MANAGE_PEOPLE, account)
    engine = accounts_of(context.home)
    note = check_removable(engine, account, utc_now())
    if not yes:
        fail(f"{account} can be removed; give --yes to remove it", 2)
    audit(context.home, note, actor=actor)
    remove_account(engine, account)
    context.tell(AccountChange(account=account), f"{account} is removed")


def show_user(context: PersonContext, account: AccountArgument) -> None:
    """Show one account. Needs a person who changes accounts or confirms changes."""
    sign_in_reader(context, "accounts")
    context.print_fields(user_to_json(context.home, account))


def user_to_json(home: Home, account: str) -> dict[str, Any]:
    """Return an account as JSON values; exit if there is none."""
    found = next((row for row in users_to_json(home) if row["name"] == account), None)
    return found or fail(f"there is no account {account!r}; `recorder users list` lists them")


def list_users(context: PersonContext) -> None:
    """List accounts. Needs a person who changes accounts or confirms changes."""
    sign_in_reader(context, "accounts")
    rows = users_to_json(context.home)
    shown = [{**row, "roles": ", ".join(row["roles"])} for row in rows]
    context.print_rows(rows, _COLUMNS, empty="there are no accounts; `recorder init` makes the first", lines=shown)


def users_to_json(home: Home) -> list[dict[str, Any]]:
    """Return all accounts as JSON values, by name."""
    try:
        with_pin = PinFile(home.pins).names()
    except PinError as error:
        fail(str(error))
    told = Acknowledgements(accounts_of(home)).days()
    return [
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
        for account in people_of(home).list()
    ]
