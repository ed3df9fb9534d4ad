"""What a sweep would do: calls and bytes by class, service and month, and what holds keep back. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recorder.retention.due_calls import Candidate
from recorder.retention.sweep_stops import StoppedSweep
from recorder.rules.retention_periods import Shortening
from recorder.rules.retention_schedule import DataClass
from storage.old_calls import OldCall
from storage.types import RecordingId


@dataclass(slots=True, kw_only=True)
class Tally:
    """Calls and their bytes."""

    count: int = 0
    bytes: int = 0

    def add(self, call: OldCall) -> None:
        """Count one more."""
        self.count += 1
        self.bytes += call.bytes or 0

    def as_json(self) -> dict[str, int]:
        """Return it as JSON-able values."""
        return {"count": self.count, "bytes": self.bytes}


@dataclass(slots=True, kw_only=True)
class PlanLine:
    """What a sweep would do with the calls of one class and service.

    Attributes:
        data: The class.
        service: The service.
        days: The period in force.
        due: What would be deleted.
        months: The same by the month in which the calls ended, ``2026-08``, UTC.
        held: What is due and held.
        kinds: How many of those a hold of each kind keeps; one recording may count for several.
        soon: What falls due within a week.
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
        """Count a call that is due, with the kinds of the holds that keep it."""
        if kinds:
            self.held.add(call)
            self.kinds.update(kinds)
            return
        self.due.add(call)
        self.months.setdefault(f"{call.ended_at:%Y-%m}", Tally()).add(call)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
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
        lines: By class and service; ``soon`` is what falls due within a week.
        others: How much of every other class is due.
        kept: Recordings in the vault.
        claims: Recordings that go because a data subject's erasure or objection was upheld, whatever their age.
        claims_held: Those that would go because of one but for a hold, and the kinds of their holds.
        damaged: Calls of which the row cannot be read: they stay, whatever their age.
        shorter: Periods that wait for the DPO.
        most_share: Percent of the recordings that may go in a day.
        larger: The sentence on a larger share that waits for the DPO; empty where none does.
        is_shorter_confirmed: It is reckoned as if they did not.
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
        """Return how many recordings would go."""
        return sum(line.due.count for line in self.lines if line.data is DataClass.RECORDINGS)

    @property
    def due_others(self) -> int:
        """Return how much else would go."""
        rows = sum(line.due.count for line in self.lines if line.data is not DataClass.RECORDINGS)
        return rows + sum(self.others.values())

    @property
    def claims_kinds(self) -> Counter[str]:
        """Return how many recordings of upheld claims a hold of each kind keeps."""
        return Counter(kind for kinds in self.claims_held.values() for kind in kinds)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
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
    """Return what the rules look at, of a call."""
    return Candidate(
        ended_at=call.ended_at,
        service=call.service,
        is_recorded=call.is_recorded,
        is_held=is_held,
        is_in_progress=is_open,
    )


_NAMED = 3


def damage_sentence(damaged: Sequence[RecordingId]) -> str:
    """Return what to do about calls of which the row cannot be read; empty if there are none."""
    if not damaged:
        return ""
    more = f" and {len(damaged) - _NAMED} more" if len(damaged) > _NAMED else ""
    which = ", ".join(damaged[:_NAMED]) + more
    return f"the index cannot be read of {which}, so nothing of it is deleted whatever its age: run `recorder fsck`"
