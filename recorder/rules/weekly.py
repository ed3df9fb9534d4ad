"""The weekly figures for the data protection officer, who monitors the policy (P24): counts, no names. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from recorder.rules.times import day
from storage.types import Outcome, RecordingRow, SegmentKind

WEEKLY_AT = time(7)
"""Local time of the site."""
WEEK = timedelta(days=7)
REVIEWED_EVERY_YEARS = 3


class Weekday(StrEnum):
    """A day of the week."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTotals:
    """Counts of the calls of a period.

    Attributes:
        outcomes: Number of calls by outcome.
        opted_out: Calls whose recording stopped because the caller asked.
        silenced: Calls with a span silenced because digits were keyed.
        fax_suspected: Calls that were not recorded for a while because a fax was suspected.
    """

    outcomes: Mapping[str, int]
    paused: int = 0
    pauses: int = 0
    opted_out: int = 0
    silenced: int = 0
    fax_suspected: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """The figures of a week.

    Attributes:
        start: Its beginning, aware.
        end: Its end, exclusive.
        acts: Number of acts in the audit log, by a word of `ACTS`.
        deleted: Recordings and rows that the sweep deleted, and recordings erased by order.
        holds_due: Legal holds whose review is due now.
        emergencies: Break-glass hearings that nobody has acknowledged.
        cases_overdue: Open cases past their due day.
        review_on: Day of the policy's next review; None if the last one is not configured.
    """

    start: datetime
    end: datetime
    calls: CallTotals
    acts: Mapping[str, int] = field(default_factory=dict)
    deleted: int = 0
    holds_due: int = 0
    emergencies: int = 0
    cases_open: int = 0
    cases_overdue: int = 0
    review_on: date | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            "from": self.start.isoformat(), "to": self.end.isoformat(), "outcomes": dict(self.calls.outcomes),
            "calls_paused": self.calls.paused, "pauses": self.calls.pauses, "opt_outs": self.calls.opted_out,
            "calls_silenced": self.calls.silenced, "calls_fax_suspected": self.calls.fax_suspected,
            **{word: self.acts.get(word, 0) for word in ACTS}, "deleted": self.deleted, "holds_due": self.holds_due,
            "emergencies_open": self.emergencies, "cases_open": self.cases_open, "cases_overdue": self.cases_overdue,
            "policy_review_on": self.review_on.isoformat() if self.review_on else None,
        }  # fmt: skip

    def lines(self) -> list[tuple[str, str]]:
        """Return the figures for people: label and value."""
        review = day(self.review_on) if self.review_on else "not set: [site] policy_reviewed_on"
        return [
            *((_CALLS[one], str(self.calls.outcomes.get(one, 0))) for one in Outcome),
            ("Calls with a pause", str(self.calls.paused)),
            ("Pauses", str(self.calls.pauses)),
            ("Calls opted out", str(self.calls.opted_out)),
            ("Calls with digits silenced", str(self.calls.silenced)),
            ("Calls not recorded for a while: possible fax", str(self.calls.fax_suspected)),
            *((label, str(self.acts.get(word, 0))) for word, label in ACTS.items()),
            ("Records deleted", str(self.deleted)),
            ("Holds due for review", str(self.holds_due)),
            ("Listened to without approval, not acknowledged", str(self.emergencies)),
            ("Cases open", str(self.cases_open)),
            ("Cases overdue", str(self.cases_overdue)),
            ("Next review of the policy", review),
        ]


_CALLS: Mapping[Outcome, str] = {
    Outcome.RECORDED: "Calls recorded",
    Outcome.PARTIAL: "Calls partly recorded",
    Outcome.BLOCKED: "Calls not recorded",
    Outcome.NO_CONVERSATION: "Calls without a conversation",
    Outcome.FAILED: "Calls whose recording failed",
}
ACTS: Mapping[str, str] = {
    "asked": "Requests to hear recordings",
    "granted": "Requests granted",
    "declined": "Requests declined",
    "played": "Times somebody listened",
    "copied": "Copies made",
    "refused": "Access refused",
    "sign_ins_refused": "Sign-ins refused",
}
"""Acts of the audit log that are counted, and their labels."""


def counted(rows: Iterable[RecordingRow]) -> CallTotals:
    """Count the calls of a period."""
    outcomes: Counter[str] = Counter()
    paused = pauses = opted_out = silenced = fax_suspected = 0
    for row in rows:
        kinds = {segment.kind for segment in row.segments}
        silenced += SegmentKind.SILENCED in kinds
        fax_suspected += SegmentKind.FAX_SUSPECTED in kinds
        found = sum(segment.kind is SegmentKind.PAUSED for segment in row.segments)
        outcomes[str(row.outcome)] += 1
        paused, pauses, opted_out = paused + bool(found), pauses + found, opted_out + bool(row.opted_out)
    return CallTotals(
        outcomes=outcomes,
        paused=paused,
        pauses=pauses,
        opted_out=opted_out,
        silenced=silenced,
        fax_suspected=fax_suspected,
    )


def word_of(act: str) -> str | None:
    """Return the word of `ACTS` that counts an act of the audit log, or None."""
    if act == "access.refused" or act.endswith(".refused"):
        return "refused"
    return _WORDS.get(act)


_WORDS = {
    "request.ask": "asked", "request.granted": "granted", "request.declined": "declined", "recording.play": "played",
    "recording.export": "copied", "people.sign_in_refused": "sign_ins_refused",
}  # fmt: skip


def last_weekly(now: datetime, on: Weekday, zone: ZoneInfo) -> datetime:
    """Return the last moment at or before ``now`` when the figures were due; aware, in the site's zone."""
    local = now.astimezone(zone)
    back = (local.weekday() - list(Weekday).index(on)) % 7
    moment = datetime.combine(local.date() - timedelta(days=back), WEEKLY_AT, tzinfo=zone)
    return moment if moment <= local else datetime.combine(moment.date() - WEEK, WEEKLY_AT, tzinfo=zone)


def review_day(reviewed_on: date | None) -> date | None:
    """Return the day of the policy's next review: three years after the last (P24)."""
    if reviewed_on is None:
        return None
    try:
        return reviewed_on.replace(year=reviewed_on.year + REVIEWED_EVERY_YEARS)
    except ValueError:  # 29 February
        return date(reviewed_on.year + REVIEWED_EVERY_YEARS, 3, 1)
