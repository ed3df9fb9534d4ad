"""Deletes due data in the file of people: former accounts, texts of requests and cases, acknowledged break-glass.

`recorder retention run` does this as part of its sweep. The daemon does not open that file if there is a console;
then the console does it (`PeopleSweep`).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from recorder.retention.account_expiry import AccountExpiry
from recorder.retention.past_texts import PastTexts
from recorder.retention.sweep_state import SweepFile
from recorder.retention.sweep_times import OVERDUE
from recorder.rules.retention_periods import Periods, days_of, put_into_force
from recorder.rules.retention_schedule import DataClass
from storage.audit import AuditLog
from storage.audit_entry import RECORDER
from storage.durable import make_folder, save_atomically
from storage.rows import time_from_json, time_to_json

PEOPLE_SWEPT = "retention.people_swept"
"""Act of the audit log."""
NAME = "people-sweep.json"
"""File in the home's folder of states: when due data was last deleted."""
OVERDUE_ALARM = "people_overdue"


class PeopleExpiry:
    """Counts and deletes due data in one file of people.

    Args:
        former: Former accounts and the like, with the file's engine.
    """

    def __init__(self, former: AccountExpiry) -> None:
        self._former = former
        self._past = PastTexts(former.engine)

    def count(self, found: Periods, now: datetime) -> dict[DataClass, int]:
        """Return how much of each class is due; changes nothing.

        Args:
            found: The periods in force.
            now: Aware.
        """
        return {
            DataClass.TEXTS: self._former.count_emergencies(before=due_before(found, DataClass.TEXTS, now)),
            DataClass.REQUESTS: self._past.count_requests(before=due_before(found, DataClass.REQUESTS, now)),
            DataClass.CASES: self._past.count_cases(before=due_before(found, DataClass.CASES, now)),
            DataClass.ACCESS: self._former.count(before=due_before(found, DataClass.ACCESS, now)),
        }

    def sweep(self, found: Periods, now: datetime) -> dict[DataClass, int]:
        """Delete what is due; returns how much of each class."""
        return {
            DataClass.TEXTS: self._former.forget_emergencies(before=due_before(found, DataClass.TEXTS, now)),
            DataClass.REQUESTS: self._past.forget_requests(before=due_before(found, DataClass.REQUESTS, now)),
            DataClass.CASES: self._past.forget_cases(before=due_before(found, DataClass.CASES, now)),
            DataClass.ACCESS: self._former.forget(before=due_before(found, DataClass.ACCESS, now)),
        }


@dataclass(slots=True, kw_only=True)
class PeopleSweep:
    """The console's part of the daily sweep.

    It follows the daemon's part. A reason that stops that sweep, such as an implausible clock or an index that waits
    for the data protection officer, stops this one too.

    Attributes:
        former: Former accounts and the like, with the engine of the file of people.
        now: The clock, UTC.
    """

    former: AccountExpiry
    audit: AuditLog
    state: Path
    periods: Periods
    now: Callable[[], datetime]
    _done: datetime | None = field(default=None, init=False)

    def run(self) -> dict[DataClass, int]:
        """Delete what was due when a sweep last succeeded; returns how much of each class.

        Raises:
            StorageError, OSError: State or audit log cannot be read; the next run goes on.
        """
        state = SweepFile(self.state, self.audit).load()
        if state.last_success is None or state.last_success == self._done:
            return {}
        moment = min(state.last_success, self.now())  # the daemon writes that file, so do not trust a future time
        found, _ = put_into_force(self.periods, state.in_force, is_confirmed=False)
        expiry = PeopleExpiry(self.former)
        due = expiry.count(found, moment)
        if any(due.values()):  # logged first: after a crash the deleted data cannot be counted again
            details = {"counts": {str(data): count for data, count in due.items()}, "at": time_to_json(moment)}
            self.audit.append(PEOPLE_SWEPT, RECORDER, "", details)
        counts = expiry.sweep(found, moment)
        note_swept(self.state, self.now())
        self._done = state.last_success
        return counts


def note_swept(state: Path, at: datetime) -> None:
    """Store for health when due data was deleted.

    Args:
        state: The home's folder of states.
        at: When; aware.

    Raises:
        OSError: It cannot be written.
    """
    make_folder(state)
    save_atomically(state / NAME, json.dumps({"swept_at": time_to_json(at)}).encode())


def alarms_of(state: Path, now: datetime, *, since: datetime) -> dict[str, int]:
    """Return the health alarm on the console's part of the sweep; empty if there is none.

    Args:
        state: The home's folder of states.
        now: Aware.
        since: When the console could first have done it: the start of the daemon.
    """
    try:
        swept_at = time_from_json(json.loads((state / NAME).read_bytes())["swept_at"]) or since
    except FileNotFoundError:
        swept_at = since
    except (OSError, ValueError, KeyError, TypeError):
        return {OVERDUE_ALARM: 1}
    return {OVERDUE_ALARM: 1} if now - swept_at > OVERDUE else {}


def due_before(found: Periods, data: DataClass, now: datetime) -> datetime:
    """Return the moment before which a class of data is due."""
    return (now - timedelta(days=days_of(found, data))).astimezone(UTC)
