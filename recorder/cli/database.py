"""`recorder database`: roles and tables on a PostgreSQL server."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from recorder.cli.context import HomeJsonContext
from recorder.cli.shared import note_unnamed, print_json, say

database = typer.Typer(no_args_is_help=True, help="Roles and tables on a PostgreSQL server.")
UPGRADED = "database.upgraded"
"""Act of the audit log: tables on a server were created or upgraded by their owner."""
_NOTHING = "neither index_url nor accounts_url in [storage] names a server: a program upgrades its files by itself"


@database.command("roles")
def roles() -> None:
    """Print the SQL that creates the roles of owner, daemon and console with their rights, for the server's superuser.

    It changes nothing. Review it, then run it with psql in the site's database. It may be run again.
    """
    from recorder.service.database_roles import roles_sql  # noqa: PLC0415

    sys.stdout.write(roles_sql())


@database.command("upgrade")
def upgrade(
    context: HomeJsonContext,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="ROLE", help="The role that owns the tables, instead of the configured one."),
    ] = None,
    passfile: Annotated[
        Path | None, typer.Option("--passfile", metavar="FILE", help="A file (0600) with its password, as of libpq.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which tables are to be upgraded.")] = False,
) -> None:
    """Create or upgrade the tables of index and accounts on the server, as their owner. Exit 1 if that fails."""
    from recorder.service import database_upgrade  # noqa: PLC0415

    urls = database_upgrade.urls_as(context.config, user, passfile)
    found = list(database_upgrade.states(context.home, urls))
    has_rights = None
    if urls and not dry_run:
        note_unnamed(context.home, UPGRADED, {"user": user, **{one.what: one.needed for one in found}})
        has_rights = database_upgrade.upgrade(context.home, urls)
    if context.json:
        print_json({"databases": [asdict(one) for one in found], "dry_run": dry_run, "roles_have_rights": has_rights})
        return
    for one in found:
        before = "no tables" if one.before is None else f"schema {one.before}"
        say(f"{one.what}, {one.name}: {before} before; this program needs schema {one.needed}")
    if not found:
        say(_NOTHING)
    elif has_rights is False:
        say("the roles of `recorder database roles` do not exist, or this is not their owner: no rights were given")
    elif has_rights:
        say("done; daemon and console have their rights on the tables")
