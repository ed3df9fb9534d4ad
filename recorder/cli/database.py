"""`recorder database`: roles and tables on a PostgreSQL server."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from recorder.cli.context import HomeContext
from recorder.cli.entries import note_unnamed
from recorder.cli.options import DryRunOption, JsonOption
from recorder.cli.output import fail, print_json, say

UPGRADED = "database.upgraded"
"""Act of the audit log: tables on a server were created or upgraded by their owner."""
UserOption = Annotated[
    str | None,
    typer.Option("--user", metavar="ROLE", help="The role that owns the tables, instead of the configured one."),
]
PassfileOption = Annotated[
    Path | None, typer.Option("--passfile", metavar="FILE", help="A file (0600) with its password, as of libpq.")
]
_NOTHING = "neither index_url nor accounts_url in [storage] names a server: a program upgrades its files by itself"


def roles(json: JsonOption = False) -> None:
    """Print the SQL that creates the roles of owner, daemon and console with their rights, for the server's superuser.

    It changes nothing. Review it, then run it with psql in the site's database. It may be run again.
    """
    from recorder.service.database_roles import roles_sql  # noqa: PLC0415

    if json:
        print_json({"sql": roles_sql()})
    else:
        sys.stdout.write(roles_sql())


def upgrade(
    context: HomeContext,
    user: UserOption = None,
    passfile: PassfileOption = None,
    dry_run: DryRunOption = False,
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


def move_accounts(
    context: HomeContext,
    user: UserOption = None,
    passfile: PassfileOption = None,
    back: Annotated[bool, typer.Option("--back", help="From the server into people.sqlite in the home.")] = False,
    dry_run: DryRunOption = False,
) -> None:
    """Move the accounts from people.sqlite to the server of accounts_url, as the owner of its tables, or back.

    Stop the console first. All rows are copied and compared in one transaction; nothing is replaced. The file is kept
    as people.sqlite-moved, for you to delete. After moving back write accounts_url = "off" into recorder.toml.
    """
    from recorder.service.accounts_move import AccountsMove  # noqa: PLC0415
    from recorder.service.database_upgrade import urls_as  # noqa: PLC0415

    url = urls_as(context.config, user, passfile).get("accounts")
    if url is None:
        fail("accounts_url in [storage] names no server: write it into recorder.toml first", 2)
    move = AccountsMove(home=context.home, url=url, is_back=back)
    move.check()
    counts = {} if dry_run else {name: count for name, count in move.run().items() if count}
    if context.json:
        print_json({"rows": counts, "dry_run": dry_run, "to": "file" if back else "server"})
    elif dry_run:
        say("the accounts can be moved; nothing was changed")
    else:
        kept = "the server keeps its rows" if back else "the file is kept as people.sqlite-moved"
        say(f"{sum(counts.values())} rows were copied and compared; {kept}")
