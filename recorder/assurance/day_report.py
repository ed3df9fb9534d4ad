"""The report of one day: every call that should have been recorded, judged. Pure."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from recorder.assurance.judging import BAD, Judgement, Verdict, judge
from recorder.assurance.matching import TOLERANCE, Matches, match
from recorder.rules.policy import Extension, NoticeWhen, Service, extension_of
from storage.assurance_types import ExpectedCall, Explanation
from storage.rows import time_from_json, time_to_json
from storage.types import SELFTEST_MARK, Outcome, RecordingId, RecordingRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One call that was not recorded as it should have been.

    Attributes:
        id: 16 hex; the same each time that the day is judged.
        verdict: What is wrong.
        also: What is wrong besides.
        at: When the call was answered, UTC; by the PBX's corrected clock if there is no recording.
        direction: Direction of the call.
        extension: Whose line it was.
        operator: The officer who had it.
        team, service: Of the call.
        recording: Its recording, or None.
        pbx: System whose call record it is; empty if only the recorder saw the call.
        talk_s: Talk time by the call record; None without one.
        recorded_s: Length of the recording.
        reason: The recorder's reason of the outcome; empty without a recording.
        explanation: Why it is in order; None while nobody has said so.
    """

    id: str
    verdict: Verdict
    at: datetime
    direction: str
    extension: str
    operator: str
    team: str
    service: str
    also: tuple[Verdict, ...] = ()
    recording: RecordingId | None = None
    pbx: str = ""
    talk_s: float | None = None
    recorded_s: float = 0.0
    reason: str = ""
    explanation: Explanation | None = None

    def as_json(self) -> dict[str, Any]:
        """Return JSON-able values."""
        explained = self.explanation
        return {
            "id": self.id, "verdict": str(self.verdict), "further": [str(one) for one in self.also],
            "at": time_to_json(self.at), "direction": self.direction, "extension": self.extension,
            "operator": self.operator, "team": self.team, "service": self.service, "recording": self.recording,
            "pbx": self.pbx, "talk_s": self.talk_s, "recorded_s": self.recorded_s, "reason": self.reason,
            "explained_by": None if explained is None else explained.by,
            "explained_at": None if explained is None else time_to_json(explained.at),
            "explanation": None if explained is None else explained.text,
        }  # fmt: skip


