"""The pause states of calls in progress, on disk: a pause is acknowledged only when it would survive a crash.

One small journal has the state of every live call. A serial executor writes it; requests that wait at the same time
share one write.
"""

import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from recorder.common.serial_executor import SerialExecutor
from storage import state_journal

REGISTER = "pauses.journal"
"""The journal's name, in the home's folder of states."""

State = dict[str, Any]
"""One call's ``state``, ``reasons``, and ``position_s`` from which they hold. ``undecided``: the recording is to be
discarded unless the database says that it is kept."""

States = dict[str, State]


def read_states(path: Path) -> States:
    """Return the states in a journal, by call; empty if there is no journal or it cannot be read."""
    try:
        return state_journal.read_states(path)
    except OSError:
        return {}


def write_states(path: Path, states: States) -> None:
    """Save the states that a recovery did not settle. OSError if the disk refuses."""
    state_journal.write_states(path, states)


class PauseRegister:
    """The journal of pauses. Any thread may call its methods; the executor's thread writes.

    States of an earlier daemon that recovery did not settle stay in it.

    Args:
        path: The journal.
        executor: Writes the journal. Give it no slower work, because pauses wait for it.
    """

    def __init__(self, path: Path, executor: SerialExecutor) -> None:
        self._executor = executor
        self._lock = threading.Lock()
        self._states = read_states(path)
        self._undecided: set[str] = set()
        self._journal = state_journal.StateJournal(path)
        self._changes: dict[str, dict[str, Any] | None] = {}
        self._version = 0
        self._written = 0

    def put(self, call: str, *, state: str, reasons: list[str], position_s: float) -> "Future[None]":
        """Store a call's state and the position from which it holds; the future is done when it is on disk."""
        with self._lock:
            before = self._states.get(call)
            if before is not None and before["state"] == state:
                position_s = min(position_s, before["position_s"])  # the same pause, with a further reason
            fields = {"state": state, "reasons": reasons, "position_s": round(position_s, 4)}
            if call in self._undecided:
                fields["undecided"] = True
            self._states[call] = fields
            return self._submit(call, fields)

    def set_undecided(self, call: str, *, is_undecided: bool) -> None:
        """Mark a call for which it is not decided yet whether to discard; after a crash, recovery decides."""
        with self._lock:
            (self._undecided.add if is_undecided else self._undecided.discard)(call)

    def drop(self, call: str) -> None:
        """Remove a call that is filed; recovery does not need its state any more."""
        with self._lock:
            if self._states.pop(call, None) is not None:
                self._submit(call, None)

    def _submit(self, call: str, change: dict[str, Any] | None) -> "Future[None]":
        """Queue a change for writing; called with the lock held, so that changes keep their order."""
        self._changes[call] = change
        self._version += 1
        return self._executor.submit(self._write, self._version)

    def _write(self, version: int) -> None:
        with self._lock:
            if self._written >= version:  # another write has included this change
                return
            covered, states = self._version, dict(self._states)
            changes, self._changes = self._changes, {}
        self._journal.save(changes, states)
        self._written = covered
