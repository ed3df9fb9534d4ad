"""The state that a sweep leaves for the next one and for health: `state/retention.json`.

Without the file, the important parts are read from the audit log.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from recorder.retention.sweep_times import OVERDUE
from recorder.rules.retention_periods import Shortening
from storage.audit import AuditLog
from storage.audit_reading import of_act
from storage.durable import make_folder, save_atomically
from storage.rows import time_from_json, time_to_json

NAME = "retention.json"
IN_FORCE, SWEPT, CLOCK = "retention.in_force", "retention.swept", "retention.clock_confirmed"
OWN_SWEPT = "retention.own_swept"
"""Acts of the audit log; the last is of a node that swept only what is on its own machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepState:
    """The state of retention.

    Attributes:
        in_force: Periods by key; None before the first sweep.
        most_share: Percentage of the recordings that may be deleted in a day; None before the first sweep.
        unconfirmed: Sentences on configured changes that wait for the DPO.
        last_try: When a sweep last began.
        last_success: When a sweep last succeeded.
        stopped: Why the last one deleted nothing until a person decides, or "".
        problem: Why the last one failed, or "".
        counts: Results of the last successful one.
        wrong_times: Two moments between which the clock was wrong: people confirmed that it was right at the first, and
            calls that began between them have wrong times. None if nobody had to.
        boot: From the first sweep after the machine's boot: the boot's id, and the clock minus the uptime, seconds;
            None if unknown.
        text_offset: Offset of the first audit entry that may still have its text.
    """

    in_force: Mapping[str, int] | None = None
    most_share: float | None = None
    unconfirmed: tuple[str, ...] = ()
    last_try: datetime | None = None
    last_success: datetime | None = None
    stopped: str = ""
    problem: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    wrong_times: tuple[datetime, datetime] | None = None
    boot: tuple[str, float] | None = None
    text_offset: int = 0

    def noting(self, shorter: list[Shortening], larger: str = "") -> "SweepState":
        """Return the state with the changes that wait for the DPO: shorter periods, and the sentence on a share."""
        sentences = (*(one.sentence for one in shorter), larger)
        return replace(self, unconfirmed=tuple(filter(None, sentences)))


class SweepFile:
    """The state file of one home.

    Args:
        folder: ``state`` of the home.
        audit: Read if the file is missing or damaged.
    """

    def __init__(self, folder: Path, audit: AuditLog) -> None:
        self._path = folder / NAME
        self._audit = audit

    def load(self) -> SweepState:
        """Return the state; without a readable file, from the audit log.

        Raises:
            OSError: It cannot be read.
            AuditUnavailableError: There is no file, and the audit log cannot be read.
        """
        return read_state(self._path) or self._from_audit()

    def save(self, state: SweepState, *, is_done: bool = False) -> None:
        """Store the state durably.

        Args:
            state: The state.
            is_done: It is that of a sweep that has ended; matters where several nodes share the index.

        Raises:
            OSError: It cannot be written.
        """
        make_folder(self._path.parent)
        save_atomically(self._path, json.dumps(state_for_file(state)).encode())

    def _from_audit(self) -> SweepState:
        state = SweepState()
        for entry in of_act(self._audit.path, IN_FORCE, SWEPT, CLOCK):
            if entry.act == IN_FORCE:
                share = entry.details.get("most_share", state.most_share)
                state = replace(state, in_force=entry.details["periods"], most_share=share)
            elif entry.act == CLOCK:
                times = [time_from_json(entry.details[name]) for name in ("at", "until")]
                assert times[0] is not None
                assert times[1] is not None
                state = replace(state, last_success=None, wrong_times=(times[0], times[1]))
            else:
                state = replace(state, last_success=time_from_json(entry.details["at"]))
        return state


def read_state(path: Path) -> SweepState | None:
    """Read the file; None if it is missing or damaged.

    Raises:
        OSError: It cannot be read.
    """
    try:
        return state_from_json(json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return None


def state_from_json(found: Mapping[str, Any]) -> SweepState:
    """Return the state that `state_for_file` gave.

    Raises:
        ValueError, KeyError, TypeError: It is damaged.
    """
    times: dict[str, Any] = {name: time_from_json(found[name]) for name in ("last_try", "last_success")}
    wrong = found.get("wrong_times")
    times["wrong_times"] = tuple(map(time_from_json, wrong)) if wrong else None
    boot = found.get("boot")
    times["boot"] = (str(boot[0]), float(boot[1])) if boot else None
    return SweepState(**{**found, **times, "unconfirmed": tuple(found["unconfirmed"])})


def was_cut_off(state: SweepState | None) -> bool:
    """Tell whether the last sweep was killed: it neither succeeded nor noted why not."""
    if state is None or state.last_try is None or state.stopped or state.problem:
        return False
    return state.last_success is None or state.last_success < state.last_try


def state_for_file(state: SweepState) -> dict[str, Any]:
    """Return a state as JSON values, all of it."""
    times = {name: time_to_json(getattr(state, name)) for name in ("last_try", "last_success")}
    wrong = None if state.wrong_times is None else list(map(time_to_json, state.wrong_times))
    return {**asdict(state), **times, "wrong_times": wrong}


def alarms_of(state: SweepState | None, now: datetime, *, since: datetime) -> dict[str, int]:
    """Return the health alarms on retention; empty if there are none.

    Args:
        state: As read; None if there is none yet.
        now: Aware.
        since: When a sweep could first have been expected: the start of the daemon.
    """
    found = state or SweepState()
    last = found.last_success or since
    alarms = {
        "retention_overdue": now - last > OVERDUE,
        "retention_stopped": bool(found.stopped),
        "retention_failed": bool(found.problem),
        "retention_shorter_unconfirmed": bool(found.unconfirmed),
    }
    return {name: 1 for name, is_on in alarms.items() if is_on}


def state_to_json(state: SweepState | None) -> dict[str, Any]:
    """Return the last sweep as health and `recorder retention --json` show it."""
    found = state or SweepState()
    return {
        "last_success": time_to_json(found.last_success),
        "last_try": time_to_json(found.last_try),
        "stopped": found.stopped,
        "problem": found.problem,
        "unconfirmed": list(found.unconfirmed),
        "in_force": None if found.in_force is None else dict(found.in_force),
        "counts": dict(found.counts),
    }
