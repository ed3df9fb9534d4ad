"""When the officer is reminded of a pause, and when the alarm for a long pause is due. Pure.

A pause never ends by itself: only people resume.
"""

import enum
from dataclasses import dataclass

from recorder.rules.pausing import HOLD, PauseReasons, PauseState


class Due(enum.Enum):
    """What is due now."""

    REMIND = "remind"
    ALARM = "alarm"


def is_watched(pause_reasons: PauseReasons) -> bool:
    """Tell whether there is a pause to remind of; a SIP hold alone ends by itself."""
    return pause_reasons.state is PauseState.PAUSED and pause_reasons.reasons != {HOLD}


@dataclass(slots=True, kw_only=True)
class PauseReminders:
    """The reminders and the alarm of one pause.

    Attributes:
        reminder_s: Seconds between reminders, over 0; None is no reminders.
        max_s: Seconds until the alarm, over 0.
        reminders: How many reminders have been due.
        is_alarmed: Whether the alarm has been due.
    """

    reminder_s: float | None
    max_s: float
    reminders: int = 0
    is_alarmed: bool = False

    def due(self, held_s: float) -> frozenset[Due]:
        """Return what is due after ``held_s`` seconds of pause, and count it as done."""
        found = set()
        if self.reminder_s is not None and held_s >= (self.reminders + 1) * self.reminder_s:
            self.reminders = int(held_s / self.reminder_s)  # after a delay one reminder is due, not several
            found.add(Due.REMIND)
        if not self.is_alarmed and held_s >= self.max_s:
            self.is_alarmed = True
            found.add(Due.ALARM)
        return frozenset(found)

    def wait_s(self, held_s: float) -> float | None:
        """Return the seconds until something is due, or None if nothing will be."""
        next_s = [] if self.is_alarmed else [self.max_s]
        if self.reminder_s is not None:
            next_s.append((self.reminders + 1) * self.reminder_s)
        return max(min(next_s) - held_s, 0.0) if next_s else None
