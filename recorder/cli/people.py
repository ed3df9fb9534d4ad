"""Commands for accounts and tokens. The first admin is made by `recorder init`; everybody else by an admin."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from recorder.access.account_rows import PeopleError
from recorder.access.accounts import usable_people
from recorder.access.acknowledgements import Acknowledgements
from recorder.access.database import AuditNote, open_people
from recorder.access.granting import POWERFUL, LatelySet, Proposal, combination_problem, who_confirms
from recorder.access.operator_names import misnamed_operators
from recorder.access.pins import PinError, PinFile
from recorder.access.proposals import Enter, Proposals
from recorder.cli.identities import connect, disconnect
from recorder.cli.reseal import reseal
from recorder.cli.shared import (
    AsOption,
    HomeOption,
    JsonOption,
    NameArgument,
    PasswordOption,
    ReasonOption,
    admin,
    audit,
    fail,
    is_by_token,
    load_home,
    people_of,
    permit,
    print_json,
    print_table,
    prove_password,
    read_password,
    refuse,
    say,
    sign_in,
)
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.permissions import TABLE, Act, Allowed, DeniedError, Role
from recorder.rules.authorisation import may
from storage.rows import time_to_json

users = typer.Typer(no_args_is_help=True, help="Accounts and their roles.")

NewPasswordOption = Annotated[
    Path | None, typer.Option("--new-password-file", metavar="FILE", help="A file with the account's new password.")
]
CurrentPasswordOption = Annotated[
    Path | None,
    typer.Option(
        "--current-password-file", metavar="FILE", help="A file with your password of now, where a token signs you in."
    ),
]


@users.command("add")
def add_user(
    account: NameArgument,
    role: Annotated[list[Role], typer.Option("--role", help="Repeat for several.")],
    display_name: Annotated[str, typer.Option("--display-name", help="As calls name their operator.")] = "",
    team: Annotated[list[str] | None, typer.Option("--team")] = None,
    extension: Annotated[str | None, typer.Option("--extension")] = None,
    new_password_file: NewPasswordOption = None,
    reason: ReasonOption = "",
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
) -> None:
    """Make an account; dpo, team_leader, admin and ict wait for a second person's `recorder users confirm`."""
    place, config = load_home(home)
    actor = admin(place, name, password_file, Act.MANAGE_PEOPLE, account)
    problem = combination_problem(account, frozenset(), frozenset(role))
    if problem is not None:
        fail(problem)
    password = read_password(new_password_file, f"New password of {account}: ")
    powerful = POWERFUL & set(role)
    try:
        note = people_of(place).add(
            account, password, display_name=display_name, roles=set(role) - powerful, teams=team or (),
            extension=extension,
        )  # fmt: skip
    except PeopleError as error:
        fail(str(error))
    audit(place, note, actor=actor)
    say(f"{account} can sign in as {', '.join(sorted(set(role) - powerful)) or 'nobody in particular'}")
    operators = [(one.number, one.operator) for one in config.extension]
    for one in misnamed_operators(operators, usable_people(people_of(place))):
        if one.person.name == account:
            say(one.sentence)
    if powerful:
        why = reason or "a new account"
        proposed(place, actor, why, lambda known, enter: known.grant(actor, account, powerful, reason=why, enter=enter))


@users.command("grant")
def grant(
    account: NameArgument,
    role: Annotated[list[Role], typer.Option("--role", help="Repeat for several.")],
    reason: ReasonOption = "",
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
) -> None:
    """Give an account more roles; dpo, team_leader, admin and ict wait for another's `recorder users confirm`."""
    place, _ = load_home(home)
    actor = admin(place, name, password_file, Act.MANAGE_PEOPLE, account)
    proposed(place, actor, reason, lambda known, enter: known.grant(actor, account, role, reason=reason, enter=enter))


