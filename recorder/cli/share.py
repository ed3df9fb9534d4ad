"""`recorder share`: prepares a home for daemon and console as two users of one group."""

import grp
from typing import Annotated

import typer

from recorder.access.database import AuditNote
from recorder.cli import output
from recorder.cli.command_access import WITHOUT_ACCOUNT
from recorder.cli.context import CommandContext, HomeContext
from recorder.cli.entries import audit
from recorder.cli.options import DryRunOption
from recorder.cli.output import fail, say
from recorder.cli.results.site import SharedHome
from recorder.common.home import Home
from recorder.common.system_user import group_name, os_user
from recorder.recordings.home_lock import AlreadyRunningError, held
from recorder.recordings.home_rights import wrong_rights
from recorder.service.home_sharing import FileOwner, SharingError, changes, moves, owner_named
from recorder.service.home_sharing import share as give_rights
from storage.errors import StorageError

SHARED = "home.shared"
"""Act of the audit log."""
_SHOWN = 40
"""Most files that a dry run lists."""
_TELL_EVERY = 20_000
"""Files between two lines of progress."""

GroupArgument = Annotated[str, typer.Argument(metavar="GROUP", help="A group that both users are in, by name or id.")]


def share(
    context: HomeContext,
    group: GroupArgument,
    owner: Annotated[
        str | None,
        typer.Option("--owner", metavar="USER", help="The console's user, who owns everything from now on. As root."),
    ] = None,
    dry_run: DryRunOption = False,
) -> None:
    """Give daemon and console their rights on the files of a home, so that they can run as two users.

    Stop both first. The accounts, the private keys and the key that signs requests stay readable by their owner only.
    May be run again, also after an interruption: then it sets what differs.
    """
    home = context.home
    number = group_number(group)
    try:
        to = None if owner is None else owner_named(owner)
        if dry_run:
            context.tell(SharedHome(changed=_show(context, home, number, to), dry_run=True))
            return
        with held(home):
            audit(home, AuditNote(act=SHARED, subject=group, details=dict(WITHOUT_ACCOUNT)), actor=f"os:{os_user()}")
            changed = give_rights(home, number, to, told=_tell)
    except AlreadyRunningError as error:
        fail(f"{error}: stop daemon and console first")
    except PermissionError as error:
        fail(f"{error.filename or home.root}: {error.strerror}; run it as root")
    except (SharingError, StorageError, OSError) as error:
        fail(str(error))
    for one in wrong_rights(home):
        say(f"{home.root / one.path} is not as it should be: `recorder site-check` says why")
    context.tell(
        SharedHome(changed=changed, dry_run=False),
        f"the rights of {changed} files and folders were set in {home.root}",
        f"run the console as {os_user(home.root.stat().st_uid)}, and the daemon as another user of group {group}",
    )


def group_number(group: str) -> int:
    """Return the id of a group; exit if there is none of this name."""
    try:
        return int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        fail(f"there is no group {group!r}", 2)


def _tell(count: int) -> None:
    if count and count % _TELL_EVERY == 0:
        say(f"{count} files checked")


def _show(context: CommandContext, home: Home, group: int, owner: FileOwner | None) -> int:
    """Say what would change, for people; return how many files."""
    say = (lambda _: None) if context.json else output.say
    for path in moves(home):
        say(f"{path} would be moved to {home.common / path.name}")
    count = 0
    for count, change in enumerate(changes(home, group, owner), 1):
        if count <= _SHOWN:
            say(f"{change.path}: {_state(*change.before)} -> {_state(*change.after)}")
    more = f", {count - _SHOWN} more than are listed" if count > _SHOWN else ""
    say(f"{count} files and folders would change{more}; nothing was changed")
    return count


def _state(uid: int, gid: int, mode: int) -> str:
    return f"{os_user(uid)}:{group_name(gid)} {mode:04o}"
