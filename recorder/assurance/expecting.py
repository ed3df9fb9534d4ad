"""Which calls of a file of call records the policy has recorded (P1). Pure.

Rows of one call are put together: a queue that rings several phones, a transfer and a B leg each write rows of their
own. The rules of nomination are those of the daemon, `recorder.rules.policy`.
"""

import enum
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from recorder.assurance.call_records import CallLeg, CallRecordsError, end_of
from recorder.rules.policy import AnsweredBy, Extension, extension_of
from recorder.rules.routing import EmergencyNumbers
from recorder.rules.written_numbers import without_separators
from storage.assurance_types import CallDirection, ExpectedCall

JOINED = timedelta(minutes=10)
"""Rows with one id belong to one call if no more than this is between them: it may be parked or queued meanwhile."""
REUSED = timedelta(days=1)
"""After this long a PBX may have given an id again, as one does that was restarted."""
Spans = Sequence[tuple[datetime, datetime]]


class LeftOut(enum.StrEnum):
    """Why a row is of no call that should have been recorded."""

    NOT_ANSWERED = "not_answered"
    NOT_NOMINATED = "not_nominated"
    INTERNAL = "internal"
    EMERGENCY = "emergency"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    REPEATED = "repeated"
    TOO_OLD = "too_old"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Which calls are recorded.

    Attributes:
        nominated: The nominated extensions, by number.
        emergency: Numbers whose calls are never recorded.
        expects_internal: Whether calls between two people inside pass the recorder.
    """

    nominated: Mapping[str, Extension]
    emergency: EmergencyNumbers = field(default_factory=EmergencyNumbers)
    expects_internal: bool = False

    @property
    def extension_digits(self) -> int:
        """Most digits of a number inside: as many as the longest nominated extension has."""
        lengths = [len(without_separators(number)) for number in self.nominated]
        return max((length for length in lengths if length <= _MOST_INSIDE), default=0)

    def is_inside(self, number: str) -> bool:
        """Tell whether a number is one inside, by its length."""
        plain = without_separators(number)
        return plain.isascii() and plain.isdigit() and len(plain) <= self.extension_digits


_MOST_INSIDE = 6


@dataclass(slots=True)
class Expected:
    """The calls of a file that were to be recorded, and how many rows were none.

    Attributes:
        calls: In order of time.
        rows: Rows that were read.
        left_out: Rows by why they were left out.
    """

    calls: list[ExpectedCall]
    rows: int
    left_out: Counter[LeftOut]


class Expecting:
    """Collects the calls of one file; keeps only rows of nominated extensions in memory.

    Args:
        policy: Which calls are recorded.
        pbx: Name of the system that wrote the file.
    """

    def __init__(self, policy: Policy, pbx: str) -> None:
        self._policy = policy
        self._pbx = pbx
        self._rows = 0
        self._left_out: Counter[LeftOut] = Counter()
        self._touching: list[_Touching] = []
        self._seen: set[bytes] = set()
        self._ids: set[str] = set()
        self._between: dict[str, list[tuple[datetime, datetime]]] = {}
        self._linked: dict[str, str] = {}

    def add(self, leg: CallLeg) -> None:
        """Add a row."""
        self._rows += 1
        found = _touching(leg, self._policy)
        if isinstance(found, LeftOut):
            self._left_out[found] += 1
            if leg.call_id in self._ids:  # a part of a call that was with somebody else meanwhile, or rang
                self._between.setdefault(leg.call_id, []).append((leg.started_at, leg.ended_at))
            return
        digest = hashlib.sha256(repr(replace(leg, line=0)).encode()).digest()
        if digest in self._seen:
            self._left_out[LeftOut.REPEATED] += 1
            return
        self._seen.add(digest)
        if leg.call_id and leg.linked_id:
            self._link(leg.call_id, leg.linked_id)
        if leg.call_id:
            self._ids.add(leg.call_id)
        self._touching.append(found)

    def finish(self) -> Expected:
        """Return the calls.

        Raises:
            CallRecordsError: Two calls have one id.
        """
        by_id: dict[str, list[_Touching]] = {}
        alone: list[list[_Touching]] = []
        for one in self._touching:
            if one.leg.call_id:
                by_id.setdefault(self._root(one.leg.call_id), []).append(one)
            else:
                alone.append([one])
        between: dict[str, list[tuple[datetime, datetime]]] = {}
        for call_id, spans in self._between.items():
            between.setdefault(self._root(call_id), []).extend(spans)
        groups = [part for root, legs in by_id.items() for part in _apart(legs, between.get(root, ()))]
        calls = [self._call(group) for group in (*groups, *alone)]
        return Expected(
            calls=sorted(calls, key=lambda call: (call.answered_at, call.id)), rows=self._rows, left_out=self._left_out
        )

    def _call(self, legs: "Sequence[_Touching]") -> ExpectedCall:
        first = legs[0]
        extensions = tuple(dict.fromkeys(one.number for touching in legs for one in touching.extensions))
        answered_at = min(one.answered_at for one in legs)
        key = "\n".join(
            (self._pbx, first.leg.call_id, answered_at.isoformat(), *extensions)
            if first.leg.call_id
            else (self._pbx, answered_at.isoformat(), first.leg.caller, first.leg.called, str(first.leg.talk_s))
        )
        return ExpectedCall(
            id=hashlib.sha256(key.encode()).hexdigest()[:32], pbx=self._pbx, answered_at=answered_at,
            talk_s=round(_covered_s([(one.answered_at, one.ended_at) for one in legs]), 3), extensions=extensions,
            direction=first.direction, number_end=next((one.number_end for one in legs if one.number_end), ""),
            service=first.extensions[0].service, team=first.extensions[0].team, is_bypassed=first.leg.is_bypassed,
        )  # fmt: skip

    def _root(self, call_id: str) -> str:
        while (above := self._linked.get(call_id, call_id)) != call_id:
            self._linked[call_id] = self._linked.get(above, above)  # so that a long chain is not followed twice
            call_id = self._linked[call_id]
        return call_id

    def _link(self, one: str, other: str) -> None:
        roots = self._root(one), self._root(other)
        if roots[0] != roots[1]:
            self._linked[roots[1]] = roots[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Touching:
    leg: CallLeg
    extensions: tuple[Extension, ...]
    direction: CallDirection
    number_end: str

    @property
    def answered_at(self) -> datetime:
        assert self.leg.answered_at is not None
        return self.leg.answered_at

    @property
    def ended_at(self) -> datetime:
        return self.answered_at + timedelta(seconds=self.leg.talk_s)


def _touching(leg: CallLeg, policy: Policy) -> _Touching | LeftOut:
    """Return the row with its nominated extensions, or why it is not of a call that is recorded."""
    called, by = extension_of(policy.nominated, leg.called), extension_of(policy.nominated, leg.answered_by)
    caller = extension_of(policy.nominated, leg.caller)
    if called is None and by is None and caller is None:
        return LeftOut.NOT_NOMINATED
    if leg.answered_at is None:
        return LeftOut.NOT_ANSWERED
    if policy.emergency.has(leg.called):
        return LeftOut.EMERGENCY
    is_theirs = called is not None and by is None and policy.is_inside(leg.answered_by)
    if is_theirs and caller is None and called is not None and called.answered_by is AnsweredBy.NOMINATED:
        return LeftOut.ANSWERED_ELSEWHERE
    ours = [one for one in (by, called) if one is not None]
    outside = leg.caller if ours else leg.called
    if (caller is not None and ours) or policy.is_inside(outside):
        direction = CallDirection.INTERNAL
        if not policy.expects_internal:
            return LeftOut.INTERNAL
    else:
        direction = CallDirection.INBOUND if ours else CallDirection.OUTBOUND
    found = ours if caller is None else [*ours, caller]
    return _Touching(leg=leg, extensions=tuple(dict.fromkeys(found)), direction=direction, number_end=end_of(outside))


def _apart(legs: "list[_Touching]", between: Spans) -> "Iterable[list[_Touching]]":
    """Return the rows of one id by calls: one, unless the id was given again a day later.

    Args:
        legs: The rows, at least one.
        between: Times of other rows of this id: somebody else had the call.
    """
    legs.sort(key=lambda one: (one.answered_at, one.leg.line))
    others = sorted(between, reverse=True)
    found = [[legs[0]]]
    until = legs[0].ended_at
    for one in legs[1:]:
        while others and others[-1][0] <= until + JOINED:
            until = max(until, others.pop()[1])
        gap = one.leg.started_at - until
        if JOINED < gap < REUSED:
            lines = sorted((found[-1][-1].leg.line, one.leg.line))
            raise CallRecordsError(
                f"this call has the same id as the one of line {lines[0]}, but began {gap} after its end; "
                "are these the files of two PBXs in one? Import each with its own --pbx",
                lines[1],
            )
        if gap >= REUSED:
            found.append([])
        found[-1].append(one)
        until = max(until, one.ended_at)
    return found


def _covered_s(spans: Iterable[tuple[datetime, datetime]]) -> float:
    total, until = timedelta(), None
    for start, end in sorted(spans):
        begin = start if until is None else max(start, until)
        total += max(end - begin, timedelta())
        until = end if until is None else max(until, end)
    return total.total_seconds()
