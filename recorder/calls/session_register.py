"""The last pause states of recording sessions, by the names that their clients gave: a returning session stays paused.

A session returns after the recorder was restarted, when its client tries again, or when it fails over to another
address. The pause state is on disk before the pause is acknowledged, and is read before anything of the new session is
stored (design section 5). Names are stored as digests, because some clients put phone numbers into them.
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
"""The journal's name, in the home's folder of states."""

KEPT_S = 24 * 3600.0
"""How long a state is kept: longer than any call."""
MOST = 5000
"""Most names that are kept; the oldest are removed first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftSession:
    """The last pause state of a session.

    Attributes:
        reasons: The pause reasons, without SIP hold.
        final: The final state, if recording has ended, or None.
    """

    reasons: frozenset[str] = frozenset()
    final: Final | None = None


class SessionRegister:
    """The journal of sessions. Call thread only; the executor's thread writes.

    Args:
        path: The journal.
        executor: Writes the journal; the same as for the pause register.
        now: Wall clock, seconds since 1970.
    """

    def __init__(self, path: Path, executor: SerialExecutor, *, now: Callable[[], float] = time.time) -> None:
        self._executor = executor
        self._now = now
        self.is_known = True
        """Whether the journal could be read; if not, every session begins paused."""
        self._states: dict[str, Any] = {}
        try:
            self._states = state_journal.read_states(path)
        except OSError:
            self.is_known = False
        self._states = {name: state for name, state in self._states.items() if self._is_recent(state)}
        self._journal = state_journal.StateJournal(path)

    def left(self, sessions: Iterable[str], groups: Iterable[str] = ()) -> LeftSession:
        """Return the last state of a session that has any of these names.

        Args:
            sessions: Names of the session itself: its pause reasons count.
            groups: Names of its group: only final states count, since an opt-out or a discard holds for the rest of
                the call, whoever it is transferred to.
        """
        of_session = [state for state in map(self._of, sessions) if state is not None]
        of_group = [state for state in map(self._of, groups) if state is not None]
        reasons = frozenset(reason for state in of_session for reason in state["reasons"])
        finals = [Final(state["state"]) for state in (*of_session, *of_group) if state["state"] in _FINAL]
        return LeftSession(reasons=reasons, final=max(finals, key=_FINAL.index, default=None))

    def put(
        self,
        sessions: Iterable[str],
        groups: Iterable[str],
        *,
        state: PauseState,
        reasons: Iterable[str],
        is_added: bool = False,
    ) -> "Future[None]":
        """Store the pause state of a session; the future is done when it is on disk.

        Args:
            sessions: Names of the session itself.
            groups: Names of its group; only a final state is stored for them.
            state: The pause state.
            reasons: The pause reasons; SIP hold is left out.
            is_added: Add to what is stored under each name: clear no reason, and replace no final state by another.
        """
        kept, is_final = frozenset(reasons) - {HOLD}, state.value in _FINAL
        names = [*sessions, *(groups if is_final else ())]
        changes = {
            _digest(name): self._fields(state.value, kept, self._of(name) if is_added else None) for name in names
        }
        for name, value in changes.items():
            self._states.pop(name, None)
            if value is not None:
                self._states[name] = value
        changes |= self._outdated()
        return self._executor.submit(self._journal.save, changes, dict(self._states))

    def _fields(self, state: str, reasons: frozenset[str], before: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return what is stored under a name, with what was stored ``before``; None for nothing."""
        if before is not None:
            reasons |= frozenset(before["reasons"])
            state = before["state"] if before["state"] in _FINAL else state
        if not reasons and state not in _FINAL:
            return None
        return {"state": state, "reasons": sorted(reasons), "at": round(self._now())}

    def _outdated(self) -> dict[str, None]:
        """Remove old states, and return their names for the journal."""
        old = [name for name, state in self._states.items() if not self._is_recent(state)]
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
"""The final states with which a session returns, the one that takes precedence last."""


def _digest(name: str) -> str:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=12, person=b"session").hexdigest()
