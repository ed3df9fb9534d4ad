"""`recorder users password`, `pin` and `reset-authenticator`: what people prove with who they are."""

from pathlib import Path
from typing import Annotated

import typer

from recorder.access.account_rows import PeopleError
from recorder.access.database import AuditNote
from recorder.access.pins import PinError, PinFile
from recorder.cli.proposals import proposed
from recorder.cli.shared import (
    AsOption,
    HomeOption,
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
    prove_password,
    read_password,
    say,
    sign_in,
)
from recorder.permissions import Act

NewPasswordOption = Annotated[
    Path | None, typer.Option("--new-password-file", metavar="FILE", help="A file with the account's new password.")
]
CurrentPasswordOption = Annotated[
    Path | None,
    typer.Option(
        "--current-password-file", metavar="FILE", help="A file with your password of now, where a token signs you in."
    ),
]


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