@users.command("revoke")
def revoke(
    account: NameArgument,
    role: Annotated[list[Role], typer.Option("--role", help="Repeat for several.")],
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
) -> None:
    """Take roles away from an account, at once; the PIN goes with a role that grants opt-outs."""
    place, _ = load_home(home)
    actor = admin(place, name, password_file, Act.MANAGE_PEOPLE, account)
    try:
        _proposals(place).revoke(account, role, enter=lambda note: audit(place, note, actor=actor))
    except PeopleError as error:
        fail(str(error))
    if any(Act.OPT_OUT in TABLE[one] for one in role):
        _remove_pin(place, account, actor, "the roles are taken away")
    say(f"{account} is no {' or '.join(role)} any more")


@users.command("proposals")
def list_proposals(
    name: AsOption = None, password_file: PasswordOption = None, home: HomeOption = Path(), json: JsonOption = False
) -> None:
    """List what waits for a second person; for whoever changes accounts or confirms such changes."""
    place, _ = load_home(home)
    _sign_in_reader(place, name, password_file, "proposals")
    known = _proposals(place)
    lately, nothing = known.lately_set(), LatelySet(password_at=None, password_by=None, authenticator_at=None)
    rows = [
        {
            "id": one.id, "account": one.account, "change": one.change, "roles": sorted(one.roles),
            "reason": one.reason, "proposed_by": one.proposed_by, "until": one.until.isoformat(),
            **_set_to_json(lately.get(one.id, nothing)),
        }
        for one in known.waiting()
    ]  # fmt: skip
    if json:
        print_json(rows)
        return
    columns = [("id", "Proposal"), ("account", "Account"), ("change", "What"), ("roles", "Roles"),
               ("proposed_by", "Proposed by"), ("until", "Until"), ("reason", "Reason"),
               ("set", "Set lately")]  # fmt: skip
    shown = [{**row, "roles": ", ".join(row["roles"]), "set": _set_in_words(row)} for row in rows]
    print_table(shown, columns, empty="nothing waits for a second person")


def _set_to_json(lately: LatelySet) -> dict[str, Any]:
    """Return what was set lately of an account: whoever confirms more power for it asks its owner."""
    return {
        "password_set_at": time_to_json(lately.password_at),
        "password_set_by": lately.password_by if lately.password_at else None,
        "authenticator_set_at": time_to_json(lately.authenticator_at),
    }


def _set_in_words(row: dict[str, Any]) -> str:
    by = f"password by {row['password_set_by']}" if row["password_set_by"] else "first password"
    password = [f"{by} {row['password_set_at'][:10]}"] if row["password_set_at"] else []
    authenticator = [f"authenticator {row['authenticator_set_at'][:10]}"] if row["authenticator_set_at"] else []
    return ", ".join(password + authenticator)


def _sign_in_reader(home: Home, name: str | None, password_file: Path | None, what: str) -> None:
    """Have somebody sign in who changes accounts, or confirms such changes; or leave."""
    person = sign_in(home, name, password_file, "a list of accounts")
    changes = isinstance(may(person, Act.MANAGE_PEOPLE), Allowed)
    act = Act.MANAGE_PEOPLE if changes else Act.CONFIRM_GRANT
    permit(home, act, person, reason="", subject="", operator=None, details={"listed": what})


ProposalArgument = Annotated[str, typer.Argument(metavar="PROPOSAL")]


@users.command("confirm")
def confirm(
    proposal: ProposalArgument, name: AsOption = None, password_file: PasswordOption = None, home: HomeOption = Path()
) -> None:
    """Confirm what somebody else proposed: another administrator's act, or the data protection officer's.

    Who the deputy is no data protection officer confirms, but a team leader where there is no other administrator.
    """
    _decided(home, proposal, name, password_file, is_confirmed=True)


@users.command("decline")
def decline(
    proposal: ProposalArgument, name: AsOption = None, password_file: PasswordOption = None, home: HomeOption = Path()
) -> None:
    """Decline what somebody else proposed."""
    _decided(home, proposal, name, password_file, is_confirmed=False)


