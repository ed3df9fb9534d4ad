"""`recorder tokens`: tokens of other systems. Needs an administrator."""

from datetime import timedelta
from typing import Annotated

import typer

from recorder.access.tokens import TokenError, Tokens
from recorder.cli import completion
from recorder.cli.accounts import accounts_of
from recorder.cli.context import PersonContext
from recorder.cli.entries import audit
from recorder.cli.options import ReasonOption
from recorder.cli.output import fail
from recorder.cli.proposals import changed
from recorder.cli.results.accounts import NewToken, RevokedToken
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.permissions import Act, Scope
from recorder.rules.policy import extension_of

TokenArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A token, by its name.", autocompletion=completion.tokens)
]


def _tokens(home: Home) -> Tokens:
    return Tokens(accounts_of(home), now=utc_now)


def add_token(
    context: PersonContext,
    token: TokenArgument,
    scope: Annotated[list[Scope], typer.Option("--scope", help="Repeat for several.")],
    extension: Annotated[
        list[str] | None, typer.Option("--extension", help="Only these extensions; repeat for several.")
    ] = None,
    network: Annotated[
        list[str] | None, typer.Option("--network", metavar="CIDR", help="Only from this network.")
    ] = None,
    days: Annotated[int | None, typer.Option("--days", min=1, help="Days until it expires.")] = None,
    reason: ReasonOption = "",
) -> None:
    """Make a token, shown once. It works after another person has confirmed it: `recorder proposals confirm`."""
    actor = context.admin(Act.MANAGE_TOKENS, token)
    numbers = [
        known.number if (known := extension_of(context.config.nominated, one)) else one for one in extension or ()
    ]
    expires_at = utc_now() + timedelta(days=days) if days else None
    try:
        made = _tokens(context.home).prepare(
            token, scopes=scope, extensions=numbers, networks=network or (), expires_at=expires_at
        )
        why = reason or "a new token"
        change, sentence = changed(
            context, actor, why, lambda known, enter: known.token(actor, made, reason=why, enter=enter)
        )
    except TokenError as error:
        fail(str(error))
    told = NewToken(name=token, token=made.secret, proposal=change.proposal)
    context.tell(told, sentence, "Store it now. It cannot be shown again:")
    if not context.json:
        typer.echo(made.secret)


def revoke_token(context: PersonContext, token: TokenArgument) -> None:
    """Revoke a token. This cannot be undone."""
    actor = context.admin(Act.MANAGE_TOKENS, token)
    try:
        note = _tokens(context.home).revoke(token)
    except TokenError as error:
        fail(str(error))
    audit(context.home, note, actor=actor)
    context.tell(RevokedToken(name=token), f"token {token} is revoked")


def list_tokens(context: PersonContext) -> None:
    """List tokens, without their secrets."""
    context.admin(Act.MANAGE_TOKENS, "")
    rows = [
        {
            "name": line.application.name,
            "scopes": ", ".join(sorted(line.application.scopes)),
            "extensions": ", ".join(sorted(line.application.extensions)),
            "networks": ", ".join(line.networks),
            "expires_at": line.expires_at.isoformat() if line.expires_at else None,
            "is_revoked": line.is_revoked,
            "is_waiting": line.is_waiting,
        }
        for line in _tokens(context.home).list()
    ]
    columns = [("name", "Name"), ("scopes", "Scopes"), ("extensions", "Extensions"), ("is_revoked", "Revoked"),
               ("is_waiting", "Waits")]  # fmt: skip
    context.print_rows(rows, columns, empty="there are no tokens")
