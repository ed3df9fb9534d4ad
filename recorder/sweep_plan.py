"""What a sweep would do: calls and bytes by class and service. Pure."""

from dataclasses import dataclass, field
from typing import Any

from recorder.domain.retention import Candidate, DataClass, Shortening, Stopped
from storage.old_calls import OldCall


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
    """What a sweep would do with the calls of one class and service."""

    data: DataClass
    service: str
    days: int
    due: Tally = field(default_factory=Tally)
    held: Tally = field(default_factory=Tally)
    soon: Tally = field(default_factory=Tally)


@dataclass(slots=True, kw_only=True)
class Plan:
    """What a sweep would do now.

    Attributes:
        lines: By class and service; ``soon`` is what falls due within a week.
        others: How much of every other class is due.
        kept: Recordings in the vault.
        shorter: Periods that wait for the DPO.
        stopped: Why nothing would be deleted, or None.
    """

    lines: list[PlanLine]
    others: dict[DataClass, int]
    kept: int
    shorter: list[Shortening]
    stopped: Stopped | None

    @property
    def due_recordings(self) -> int:
        """Return how many recordings would go."""
        return sum(line.due.count for line in self.lines if line.data is DataClass.RECORDINGS)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return {
            "calls": [
                {
                    "class": str(line.data),
                    "service": line.service,
                    "days": line.days,
                    "due": line.due.as_json(),
                    "held": line.held.as_json(),
                    "next_week": line.soon.as_json(),
                }
                for line in self.lines
            ],
            "others": {str(data): count for data, count in self.others.items()},
            "recordings_kept": self.kept,
            "unconfirmed": [one.sentence for one in self.shorter],
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
