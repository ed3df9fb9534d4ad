"""How storing recordings goes, for the daemon's health report and for commands: `state/objects.json`.

The process that stores them writes the file; the daemon reads it, and so asks neither the store nor that process.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from recorder.config.object_options import ObjectOptions
from recorder.objects.rules import BEHIND_AFTER, NOT_DELETED_AFTER, is_long
from storage.durable import make_folder, save_atomically
from storage.object_queries import ObjectCounts
from storage.rows import time_from_json, time_to_json

NAME = "objects.json"
BEHIND, NOT_DELETED, LOCKED = "objects_behind", "objects_not_deleted", "objects_locked"
"""Alarms: recordings wait to be stored, or nothing is known of it; deletions wait; a lock prevents deletions."""
_SILENT_AFTER = timedelta(minutes=2)
_EMPTY: dict[str, Any] = {
    "at": None, "problem": "", "waiting": 0, "waiting_bytes": 0, "waiting_since": None, "removing": 0,
    "removing_since": None, "locked": 0, "locked_until": None, "uploaded": 0, "removed": 0,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsStatus:
    """What the process says of itself.

    Attributes:
        at: When it said so.
        counts: The objects of this machine that wait.
        problem: Why the store or the database cannot be used, or "".
        uploaded: Recordings that were stored since it started.
        removed: Recordings whose objects were removed since it started.
    """

    at: datetime
    counts: ObjectCounts
    problem: str = ""
    uploaded: int = 0
    removed: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return JSON-serialisable values."""
        found = self.counts
        return {
            "at": time_to_json(self.at), "problem": self.problem, "waiting": found.waiting,
            "waiting_bytes": found.waiting_bytes, "waiting_since": time_to_json(found.waiting_since),
            "removing": found.removing, "removing_since": time_to_json(found.removing_since), "locked": found.locked,
            "locked_until": time_to_json(found.locked_until), "uploaded": self.uploaded, "removed": self.removed,
        }  # fmt: skip


def note_status(state: Path, status: ObjectsStatus) -> None:
    """Write the status into the home's folder of states. Raises OSError."""
    make_folder(state)
    save_atomically(state / NAME, json.dumps(status.as_json()).encode())


@dataclass(slots=True, kw_only=True)
class ObjectsHealth:
    """Reads the status that the process wrote. Blocks.

    Attributes:
        state: The home's folder of states.
        options: Returns the section ``[objects]``; without a URL there is never an alarm.
        now: The clock, UTC.
    """

    state: Path
    options: Callable[[], ObjectOptions]
    now: Callable[[], datetime]
    _since: datetime = field(init=False)

    def __post_init__(self) -> None:
        self._since = self.now()

    def look(self) -> dict[str, Any]:
        """Return ``alarms``, and how far storing is."""
        url = self.options().url
        if url is None:
            return {"alarms": {}, "url": None, **_EMPTY}
        try:
            found = {**_EMPTY, **json.loads((self.state / NAME).read_bytes())}
            at = time_from_json(found["at"])
            since, removing_since = time_from_json(found["waiting_since"]), time_from_json(found["removing_since"])
        except (OSError, ValueError, TypeError):
            found, at, since, removing_since = dict(_EMPTY), None, None, None
        now = self.now()
        is_silent = all(is_long(one, _SILENT_AFTER, now) for one in (at or self._since, self._since))
        unlocked = found["removing"] - found["locked"]
        alarms = {
            BEHIND: max(found["waiting"], 1) if is_silent or is_long(since, BEHIND_AFTER, now) else 0,
            NOT_DELETED: unlocked if unlocked and is_long(removing_since, NOT_DELETED_AFTER, now) else 0,
            LOCKED: found["locked"],
        }
        return {"alarms": {name: count for name, count in alarms.items() if count}, "url": url, **found}
