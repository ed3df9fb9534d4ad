"""Which of the daemon's alarms stand, since when, who has acknowledged them, and which have ended. Pure.

An alarm lasts until its cause is gone, which is said by what looks at the cause: `AlarmBook.end`. An alarm of something
that has happened (`recorder.rules.alarms.FADING`) stands for EVENT_STANDS after that last happened, or until somebody
acknowledges it; those of `ENDED_BY_PEOPLE` until then.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from recorder.rules.alarms import ENDED_BY_PEOPLE, FADING
from storage.rows import time_from_json, time_to_json

EVENT_STANDS = timedelta(hours=24)
"""How long an alarm stands after it was last raised, if nothing tells that its cause is gone."""
LONGEST_ACKNOWLEDGED_HOURS = 31 * 24.0
SHORTEST_REMARK, LONGEST_REMARK = 3, 500
"""Characters of the remark of an acknowledgement."""
KEPT = 500
"""Ended alarms that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Somebody has seen an alarm and deals with it.

    Attributes:
        by: Who, as the audit log names them.
        at: When.
        until: Until when the alarm needs nobody else. It does again from then on, if it still stands.
        remark: What they found or do about it.
    """

    by: str
    at: datetime
    until: datetime
    remark: str


def acknowledgement_problem(remark: str, hours: float) -> tuple[str, str] | None:
    """Return what is wrong with an acknowledgement: ``remark`` or ``hours``, and a sentence; None for nothing."""
    if len(remark.strip()) < SHORTEST_REMARK:
        return "remark", "Enter what you found, or what you do about the alarm."
    if len(remark) > LONGEST_REMARK:
        return "remark", f"The remark must be {LONGEST_REMARK} characters or fewer."
    if not 0 < hours <= LONGEST_ACKNOWLEDGED_HOURS:  # not a number is neither
        return "hours", f"Enter for how many hours, up to {LONGEST_ACKNOWLEDGED_HOURS:g}."
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingAlarm:
    """One alarm, from when it was raised until it ended.

    Attributes:
        name: As in docs/alarms.md.
        since: When it was first raised.
        last_at: When it was last raised.
        count: How often it was raised, or the number that a lasting one has; over 0.
        lasts: Whether it ends with its cause only.
        acknowledged: Who has acknowledged it.
    """

    name: str
    since: datetime
    last_at: datetime
    count: int = 1
    lasts: bool = False
    acknowledged: Acknowledgement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedAlarm:
    """An alarm that has ended, and why: ``cause gone``, ``not raised again``, ``acknowledged`` or ``restarted``."""

    alarm: StandingAlarm
    ended_at: datetime
    why: str


CAUSE_GONE, NOT_AGAIN, ACKNOWLEDGED, RESTARTED = "cause gone", "not raised again", "acknowledged", "restarted"


class AlarmBook(MutableMapping[str, int]):
    """The alarms of one daemon. As a mapping: the count of each alarm that stands. Any thread may use it.

    Setting an item raises an alarm that lasts; deleting it says that the cause is gone.

    Args:
        now: The clock, UTC.
        ended: Alarms that have ended in an earlier process, oldest first.

    Attributes:
        raised: How often each alarm was raised since the start. These numbers never fall.
        changes: Number of changes, to see whether it has to be stored again.
    """

    def __init__(self, now: Callable[[], datetime], ended: tuple[EndedAlarm, ...] = ()) -> None:
        self._now = now
        self._lock = threading.RLock()
        self._standing: dict[str, StandingAlarm] = {}
        self._ended = list(ended)
        self._seen: dict[str, StandingAlarm] = {}
        self.raised: dict[str, int] = {}
        self.changes = 0

    def raise_event(self, name: str) -> None:
        """Raise an alarm, and count how often it was raised."""
        self._raise(name, None)

    def end(self, *names: str, why: str = CAUSE_GONE) -> None:
        """End alarms whose cause is gone; those that do not stand are passed over."""
        with self._lock:
            for name in names:
                found = self._standing.pop(name, None)
                if found is not None:
                    self._end(found, why)

    def observe(self, others: Mapping[str, int]) -> None:
        """Take what other parts of the daemon report: each of these alarms lasts as long as it is reported."""
        now = self._now()
        with self._lock:
            for name in self._seen.keys() - others.keys():
                self._end(self._seen.pop(name), CAUSE_GONE)
            for name, count in others.items():
                if name in self._standing:
                    continue
                before = self._seen.get(name)
                if before is None:
                    self.changes += 1
                    before = StandingAlarm(name=name, since=now, last_at=now, lasts=True)
                self._seen[name] = replace(before, count=count)

    def acknowledge(self, name: str, acknowledgement: Acknowledgement) -> StandingAlarm:
        """Acknowledge an alarm that stands; one that does not last ends with this.

        Raises:
            KeyError: It does not stand.
        """
        with self._lock:
            self._expire()
            where = self._standing if name in self._standing else self._seen
            found = where[name] = replace(where[name], acknowledged=acknowledgement)
            self.changes += 1
            if not found.lasts:
                self.end(name, why=ACKNOWLEDGED)
            return found

    def standing(self) -> list[StandingAlarm]:
        """Return the alarms that stand, by name; an acknowledgement whose time is over is left out."""
        with self._lock:
            self._expire()
            found, now = {**self._seen, **self._standing}, self._now()
        return [
            replace(one, acknowledged=None) if one.acknowledged and one.acknowledged.until <= now else one
            for _, one in sorted(found.items())
        ]

    def ended(self) -> list[EndedAlarm]:
        """Return the alarms that have ended, newest first."""
        return self._ended[::-1]

    def copy(self) -> dict[str, int]:
        """Return the counts of the alarms that this process has raised and that stand."""
        with self._lock:
            self._expire()
            return {name: one.count for name, one in self._standing.items()}

    def _raise(self, name: str, count: int | None) -> None:
        now, lasts = self._now(), name not in FADING and name not in ENDED_BY_PEOPLE
        with self._lock:
            before = self._standing.get(name)
            if before is None or count is None:
                self.raised[name] = self.raised.get(name, 0) + 1
            if before is None:
                self.changes += 1
                self._standing[name] = StandingAlarm(name=name, since=now, last_at=now, count=count or 1, lasts=lasts)
            else:
                self._standing[name] = replace(before, last_at=now, count=before.count + 1 if count is None else count)

    def _end(self, alarm: StandingAlarm, why: str) -> None:
        self._ended = [*self._ended, EndedAlarm(alarm=alarm, ended_at=self._now(), why=why)][-KEPT:]
        self.changes += 1

    def _expire(self) -> None:
        now = self._now()
        for name, one in list(self._standing.items()):
            if name in FADING and now - one.last_at >= EVENT_STANDS:
                self.end(name, why=NOT_AGAIN)

    def __getitem__(self, name: str) -> int:
        return self._standing[name].count

    def __setitem__(self, name: str, count: int) -> None:
        self._raise(name, count)

    def __delitem__(self, name: str) -> None:
        with self._lock:
            self._end(self._standing.pop(name), CAUSE_GONE)

    def __iter__(self) -> Iterator[str]:
        return iter(self._standing.copy())

    def __len__(self) -> int:
        return len(self._standing)


def standing_to_json(alarm: StandingAlarm) -> dict[str, Any]:
    """Return an alarm as JSON."""
    said = alarm.acknowledged
    return {
        "name": alarm.name, "since": time_to_json(alarm.since), "last_at": time_to_json(alarm.last_at),
        "count": alarm.count, "lasts": alarm.lasts,
        "acknowledged": None if said is None else acknowledgement_to_json(said),
    }  # fmt: skip


def acknowledgement_to_json(said: Acknowledgement) -> dict[str, Any]:
    """Return an acknowledgement as JSON."""
    return {"by": said.by, "at": time_to_json(said.at), "until": time_to_json(said.until), "remark": said.remark}


def ended_to_json(ended: EndedAlarm) -> dict[str, Any]:
    """Return an ended alarm as JSON."""
    return {**standing_to_json(ended.alarm), "ended_at": time_to_json(ended.ended_at), "why": ended.why}


def standing_from_json(found: Mapping[str, Any]) -> StandingAlarm:
    """Return an alarm from JSON.

    Raises:
        KeyError, TypeError, ValueError: It is none.
    """
    said = found["acknowledged"]
    return StandingAlarm(
        name=str(found["name"]), since=_moment(found["since"]),
        last_at=_moment(found["last_at"]), count=int(found["count"]), lasts=bool(found["lasts"]),
        acknowledged=None if said is None else Acknowledgement(
            by=str(said["by"]), at=_moment(said["at"]), until=_moment(said["until"]),
            remark=str(said["remark"]),
        ),
    )  # fmt: skip


def ended_from_json(found: Mapping[str, Any]) -> EndedAlarm:
    """Return an ended alarm from JSON; raises what `standing_from_json` raises."""
    return EndedAlarm(alarm=standing_from_json(found), ended_at=_moment(found["ended_at"]), why=str(found["why"]))


def _moment(text: str) -> datetime:
    """Return a time that `time_to_json` wrote; TypeError for none."""
    found = time_from_json(text)
    if found is None:
        raise TypeError("a time is missing")
    return found
