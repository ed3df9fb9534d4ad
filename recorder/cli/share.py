"""`recorder share`: daemon and console run as two users of one group."""

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
"""As the audit log has it."""


def share(
    context: HomeContext,
    group: Annotated[str, typer.Argument(metavar="GROUP", help="A group of both users, by name or id.")],
) -> None:
    """Give a group rights on what daemon and console both use, so that they can run as two users; both are stopped.

    The accounts, the private keys and the key that signs who acts stay their owner's alone.
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
        say(f"{path} is of that group too: chgrp -R it to the own group of the accounts' user")
    say(f"group {group} has its rights in {home.root}; the user of the accounts owns it, the daemon's is another one")
