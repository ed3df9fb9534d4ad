"""Which calls are due for deletion, when, and what keeps one that is due: a legal hold, or a call in progress. Pure.

What stops a whole sweep is in `recorder.retention.sweep_safeguards`.
"""

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta

from recorder.rules.retention_periods import Periods, days_of, is_service
from recorder.rules.retention_schedule import SCHEDULE, DataClass


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A call that may be due.

    Attributes:
        ended_at: When it ended, aware.
        service: Service whose period applies.
        is_recorded: Something of it was kept.
        is_held: A legal hold is active, or in its days of grace.
        is_in_progress: It is being recorded, or waits for recovery.
    """

    ended_at: datetime
    service: str
    is_recorded: bool
    is_held: bool = False
    is_in_progress: bool = False

    @property
    def data(self) -> DataClass:
        """Return the class of data it belongs to."""
        return DataClass.RECORDINGS if self.is_recorded else DataClass.UNRECORDED


class SweepVerdict(enum.StrEnum):
    """What a sweep does with a call."""

    DELETE = "delete"
    NOT_DUE = "not_due"
    HELD = "held"
    IN_PROGRESS = "in_progress"


def due_at(candidate: Candidate, found: Periods) -> datetime:
    """Return when a call is due, regardless of holds."""
    return candidate.ended_at + timedelta(days=days_of(found, candidate.data, candidate.service))


def verdict(candidate: Candidate, found: Periods, now: datetime) -> SweepVerdict:
    """Decide what a sweep does with a call."""
    if candidate.is_held:
        return SweepVerdict.HELD
    if candidate.is_in_progress:
        return SweepVerdict.IN_PROGRESS
    return SweepVerdict.DELETE if due_at(candidate, found) <= now else SweepVerdict.NOT_DUE


def earliest_start(found: Periods, now: datetime) -> datetime:
    """Return the latest moment at which a call that is due by ``now`` can have begun."""
    keys = {SCHEDULE[data].key for data in (DataClass.RECORDINGS, DataClass.UNRECORDED)}
    return now - timedelta(days=min(days for key, days in found.items() if key in keys or is_service(key)))
