"""`recorder recordings archive`: compress old recordings now, or show which are due, by the rule of ``[archive]``."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import typer

from recorder.cli.context import CommandContext, KeysContext
from recorder.cli.entries import permit
from recorder.cli.options import DryRunOption
from recorder.cli.output import fail, print_json, progress_bar, say
from recorder.cli.records import opened_index
from recorder.common.clock import utc_now
from recorder.permissions import Act
from recorder.recordings.archiving import Archiver
from recorder.recordings.home_stores import open_vault
from recorder.recordings.keyring import epoch_keys
from storage.audit import AuditLog
from storage.erasures import Erasures
from storage.holds import Holds

_OFF = "archiving is off: set after_days in [archive] of recorder.toml"


def archive(
    context: KeysContext,
    dry_run: DryRunOption = False,
) -> None:
    """Compress old recordings that are not on hold, as the console does each day. Needs the private keys."""
    rule = context.config.archive
    if rule.after_days is None:
        fail(_OFF)
    if not dry_run:
        person = context.sign_in("archiving")
        details = {"what": "archive"}
        permit(context.home, Act.MANAGE_KEYS, person, reason="", subject="", operator=None, details=details)
    with _archiver(context) as archiver:
        if dry_run:
            due = archiver.due()
            document = {**asdict(due), "after_days": rule.after_days, "format": str(rule.format)}
            context.tell(document, f"{due.recordings} recordings of {due.bytes} bytes are due; nothing was changed")
            return
        archiver.keys.check_passphrase()
        with progress_bar("archiving", 0) as progress:
            done = archiver.run(progress=progress)
    if context.json:
        print_json(asdict(done))
    else:
        say(f"{done.recordings} recordings archived: {done.bytes_before} bytes before, {done.bytes_after} now")
        for problem in done.problems:
            say(problem)
    if done.problems:
        raise typer.Exit(1)


@contextmanager
def _archiver(context: CommandContext) -> Iterator[Archiver]:
    home = context.home
    with opened_index(context) as index:
        yield Archiver(
            vault=open_vault(home, context.config, index),
            keys=epoch_keys(home, context.config, context.passphrase_file),
            index=index,
            erasures=Erasures(index.database),
            holds=Holds(index.database),
            audit=AuditLog(home.audit),
            lock=home.erasing_lock,
            rule=context.config.archive,
            now=utc_now,
        )
