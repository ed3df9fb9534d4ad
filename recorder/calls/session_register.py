"""How recording sessions stood, by what their clients call them: a session that comes back begins as it was left.

A session comes back after we were restarted, when its client tries again, or when it fails over to another address.
What holds its pause is on disk before the pause is acknowledged, and is known before anything of the new session is
kept (design section 5). Names of sessions are kept as digests: some clients put numbers into them.
"""

import hashlib
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recorder.common.serial_executor import SerialExecutor
from recorder.rules.pausing import HOLD, Final, PauseState
from storage import state_journal

REGISTER = "sessions.journal"
"""Its name, in the home's folder of states."""

KEPT_S = 24 * 3600.0
"""How long it is known how a session was left: longer than any call."""
MOST = 5000
"""Sessions that are kept; the oldest go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftSession:
    """How a session was left.

    Attributes:
        reasons: What holds its pause; hold is SIP's and not among them.
        final: That recording has ended for good, and how, or None.
    """

    reasons: frozenset[str] = frozenset()
    final: Final | None = None


class SessionRegister:
    """The file of sessions. Call thread, but the executor writes the file.

    Args:
        path: The file.
        executor: Writes; the same as the register of pauses has.
        now: Wall clock, seconds since 1970.
    """

    def __init__(self, path: Path, executor: SerialExecutor, *, now: Callable[[], float] = time.time) -> None:
        self._executor = executor
        self._now = now
        self.is_known = True
        """What earlier sessions were left in could be read; if not, every session begins paused."""
        self._states: dict[str, Any] = {}
        try:
            self._states = state_journal.read_states(path)
        except OSError:
            self.is_known = False
        self._states = {name: one for name, one in self._states.items() if self._is_recent(one)}
        self._journal = state_journal.StateJournal(path)

    def left(self, sessions: Iterable[str], groups: Iterable[str] = ()) -> LeftSession:
        """Return how a session was left that has any of these names.

        Args:
            sessions: Names of the session itself.
            groups: Names of its group: an opt-out, and a recording that was discarded, hold for the rest of the call,
                whoever it is transferred to; a pause is of one session.
        """
        own = [one for one in map(self._of, sessions) if one is not None]
        kin = [one for one in map(self._of, groups) if one is not None]
        reasons = frozenset(reason for one in own for reason in one["reasons"])
        finals = [Final(one["state"]) for one in (*own, *kin) if one["state"] in _FINAL]
        return LeftSession(reasons=reasons, final=max(finals, key=_FINAL.index, default=None))

    def put(
        self, sessions: Iterable[str], groups: Iterable[str], *, state: PauseState, reasons: Iterable[str]
    ) -> "Future[None]":
        """Record how a session stands; the future is done when that is on disk."""
        kept = sorted(set(reasons) - {HOLD})
        is_final = state.value in _FINAL
        fields = {"state": state.value, "reasons": kept, "at": round(self._now())} if kept or is_final else None
        changes = {_digest(name): fields for name in sessions}
        changes |= {_digest(name): fields for name in groups if is_final}
        for name, value in changes.items():
            self._states.pop(name, None)
            if value is not None:
                self._states[name] = value
        changes |= self._outdated()
        return self._executor.submit(self._journal.save, changes, dict(self._states))

    def _outdated(self) -> dict[str, None]:
        """Take away what nobody will ask for any more."""
        old = [name for name, one in self._states.items() if not self._is_recent(one)]
        old += list(self._states)[: max(len(self._states) - MOST, 0)]
        for name in old:
            self._states.pop(name, None)
        return dict.fromkeys(old)

    def _of(self, name: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._states.get(_digest(name))
        return found if found is not None and self._is_recent(found) else None

    def _is_recent(self, state: dict[str, Any]) -> bool:
        return bool(self._now() - float(state["at"]) < KEPT_S)


_FINAL = (Final.OPTED_OUT.value, Final.DISCARDED.value)
"""The ends that a session comes back with, the stronger one last."""


def _digest(name: str) -> str:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=12, person=b"session").hexdigest()
