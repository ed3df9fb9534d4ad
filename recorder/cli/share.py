"""`recorder share`: daemon and console run as two users of one group."""

import grp
from pathlib import Path
from typing import Annotated

import typer

from recorder.access.database import AuditNote
from recorder.cli.command_access import WITHOUT_ACCOUNT
from recorder.cli.shared import HomeOption, audit, fail, load_home, say
from recorder.common.system_user import os_user
from recorder.recordings.home_rights import given_away
from recorder.recordings.opening import AlreadyRunningError, held
from recorder.service.home_sharing import SharingError
from recorder.service.home_sharing import share as give_rights
from storage.errors import StorageError

SHARED = "home.shared"
"""As the audit log has it."""


def share(
    group: Annotated[str, typer.Argument(metavar="GROUP", help="A group of both users, by name or id.")],
    home: HomeOption = Path(),
) -> None:
    """Give a group rights on what daemon and console both use, so that they can run as two users; both are stopped.

    The accounts, the private keys and the key that signs who acts stay their owner's alone.
    """
    place, _ = load_home(home)
    try:
        number = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        fail(f"there is no group {group!r}", 2)
    try:
        with held(place):
            audit(place, AuditNote(act=SHARED, subject=group, details=dict(WITHOUT_ACCOUNT)), actor=f"os:{os_user()}")
            give_rights(place, number)
    except AlreadyRunningError as error:
        fail(f"{error}: stop daemon and console first")
    except (SharingError, StorageError, OSError) as error:
        fail(str(error))
    for path in given_away(place):
        say(f"{path} is of that group too: chgrp -R it to the own group of the accounts' user")
    say(f"group {group} has its rights in {place.root}; the user of the accounts owns it, the daemon's is another one")