def _decided(root: Path, proposal: str, name: str | None, password_file: Path | None, *, is_confirmed: bool) -> None:
    place, _ = load_home(root)
    person = sign_in(place, name, password_file, "a decision")
    try:
        decided = _proposals(place).decide(
            person, proposal, is_confirmed=is_confirmed, enter=lambda note: audit(place, note, actor=person.actor)
        )
    except DeniedError as error:
        refuse(place, Act.CONFIRM_GRANT, person, str(error), subject=proposal)
    except PeopleError as error:
        fail(str(error))
    done = "it is so now" if is_confirmed else "nothing was changed"
    say(f"proposal {decided.id} about {decided.account}: {done}")


def _proposals(home: Home) -> Proposals:
    return Proposals(open_people(home.people), now=utc_now)


def proposed(
    home: Home, actor: str, reason: str, ask: Callable[[Proposals, Enter], tuple[AuditNote, Proposal | None]]
) -> None:
    """Do what one person may, or propose it, and say which it was; or leave."""
    try:
        note, proposal = ask(_proposals(home), lambda note: audit(home, note, actor=actor, text=reason))
    except (DeniedError, PeopleError) as error:
        fail(str(error))
    if proposal is None:
        alone = ": there is nobody yet who could confirm it" if note.details.get("alone") else ""
        say(f"{note.subject}: done{alone}")
    else:
        what = note.details.get("token", note.subject)
        say(f"{what}: proposed; {who_confirms(proposal.change)} confirms it until "
            f"{proposal.until:%d/%m/%Y}: `recorder users confirm {proposal.id}`")  # fmt: skip


@users.command("password")
def set_password(
    account: NameArgument,
    new_password_file: NewPasswordOption = None,
    current_password_file: CurrentPasswordOption = None,
    reason: ReasonOption = "",
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
) -> None:
    """Set an account's password and unlock it: one's own with the password of now, others' as an administrator.

    That of a data protection officer, team leader, administrator or ICT takes a second person. Every session of the
    account ends, and its owner is told.
    """
    place, _ = load_home(home)
    person = sign_in(place, name, password_file, "a new password")
    if person.name != account:
        permit(place, Act.MANAGE_PEOPLE, person, reason="", subject=account, operator=None, details={})
    elif is_by_token(password_file):  # whoever finds a shell open does not know it
        prove_password(place, person, current_password_file)
    password = read_password(new_password_file, f"New password of {account}: ")
    people = people_of(place)
    try:
        if person.name != account:
            hashed = people.hash_of(account, password)
            proposed(
                place, person.actor, reason,
                lambda known, enter: known.set_password(person.name, account, hashed, reason=reason, enter=enter),
            )  # fmt: skip
            return
        note = people.set_password(account, password)
    except PeopleError as error:
        fail(str(error))
    audit(place, note, actor=person.actor)
    say(f"{account} has a new password")


FromOption = Annotated[
    str | None, typer.Option("--from", metavar="DATE", help="From the beginning of this day, such as 2026-12-01.")
]


@users.command("team")
def set_team(
    account: NameArgument,
    team: Annotated[str, typer.Argument(metavar="TEAM")],
    remove: Annotated[bool, typer.Option("--remove", help="They answer for it no more.")] = False,
    from_: FromOption = None,
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
) -> None:
    """Have a manager answer for one more team, or for one less, from now or from a day on.

    With one less their PIN goes, at once: it knows the teams that they had when it was set.
    """
    place, config = load_home(home)
    actor = admin(place, name, password_file, Act.MANAGE_PEOPLE, account)
    moment = _day(from_, config)
    try:
        note = people_of(place).set_team(account, team, answers=not remove, from_=moment)
    except PeopleError as error:
        fail(str(error))
    audit(place, note, actor=actor)
    if remove:
        _remove_pin(place, account, actor, "the team is taken away")
    say(f"{account} answers {'no more ' if remove else ''}for {team}{f' from {from_} on' if from_ else ''}")


