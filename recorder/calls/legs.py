"""The SIP legs of a call, by side."""

from dataclasses import dataclass, field

from audio.types import LegId as MediaLegId
from recorder.calls.rules.call_events import Side
from sip.events import LegId


@dataclass(slots=True, kw_only=True)
class Legs:
    """The SIP legs of a call; None before a leg exists and after it has ended.

    Attributes:
        a: The leg that was offered to the recorder.
        b: The leg that the recorder dialled.
        target: The leg of a transfer target.
        every: All legs that the call has ever had.
        media: All media legs that it has ever had.
    """

    a: LegId | None
    b: LegId | None = None
    target: LegId | None = None
    every: list[LegId] = field(default_factory=list)
    media: list[MediaLegId] = field(default_factory=list)

    def of(self, side: Side) -> LegId | None:
        """Return the leg of a side."""
        return self.a if side is Side.A else self.b

    def side_of(self, leg: LegId) -> Side | None:
        """Return the side that has a leg now, or None."""
        if leg == self.a:
            return Side.A
        return Side.B if leg == self.b else None

    def put(self, side: Side, leg: LegId | None) -> None:
        """Give a leg to a side."""
        if side is Side.A:
            self.a = leg
        else:
            self.b = leg

    def end(self, side: Side) -> None:
        """Remove a side's leg; nothing more is sent on it."""
        self.put(side, None)
