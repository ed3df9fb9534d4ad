"""`recorder users connect` and `disconnect`: whose account is whose at the OpenID provider."""

from pathlib import Path
from typing import Annotated

import typer

from recorder.access.account_rows import PeopleError
from recorder.access.database import open_people
from recorder.access.identities import ConnectedIdentities
from recorder.cli.shared import (
    AsOption,
    HomeOption,
    NameArgument,
    PasswordOption,
    admin,
    audit,
    fail,
    load_home,
    say,
)
from recorder.common.clock import utc_now
from recorder.permissions import Act
from recorder.rules.signing_in import OpenIdIdentity


def connect(
    account: NameArgument,
    subject: Annotated[
        str, typer.Option("--subject", metavar="TEXT", help="The reference that the page of a refused sign-in shows.")
    ],
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
) -> None:
    """Connect an account to its owner at the OpenID provider; who has a powerful role does that on their own page."""
    place, config = load_home(home)
    if config.openid.issuer is None:
        fail("there is no provider: set issuer in [openid]")
    actor = admin(place, name, password_file, Act.MANAGE_PEOPLE, account)
    identity = OpenIdIdentity(issuer=config.openid.issuer, subject=subject)
    try:
        note = ConnectedIdentities(open_people(place.people), now=utc_now).connect(account, identity, by=actor)
    except PeopleError as error:
        fail(str(error))
    audit(place, note, actor=actor)
    say(f"{account} is connected: whoever is {subject} at {identity.issuer} signs in to it")


def disconnect(
    account: NameArgument, name: AsOption = None, password_file: PasswordOption = None, home: HomeOption = Path()
) -> None:
    """Disconnect an account from the OpenID provider, because its owner is another one there now; ends its sessions."""
    place, _ = load_home(home)
    actor = admin(place, name, password_file, Act.MANAGE_PEOPLE, account)
    try:
        note = ConnectedIdentities(open_people(place.people), now=utc_now).disconnect(account)
    except PeopleError as error:
        fail(str(error))
    audit(place, note, actor=actor)
    say(f"{account} is not connected any more")
