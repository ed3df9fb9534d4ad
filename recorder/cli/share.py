"""`recorder share`: prepares a home for daemon and console as two users of one group."""

import grp
from typing import Annotated

import typer

from recorder.access.database import AuditNote
from recorder.cli.command_access import WITHOUT_ACCOUNT
from recorder.cli.context import HomeContext
from recorder.cli.shared import audit, fail, say
from recorder.common.system_user import os_user
from recorder.recordings.home_lock import AlreadyRunningError, held
from recorder.recordings.home_rights import given_away
from recorder.service.home_sharing import SharingError
from recorder.service.home_sharing import share as give_rights
from storage.errors import StorageError

SHARED = "home.shared"
"""Act of the audit log."""


def share(
    context: HomeContext,
    group: Annotated[str, typer.Argument(metavar="GROUP", help="A group that both users are in, by name or id.")],
) -> None:
    """Give a group rights on the files that daemon and console share, so that they can run as two users.

    Stop both first. The accounts, the private keys and the key that signs requests stay readable by their owner only.
    """
    home = context.home
    try:
        number = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        fail(f"there is no group {group!r}", 2)
    try:
        with held(home):
            audit(home, AuditNote(act=SHARED, subject=group, details=dict(WITHOUT_ACCOUNT)), actor=f"os:{os_user()}")
            give_rights(home, number)
    except AlreadyRunningError as error:
        fail(f"{error}: stop daemon and console first")
    except (SharingError, StorageError, OSError) as error:
        fail(str(error))
    for path in given_away(home):
        say(f"{path} is in that group too: chgrp -R it to the primary group of the accounts' user")
    say(f"group {group} has its rights in {home.root}; run the console as its owner, and the daemon as another user")
