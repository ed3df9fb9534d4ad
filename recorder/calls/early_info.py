"""INFO that came before the sides of a call were joined: kept, and sent on when they are. Call thread only."""

import logging

from recorder.calls.rules.call_events import Side
from sip.events import Body

_log = logging.getLogger(__name__)

MOST = 20
"""INFOs that one call keeps for later: whoever sends more before anybody answers sends them to nobody."""


class EarlyInfo:
    """What waits for the joining of one call, in the order in which it came."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Side, Body]] = []
        self._is_full = False

    def keep(self, side: Side, body: Body) -> None:
        """Keep an INFO of a side."""
        if len(self._waiting) < MOST:
            self._waiting.append((side, body))
        elif not self._is_full:
            self._is_full = True
            _log.warning("more than %d INFO before a call was joined: the rest is dropped", MOST)

    def take(self) -> list[tuple[Side, Body]]:
        """Return what waits, each with its sender, and forget it."""
        waiting, self._waiting = self._waiting, []
        return waiting
