"""Checks that index, audit log and states belong together, and holds the mark that stops the sweep if they do not.

Each of the three carries a number that goes up in all of them at every start and every sweep. One with a different
number was restored from a backup, or made anew. It may lack holds, deletions or calls, so nothing may be deleted on its
word. If all three come from one backup this check cannot tell; anchored heads of the audit log can.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from recorder.recordings.resurrection_guard import alone
from storage.agreement import Agreement
from storage.audit import AuditLog
from storage.audit_reading import newest_first
from storage.database import Database
from storage.durable import make_folder, remove, save_atomically
from storage.errors import StorageError
from storage.keys import NodeKeys
from storage.rows import time_from_json, time_to_json

MARK = "reconcile"
"""Name of the mark in ``state``; `recorder.retention.sweep` stops while it exists."""
NUMBERS = "agreement.json"
"""Name of the file with the states' number."""
LOCK = "agreement.lock"
NOTED, DOUBTED = "index.noted", "index.doubted"
"""Acts of the audit log: the numbers agreed; they did not, and the sweep waits."""
_BY = "recorder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Why the sweep waits for the data protection officer.

    Attributes:
        since: Since when; None if that cannot be read.
        why: Sentences.
        facts: Findings of a reindex, JSON values.
    """

    since: datetime | None
    why: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


def read_mark(state: Path) -> Mark | None:
    """Return the mark in a home's folder of states, or None. An unreadable mark counts too."""
    try:
        found = json.loads((state / MARK).read_bytes())
        return Mark(since=time_from_json(found["since"]), why=tuple(found["why"]), facts=found["facts"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return Mark(since=None, why=("the mark exists, but its reasons cannot be read",))


def set_mark(state: Path, now: datetime, why: Sequence[str], facts: Mapping[str, Any] | None = None) -> Mark:
    """Make the sweep wait, durably; reasons of an earlier mark are kept.

    Raises:
        OSError: It cannot be written.
    """
    before = read_mark(state)
    reasons = list(before.why if before else ())
    reasons += [one for one in why if one not in reasons]
    known = dict(before.facts if before else {}) | dict(facts or {})
    mark = Mark(since=(before and before.since) or now, why=tuple(reasons), facts=known)
    make_folder(state)
    content = {"since": time_to_json(mark.since), "why": reasons, "facts": known}
    save_atomically(state / MARK, json.dumps(content).encode())
    return mark


def look(state: Path, database: Database, audit: AuditLog, now: datetime, *, is_noted: bool = True) -> Mark | None:
    """Compare the numbers. If they differ, make the sweep wait; if they agree, raise them.

    Args:
        state: The home's folder of states.
        database: The index.
        audit: The audit log.
        now: Aware.
        is_noted: Raise the numbers if they agree; otherwise only compare.

    Returns:
        The mark, also an older one, or None if all is well.

    Raises:
        StorageError, OSError: One of them cannot be read or written.
    """
    with alone(state / LOCK, wait=True):
        if read_mark(state) is not None:
            return read_mark(state)
        numbers = _Numbers.read(state, database, audit)
        if why := numbers.differences():
            mark = set_mark(state, now, why)
            audit.append(DOUBTED, _BY, "", {"why": why, "at": time_to_json(now)})
            return mark
        if is_noted:
            _count_on(numbers, state, database, audit)
    return None


def agree(state: Path, database: Database, audit: AuditLog) -> None:
    """Give all three one new number and remove the mark, because the data protection officer has decided.

    Raises:
        StorageError, OSError: One of them cannot be written; do it again.
    """
    with alone(state / LOCK, wait=True):
        _count_on(_Numbers.read(state, database, audit), state, database, audit)
        remove(state / MARK)


def differences(state: Path, database: Database, audit: AuditLog) -> list[str]:
    """Return why the three do not belong together, as sentences; changes nothing.

    Raises:
        StorageError, OSError: One of them cannot be read.
    """
    return _Numbers.read(state, database, audit).differences()


def _count_on(numbers: "_Numbers", state: Path, database: Database, audit: AuditLog) -> None:
    """Write the next number to all three. The states hold both meanwhile, so an interruption makes no difference."""
    count = max((*numbers.states, numbers.index or 0, numbers.log or 0)) + 1
    make_folder(state)
    passing = [one for one in (numbers.index, numbers.log) if one is not None]
    save_atomically(state / NUMBERS, json.dumps(sorted({*passing, count})).encode())
    audit.append(NOTED, _BY, "", {"count": count})
    _agreement(state, database).set(count)
    save_atomically(state / NUMBERS, json.dumps([count]).encode())


def _agreement(state: Path, database: Database) -> Agreement:
    return Agreement(database, NodeKeys.load(state.parent).fingerprint)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Numbers:
    """The number in each of the three; the states hold two while it goes up."""

    states: tuple[int, ...]
    index: int | None
    log: int | None

    @classmethod
    def read(cls, state: Path, database: Database, audit: AuditLog) -> "_Numbers":
        newest = next((entry for entry in newest_first(audit.path) if entry.act == NOTED), None)
        return cls(
            states=_states(state / NUMBERS),
            index=_agreement(state, database).count(),
            log=None if newest is None else int(newest.details["count"]),
        )

    def differences(self) -> list[str]:
        if not self.states:
            if self.index is None and self.log is None:
                return []  # a new home, or one from an older version
            return ["state/agreement.json is missing: state/ was lost, or restored from elsewhere"]
        named = (("index", self.index), ("audit log", self.log))
        return [sentence for name, number in named if (sentence := self._difference(name, number))]

    def _difference(self, name: str, number: int | None) -> str:
        if number in self.states:
            return ""
        if number is None:
            return f"the {name} is new, but the rest is not: the old one was lost"
        if number < min(self.states):
            return f"the {name} is older than the rest: it was restored from a backup"
        return f"state/ is older than the {name}: it was restored from a backup"


def _states(path: Path) -> tuple[int, ...]:
    try:
        found = json.loads(path.read_bytes())
        return tuple(int(one) for one in found)
    except FileNotFoundError:
        return ()
    except (ValueError, TypeError) as error:
        raise StorageError(f"{path} cannot be read: remove it, and the next start asks the DPO to decide") from error
