"""Carries deletions that a command made to the backup, as the console does all the time."""

import os
from functools import partial

from recorder.backups.destinations import open_store
from recorder.backups.following import Following
from recorder.cli.context import CommandContext
from recorder.cli.shared import say
from recorder.common.clock import utc_now
from storage.audit import AuditLog
from storage.keys import NodeKeys


def carry_deletions(context: CommandContext) -> None:
    """Continue the journal at `[backup] destination`; if that fails, say so: the console, or a backup, tries again.

    Another user than the home's owner leaves it to the console, which could not read or remove that user's files.
    """
    home, options = context.home, context.config.backup
    if options.destination is None or home.root.stat().st_uid != os.geteuid():
        return
    opening = partial(open_store, options.destination, options.s3_path, home.state)
    following = Following(
        home=home, destination=options.destination, open=opening, node=NodeKeys.load(home.root),
        audit=AuditLog(home.audit), now=utc_now,
    )  # fmt: skip
    following.run_due(is_forced=True)
    if following.problem:
        say(f"{following.problem}; what was deleted leaves the backup once that is mended: nothing else to do")
