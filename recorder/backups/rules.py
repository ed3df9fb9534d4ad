"""What a backup holds, in which class, and when a class of a snapshot expires. Pure."""

import enum
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import PurePosixPath

SNAPSHOTS = "snapshots"
JOURNAL = "journal"
STAGING = "backup-staging"
"""In the home's folder of states, for destinations that are no folder."""
_ID = re.compile(r"\d{6,}-\d{8}T\d{6}Z")


class BackupClass(enum.StrEnum):
    """A class of data: its own folder at the destination, and its own period."""

    MEDIA = "media"
    INDEX = "index"
    ACCOUNTS = "accounts"
    AUDIT = "audit"
    KEYS = "keys"


DATA = (BackupClass.INDEX, BackupClass.ACCOUNTS, BackupClass.AUDIT, BackupClass.MEDIA)
"""Classes at the first destination; keys are at another one."""

PASSING = frozenset(
    {
        "pauses.journal", "sessions.journal", "opt_outs.json", "ports", "loop_mark", "backup.json", "alarms.json",
        "key_holder.json", "audit_verified.json", "verified.json", "objects.json",
        "dialogs.journal", "dialogs_damaged.journal",
    }
)  # fmt: skip
"""Files of ``state`` that are about calls in progress, or about this machine: a restored site has neither."""


def is_state(path: PurePosixPath) -> bool:
    """Tell whether a file, relative to ``state``, belongs into a backup."""
    return (
        path.parts[0] != STAGING
        and path.name not in PASSING
        and path.suffix != ".lock"
        and not path.name.startswith(".")
    )


def is_in_media(recording: str) -> str:
    """Return the folder of a recording's objects: all that there is of it, so that it can be removed by its id."""
    return f"{BackupClass.MEDIA}/{recording[:8]}/{recording}"


def expired(snapshots: Sequence[tuple[str, datetime]], days: int, now: datetime) -> list[str]:
    """Return the ids of the snapshots that have a class and whose period is over; never the newest.

    Args:
        snapshots: Id and time of each that has the class, oldest first.
        days: The period of the class.
        now: The present time.
    """
    return [name for name, at in snapshots[:-1] if now - at > timedelta(days=days)]


def is_snapshot(name: str) -> bool:
    """Tell whether a name has the form of a snapshot's id."""
    return _ID.fullmatch(name) is not None


def next_id(ids: Iterable[str], at: datetime) -> str:
    """Return the id of a new snapshot; ids sort in the order in which snapshots were made, whatever the clock says.

    Args:
        ids: The snapshots that there are.
        at: The present time.
    """
    newest = max((int(one.partition("-")[0]) for one in ids), default=0)
    return f"{newest + 1:06d}-{at:%Y%m%dT%H%M%SZ}"