def _remove_pin(place: Home, account: str, actor: str, done: str) -> None:
    """Take away the PIN of somebody who may grant less than when it was set; their phone knows only the PIN."""
    try:
        had_pin = PinFile(place.pins).remove(account)
    except PinError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{done}, but the PIN of {account} was not removed: {place.pins}: {error.strerror}")
    if had_pin:
        audit(place, AuditNote(act="people.remove_pin", subject=account), actor=actor)
        say(f"{account} has no PIN now: `recorder users pin {account}` sets a new one")


def _day(text: str | None, config: Config) -> datetime | None:
    """Return the beginning of a day in the site's zone, or leave."""
    try:
        return (
            None if text is None else datetime.combine(date.fromisoformat(text), time(), ZoneInfo(config.site.timezone))
        )
    except ValueError:
        fail(f"--from: {text!r} is no day, write 2026-12-01", 2)


@users.command("disable")
def disable_user(
    account: NameArgument,
    from_: FromOption = None,
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
) -> None:
    """Disable an account, at once or from a day on. Their PIN goes at once; their calls stay found."""
    place, config = load_home(home)
    actor = admin(place, name, password_file, Act.MANAGE_PEOPLE, account)
    try:
        note = people_of(place).disable(account, from_=_day(from_, config))
        had_pin = PinFile(place.pins).remove(account)
    except (PeopleError, PinError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{account} is disabled, but its PIN was not removed: {place.pins}: {error.strerror}")
    audit(place, replace(note, details={**note.details, "had_pin": had_pin}), actor=actor)
    say(f"{account} is disabled{f' from {from_} on' if from_ else ''}")


@users.command("enable")
def enable_user(
    account: NameArgument, name: AsOption = None, password_file: PasswordOption = None, home: HomeOption = Path()
) -> None:
    """Have a disabled account be used again, with the password of before.

    The roles dpo, team_leader, admin and ict do not come back with it: `recorder users grant` proposes them.
    """
    place, _ = load_home(home)
    actor = admin(place, name, password_file, Act.MANAGE_PEOPLE, account)
    try:
        note = people_of(place).enable(account)
    except PeopleError as error:
        fail(str(error))
    audit(place, note, actor=actor)
    without = f", without {', '.join(note.details['without'])}" if note.details["without"] else ""
    say(f"{account} is in use again{without}")


@users.command("reset-authenticator")
def reset_authenticator(
    account: NameArgument,
    reason: ReasonOption = "",
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
) -> None:
    """Take somebody's authenticator away, because the phone is lost; they set up another one when they sign in.

    That of a data protection officer, team leader, administrator or ICT takes a second person.
    """
    place, _ = load_home(home)
    actor = admin(place, name, password_file, Act.MANAGE_PEOPLE, account)
    proposed(
        place, actor, reason, lambda known, enter: known.reset_authenticator(actor, account, reason=reason, enter=enter)
    )


users.command("reseal")(reseal)
users.command("connect")(connect)
users.command("disconnect")(disconnect)


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
def list_users(
    name: AsOption = None, password_file: PasswordOption = None, home: HomeOption = Path(), json: JsonOption = False
) -> None:
    """List accounts; for whoever changes them or confirms such changes."""
    place, _ = load_home(home)
    _sign_in_reader(place, name, password_file, "accounts")
    try:
        with_pin = PinFile(place.pins).names()
    except (PinError, OSError) as error:
        fail(str(error))
    told = Acknowledgements(open_people(place.people)).days()
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
        for account in people_of(place).list()
    ]
    if json:
        print_json(rows)
        return
    shown = [{**row, "roles": ", ".join(row["roles"])} for row in rows]  # type: ignore[arg-type]
    columns = [
        ("name", "Name"), ("display_name", "Operator"), ("roles", "Roles"),
        ("has_second_factor", "Authenticator"), ("is_connected", "Connected"), ("is_disabled", "Disabled"),
    ]  # fmt: skip
    print_table(shown, columns, empty="there are no accounts; `recorder init` makes the first")
