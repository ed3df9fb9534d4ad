"""`recorder users password`, `pin` and `reset-authenticator`: credentials of accounts."""

from pathlib import Path
from typing import Annotated

import typer

from recorder.access.database import AuditNote
from recorder.access.pins import PinFile
from recorder.cli.context import PersonContext
from recorder.cli.entries import audit, permit
from recorder.cli.identity import people_of, prove_password, read_password
from recorder.cli.options import AccountArgument, ReasonOption
from recorder.cli.output import fail
from recorder.cli.proposals import proposed
from recorder.cli.results.accounts import AccountChange
from recorder.permissions import Act

NewPasswordOption = Annotated[
    Path | None, typer.Option("--new-password-file", metavar="FILE", help="A file with the account's new password.")
]
CurrentPasswordOption = Annotated[
    Path | None,
    typer.Option(
        "--current-password-file",
        metavar="FILE",
        help="A file with your current password, if you are signed in by a token.",
    ),
]


def set_password(
    context: PersonContext,
    account: AccountArgument,
    new_password_file: NewPasswordOption = None,
    current_password_file: CurrentPasswordOption = None,
    reason: ReasonOption = "",
) -> None:
    """Set an account's password and unlock it: your own with your current password, others' as an administrator.

    For a data protection officer, team leader, administrator or ICT a second person must confirm. Every session of the
    account ends, and its owner is notified.
    """
    person = context.sign_in("a new password")
    if person.name != account:
        permit(context.home, Act.MANAGE_PEOPLE, person, reason="", subject=account, operator=None, details={})
    elif context.is_by_token:  # somebody who finds an open shell does not know it
        prove_password(context.home, person, current_password_file)
    password = read_password(new_password_file, f"New password of {account}: ")
    people = people_of(context.home)
    if person.name != account:
        hashed = people.hash_of(account, password)
        proposed(
            context, person.actor, reason,
            lambda known, enter: known.set_password(person.name, account, hashed, reason=reason, enter=enter),
        )  # fmt: skip
        return
    note = people.set_password(account, password)
    audit(context.home, note, actor=person.actor)
    context.tell(AccountChange(account=account), f"{account} has a new password")


def reset_authenticator(context: PersonContext, account: AccountArgument, reason: ReasonOption = "") -> None:
    """Remove an account's authenticator, for example because the phone is lost.

    A new one is set up at the next sign-in. For a data protection officer, team leader, administrator or ICT a second
    person must confirm.
    """
    actor = context.admin(Act.MANAGE_PEOPLE, account)
    proposed(
        context,
        actor,
        reason,
        lambda known, enter: known.reset_authenticator(actor, account, reason=reason, enter=enter),
    )


def set_pin(
    context: PersonContext,
    account: AccountArgument,
    pin_file: Annotated[
        Path | None, typer.Option("--pin-file", metavar="FILE", help="A file with the PIN, instead of asking for it.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the PIN.")] = False,
) -> None:
    """Set the PIN with which a manager grants an opt-out on an officer's phone; people may set their own.

    Works if manager_keys is set in the configuration. 6 to 12 digits.
    """
    person = context.sign_in("a PIN")
    if person.name != account:
        permit(context.home, Act.MANAGE_PEOPLE, person, reason="", subject=account, operator=None, details={})
    manager = people_of(context.home).find(account)
    if manager is None:
        fail(f"There is no account {account!r} in use: see `recorder users list`.")
    pins = PinFile(context.home.pins)
    if remove and not pins.remove(account):
        fail(f"{account} has no PIN.")
    if not remove:
        pins.set(manager, read_password(pin_file, f"New PIN of {account}: ", what="PIN"))
    audit(
        context.home,
        AuditNote(act="people.remove_pin" if remove else "people.set_pin", subject=account),
        actor=person.actor,
    )
    sentence = f"{account} has no PIN now" if remove else f"{account} has a new PIN"
    context.tell(AccountChange(account=account), sentence)
