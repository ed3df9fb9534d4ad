"""Verification of all recordings by slices, one each night, and what was found: `state/verified.json`, for health.

A recording belongs to a slice by its id, and each day has one slice, so each recording is read within as many days as
there are slices. Days that were missed are made up for.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from recorder.audit.reading import last_verified
from storage.durable import make_folder, save_atomically
from storage.rows import time_from_json, time_to_json
from storage.types import RecordingId

NAME = "verified.json"
"""In the home's folder of states."""
UNVERIFIED, DAMAGED = "recordings_unverified", "recordings_damaged"
AUDIT_UNVERIFIED, AUDIT_DAMAGED = "audit_unverified", "audit_damaged"
"""Alarms: no slice was verified for `OVERDUE_AFTER`, or never; the last verification of a recording found something
wrong; the same of the audit log."""
OVERDUE_AFTER = timedelta(days=3)
MOST_NAMED = 200
"""Problems that are kept by id; the audit log has their number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What verification by slices has found so far.

    Attributes:
        at: When the last slice was done; None: never.
        day: The day of that slice, counted from 1970.
        checked: Recordings in it.
        problems: What is wrong, by id: of the last time that each was read.
    """

    at: datetime | None = None
    day: int | None = None
    checked: int = 0
    problems: Mapping[str, str] = field(default_factory=dict)


def slice_of(recording: RecordingId, slices: int) -> int:
    """Return the slice of a recording, from 0. It depends on the id alone."""
    return int.from_bytes(hashlib.sha256(recording.encode()).digest()[:8]) % slices


def due_slices(last_day: int | None, today: int, slices: int) -> frozenset[int]:
    """Return the slices that are due: that of today, and those of days since the last run.

    Args:
        last_day: Day of the last run, counted from 1970; None if there was none.
        today: Likewise; a clock that was set back makes today's slice due.
        slices: Number of slices.
    """
    first = today if last_day is None or last_day >= today else max(last_day + 1, today - slices + 1)
    return frozenset(day % slices for day in range(first, today + 1))


def day_of(at: datetime) -> int:
    """Return the day of a moment in UTC, counted from 1970."""
    return int(at.timestamp() // 86_400)


def read_verified(state: Path) -> Verified:
    """Return what was found so far; nothing if the file is missing or cannot be read."""
    try:
        found = json.loads((state / NAME).read_bytes())
        problems = {str(one): str(problem) for one, problem in found["problems"].items()}
        return Verified(
            at=time_from_json(found["at"]), day=int(found["day"]), checked=int(found["checked"]), problems=problems
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Verified()


def note_slices(
    state: Path, at: datetime, slices: frozenset[int], *, of: int, checked: int, problems: Mapping[str, str]
) -> None:
    """Note that slices were verified. Raises OSError.

    Args:
        state: The home's folder of states.
        at: When.
        slices: Those.
        of: Number of all slices.
        checked: Recordings in them.
        problems: What is wrong, by id. Problems of other slices stay.
    """
    before = read_verified(state).problems
    others = {one: what for one, what in before.items() if slice_of(RecordingId(one), of) not in slices}
    kept = dict(sorted({**others, **problems}.items())[:MOST_NAMED])
    make_folder(state)
    content = {"at": time_to_json(at), "day": day_of(at), "checked": checked, "problems": kept}
    save_atomically(state / NAME, json.dumps(content).encode())


class VerificationHealth:
    """When recordings and audit log were verified last, for the daemon's health. Reads files.

    Args:
        state: The home's folder of states.
        days: Returns ``[storage] verify_days``.
        now: The clock, UTC.
        born: When the home was made: what was never verified is missed from then on.
    """

    def __init__(self, state: Path, days: Callable[[], int], now: Callable[[], datetime], born: datetime) -> None:
        self._state, self._days, self._now, self._born = state, days, now, born

    def look(self) -> dict[str, Any]:
        """Return the state, with its alarms."""
        recordings, audit = read_verified(self._state), last_verified(self._state)
        alarms: dict[str, int] = {}
        if self._is_overdue(recordings.at):
            alarms[UNVERIFIED] = 1
        if recordings.problems:
            alarms[DAMAGED] = len(recordings.problems)
        if self._is_overdue(None if audit is None else audit.at):
            alarms[AUDIT_UNVERIFIED] = 1
        if audit is not None and audit.problems:
            alarms[AUDIT_DAMAGED] = len(audit.problems)
        return {
            "alarms": alarms,
            "recordings": {
                "at": time_to_json(recordings.at), "checked": recordings.checked, "within_days": self._days(),
                "problems": dict(recordings.problems),
            },
            "audit": {
                "at": time_to_json(None if audit is None else audit.at),
                "problems": [] if audit is None else list(audit.problems),
            },
        }  # fmt: skip

    def _is_overdue(self, at: datetime | None) -> bool:
        return self._now() - (at or self._born) >= OVERDUE_AFTER


def born_at(home: Path, otherwise: datetime) -> datetime:
    """Return when a home was made, by its first key; another moment if that cannot be read."""
    try:
        made = (home / "keys" / "node" / "sign.key").stat().st_mtime
    except OSError:
        return otherwise
    return datetime.fromtimestamp(made, otherwise.tzinfo)
