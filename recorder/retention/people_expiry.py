"""What is due in the file of people: former accounts, texts of requests and cases, settled break-glass.

Part of a sweep where whoever sweeps may open that file (`recorder retention`). The daemon may not need to: it has the
console do this (`PeopleSweep`), whose file it is.
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
"""File in the home's folder of states: when what was due was last deleted."""
OVERDUE_ALARM = "people_overdue"


class PeopleExpiry:
    """What is due of one file of people.

    Args:
        former: Those who may do nothing any more, with the file.
    """

    def __init__(self, former: AccountExpiry) -> None:
        self._former = former
        self._past = PastTexts(former.engine)

    def count(self, found: Periods, now: datetime) -> dict[DataClass, int]:
        """Return how much of each class is due; nothing is changed.

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
        """Delete what is due; returns how much of each class that was."""
        return {
            DataClass.TEXTS: self._former.forget_emergencies(before=due_before(found, DataClass.TEXTS, now)),
            DataClass.REQUESTS: self._past.forget_requests(before=due_before(found, DataClass.REQUESTS, now)),
            DataClass.CASES: self._past.forget_cases(before=due_before(found, DataClass.CASES, now)),
            DataClass.ACCESS: self._former.forget(before=due_before(found, DataClass.ACCESS, now)),
        }


@dataclass(slots=True, kw_only=True)
class PeopleSweep:
    """The console's part of the daily sweep.

    It follows the daemon's: what stops a sweep - a clock that cannot be believed, an index that waits for the data
    protection officer - keeps this from deleting too.

    Attributes:
        former: Those who may do nothing any more, with the file of people.
        audit: The audit log.
        state: The home's folder of states.
        periods: As configured.
        now: The clock, UTC.
    """

    former: AccountExpiry
    audit: AuditLog
    state: Path
    periods: Periods
    now: Callable[[], datetime]
    _done: datetime | None = field(default=None, init=False)

    def run(self) -> dict[DataClass, int]:
        """Delete what was due when a sweep last ended well; returns how much of each class that was.

        Raises:
            StorageError, OSError: State or audit log cannot be read; the next run goes on.
        """
        state = SweepFile(self.state, self.audit).load()
        if state.last_success is None or state.last_success == self._done:
            return {}
        moment = min(state.last_success, self.now())  # the file is the daemon's to write
        found, _ = put_into_force(self.periods, state.in_force, is_confirmed=False)
        leftovers = PeopleExpiry(self.former)
        due = leftovers.count(found, moment)
        if any(due.values()):  # in the log before it is done: what is deleted is not found a second time
            details = {"counts": {str(data): count for data, count in due.items()}, "at": time_to_json(moment)}
            self.audit.append(PEOPLE_SWEPT, RECORDER, "", details)
        counts = leftovers.sweep(found, moment)
        note_swept(self.state, self.now())
        self._done = state.last_success
        return counts


def note_swept(state: Path, at: datetime) -> None:
    """Note for health that what was due is deleted.

    Args:
        state: The home's folder of states.
        at: When; aware.

    Raises:
        OSError: It cannot be written.
    """
    make_folder(state)
    save_atomically(state / NAME, json.dumps({"swept_at": time_to_json(at)}).encode())


def alarms_of(state: Path, now: datetime, *, since: datetime) -> dict[str, int]:
    """Return what health says of the console's part of the sweep; empty when all is well.

    Args:
        state: The home's folder of states.
        now: Aware.
        since: From when on the console can have been expected to do it: the start of the daemon.
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
