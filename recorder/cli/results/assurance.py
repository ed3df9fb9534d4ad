"""Results about recording assurance."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AssuranceDay:
    """Expected against recorded on one day."""

    day: str
    calls: int
    faulty: int
    unexplained: int
    records: int
    counts: dict[str, int]
    unmatched: int
    clock_s: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssuranceFinding:
    """A call that was not recorded as it should have been."""

    id: str
    verdict: str
    further: list[str]
    at: str
    direction: str
    extension: str
    operator: str
    team: str
    service: str
    recording: str | None
    pbx: str
    talk_s: float | None
    recorded_s: float
    reason: str
    explained_by: str | None
    explained_at: str | None
    explanation: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssuranceReport(AssuranceDay):
    """One day, with the calls that were not recorded as they should have been."""

    findings: list[AssuranceFinding]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedCalls:
    """What an import of call records did."""

    rows: int
    calls: int
    new: int
    left_out: dict[str, int]
    judged: list[AssuranceDay]
    dry_run: bool
