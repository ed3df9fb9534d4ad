"""The SIP legs of a call by side."""

from dataclasses import dataclass, field

from recorder.calls.rules.call_events import Side
from sip.events import LegId


@dataclass(slots=True, kw_only=True)
class Legs:
    """The SIP legs of a call by side; None before a side exists and after it has ended.

    ``target`` is the leg of somebody who is to take the place of a side.
    """

    a: LegId | None
    b: LegId | None = None
    target: LegId | None = None
    every: list[LegId] = field(default_factory=list)

    def of(self, side: Side) -> LegId | None:
        """Return the leg of a side."""
        return self.a if side is Side.A else self.b

    def side_of(self, leg: LegId) -> Side | None:
        """Return the side that a leg is on now, or None for one that is history."""
        if leg == self.a:
            return Side.A
        return Side.B if leg == self.b else None

    def put(self, side: Side, leg: LegId | None) -> None:
        """Let a leg be a side's."""
        if side is Side.A:
            self.a = leg
        else:
            self.b = leg

    def end(self, side: Side) -> None:
        """Forget a side's leg: nothing more is sent on it."""
        self.put(side, None)
