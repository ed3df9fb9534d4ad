"""Reports from the index, limited to what the person who asks may see."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from recorder.permissions import Act, Person, Refusal, Role
from recorder.reports.pause_report import OfficerPauses, pauses_per_officer
from recorder.rules.authorisation import may
from storage.retention_types import ErasureKind
from storage.types import RecordingId, RecordingRow, Search

DEFAULT_DAYS = 28
_EVERY_TEAM = frozenset({Role.TEAM_LEADER, Role.DPO, Role.ICT})


class RowSource(Protocol):
    """Yields rows one at a time; `storage.index.Index` in production."""

    def each(self, search: Search, /) -> Iterator[RecordingRow]:
        """Yield every row that matches."""


class Orders(Protocol):
    """Counts orders to erase; `storage.erasures.Erasures` in production."""

    def count_by_recording(self, kind: ErasureKind, *, since: datetime) -> Mapping[RecordingId, int]:
        """Return the number of orders of a kind since a moment, by recording."""


class ReportRefusedError(Exception):
    """The person may not see the report; the message is a sentence for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportQuery:
    """Period, operator and team of a report. Times are aware, UTC; calls that began in [start, end) count."""

    start: datetime
    end: datetime
    operator: str | None = None
    team: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return JSON-able values."""
        return {"from": _iso(self.start), "to": _iso(self.end), "operator": self.operator, "team": self.team}


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseReport:
    """Pauses per officer, and the query."""

    asked: ReportQuery
    officers: list[OfficerPauses]

    def as_json(self) -> dict[str, Any]:
        """Return JSON-able values."""
        return {**self.asked.as_json(), "officers": [line.as_json() for line in self.officers]}


def period(start: datetime | None, end: datetime | None, *, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the period of a report, UTC; by default from midnight 28 days before its end, up to now."""
    until = end or now
    if start is None:
        first_day = until.astimezone(zone) - timedelta(days=DEFAULT_DAYS)
        start = first_day.replace(hour=0, minute=0, second=0, microsecond=0)
    return start.astimezone(UTC), until.astimezone(UTC)


def teams_seen_by(person: Person) -> frozenset[str] | None:
    """Return the teams whose officers a person sees in reports; None is all officers, with or without a team."""
    return None if person.roles & _EVERY_TEAM else frozenset(person.teams)


def teams_of(person: Person, team: str | None) -> frozenset[str] | None:
    """Return the teams that a report for this person covers.

    Raises:
        ReportRefusedError: They may not see reports, or not those of that team.
    """
    decision = may(person, Act.REPORT)
    if isinstance(decision, Refusal):
        raise ReportRefusedError(decision.reason)
    seen = teams_seen_by(person)
    if team is None:
        return seen
    if seen is not None and team not in seen:
        raise ReportRefusedError("You see only reports of your own teams.")
    return frozenset({team})


def pause_report(rows: RowSource, orders: Orders, asked: ReportQuery, *, teams: frozenset[str] | None) -> PauseReport:
    """Count the pauses of a period by officer.

    Args:
        rows: The index.
        orders: The orders to erase.
        asked: The query.
        teams: From `teams_of`.
    """
    search = Search(started_from=asked.start, started_to=asked.end, operator=asked.operator)
    forgot = orders.count_by_recording(ErasureKind.CARD_DATA, since=asked.start)
    return PauseReport(asked=asked, officers=pauses_per_officer(rows.each(search), forgot, teams=teams))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
