"""Closes the media and the recording of a call that has ended, after its last packets. Call thread only."""

from collections.abc import Callable, Iterable

from audio.types import LegId
from recorder.calls.call_services import CallServices

CLOSING_S = 0.06
"""How long media legs stay open after a hang-up at least, seconds: the BYE may overtake the last packets."""
AGAIN_S = 0.01
"""Interval of looks while packets that have come wait for the media thread, seconds."""
MOST_S = 1.0
"""Longest wait for the media thread, seconds: a peer that sends on after its BYE must not keep its call open."""

OpenLegs = Callable[[], Iterable[LegId | None]]
"""Returns the media legs of a call, None for a party that has none."""


def close_after_last_packets(services: CallServices, legs: OpenLegs, close: Callable[[], None]) -> None:
    """Close a call `CLOSING_S` from now, and after the media thread has taken the packets that have come by then.

    Args:
        services: The recorder's services.
        legs: Returns the media legs that are open by then.
        close: Closes the legs and the recording.
    """
    services.scheduler.call_later(CLOSING_S, _close_when_taken, services, legs, close, MOST_S)


def _close_when_taken(services: CallServices, legs: OpenLegs, close: Callable[[], None], left_s: float) -> None:
    if left_s > 0 and any(leg is not None and services.relay.legs.has_waiting(leg) for leg in legs()):
        left_s -= AGAIN_S
        services.scheduler.call_later(AGAIN_S, _close_when_taken, services, legs, close, left_s)
    else:
        close()
