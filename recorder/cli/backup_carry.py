"""Carries deletions that a command made to the backup, as the console does all the time."""

import os

from recorder.backups.following import follow_configured
from recorder.cli.context import CommandContext
from recorder.cli.output import say
from storage.audit import AuditLog
from storage.keys import NodeKeys


def carry_deletions(context: CommandContext) -> None:
    """Continue the journal at `[backup] destination`; if that fails, say so: the console, or a backup, tries again.

    Another user than the home's owner leaves it to the console, which could not read or remove that user's files.
    """
    home = context.home
    if home.root.stat().st_uid != os.geteuid():
        return
    following = follow_configured(home, context.config.backup, NodeKeys.load(home.root), AuditLog(home.audit))
    if following is None:
        return
    following.run_due(is_forced=True)
    if following.problem:
        say(f"{following.problem}; deleted recordings leave the backup once this is fixed; you need do nothing else")
