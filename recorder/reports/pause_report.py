"""Pauses per officer: how much of their calls was not recorded, and which calls somebody should check. Pure.

Callers' numbers are not read into the report.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from recorder.rules.pausing import AGENT, CARD_DIGITS, payment_app
from recorder.rules.segments import seconds_of
from storage.types import Outcome, RecordingId, RecordingRow, Segment, SegmentKind

_APP = payment_app("")


@dataclass(slots=True)
class OfficerPauses:
    """Pauses in one officer's calls of a period.

    Attributes:
        operator: The officer's name, as recordings have it.
        teams: Teams of the extensions of the calls.
        calls: Calls with a conversation, discarded ones included.
        call_s: Total length, seconds.
        paused_s: Total paused time, seconds.
        pauses: Number of pauses; a SIP hold does not count.
        repeats: Calls with more than one pause.
        without_payment: Pauses by the officer without a pause by a payment application or by card digits.
        never_resumed: Calls that ended while paused.
        discarded: Calls whose recording was discarded because of a card payment.
        forgot: Orders to erase card data that should have been paused.
        opt_outs: Calls with an opt-out.
        longest_pause_s: Length of the longest pause, seconds.
        silenced_s: Total time silenced because digits were keyed, seconds.
        fax_suspected: Calls with time not recorded because a fax was suspected.
        fax_suspected_s: Total of that time, seconds.
        erased: Calls from which something was erased.
        erased_s: Total time erased, seconds.
    """

    operator: str
    teams: set[str] = field(default_factory=set)
    calls: int = 0
    call_s: float = 0.0
    paused_s: float = 0.0
    pauses: int = 0
    repeats: int = 0
    without_payment: int = 0
    never_resumed: int = 0
    discarded: int = 0
    forgot: int = 0
    opt_outs: int = 0
    longest_pause_s: float = 0.0
    silenced_s: float = 0.0
    fax_suspected: int = 0
    fax_suspected_s: float = 0.0
    erased: int = 0
    erased_s: float = 0.0

    @property
    def paused_share(self) -> float:
        """The share of call time that was paused, in [0, 1]."""
        return self.paused_s / self.call_s if self.call_s else 0.0

    def add(self, row: RecordingRow, *, forgot: int) -> None:
        """Count one call and its orders to erase card data."""
        pauses = [segment for segment in row.segments if segment.kind is SegmentKind.PAUSED]
        lengths = [segment.end_s - segment.start_s for segment in pauses]
        if row.team:
            self.teams.add(row.team)
        self.calls += 1
        self.call_s += row.duration_s
        self.paused_s += sum(lengths)
        self.pauses += len(pauses)
        self.repeats += len(pauses) > 1
        self.without_payment += sum(_is_without_payment(pause) for pause in pauses)
        self.never_resumed += bool(row.segments) and row.segments[-1].kind is SegmentKind.PAUSED
        self.discarded += _is_discarded(row)
        self.forgot += forgot
        self.opt_outs += row.opted_out
        self.longest_pause_s = max(self.longest_pause_s, *lengths, 0.0)
        self.silenced_s += seconds_of(row.segments, SegmentKind.SILENCED)
        suspected_s = seconds_of(row.segments, SegmentKind.FAX_SUSPECTED)
        self.fax_suspected += suspected_s > 0
        self.fax_suspected_s += suspected_s
        erased_s = seconds_of(row.segments, SegmentKind.ERASED)
        self.erased += erased_s > 0
        self.erased_s += erased_s

    def as_json(self) -> dict[str, Any]:
        """Return JSON-able values; lengths in seconds."""
        return {
            "operator": self.operator,
            "teams": sorted(self.teams),
            "calls": self.calls,
            "call_s": round(self.call_s, 1),
            "paused_s": round(self.paused_s, 1),
            "paused_share": round(self.paused_share, 4),
            "pauses": self.pauses,
            "repeats": self.repeats,
            "without_payment": self.without_payment,
            "never_resumed": self.never_resumed,
            "discarded": self.discarded,
            "forgot": self.forgot,
            "opt_outs": self.opt_outs,
            "longest_pause_s": round(self.longest_pause_s, 1),
            "silenced_s": round(self.silenced_s, 1),
            "fax_suspected": self.fax_suspected,
            "fax_suspected_s": round(self.fax_suspected_s, 1),
            "erased": self.erased,
            "erased_s": round(self.erased_s, 1),
        }


def pauses_per_officer(
    rows: Iterable[RecordingRow], forgot: Mapping[RecordingId, int], *, teams: frozenset[str] | None = None
) -> list[OfficerPauses]:
    """Count pauses by officer.

    Args:
        rows: Recordings, each once, in any order; read one at a time.
        forgot: Number of orders to erase card data, by recording.
        teams: Teams of calls to count; None is all.

    Returns:
        A line per officer who had a call, by name.
    """
    lines: dict[str, OfficerPauses] = {}
    for row in rows:
        if not _is_conversation(row) or (teams is not None and row.team not in teams):
            continue
        line = lines.setdefault(row.operator, OfficerPauses(operator=row.operator))
        line.add(row, forgot=forgot.get(row.id, 0))
    return sorted(lines.values(), key=lambda line: line.operator.casefold())


def _is_conversation(row: RecordingRow) -> bool:
    return row.duration_s > 0 or _is_discarded(row)


def _is_discarded(row: RecordingRow) -> bool:
    return row.outcome is Outcome.BLOCKED and row.reason == "discarded"


def _is_without_payment(pause: Segment) -> bool:
    reasons = pause.reason.split(",")
    return AGENT in reasons and not any(reason == CARD_DIGITS or reason.startswith(_APP) for reason in reasons)
