"""`recorder migrate`: moves the index between SQLite and PostgreSQL, and back."""

import json
from typing import Annotated, Any

import typer

from recorder.cli.backup import reporting
from recorder.cli.context import CommandContext, HomeJsonContext
from recorder.cli.shared import fail, print_json, print_table, say
from recorder.common.clock import utc_now
from recorder.common.system_user import os_user
from recorder.config.changing import change_setting
from recorder.config.toml_tables import ConfigError
from recorder.recordings.index_move import IndexMove, Moved, summary
from recorder.recordings.move_plan import HOME, MovePlan, MovePlanner
from storage.errors import StorageError


def migrate(
    context: HomeJsonContext,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="URL", help=f'An empty database, postgresql://USER@HOST/NAME; or "{HOME}": back to a file.'
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look at both databases; change nothing.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Write the new index_url into recorder.toml; the old file is kept beside it.")
    ] = False,
) -> None:
    """Move the index to another database: copy all rows, compare them, and take the old database out of use.

    Stop every daemon and console of the site first. Nothing is overwritten, and the old database keeps its rows. If it
    is interrupted, run it again. No password belongs into the URL: use a password file. The way back is the same
    command.
    """
    planner = MovePlanner(home=context.home, config=context.config, target=to)
    try:
        if dry_run:
            _show(context, planner.plan())
            return
        move = IndexMove(home=context.home, planner=planner, now=utc_now)
        with reporting(is_quiet=context.json) as report:
            done = move.run(f"os:{os_user()}", report)
        setting = done.plan.setting
        kept = change_setting(context.home.config, "storage", "index_url", setting, utc_now()) if yes else None
    except (StorageError, OSError, ConfigError) as error:
        fail(str(error))
    line = f"index_url = {json.dumps(setting)}"
    if context.json:
        told = {"section": "storage", "line": line, "is_changed": yes, "kept_as": str(kept) if kept else None}
        print_json(done.as_json() | {"dry_run": False, "setting": told})
        return
    _tell(context, done)
    if kept is not None:
        say(f"recorder.toml has {line} now; it was as in {kept.name}")
    else:
        say(f"next: in [storage] of {context.home.config} write {line}")
        say("until then calls are recorded, and their rows wait")
    say("write the same line on every other machine of the site, then start the daemons and consoles")
    say(f"the way back: recorder migrate --to {'URL' if setting == 'off' else HOME}")


def _show(context: CommandContext, plan: MovePlan) -> None:
    found = plan.as_json()
    if context.json:
        print_json(found | {"dry_run": True})
        return
    rows: list[dict[str, Any]] = [{"what": name, "is": count} for name, count in found.pop("rows").items() if count]
    rows += [{"what": key.replace("_", " "), "is": value} for key, value in found.items()]
    print_table(rows, [("what", "What"), ("is", "Is")], empty="")
    say("nothing was changed")


def _tell(context: CommandContext, done: Moved) -> None:
    source, target = done.plan.names
    if done.plan.is_closed:
        say(f"the index was moved to {target} before")
        return
    rows = sum(one.rows for one in done.tables.values())
    say(f"{rows} rows were copied from {source} to {target} and compared, in {done.seconds:.0f} s")
    say(f"among them: {summary(done.tables)}")
    say(f"the audit log is unchanged: {done.audit_entries} entries")
    for path in done.set_aside:
        say(f"the former file of the index is {context.home.root / path}")
    say(f"{source} keeps its rows and is not opened any more: remove it when you need it no longer")
