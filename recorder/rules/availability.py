"""Whether this recorder is to be given new calls: the answer to OPTIONS. Pure.

A dispatcher in front of several recorders sends OPTIONS to each, about once a second, and gives new calls to those that
answer 200. INVITEs are judged apart from this (`recorder.calls.new_calls`): a call that is sent all the same is taken
while there is room for it.
"""

import enum
from collections.abc import Iterable


class UnavailableReason(enum.StrEnum):
    """Why new calls should go elsewhere; the text of the Warning header (RFC 3261 section 20.43)."""

    DRAINING = "draining"
    DISK = "recordings cannot be written"
    FULL = "full"


class DiskRule(enum.StrEnum):
    """What happens to new calls that should be recorded while recordings cannot be written."""

    TAKE = "take"
    """They are connected, and recorded as far as the disk allows."""
    REFUSE = "refuse"
    """They are answered 503, so that a dispatcher gives them to another recorder."""


class Occupancy(enum.IntEnum):
    """How much of the room for recorded calls is taken."""

    ROOM = 0
    NEARLY_FULL = 1
    """Just below the limit."""
    FULL = 2


TABLE: dict[tuple[bool, Occupancy], bool] = {
    (False, Occupancy.ROOM): False,
    (False, Occupancy.NEARLY_FULL): False,
    (False, Occupancy.FULL): True,
    (True, Occupancy.ROOM): False,
    (True, Occupancy.NEARLY_FULL): True,  # else each call that ends would change the answer
    (True, Occupancy.FULL): True,
}
"""Whether the recorder counts as full, by whether it did so before and its occupancy."""


def occupancy(calls: int, max_calls: int) -> Occupancy:
    """Return the occupancy; the band just below the limit is a twentieth of it, and at least one call."""
    if calls >= max_calls:
        return Occupancy.FULL
    return Occupancy.NEARLY_FULL if calls > max_calls - max(1, max_calls // 20) else Occupancy.ROOM


class Availability:
    """The answer to one peer's OPTIONS, with memory of the last one so that it does not change with each call."""

    def __init__(self) -> None:
        self._is_full = False

    def obstacle(
        self, *, is_draining: bool, is_disk_failing: bool, room: Iterable[tuple[int, int]] = ()
    ) -> UnavailableReason | None:
        """Return why new calls should go elsewhere, or None.

        Args:
            is_draining: Whether new calls are refused in a drain, and OPTIONS with them.
            is_disk_failing: Whether new calls are refused because recordings cannot be written.
            room: For each limit, the recorded calls in progress and how many there may be; none if the answer does not
                depend on them.
        """
        fullest = max((occupancy(calls, most) for calls, most in room), default=Occupancy.ROOM)
        self._is_full = TABLE[self._is_full, fullest]
        found = (
            (UnavailableReason.DRAINING, is_draining),
            (UnavailableReason.DISK, is_disk_failing),
            (UnavailableReason.FULL, self._is_full),
        )
        return next((obstacle for obstacle, is_there in found if is_there), None)
