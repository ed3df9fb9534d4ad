"""Which calls are paused, on disk: a pause is acknowledged only when it would survive the process.

One small journal holds the state of every live call. A serial executor writes it, and requests that wait
together share one write.
"""

import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from recorder.common.serial_executor import SerialExecutor
from storage import state_journal

REGISTER = "pauses.journal"
"""Its name, in the home's folder of states."""

State = dict[str, Any]
"""Of one call: ``state``, ``reasons``, and ``position_s``, from where the state holds. With ``undecided`` it is to
be discarded unless the database says that something keeps it."""

States = dict[str, State]


def read_states(path: Path) -> States:
    """Return what a daemon wrote into the file, by call; nothing if there is no such file, or it cannot be read."""
    try:
        return state_journal.read_states(path)
    except OSError:
        return {}


def write_states(path: Path, states: States) -> None:
    """Save what is left of the states after a recovery. OSError if the disk refuses."""
    state_journal.write_states(path, states)


class PauseRegister:
    """The file of pauses. ``put`` and ``drop`` may come from any thread; the write happens on the executor's thread.

    What a daemon before us left in it, and recovery did not settle, stays in it.

    Args:
        path: The file.
        executor: Writes; for the sake of who waits it should have nothing slower to do.
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
        """Record the state of a call and where it took effect; the future is done when it is on disk."""
        with self._lock:
            before = self._states.get(call)
            if before is not None and before["state"] == state:
                position_s = min(position_s, before["position_s"])  # the same pause, for another reason as well
            fields = {"state": state, "reasons": reasons, "position_s": round(position_s, 4)}
            if call in self._undecided:
                fields["undecided"] = True
            self._states[call] = fields
            return self._submit(call, fields)

    def set_undecided(self, call: str, *, is_undecided: bool) -> None:
        """Mark a call whose recording may turn out to be discarded: after a crash, recovery decides from its state."""
        with self._lock:
            (self._undecided.add if is_undecided else self._undecided.discard)(call)

    def drop(self, call: str) -> None:
        """Forget a call that is filed: until then recovery may need to know."""
        with self._lock:
            if self._states.pop(call, None) is not None:
                self._submit(call, None)

    def _submit(self, call: str, change: dict[str, Any] | None) -> "Future[None]":
        """Have a change written; under the lock, so that changes are written in their order."""
        self._changes[call] = change
        self._version += 1
        return self._executor.submit(self._write, self._version)

    def _write(self, version: int) -> None:
        with self._lock:
            if self._written >= version:  # a write that began later has covered this one
                return
            covered, states = self._version, dict(self._states)
            changes, self._changes = self._changes, {}
        self._journal.save(changes, states)
        self._written = covered
