"""The SIP dialogs of calls in progress, on disk: the daemon that follows one that was killed ends them by BYE.

One small journal has what a BYE needs of each leg: addresses, tags, numbers of requests. A serial executor writes it,
off the call thread and changes are not synced: what a process has written survives it. After a power cut the newest
changes may be missing, and a BYE for a call that had ended is answered 481.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recorder.common.serial_executor import SerialExecutor
from sip.events import LegId
from storage import state_journal

DIALOGS = "dialogs.journal"
"""The journal's name, in the home's folder of states."""
DAMAGED = "dialogs_damaged.journal"
"""Name of one that is set aside."""
REASON = 'SIP;cause=503;text="the recorder was restarted"'
"""Reason of a BYE to a phone whose call an earlier daemon left (RFC 3326)."""

_SIZE = 1 << 16
"""Size of a new file, bytes: some 50 calls. While no call is in progress it has none."""
_log = logging.getLogger(__name__)


class DialogRegister:
    """The journal of dialogs. `keep` and `forget` on the call thread; the executor's thread writes.

    Args:
        path: The journal.
        executor: Writes the journal.
        goes_on: Tells whether a leg goes on without the daemon: a passthrough call, whose media does not come here.

    Attributes:
        left: What an earlier daemon left, by key.
    """

    def __init__(
        self, path: Path, executor: SerialExecutor, *, goes_on: Callable[[LegId], bool] = lambda _leg: False
    ) -> None:
        self._executor, self._goes_on = executor, goes_on
        self._lock = threading.Lock()
        self.left: dict[str, Mapping[str, Any]] = _read(path)
        self._states: dict[str, Mapping[str, Any]] = dict(self.left)
        self._keys: dict[LegId, str] = {}
        self._journal = state_journal.StateJournal(path, size=_SIZE, is_synced=False)
        self._changes: dict[str, Mapping[str, Any] | None] = {}
        self._is_submitted = False

    def keep(self, leg: LegId, kept: Mapping[str, Any]) -> None:
        """Keep a leg's dialog; of a call that goes on without the daemon nothing is kept."""
        if self._goes_on(leg):
            self.forget(leg)
            return
        key = self._keys.setdefault(leg, str(kept["local_tag"]))
        self._put(key, kept)

    def forget(self, leg: LegId) -> None:
        """Forget the dialog of a leg that has ended."""
        if (key := self._keys.pop(leg, None)) is not None:
            self._put(key, None)

    def settle(self, key: str) -> None:
        """Forget a dialog of an earlier daemon, whose BYE was answered or given up."""
        self._put(key, None)

    def _put(self, key: str, kept: Mapping[str, Any] | None) -> None:
        with self._lock:
            if kept is None:
                self._states.pop(key, None)
            else:
                self._states[key] = kept
            self._changes[key] = kept
            was_submitted, self._is_submitted = self._is_submitted, True
        if not was_submitted:
            self._executor.submit(self._write)

    def _write(self) -> None:
        with self._lock:
            self._is_submitted = False
            states, changes, self._changes = dict(self._states), self._changes, {}
        if states:
            self._journal.save(changes, states)
        else:  # numbers of calls that have ended do not stay
            self._journal.renew({})


def _read(path: Path) -> dict[str, Mapping[str, Any]]:
    """Return what an earlier daemon left; set a damaged journal aside, and use what can be read of it."""
    try:
        states = state_journal.read_states(path)
        found: dict[str, Mapping[str, Any]] = {key: kept for key, kept in states.items() if isinstance(kept, dict)}
        if path.exists() and state_journal.is_damaged(path):
            aside = path.with_name(DAMAGED)
            path.replace(aside)
            _log.error("%s is damaged and set aside as %s; %d legs in it can be ended", path, aside.name, len(found))
    except OSError as error:
        _log.error("%s cannot be read, so calls that an earlier daemon left are not ended: %s", path, error)
        return {}
    return found
