"""The plan of a sweep: calls and bytes by class, service and month, and those that holds keep. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recorder.retention.sweep_safeguards import StoppedSweep
from recorder.rules.deletion import Candidate
from recorder.rules.retention_periods import Shortening
from recorder.rules.retention_schedule import DataClass
from storage.old_calls import OldCall
from storage.types import RecordingId


@dataclass(slots=True, kw_only=True)
class Tally:
    """Number of calls and their bytes."""

    count: int = 0
    bytes: int = 0

    def add(self, call: OldCall) -> None:
        """Count one more call."""
        self.count += 1
        self.bytes += call.bytes or 0

    def as_json(self) -> dict[str, int]:
        """Return the counts as JSON values."""
        return {"count": self.count, "bytes": self.bytes}


@dataclass(slots=True, kw_only=True)
class PlanLine:
    """The plan for the calls of one class and service.

    Attributes:
        due: Calls to be deleted.
        months: The same by the month in which the calls ended, ``2026-08``, UTC.
        held: Calls that are due but held.
        kinds: Number of those that a hold of each kind keeps; one recording may count for several.
        soon: Calls that are due within a week.
    """

    data: DataClass
    service: str
    days: int
    due: Tally = field(default_factory=Tally)
    months: dict[str, Tally] = field(default_factory=dict)
    held: Tally = field(default_factory=Tally)
    kinds: Counter[str] = field(default_factory=Counter)
    soon: Tally = field(default_factory=Tally)

    def add_due(self, call: OldCall, kinds: Sequence[str]) -> None:
        """Count a due call, with the kinds of the holds that keep it."""
        if kinds:
            self.held.add(call)
            self.kinds.update(kinds)
            return
        self.due.add(call)
        self.months.setdefault(f"{call.ended_at:%Y-%m}", Tally()).add(call)

    def as_json(self) -> dict[str, Any]:
        """Return the line as JSON values."""
        return {
            "class": str(self.data),
            "service": self.service,
            "days": self.days,
            "due": self.due.as_json(),
            "months": {month: tally.as_json() for month, tally in sorted(self.months.items())},
            "held": self.held.as_json() | {"kinds": dict(sorted(self.kinds.items()))},
            "next_week": self.soon.as_json(),
        }


@dataclass(slots=True, kw_only=True)
class Plan:
    """What a sweep would do now.

    Attributes:
        lines: By class and service.
        others: Number of due items by other class.
        kept: Recordings in the vault.
        claims: Recordings to be destroyed because of a rights request, whatever their age.
        claims_held: Recordings that would be, but for a hold, with the kinds of their holds.
        damaged: Calls with an unreadable row: they are kept, whatever their age.
        shorter: Shorter periods that wait for the DPO.
        most_share: Percentage of the recordings that may be deleted in a day.
        larger: Sentence on a larger share that waits for the DPO, or "".
        is_shorter_confirmed: The plan assumes that the DPO confirmed the shorter periods.
        stopped: Why nothing would be deleted, or None.
    """

    lines: list[PlanLine]
    others: dict[DataClass, int]
    kept: int
    shorter: list[Shortening]
    most_share: float
    larger: str = ""
    claims: int = 0
    claims_held: Mapping[RecordingId, tuple[str, ...]] = field(default_factory=dict)
    damaged: list[RecordingId] = field(default_factory=list)
    is_shorter_confirmed: bool = False
    stopped: StoppedSweep | None = None

    @property
    def due_recordings(self) -> int:
        """Return how many recordings would be deleted."""
        return sum(line.due.count for line in self.lines if line.data is DataClass.RECORDINGS)

    @property
    def due_others(self) -> int:
        """Return how many other items would be deleted."""
        rows = sum(line.due.count for line in self.lines if line.data is not DataClass.RECORDINGS)
        return rows + sum(self.others.values())

    @property
    def claims_kinds(self) -> Counter[str]:
        """Return how many recordings of upheld rights requests a hold of each kind keeps."""
        return Counter(kind for kinds in self.claims_held.values() for kind in kinds)

    def as_json(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {
            "calls": [line.as_json() for line in self.lines],
            "others": {str(data): count for data, count in self.others.items()},
            "claims_to_carry_out": self.claims,
            "claims_held": {"count": len(self.claims_held), "kinds": dict(sorted(self.claims_kinds.items()))},
            "recordings_kept": self.kept,
            "damaged_rows": list(self.damaged),
            "unconfirmed": list(filter(None, (*(one.sentence for one in self.shorter), self.larger))),
            "stopped": None if self.stopped is None else self.stopped.sentence,
        }


def candidate_of(call: OldCall, *, is_held: bool = False, is_open: bool = False) -> Candidate:
    """Return the facts of a call that decide whether it is due."""
    return Candidate(
        ended_at=call.ended_at,
        service=call.service,
        is_recorded=call.is_recorded,
        is_held=is_held,
        is_in_progress=is_open,
    )


_NAMED = 3


def damage_sentence(damaged: Sequence[RecordingId]) -> str:
    """Return a sentence on calls with unreadable rows, or ""."""
    if not damaged:
        return ""
    more = f" and {len(damaged) - _NAMED} more" if len(damaged) > _NAMED else ""
    which = ", ".join(damaged[:_NAMED]) + more
    why = f"the index rows of {which} cannot be read, so these calls are kept whatever their age"
    return f"{why}: run `recorder index check`"
