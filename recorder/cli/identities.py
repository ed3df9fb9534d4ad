"""`recorder users connect` and `disconnect`: accounts and their identities at the OpenID provider."""

from typing import Annotated

import typer

from recorder.access.identities import ConnectedIdentities
from recorder.cli.accounts import accounts_of
from recorder.cli.context import PersonContext
from recorder.cli.entries import audit
from recorder.cli.options import AccountArgument
from recorder.cli.output import fail
from recorder.cli.results.accounts import AccountChange
from recorder.common.clock import utc_now
from recorder.permissions import Act
from recorder.rules.signing_in import OpenIdIdentity


def connect(
    context: PersonContext,
    account: AccountArgument,
    subject: Annotated[
        str, typer.Option("--subject", metavar="TEXT", help="The reference that the page of the refused sign-in shows.")
    ],
) -> None:
    """Connect an account to an identity at the OpenID provider.

    People with a powerful role connect their account on their own page.
    """
    if context.config.openid.issuer is None:
        fail("no OpenID provider is configured: set issuer in [openid]")
    actor = context.admin(Act.MANAGE_PEOPLE, account)
    identity = OpenIdIdentity(issuer=context.config.openid.issuer, subject=subject)
    note = ConnectedIdentities(accounts_of(context.home), now=utc_now).connect(account, identity, by=actor)
    audit(context.home, note, actor=actor)
    sentence = f"{account} is connected: {subject} at {identity.issuer} can sign in to it"
    context.tell(AccountChange(account=account), sentence)


def disconnect(context: PersonContext, account: AccountArgument) -> None:
    """Disconnect an account from the OpenID provider, because its identity there changed. Ends its sessions."""
    actor = context.admin(Act.MANAGE_PEOPLE, account)
    note = ConnectedIdentities(accounts_of(context.home), now=utc_now).disconnect(account)
    audit(context.home, note, actor=actor)
    context.tell(AccountChange(account=account), f"{account} is disconnected")
