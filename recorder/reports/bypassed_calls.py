"""Calls that no recorder took, from the list that Kamailio writes (`deploy/kamailio/kamailio.cfg`). Pure.

A line has ten fields, separated by ``|``: method, tag of From, tag of To, Call-ID, code, reason, seconds since 1970,
direction (``in``, ``out``), extension, address of Kamailio. Numbers of parties outside are not in the list.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from recorder.rules.policy import Extension, extension_of

FIELDS = 10
SPAN_GAP = timedelta(minutes=10)
"""Calls that are further apart belong to two spans."""
_ENDS = {"200": False, "503": True}


class UnreadableLineError(Exception):
    """A line is not of this list; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BypassedCall:
    """One call that no recorder took.

    Attributes:
        at: When it went round, UTC.
        direction: ``in``: the trunk called the extension; ``out``: the extension called out.
        extension: As Kamailio wrote it, or ``-``.
        call_id: Call-ID, by which logs of PBX and trunk know the call.
        is_refused: Whether it was refused instead of going on unrecorded.
    """

    at: datetime
    direction: str
    extension: str
    call_id: str
    is_refused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BypassedSpan:
    """A time in which calls went round: its first and last one, and how many there were."""

    start: datetime
    end: datetime
    not_recorded: int
    refused: int

    def as_json(self) -> dict[str, Any]:
        """Return JSON-able values."""
        return {
            "from": _iso(self.start), "to": _iso(self.end), "not_recorded": self.not_recorded, "refused": self.refused,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class BypassReport:
    """Calls of nominated extensions that no recorder took.

    Attributes:
        calls: Each once, oldest first, with its extension.
        not_nominated: How many others there were: they would not have been recorded anyway.
    """

    calls: list[tuple[BypassedCall, Extension]]
    not_nominated: int

    @property
    def refused(self) -> int:
        """Return how many of the calls were refused."""
        return sum(call.is_refused for call, _ in self.calls)

    @property
    def spans(self) -> list[BypassedSpan]:
        """Return the calls by the times in which they went round, oldest first."""
        starts = [0, *(i for i, (a, b) in enumerate(pairwise(self.calls), 1) if b[0].at - a[0].at > SPAN_GAP)]
        parts = [self.calls[i:j] for i, j in pairwise([*starts, len(self.calls)])]
        return [_span([call for call, _ in part]) for part in parts if part]

    def as_json(self) -> dict[str, Any]:
        """Return JSON-able values."""
        return {
            "not_recorded": len(self.calls) - self.refused,
            "refused": self.refused,
            "not_nominated": self.not_nominated,
            "spans": [span.as_json() for span in self.spans],
            "calls": [
                {
                    "at": _iso(call.at), "direction": call.direction, "extension": extension.number,
                    "service": extension.service, "team": extension.team, "refused": call.is_refused,
                    "sip_call_id": call.call_id,
                }
                for call, extension in self.calls
            ],
        }  # fmt: skip


def read_line(line: str) -> BypassedCall:
    """Return the call of a line.

    Raises:
        UnreadableLineError: It is torn, or of another file.
    """
    fields = line.rstrip("\n").split("|")
    if len(fields) != FIELDS:
        raise UnreadableLineError(f"it has {len(fields)} fields, not {FIELDS}")
    _, _, _, call_id, code, _, seconds, direction, extension, _ = fields
    if code not in _ENDS or direction not in ("in", "out") or not (seconds.isascii() and seconds.isdigit()):
        raise UnreadableLineError("code, time or direction is not what Kamailio writes")
    try:
        at = datetime.fromtimestamp(int(seconds), UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise UnreadableLineError("its time is out of range") from error
    return BypassedCall(at=at, direction=direction, extension=extension, call_id=call_id, is_refused=_ENDS[code])


def bypass_report(
    calls: Iterable[BypassedCall],
    nominated: Mapping[str, Extension],
    *,
    start: datetime,
    end: datetime,
    teams: frozenset[str] | None,
) -> BypassReport:
    """Return the calls of a period.

    Args:
        calls: In any order; one that was tried again with the same Call-ID counts once.
        nominated: The nominated extensions, by number.
        start: The first moment, aware.
        end: The moment after the last, aware.
        teams: Whose extensions to count; None is all.
    """
    found: dict[str, tuple[BypassedCall, Extension]] = {}
    others: set[str] = set()
    for call in sorted(calls, key=lambda call: call.at):
        extension = extension_of(nominated, call.extension)
        if not start <= call.at < end:
            continue
        if extension is None:
            others.add(call.call_id)
        elif teams is None or extension.team in teams:
            found.setdefault(call.call_id, (call, extension))
    return BypassReport(calls=list(found.values()), not_nominated=len(others))


def _span(calls: list[BypassedCall]) -> BypassedSpan:
    refused = sum(call.is_refused for call in calls)
    return BypassedSpan(start=calls[0].at, end=calls[-1].at, not_recorded=len(calls) - refused, refused=refused)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
