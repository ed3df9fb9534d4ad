"""What a pause calls for while it lasts: a reminder to the officer, an alarm when it is too long. Pure.

Never a resume: only people resume.
"""

import enum
from dataclasses import dataclass

from recorder.rules.pausing import HOLD, PauseReasons, PauseState


class Due(enum.Enum):
    """What has to be done now."""

    REMIND = "remind"
    ALARM = "alarm"


def is_watched(pause_reasons: PauseReasons) -> bool:
    """Tell whether somebody has to be reminded: of a pause, but not of a hold by rule, which ends with the hold."""
    return pause_reasons.state is PauseState.PAUSED and pause_reasons.reasons != {HOLD}


@dataclass(slots=True, kw_only=True)
class PauseReminders:
    """The reminders and the one alarm of one pause.

    Attributes:
        reminder_s: Seconds between reminders, over 0; None is never.
        max_s: Seconds after which the alarm is raised, over 0.
        reminders: How many reminders were due so far.
        is_alarmed: The alarm was raised.
    """

    reminder_s: float | None
    max_s: float
    reminders: int = 0
    is_alarmed: bool = False

    def due(self, held_s: float) -> frozenset[Due]:
        """Return what is due when the pause has lasted ``held_s`` seconds; what is returned is taken as done."""
        found = set()
        if self.reminder_s is not None and held_s >= (self.reminders + 1) * self.reminder_s:
            self.reminders = int(held_s / self.reminder_s)  # a late look gives one reminder, not several
            found.add(Due.REMIND)
        if not self.is_alarmed and held_s >= self.max_s:
            self.is_alarmed = True
            found.add(Due.ALARM)
        return frozenset(found)

    def wait_s(self, held_s: float) -> float | None:
        """Return the seconds until something is due again, or None when nothing ever is."""
        next_s = [] if self.is_alarmed else [self.max_s]
        if self.reminder_s is not None:
            next_s.append((self.reminders + 1) * self.reminder_s)
        return max(min(next_s) - held_s, 0.0) if next_s else None
