"""Recording assurance of one site: imports call records, judges days, stores and explains what is found."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from recorder.assurance.call_records import CallRecordsError
from recorder.assurance.day_report import DayReport, Finding, Site, finding_from_json, report_of
from recorder.assurance.expecting import Expected, LeftOut, Policy
from recorder.assurance.judging import Verdict
from recorder.assurance.matching import FURTHEST_CLOCK, MOST_HOURS, TOLERANCE, hours_off
from recorder.assurance.trend import BEFORE_DAYS, MOST_DAYS, DayCount, Trend, trend_of
from recorder.audit.audit_service import AuditService
from recorder.common.problems import ProblemError
from recorder.config.settings import Config
from recorder.permissions import Act, Actor, Person
from recorder.reports.reports import teams_seen_by
from recorder.rules.retention_periods import Periods, is_service
from recorder.rules.retention_schedule import SCHEDULE, DataClass
from recorder.rules.wording import capital
from storage.assurance import AssuranceStore
from storage.assurance_types import ExpectedCall, Explanation, StoredDay, StoredFinding
from storage.database import Database
from storage.errors import NotFoundError
from storage.index import Index
from storage.tombstones import Deletions
from storage.types import Search

JUDGED_DAYS = 14
"""Days that are judged again; older ones stay as they were judged."""
MISSING_DAYS = 4
"""Whole days without a call record after which they are missed: longer than a bank holiday weekend's closing."""
AGAIN = timedelta(hours=23)
"""A day is judged again after this long: recordings may be filed late, by a node that was away for days."""
_AROUND = FURTHEST_CLOCK + TOLERANCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Assurance:
    """Recording assurance of one site.

    Attributes:
        store: Call records, days and findings.
        index: The recordings.
        site: Extensions, services and time zone.
        periods: Retention periods, which limit how far back recordings can be expected.
        now: The clock, UTC.
    """

    store: AssuranceStore
    index: Index
    site: Site
    policy: Policy
    periods: Periods
    now: Callable[[], datetime]

    @property
    def today(self) -> date:
        """Today, in the site's zone."""
        return self.site.day_of(self.now())

    @property
    def first_day(self) -> date:
        """The first day that is still judged: its recordings are not deleted yet."""
        unrecorded = SCHEDULE[DataClass.UNRECORDED].key
        of_calls = [
            days for key, days in self.periods.items()
            if key in (SCHEDULE[DataClass.RECORDINGS].key, unrecorded) or is_service(key)
        ]  # fmt: skip
        return self.today - timedelta(days=min([JUDGED_DAYS, *(days - 1 for days in of_calls)]))

    @property
    def since(self) -> datetime:
        """Call records from before this moment are not compared any more."""
        return self.site.bounds(self.first_day)[0] - _AROUND

    def judge(self, day: date) -> DayReport:
        """Judge the calls of a day; stores nothing."""
        start, end = self.site.bounds(day)
        rows = list(self.index.each(Search(started_from=start - _AROUND, started_to=end + _AROUND)))
        known = {one.id: one.explanation for one in self.store.findings(day, day) if one.explanation is not None}
        deleted = Deletions(self.store.database).began_within(start - _AROUND, end)
        calls = self.store.calls(start - _AROUND, end + _AROUND)
        return report_of(day, calls, rows, self.site, explanations=known, deleted=deleted)

    def report(self, day: date) -> DayReport:
        """Return the report of a day: as it was stored, or judged now if it is due and not too old.

        A day that is not due is not judged for each page: that reads all its recordings.
        """
        if day > self.today:
            return _stored_report(day, None, ())
        stored = next(iter(self.store.days(day, day)), None)
        if day >= self.first_day and (stored is None or self._is_due(day, stored.judged_at)):
            return self.judge(day)
        findings = [finding_from_json(one.document, one.explanation) for one in self.store.findings(day, day)]
        return _stored_report(day, stored, findings)

    def keep(self, day: date, *, to: AssuranceStore | None = None) -> DayReport:
        """Judge a day and store it.

        Args:
            day: The day.
            to: Where to store it; None is the usual store. With a lease, that of its fenced database.
        """
        report = self.judge(day)
        findings = [StoredFinding(id=one.id, day=day, team=one.team, document=one.as_json()) for one in report.findings]
        stored = StoredDay(
            day=day, judged_at=self.now(), records=report.records, calls=report.calls, bad=report.bad,
            document=report.counted(),
        )  # fmt: skip
        (to or self.store).keep_day(stored, findings)
        return report

    def days_due(self) -> list[date]:
        """Return the whole days that have to be judged, oldest first."""
        last = self.today - timedelta(days=1)
        known = {one.day: one.judged_at for one in self.store.days(self.first_day, last)}
        days = [self.first_day + timedelta(days=one) for one in range((last - self.first_day).days + 1)]
        return [day for day in days if self._is_due(day, known.get(day))]

    def _is_due(self, day: date, judged_at: datetime | None) -> bool:
        if judged_at is None:
            return True
        start, end = self.site.bounds(day)
        if judged_at < self.now() - AGAIN:
            return True
        imported = self.store.last_import(start - _AROUND, end + _AROUND)
        return imported is not None and imported >= judged_at

    def trend(self, last: date | None = None) -> Trend:
        """Compare the share of bad calls of the last days, up to yesterday, with the weeks before."""
        last = last or self.today - timedelta(days=1)
        days = self.store.days(last - timedelta(days=BEFORE_DAYS + MOST_DAYS), last)
        return trend_of({one.day: DayCount(calls=one.calls, bad=one.bad) for one in days}, last)

    def has_stopped(self) -> bool:
        """Tell whether call records came in the last weeks, and none of the last `MISSING_DAYS` whole days did."""
        last = self.today - timedelta(days=1)
        days = self.store.days(last - timedelta(days=BEFORE_DAYS), last)
        recent = [one.records for one in days if (last - one.day).days < MISSING_DAYS]
        return len(recent) == MISSING_DAYS and not any(recent) and any(one.records for one in days)

    def last_counts(self) -> Mapping[str, float]:
        """Return the calls of the last day that was judged, by verdict; empty if none of the last weeks was."""
        days = self.store.days(self.today - timedelta(days=BEFORE_DAYS), self.today)
        return {key: float(count) for key, count in days[-1].document["counts"].items()} if days else {}

    def count_new(self, found: Expected) -> int:
        """Return how many calls of a file are not stored yet, and not too old."""
        return self.store.count_new(self._young(found))

    def add(self, found: Expected, *, to: AssuranceStore | None = None) -> "Imported":
        """Store calls of a file and judge their days; those that are too old to be judged are left out.

        Args:
            found: The calls; `check` them first.
            to: As for `keep`.
        """
        young = self._young(found)
        found.left_out[LeftOut.TOO_OLD] += len(found.calls) - len(young)
        changed = (to or self.store).add_calls(young, self.now())
        days = sorted({self.site.day_of(call.answered_at) for call in young} & {*self._whole_days()})
        reports = [self.keep(day, to=to) for day in days] if changed else []
        return Imported(
            rows=found.rows, calls=len(young), new=changed, days=reports,
            left_out={str(key): count for key, count in sorted(found.left_out.items()) if count},
        )  # fmt: skip

    def check(self, found: Expected) -> None:
        """Check the times of a file against the recordings, by its last day.

        Raises:
            CallRecordsError: They are those of another zone, or of the future: such calls would never be old enough to
                be deleted.
        """
        young = self._young(found)
        if not young:
            return
        last, around = young[-1].answered_at, timedelta(hours=MOST_HOURS) + _AROUND
        if last > self.now() + around:
            raise CallRecordsError("it has calls of the future; set the clock of the PBX right")
        calls = [call for call in young if call.answered_at > last - timedelta(days=1)]
        search = Search(started_from=calls[0].answered_at - around, started_to=last + around)
        if hours := hours_off(calls, self.index.each(search)):
            raise CallRecordsError(
                f"its times fit the recordings only if they are {abs(hours)} h "
                f"{'earlier' if hours > 0 else 'later'}; give the time zone of the PBX"
            )

    def _young(self, found: Expected) -> Sequence[ExpectedCall]:
        return [call for call in found.calls if call.answered_at >= self.since]

    def _whole_days(self) -> Sequence[date]:
        return [self.first_day + timedelta(days=one) for one in range((self.today - self.first_day).days)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did.

    Attributes:
        rows: Rows of the file.
        calls: Calls that should have been recorded.
        new: How many of them are new or changed.
        days: Reports of the whole days that were judged because of it.
        left_out: Rows by why they are none of those calls.
    """

    rows: int
    calls: int
    new: int
    days: Sequence[DayReport] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return JSON-able values."""
        return {
            "rows": self.rows, "calls": self.calls, "new": self.new, "left_out": dict(self.left_out),
            "judged": [report.as_json(with_findings=False) for report in self.days],
        }  # fmt: skip


def assurance_of(config: Config, database: Database, index: Index, now: Callable[[], datetime]) -> Assurance:
    """Return the assurance of a site."""
    services = {service.name: service for service in config.service}
    return Assurance(
        store=AssuranceStore(database), index=index, periods=config.periods, now=now,
        site=Site(nominated=config.nominated, services=services, zone=ZoneInfo(config.site.timezone)),
        policy=Policy(
            nominated=config.nominated, emergency=config.emergency,
            expects_internal=config.assurance.internal_calls,
        ),
    )  # fmt: skip


def explain(assurance: Assurance, audit_service: AuditService, actor: Actor, finding_id: str, reason: str) -> Finding:
    """Store why a finding is in order.

    Raises:
        ProblemError: 403, 404 or 422: refused, with a sentence; nothing was changed. 503: it cannot be logged.
    """
    person = audit_service.require(actor, Act.EXPLAIN, finding_id, reason=reason)
    try:
        stored = known_finding(assurance, person, finding_id)
    except ProblemError as error:
        raise audit_service.refusal(person.actor, Act.EXPLAIN, finding_id, error.detail, status=404) from error
    audit_service.authorise(person, Act.EXPLAIN, stored.id, reason=reason, team=stored.team, operator="")
    details = {"verdict": stored.document["verdict"], "recording": stored.document["recording"]}
    audit_service.note(Act.EXPLAIN, person.actor, stored.id, details, text=reason.strip())
    explanation = Explanation(by=person.actor, at=assurance.now(), text=reason.strip())
    assurance.store.explain(stored.id, explanation)
    return finding_from_json(stored.document, explanation)


def known_finding(assurance: Assurance, person: Person, finding_id: str) -> StoredFinding:
    """Return a finding that a person may see.

    Raises:
        ProblemError: 404: there is none, or it is of another team.
    """
    try:
        stored = assurance.store.finding(finding_id)
    except NotFoundError as error:
        raise ProblemError(404, f"{capital(str(error))}. `recorder assurance list` shows them.") from error
    teams = teams_seen_by(person)
    if teams is not None and stored.team not in teams:
        raise ProblemError(404, f"No finding {finding_id}. `recorder assurance list` shows them.")
    return stored


def _stored_report(day: date, stored: StoredDay | None, findings: Sequence[Finding]) -> DayReport:
    counts = {} if stored is None else stored.document["counts"]
    return DayReport(
        day=day, counts={one: int(counts.get(str(one), 0)) for one in Verdict}, findings=findings,
        records=0 if stored is None else stored.records,
        unmatched=0 if stored is None else int(stored.document["unmatched"]),
        clock_s={} if stored is None else stored.document["clock_s"],
    )  # fmt: skip
