"""How long each class of data is kept, when it falls due, and when a sweep must not go on. Pure.

The schedule is data: `SCHEDULE`. A due date is worked out anew each time from the period in force, so that a longer
period counts at once for all that still exists; a shorter one counts when the DPO has confirmed it (P11).
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo


class DataClass(enum.StrEnum):
    """What is kept."""

    RECORDINGS = "recordings"
    UNRECORDED = "unrecorded_calls"
    TEXTS = "texts"
    DECISIONS = "decisions"
    REQUESTS = "requests"
    CASES = "cases"
    ACCESS = "access"
    TORN = "torn_files"
    TOMBSTONES = "tombstones"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the schedule.

    Attributes:
        data: The class of data.
        key: Of ``[retention]``; holds whole days.
        days: Its default.
        since: From which moment on it counts.
        owner: The role that answers for it.
        what: What belongs to it.
        why: Why so long.
    """

    data: DataClass
    key: str
    days: int
    since: str
    owner: str
    what: str
    why: str


SCHEDULE: Mapping[DataClass, Line] = MappingProxyType(
    {
        line.data: line
        for line in (
            Line(
                data=DataClass.RECORDINGS,
                key="retention_days",
                days=90,
                since="the end of the call",
                owner="dpo",
                what="recordings: container, sealed key and row; by service",
                why="the council's policy (P3)",
            ),
            Line(
                data=DataClass.UNRECORDED,
                key="unrecorded_days",
                days=90,
                since="the end of the call",
                owner="dpo",
                what="rows of calls of which nothing was kept: blocked, no conversation, failed",
                why="who called whom is personal data too; no longer than a recording",
            ),
            Line(
                data=DataClass.TEXTS,
                key="text_days",
                days=730,
                since="the entry",
                owner="dpo",
                what="free text of the audit log: reasons, searches; that of a hold not before the hold is over, "
                "that of break-glass not before it was acknowledged",
                why="long enough to look into misuse; the entry itself, without its text, stays",
            ),
            Line(
                data=DataClass.DECISIONS,
                key="decision_days",
                days=730,
                since="the decision or the copy, and not before its recording is gone",
                owner="dpo",
                what="orders to erase and holds that are over; the list of the copies that were made",
                why="questions about a deleted recording come late",
            ),
            Line(
                data=DataClass.REQUESTS,
                key="request_days",
                days=730,
                since="the end of the leave that was granted, or the refusal",
                owner="dpo",
                what="texts of requests to hear recordings: reasons, references, answers; who asked for which, and who "
                "decided, stays",
                why="as long as the texts of the audit log: to look into misuse",
            ),
            Line(
                data=DataClass.CASES,
                key="case_days",
                days=1096,
                since="the day the case was closed, or the claim was over",
                owner="dpo",
                what="texts of cases and of claims of data subjects: who asked, what they said, what was answered, "
                "transcripts; the steps and their days stay",
                why="three years: complaints to the Commissioner and to court come late",
            ),
            Line(
                data=DataClass.ACCESS,
                key="access_days",
                days=730,
                since="the moment at which it ended",
                owner="admin",
                what="accounts that were disabled, tokens that were revoked or ran out",
                why="as long as the texts: who could do what, when misuse is looked into; the log goes on naming them",
            ),
            Line(
                data=DataClass.TORN,
                key="torn_days",
                days=730,
                since="the repair",
                owner="ict",
                what="torn ends of the audit log, moved aside after a power cut",
                why="as long as the texts: it may hold part of an entry",
            ),
            Line(
                data=DataClass.TOMBSTONES,
                key="tombstone_days",
                days=2192,
                since="the deletion",
                owner="dpo",
                what="tombstones in the database; the audit log keeps them",
                why="six years, the time within which claims are made; no backup may be older",
            ),
        )
    }
)
"""The retention schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedLine:
    """What no period of ``[retention]`` is for: it ends by a rule of its own.

    Attributes:
        what: What belongs to it.
        rule: How long it is there.
        owner: The role that answers for it.
        why: Why so.
    """

    what: str
    rule: str
    owner: str
    why: str


FIXED = (
    FixedLine(
        what="entries of the audit log without their texts, and the heads that were noted elsewhere",
        rule="as long as the recorder stands",
        owner="dpo",
        why="the chain proves itself from its first entry on; it names accounts and recordings, no caller",
    ),
    FixedLine(
        what="sessions of console and shell",
        rule="as idle_minutes and longest_hours of [console] say; gone at the next sign-in of anybody",
        owner="admin",
        why="a browser left open is nobody's leave",
    ),
    FixedLine(
        what="notifications of people, and the state of their mails",
        rule="90 days; a mail that waits is given up after five",
        owner="dpo",
        why="what waits is told anew each time it is looked at; nothing of a call is in them",
    ),
    FixedLine(
        what="wrong passwords and wrong PINs",
        rule="counted until the next right one, or until who guessed is let in again",
        owner="admin",
        why="to lock out who guesses; the audit log has each refusal",
    ),
    FixedLine(
        what="who is signed on at which phone, and pauses, opt-outs and sessions of calls in progress",
        rule="until they sign off, and until the call is filed",
        owner="ict",
        why="a restart must not open what was shut; the recording's row has what matters of it",
    ),
    FixedLine(
        what="rows and audit entries that wait for a database or a disk",
        rule="until they are filed",
        owner="ict",
        why="nothing is lost while it is down",
    ),
    FixedLine(
        what="log lines of daemon and console, numbers masked",
        rule="as the machine's journal keeps them: MaxRetentionSec in journald.conf",
        owner="ict",
        why="the recorder writes no log files of its own",
    ),
)
"""What else there is of data, so that the schedule names every class."""

UNREACHED = frozenset({DataClass.TOMBSTONES, DataClass.REQUESTS, DataClass.CASES})
"""Classes that no tombstone is needed for: their periods may be longer than that of the tombstones."""

_SERVICE = "service/"

Periods = Mapping[str, int]
"""Days by key of ``[retention]``, and by ``service/NAME`` for the recordings of a service."""


def periods(days: Mapping[str, int], services: Mapping[str, int | None]) -> dict[str, int]:
    """Return the periods that a configuration asks for.

    Args:
        days: By key of ``[retention]``.
        services: Days by service; None is as ``retention_days`` says.
    """
    default = days[SCHEDULE[DataClass.RECORDINGS].key]
    return {**days, **{_SERVICE + name: default if own is None else own for name, own in services.items()}}


def days_of(found: Periods, data: DataClass, service: str = "") -> int:
    """Return the days that data of a class, and of a service, is kept."""
    key = SCHEDULE[data].key
    if data is DataClass.RECORDINGS:
        return found.get(_SERVICE + service, found[key])
    return found[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortening:
    """A period that the configuration makes shorter than the one in force."""

    key: str
    days: int
    in_force: int

    @property
    def sentence(self) -> str:
        """Return it for people."""
        return f"{self.name} is {self.days} days, {self.in_force} are in force"

    @property
    def name(self) -> str:
        """Return the key as the configuration has it."""
        return f"retention_days of service {self.key[len(_SERVICE) :]!r}" if _is_service(self.key) else self.key


def put_into_force(
    wanted: Periods, in_force: Periods | None, *, is_confirmed: bool
) -> tuple[dict[str, int], list[Shortening]]:
    """Decide which periods hold now.

    A longer period holds at once. A shorter one holds when the DPO has confirmed it; until then the longer one goes on
    holding. A service that is not configured any more keeps the period that it had; one that is new is measured by
    ``retention_days``.

    Args:
        wanted: As configured.
        in_force: As they were until now; None where nothing says so: then the schedule's own periods held. `recorder
            init` puts those of its answers into force.
        is_confirmed: The DPO has confirmed what is shorter.

    Returns:
        The periods that hold, and which of those configured are shorter than what held before.
    """
    if in_force is None:
        in_force = {line.key: line.days for line in SCHEDULE.values()}
    default = in_force[SCHEDULE[DataClass.RECORDINGS].key]
    before = {key: in_force.get(key, default if _is_service(key) else days) for key, days in wanted.items()}
    shorter = [
        Shortening(key=key, days=days, in_force=before[key]) for key, days in wanted.items() if days < before[key]
    ]
    kept = {one.key: one.in_force for one in shorter} if not is_confirmed else {}
    return {**in_force, **wanted, **kept}, shorter


MOST_SHARE = 5.0
"""Percent of the recordings that may go in a day, where nothing says otherwise."""


def share_in_force(wanted: float, in_force: float | None, *, is_confirmed: bool) -> float:
    """Return how much of the recordings may go in a day, percent: a larger share holds when the DPO has confirmed it.

    Args:
        wanted: As configured.
        in_force: As it was until now; None where nothing says so.
        is_confirmed: The DPO has confirmed what is larger.
    """
    return wanted if is_confirmed else min(wanted, MOST_SHARE if in_force is None else in_force)


def larger_share(wanted: float, in_force: float | None) -> str:
    """Return a sentence on a share that is configured larger than the one in force; empty where it is not."""
    held = share_in_force(wanted, in_force, is_confirmed=False)
    return f"most_share_a_day is {wanted:g} %, {held:g} % are in force" if wanted > held else ""


def _is_service(key: str) -> bool:
    return key.startswith(_SERVICE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A call that may be due.

    Attributes:
        ended_at: When it ended, aware.
        service: Whose rules hold.
        is_recorded: Something of it was kept.
        is_held: A hold stands, or is in its days of grace.
        is_in_progress: It is being recorded, or waits to be recovered.
    """

    ended_at: datetime
    service: str
    is_recorded: bool
    is_held: bool = False
    is_in_progress: bool = False

    @property
    def data(self) -> DataClass:
        """Return which class it belongs to."""
        return DataClass.RECORDINGS if self.is_recorded else DataClass.UNRECORDED


class Verdict(enum.StrEnum):
    """What a sweep does with a call."""

    DELETE = "delete"
    NOT_DUE = "not_due"
    HELD = "held"
    IN_PROGRESS = "in_progress"


def due_at(candidate: Candidate, found: Periods) -> datetime:
    """Return when a call is due, holds apart."""
    return candidate.ended_at + timedelta(days=days_of(found, candidate.data, candidate.service))


def verdict(candidate: Candidate, found: Periods, now: datetime) -> Verdict:
    """Decide what becomes of a call: a hold beats everything."""
    if candidate.is_held:
        return Verdict.HELD
    if candidate.is_in_progress:
        return Verdict.IN_PROGRESS
    return Verdict.DELETE if due_at(candidate, found) <= now else Verdict.NOT_DUE


def earliest_start(found: Periods, now: datetime) -> datetime:
    """Return the moment after which no call that is due by ``now`` can have begun."""
    keys = {SCHEDULE[data].key for data in (DataClass.RECORDINGS, DataClass.UNRECORDED)}
    return now - timedelta(days=min(days for key, days in found.items() if key in keys or _is_service(key)))


CLOCK_BACK = timedelta(hours=1)
"""A clock may be so far behind what it has shown before: more than it is ever stepped."""
CLOCK_AHEAD = timedelta(days=7)
"""After a longer silence nobody can tell a long holiday from a clock that has jumped."""
LONG_SILENCE = timedelta(days=30)
"""After so long nothing at all goes without somebody's word, however little it is."""
SET_FORWARD = timedelta(days=1)
"""So far a clock may run ahead of the machine's own time since the first sweep after its start. That goes on while a
virtual machine does not, so a little is no sign of anything."""
MANY = 50
"""So many recordings may go in a day however small the vault is."""
NATURAL_DAYS = 3
"""So many days' recordings may go in a day: after a weekend without a sweep."""


class Stop(enum.StrEnum):
    """Why a sweep does not delete anything until somebody has looked."""

    CLOCK = "clock"
    SHARE = "share"
    RECONCILE = "reconcile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A sweep must not go on; the sentence says why and what to do."""

    why: Stop
    sentence: str


def clock_stop(now: datetime, seen: Iterable[datetime | None]) -> Stopped | None:
    """Return why a clock cannot be believed, or None.

    Args:
        now: What it says, aware.
        seen: Moments that lie in the past for certain: of the last sweep, the newest call, the newest audit entry.
    """
    newest = max((moment for moment in seen if moment is not None), default=None)
    if newest is None or now >= newest - CLOCK_BACK:
        return None
    return Stopped(
        why=Stop.CLOCK,
        sentence=f"the clock says {now:%Y-%m-%d %H:%M} UTC, but this recorder has seen {newest:%Y-%m-%d %H:%M} "
        "already: set the clock right; if it was wrong then, two people say so, one the data protection officer or the "
        "deputy and neither of ICT: `recorder retention confirm-clock --as NAME`",
    )


_LOOK = (
    "Look at the clock and at `recorder retention --dry-run`; once two people have said "
    "`recorder retention run --confirm-share --as NAME`, one of them the data protection officer or the deputy and "
    "neither of ICT, what is due is deleted"
)


def forward_stop(ahead: timedelta, *, due: int) -> Stopped | None:
    """Return why a clock that was set forward, in one step or in many, must not have anything deleted, or None.

    Args:
        ahead: How far it went ahead of the machine's own time.
        due: Recordings, and what else there is, that would go now.
    """
    if ahead <= SET_FORWARD or not due:
        return None
    return Stopped(
        why=Stop.SHARE,
        sentence=f"the clock was set forward by {ahead.total_seconds() / 3600:.0f} h while this machine ran, and {due} "
        f"records are due by it. {_LOOK}",
    )


def share_stop(
    *,
    due: int,
    others: int,
    gone_today: int,
    kept: int,
    most_share: float,
    shortest_days: int,
    silence: timedelta | None,
) -> Stopped | None:
    """Return why so much must not go without somebody's word, or None.

    Args:
        due: Recordings that would go now.
        others: What else would: rows, texts, decisions, tombstones.
        gone_today: Recordings that went in the 24 hours before.
        kept: Recordings in the vault now.
        most_share: Percent of the vault that may go in a day.
        shortest_days: The shortest period in force: its natural share of some days may go whatever ``most_share`` is.
        silence: Since the last sweep; None if there was none.
    """
    if silence is not None and silence > LONG_SILENCE and due + others:
        return Stopped(
            why=Stop.SHARE,
            sentence=f"nothing was swept for {silence.days} days, or the clock has jumped; {due} of {kept} recordings "
            f"and {others} other records are due. {_LOOK}",
        )
    before = kept + gone_today
    if not due or not before:
        return None
    share = 100.0 * (due + gone_today) / before
    most = max(most_share, 100.0 * NATURAL_DAYS / shortest_days)
    is_silent = silence is not None and silence > CLOCK_AHEAD
    if share <= most or (due + gone_today <= MANY and not is_silent):
        return None
    reason = f"nothing was swept for {silence.days} days, or the clock has jumped; " if silence and is_silent else ""
    return Stopped(
        why=Stop.SHARE,
        sentence=f"{reason}{due} of {kept} recordings are due at once, and {gone_today} went in the last 24 hours: "
        f"more than {most:.3g} % of them. {_LOOK}",
    )


def next_sweep(now: datetime, last: datetime | None, *, at: time, zone: ZoneInfo, jitter: timedelta) -> datetime:
    """Return when to sweep next: each day at a time of the site's own clock, and soon where a day was left out.

    Args:
        now: Aware.
        last: The last sweep that ended well.
        at: Time of day in ``zone``.
        zone: The site's.
        jitter: Added, so that not every recorder of a council does so at once.
    """
    if last is None or now - last > timedelta(hours=25) + jitter:
        return soon(now, jitter=jitter)
    earliest = max(now, last + timedelta(hours=12)) if last <= now else now
    today = datetime.combine(now.astimezone(zone).date(), at, tzinfo=zone)
    return next(m for days in range(-1, 4) if (m := today + timedelta(days=days) + jitter) > earliest)


def soon(now: datetime, *, jitter: timedelta) -> datetime:
    """Return when to sweep where one was left out or cut off: not in the very moment in which everything starts."""
    return now + AFTER_START + jitter / 4


AFTER_START = timedelta(minutes=5)
OVERDUE = timedelta(days=3)
"""After so long without a sweep that ended well somebody has to look."""
