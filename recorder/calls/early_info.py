"""Keeps INFO requests that come before the sides of a call are joined, to send them on then. Call thread only."""

import logging

from recorder.calls.rules.call_events import Side
from sip.events import Body
from storage.types import RecordingId

_log = logging.getLogger(__name__)

MOST = 20
"""Most INFO requests that one call keeps; later ones are dropped."""


class EarlyInfo:
    """The INFO requests that wait until one call is joined, in order.

    Args:
        recording: The recording's id, for the log.
    """

    def __init__(self, recording: RecordingId) -> None:
        self._recording = recording
        self._waiting: list[tuple[Side, Body]] = []
        self._is_full = False

    def keep(self, side: Side, body: Body) -> None:
        """Keep an INFO from a side."""
        if len(self._waiting) < MOST:
            self._waiting.append((side, body))
        elif not self._is_full:
            self._is_full = True
            _log.warning(
                "call %s: more than %d INFO requests before it was joined; the rest is dropped", self._recording, MOST
            )

    def take(self) -> list[tuple[Side, Body]]:
        """Return the INFO bodies with their senders, and remove them."""
        waiting, self._waiting = self._waiting, []
        return waiting
