"""Closes the media and the recording of a call that has ended, after its last packets. Call thread only."""

import contextlib
import time
from collections.abc import Sequence
from typing import Protocol

from audio.types import LegId
from recorder.calls.call_services import CallServices
from recorder.calls.recording import CLOSING_S, Recording
from storage.types import RecordingId

LOOK_EVERY_S = 0.01
"""Interval of looks while packets that have come wait for the media thread, seconds."""
LONGEST_WAIT_S = 1.0
"""Longest wait for the media thread after `CLOSING_S`, seconds."""
_KEY_S = 0.6
"""Audio silenced before the end of a call in whose last packets is a key, seconds: the key may have begun before."""


class EndedCall(Protocol):
    """A call that has ended, whose media is still open."""

    id: RecordingId
    services: CallServices
    recording: Recording

    @property
    def media_legs(self) -> Sequence[LegId | None]:
        """Return the media legs that are open now; None for a party that has none."""

    def close(self, end: str) -> None:
        """Close the media, then the recording."""


def close_after_last_packets(call: EndedCall, end: str) -> None:
    """Close a call `CLOSING_S` from now, and after the media thread has taken the packets that have come by then.

    Nobody acts on a key in these packets, since the call has ended. So with one among them they are silenced.

    Args:
        call: The call.
        end: How it ended, as rows name it.
    """
    call.services.closing.add(call.id)
    call.services.scheduler.call_later(CLOSING_S, _Closing(call, end).look)


class _Closing:
    def __init__(self, call: EndedCall, end: str) -> None:
        self._call, self._end = call, end
        self._relay = call.services.relay
        self._ended_s = time.monotonic()
        self._digits = self._count_digits()
        self._has_waited = False

    def look(self) -> None:
        """Close the call, unless packets wait for the media thread."""
        now_s = time.monotonic()
        is_late = now_s >= self._ended_s + CLOSING_S + LONGEST_WAIT_S
        if not is_late and any(map(self._relay.legs.has_waiting_packets, self._legs())):
            self._wait()
            return
        self._call.services.closing.discard(self._call.id)
        if self._count_digits() != self._digits:
            # By when they were taken, too: the gate erases what came late (docs/media-core.md).
            self._call.recording.mask_around_now(now_s - self._ended_s + _KEY_S, 0.0)
        self._call.close(self._end)

    def _wait(self) -> None:
        if not self._has_waited:
            self._has_waited = True
            for leg in self._legs():  # who sends on must not keep the call open for all of the time
                with contextlib.suppress(OSError):  # without it the wait ends by its limit
                    self._relay.take_no_more(leg)
        self._call.services.scheduler.call_later(LOOK_EVERY_S, self.look)

    def _legs(self) -> list[LegId]:
        return [leg for leg in self._call.media_legs if leg is not None]

    def _count_digits(self) -> int:
        return sum(self._relay.legs.statistics(leg).digits for leg in self._legs())
