"""Which sessions and tokens were checked lately, and what they are still good for while accounts cannot be checked.

Accounts on a server may be away for minutes. Whoever was let in a moment ago can go on reading, and can pause: a pause
protects people, and must not wait for a database. Everything else is refused.
"""

import hashlib
from collections.abc import Callable
from typing import Generic, TypeVar

from recorder.permissions import Act
from recorder.rules.requirement import AccessLevel, Requirement

GOOD_FOR_S = 15 * 60.0
"""How long a check is remembered, seconds."""
CHECK_S = 0.5
"""How long a check of a session or a token may take, seconds: a pause is answered within 2 s."""
AWAY_SENTENCE = (
    "Accounts cannot be checked at the moment, because their database is not answering. You can still read open pages, "
    "and pause. Nothing else was done. Try again in a minute."
)
_MOST = 10_000
_LISTENING = frozenset({Act.PLAY, Act.EXPORT, Act.CONFIRM_ERASURE})
"""Acts whose pages give audio, or lead to it."""
_T = TypeVar("_T")


def goes_on_unchecked(method: str, needed: Requirement | None) -> bool:
    """Tell whether a request is answered to somebody who was checked lately, while accounts cannot be checked. Pure.

    Args:
        method: Of HTTP.
        needed: What its route requires; None if the route does not know the word in the path.
    """
    if needed is None or needed.level is AccessLevel.OPEN:
        return False
    if needed.acts == (Act.PAUSE,):
        return True
    return method == "GET" and not _LISTENING.intersection(needed.acts)


class RecentChecks(Generic[_T]):
    """Who was let in lately by which secret, in memory; safe from any thread.

    Args:
        clock: Monotonic, seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[bytes, tuple[float, _T]] = {}

    def note(self, secret: str, who: _T, *, for_s: float = GOOD_FOR_S) -> None:
        """Remember who was let in, for at most `GOOD_FOR_S`.

        Args:
            secret: Of a session, or of a token and where it came from.
            who: Whoever has it.
            for_s: How long it is good by itself, seconds.
        """
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[_key(secret)] = self._clock() + min(for_s, GOOD_FOR_S), who

    def forget(self, secret: str) -> None:
        """Forget a secret that is not good any more."""
        self._known.pop(_key(secret), None)

    def forget_all(self, is_it: Callable[[_T], bool]) -> None:
        """Forget everybody who is meant, whatever their secrets."""
        for key, (_, who) in list(self._known.items()):
            if is_it(who):
                self._known.pop(key, None)

    def get(self, secret: str) -> _T | None:
        """Return who was let in by a secret lately, or None."""
        until_s, who = self._known.get(_key(secret), (0.0, None))
        return who if self._clock() < until_s else None


def _key(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
