"""`recorder database move`: moves a site between files and a PostgreSQL server, and back."""

import json
from functools import partial
from typing import Annotated, Any

import typer

from recorder.cli.backup import reporting
from recorder.cli.context import CommandContext, HomeContext
from recorder.cli.database import PassfileOption, UserOption
from recorder.cli.options import DryRunOption
from recorder.cli.output import fail, print_json, print_table, say
from recorder.common.clock import utc_now
from recorder.common.system_user import os_user
from recorder.config.changing import change_setting
from recorder.config.toml_tables import ConfigError
from recorder.recordings.index_move import Moved, summary
from recorder.recordings.move_plan import HOME
from recorder.service.database_upgrade import url_as
from recorder.service.site_move import SiteMove, SiteMoved, SitePlan
from storage.errors import StorageError


def migrate(
    context: HomeContext,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="URL", help=f'An empty database, postgresql://HOST/NAME; or "{HOME}": back to files.'
        ),
    ],
    user: UserOption = None,
    passfile: PassfileOption = None,
    index_only: Annotated[bool, typer.Option("--index-only", help="Leave the accounts where they are.")] = False,
    dry_run: DryRunOption = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Write the new URLs into recorder.toml; the old file is kept beside it.")
    ] = False,
) -> None:
    """Move index and accounts to another database: copy all rows, compare them, and take the old ones out of use.

    Stop every daemon and console of the site first. Nothing is overwritten, and the old databases keep their rows. If
    it is interrupted, run it again. Do not put a password into the URL: use a password file. The way back is the same
    command.
    """
    move = SiteMove(
        home=context.home, config=context.config, target=to, connecting=partial(url_as, user=user, passfile=passfile),
        is_index_only=index_only, now=utc_now,
    )  # fmt: skip
    kept: list[str] = []

    def change(key: str, value: str) -> None:
        if yes:
            kept.append(change_setting(context.home.config, "storage", key, value, utc_now()).name)

    try:
        if dry_run:
            _show(context, move.plan())
            return
        with reporting(is_quiet=context.json) as report:
            done = move.run(f"os:{os_user()}", change, report)
    except (StorageError, OSError, ConfigError) as error:
        fail(str(error))
    _tell(context, done, kept)
    if not context.json:
        say("write the same on every other machine of the site, then start the daemons and consoles")
        say(f"to go back: recorder database move --to {'URL' if to == HOME else HOME}")


def _show(context: CommandContext, plan: SitePlan) -> None:
    found = plan.as_json()
    if context.json:
        print_json(found | {"dry_run": True})
        return
    rows: list[dict[str, Any]] = [{"what": name, "is": count} for name, count in found.pop("rows", {}).items() if count]
    rows += [{"what": key.replace("_", " "), "is": value} for key, value in found.items()]
    print_table(rows, [("what", "What"), ("is", "Is")], empty="")
    say("nothing was changed")


def _tell(context: CommandContext, done: SiteMoved, kept: list[str]) -> None:
    """Tell what was done; ``kept`` has the names of former files of the configuration, if it was changed."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in done.settings.items()]
    if context.json:
        setting = {"section": "storage", "lines": lines, "is_changed": bool(kept), "kept_as": kept}
        print_json(done.as_json() | {"dry_run": False, "setting": setting})
        return
    _tell_rows(context, done)
    if kept:
        say(f"recorder.toml has {', '.join(lines)} now; it was as in {kept[0]}")
    else:
        say(f"next: in [storage] of {context.home.config} write {', '.join(lines)}")
        say("until then calls are recorded, and their rows wait")


def _tell_rows(context: CommandContext, done: SiteMoved) -> None:
    if done.index is not None:
        _tell_index(context, done.index)
    if done.accounts is not None:
        say(f"{sum(done.accounts.values())} rows of the accounts were copied and compared")
    if done.has_rights is False:
        say("the roles of `recorder database roles` do not exist, or this is not their owner: no rights were given")


def _tell_index(context: CommandContext, done: Moved) -> None:
    source, target = done.plan.names
    if done.plan.is_closed:
        say(f"the index was moved to {target} before")
        return
    rows = sum(one.rows for one in done.tables.values())
    say(f"{rows} rows were copied from {source} to {target} and compared, in {done.seconds:.0f} s")
    say(f"among them: {summary(done.tables)}")
    say(f"the audit log is unchanged: {done.audit_entries} entries")
    for path in done.set_aside:
        say(f"the old index file is {context.home.root / path}")
    say(f"{source} keeps its rows and is no longer opened: remove it when you no longer need it")