def finding_from_json(fields: Mapping[str, Any], explanation: Explanation | None) -> Finding:
    """Return the finding of `Finding.as_json`, with the explanation that is stored beside it."""
    at = time_from_json(fields["at"])
    assert at is not None
    return Finding(
        id=fields["id"], verdict=Verdict(fields["verdict"]), also=tuple(map(Verdict, fields["further"])), at=at,
        direction=fields["direction"], extension=fields["extension"], operator=fields["operator"],
        team=fields["team"], service=fields["service"], recording=fields["recording"], pbx=fields["pbx"],
        talk_s=fields["talk_s"], recorded_s=fields["recorded_s"], reason=fields["reason"], explanation=explanation,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DayReport:
    """Expected against recorded on one day.

    Attributes:
        day: The day, of the site's zone.
        counts: Number of calls by verdict, every verdict.
        findings: The calls with a bad verdict, oldest first.
        records: Call records of the day; 0 means that only what the recorder saw was judged.
        unmatched: Recordings that no call record explains, on a day that has call records.
        clock_s: How far each PBX's clock is ahead, seconds.
    """

    day: date
    counts: Mapping[Verdict, int]
    findings: Sequence[Finding]
    records: int = 0
    unmatched: int = 0
    clock_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """All calls that were judged."""
        return sum(self.counts.values())

    @property
    def bad(self) -> int:
        """How many of them have a bad verdict."""
        return sum(self.counts[one] for one in BAD)

    def seen_by(self, teams: frozenset[str] | None) -> "DayReport":
        """Return the report with the findings of some teams only; None is all. The counts are of the whole site."""
        return self if teams is None else replace(self, findings=[one for one in self.findings if one.team in teams])

    def counted(self) -> dict[str, Any]:
        """Return the counts as JSON-able values."""
        return {
            "counts": {str(one): count for one, count in self.counts.items()}, "unmatched": self.unmatched,
            "clock_s": dict(self.clock_s),
        }  # fmt: skip

    def as_json(self, *, with_findings: bool = True) -> dict[str, Any]:
        """Return JSON-able values."""
        fields = {
            "day": self.day.isoformat(), "calls": self.calls, "faulty": self.bad, "unexplained": self.unexplained,
            "records": self.records, **self.counted(),
        }  # fmt: skip
        return {**fields, "findings": [one.as_json() for one in self.findings]} if with_findings else fields

    @property
    def unexplained(self) -> int:
        """How many of those nobody has explained."""
        return sum(one.explanation is None for one in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a report needs of the configuration.

    Attributes:
        nominated: The nominated extensions, by number.
        services: The services, by name.
        zone: Time zone of the site.
    """

    nominated: Mapping[str, Extension]
    services: Mapping[str, Service]
    zone: ZoneInfo

    def day_of(self, moment: datetime) -> date:
        """Return the day of a moment."""
        return moment.astimezone(self.zone).date()

    def bounds(self, day: date) -> tuple[datetime, datetime]:
        """Return the first moment of a day and that after its last."""
        after = day + timedelta(days=1)
        return datetime.combine(day, time(0), self.zone), datetime.combine(after, time(0), self.zone)


def report_of(
    day: date,
    calls: Sequence[ExpectedCall],
    rows: Iterable[RecordingRow],
    site: Site,
    *,
    explanations: Mapping[str, Explanation] | None = None,
    deleted: Iterable[RecordingId] = (),
) -> DayReport:
    """Judge the calls of a day.

    Args:
        day: The day.
        calls: Call records of the day and of some minutes around it.
        rows: Recordings of the day and of some minutes around it.
        site: From the configuration.
        explanations: By id of the finding.
        deleted: Recordings of these days that were deleted since: their calls were recorded.
    """
    matches = match(calls, rows)
    gone = sorted(one for one in deleted if SELFTEST_MARK not in one)
    judged = [*_of_records(day, calls, matches, site, gone), *_of_recorder(day, matches.unmatched, site)]
    records = sum(not call.is_bypassed and _day(call, matches, site) == day for call in calls)
    counts = Counter(verdict for verdict, _ in judged)
    findings = [_explained(one, explanations or {}) for _, one in judged if one is not None]
    beside = [row for row in matches.unmatched if site.day_of(row.started_at) == day and _is_call(row)]
    return DayReport(
        day=day, counts={one: counts[one] for one in Verdict}, records=records, clock_s=matches.clock_s,
        findings=sorted(findings, key=lambda one: (one.at, one.id)),
        unmatched=len(beside) if records else 0,
    )  # fmt: skip


_Judged = tuple[Verdict, Finding | None]
LONGEST_WAIT = timedelta(minutes=3)
"""How long a call may ring and hear the notice before it is answered, as far as deleted recordings go."""


def _of_records(
    day: date, calls: Sequence[ExpectedCall], matches: Matches, site: Site, deleted: list[RecordingId]
) -> Iterable[_Judged]:
    went_round = [call for call in calls if call.is_bypassed]
    for call in calls:
        rows = matches.recordings[call.id]
        at = rows[0].started_at if rows else _corrected(call, matches)
        if call.is_bypassed or site.day_of(at) != day:
            continue
        judgement = judge(call, rows, notice_s=_notice_s(rows, site))
        if not rows and (gone := next((one for one in deleted if _is_of(one, call, at)), None)) is not None:
            deleted.remove(gone)
            yield Verdict.NOT_DUE, None
            continue
        if not rows and (round_it := _same_call(call, at, went_round)) is not None:
            went_round.remove(round_it)
            judgement = replace(judgement, verdict=Verdict.BYPASSED)
        yield judgement.verdict, _finding(judgement, call, rows, at, site)
    for call in went_round:
        if site.day_of(call.answered_at) == day:
            judgement = judge(call, ())
            yield judgement.verdict, _finding(judgement, call, (), call.answered_at, site)


def _of_recorder(day: date, rows: Iterable[RecordingRow], site: Site) -> Iterable[_Judged]:
    for row in rows:
        if site.day_of(row.started_at) == day and _is_call(row):
            judgement = judge(None, [row])
            yield judgement.verdict, _finding(judgement, None, [row], row.started_at, site)


def _is_call(row: RecordingRow) -> bool:
    return row.outcome is not Outcome.NO_CONVERSATION


def _same_call(call: ExpectedCall, at: datetime, others: Sequence[ExpectedCall]) -> ExpectedCall | None:
    near = [
        one for one in others if set(one.extensions) & set(call.extensions) and abs(one.answered_at - at) <= TOLERANCE
    ]
    return min(near, key=lambda one: abs(one.answered_at - at), default=None)


def _is_of(deleted: RecordingId, call: ExpectedCall, at: datetime) -> bool:
    """Tell whether a deleted recording may be that of a call: by its id, all that is left of it."""
    began, extension, _ = deleted.split("-")
    started_at = datetime.strptime(began, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    waited = at - started_at  # an id has the time before ringing and notice
    known = {"".join(filter(str.isalnum, one)) for one in call.extensions}
    return extension in known and -TOLERANCE <= waited <= LONGEST_WAIT


def _corrected(call: ExpectedCall, matches: Matches) -> datetime:
    return call.answered_at - timedelta(seconds=matches.clock_s.get(call.pbx, 0.0))


def _day(call: ExpectedCall, matches: Matches, site: Site) -> date:
    rows = matches.recordings[call.id]
    return site.day_of(rows[0].started_at if rows else _corrected(call, matches))


def _notice_s(rows: Sequence[RecordingRow], site: Site) -> float:
    """Return how much of the talk time is the notice, which plays after the answer in some services."""
    if not rows or (notice := rows[0].notice) is None or notice.started_at is None or notice.ended_at is None:
        return 0.0
    service = site.services.get(rows[0].service)
    is_after = service is not None and service.notice_when is NoticeWhen.AFTER_ANSWER
    return (notice.ended_at - notice.started_at).total_seconds() if is_after else 0.0


def _finding(
    judgement: Judgement, call: ExpectedCall | None, rows: Sequence[RecordingRow], at: datetime, site: Site
) -> Finding | None:
    if not judgement.verdict.is_bad:
        return None
    row = rows[0] if rows else None
    number = row.extension if row is not None else call.extension if call is not None else ""
    extension = extension_of(site.nominated, number)
    operator = row.operator if row is not None else extension.operator if extension is not None else ""
    key = row.id if row is not None else call.id if call is not None else ""
    return Finding(
        id=hashlib.sha256(key.encode()).hexdigest()[:16], verdict=judgement.verdict, also=judgement.also, at=at,
        direction=row.direction if row is not None else str(call.direction) if call is not None else "",
        extension=number, operator=operator,
        team=row.team if row is not None else call.team if call is not None else "",
        service=row.service if row is not None else call.service if call is not None else "",
        recording=None if row is None else row.id, pbx="" if call is None else call.pbx, talk_s=judgement.talk_s,
        recorded_s=judgement.recorded_s, reason=judgement.reason,
    )  # fmt: skip


def _explained(finding: Finding, explanations: Mapping[str, Explanation]) -> Finding:
    return replace(finding, explanation=explanations.get(finding.id))
