"""Cells of tables on a terminal: codes in words, times in the site's time zone. Pipes and JSON keep the codes."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, tzinfo
from enum import Enum
from types import MappingProxyType

from recorder.exports.left_out import Ground
from recorder.permissions import Role
from recorder.rules import times, wording
from recorder.rules.cases import CaseEvent, CaseKind, CaseState, Decision
from recorder.rules.notice_schedule import NoticeState
from recorder.rules.opt_out import OptOutState
from recorder.rules.policy import Direction
from recorder.rules.requesting import AccessKind, Category, RequestState
from recorder.rules.words.calls import REASON
from storage.retention_types import ClaimState, ErasureKind, ErasureState, HoldKind, HoldState, Right
from storage.types import Outcome, SegmentKind

_ENUMERATIONS: Mapping[str, tuple[type[Enum], ...]] = MappingProxyType(
    {
        "category": (Category,),
        "decision": (Decision,),
        "direction": (Direction,),
        "ground": (Ground,),
        "kind": (HoldKind, ErasureKind, CaseKind, SegmentKind),
        "leave": (AccessKind,),
        "outcome": (Outcome,),
        "right": (Right,),
        "roles": (Role,),
        "state": (HoldState, CaseState, ClaimState, ErasureState, RequestState, OptOutState, NoticeState),
        "step": (CaseEvent,),
    }
)
"""Enumerations of the values of a column; a value that two of them tell differently stays as it is."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def cell(key: str, value: object, zone: tzinfo | None) -> str:
    """Return what a cell says.

    Args:
        key: Key of the column.
        value: The value, as JSON has it.
        zone: The site's time zone; None: not known, so that times are in UTC and say so.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(cell(key, one, zone) for one in value)
    if isinstance(value, Enum):
        return wording.words(value)
    text = "" if value is None else str(value)
    return _time(text, zone) or _code(key, text) or text


def _time(text: str, zone: tzinfo | None) -> str:
    try:
        if _DAY.fullmatch(text):
            return times.short_day(date.fromisoformat(text))
        at = datetime.fromisoformat(text) if _MOMENT.fullmatch(text) else None
    except ValueError:  # such as 30 February
        return ""
    if at is None:
        return ""
    if at.tzinfo is None:  # in the site's zone already
        return f"{times.short_day(at)}, {times.time_of_day(at.time())}"
    return times.short_moment(at, zone) if zone is not None else f"{times.short_moment(at, UTC)} UTC"


def _code(key: str, text: str) -> str:
    if key == "reason" and _is_reason(text):
        return wording.outcome_reason(text)
    parts = [_TABLES.get(key, {}).get(part) for part in text.split(", ")]
    told = [part for part in parts if part is not None]
    return ", ".join(told) if len(told) == len(parts) else wording.known_code(text)


def _is_reason(text: str) -> bool:
    return bool(text) and all(part.partition(":")[0] in REASON for part in text.split(","))


def _table(enumerations: Iterable[type[Enum]]) -> Mapping[str, str]:
    """Return the words by value, without values that two enumerations tell differently."""
    found: dict[str, set[str]] = {}
    for one in enumerations:
        for code in one:
            found.setdefault(str(code.value), set()).add(wording.words(code))
    return {value: told.pop() for value, told in found.items() if len(told) == 1}


_TABLES: Mapping[str, Mapping[str, str]] = MappingProxyType({key: _table(of) for key, of in _ENUMERATIONS.items()})
