"""Whether the server with the accounts answers, so that nobody waits for one that does not. Pure but for the lock.

After a failure all who ask within `AGAIN_S` are refused at once; then one tries, while the others are still refused.
"""

import threading
from collections.abc import Callable

from storage.errors import DatabaseError

AGAIN_S = 2.0
"""How long after a failure nobody tries again, seconds."""


class AccountsAwayError(DatabaseError):
    """The server with the accounts does not answer, so nothing about an account can be checked."""

    def __init__(self, reason: str, *, is_passing: bool = True) -> None:
        super().__init__(f"the accounts cannot be checked: {reason}", is_passing=is_passing)


class Reachability:
    """What is known of one server; safe from any thread.

    Args:
        clock: Monotonic, seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._next_try_s: float | None = None
        self._reason = ""

    def enter(self) -> None:
        """Let the caller use the server.

        Raises:
            AccountsAwayError: It failed a moment ago, or somebody else is trying.
        """
        with self._lock:
            if self._next_try_s is None:
                return
            if self._clock() < self._next_try_s:
                raise AccountsAwayError(self._reason)
            self._next_try_s = self._clock() + AGAIN_S

    def failed(self, reason: str) -> None:
        """Note that the server did not answer.

        Args:
            reason: Sentence for people.
        """
        with self._lock:
            self._next_try_s, self._reason = self._clock() + AGAIN_S, reason

    def answered(self) -> None:
        """Note that the server answers."""
        if self._next_try_s is not None:
            with self._lock:
                self._next_try_s = None
