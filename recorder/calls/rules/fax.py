"""Decides when a call is suspected to be a fax: its tones persist, and nobody speaks. Pure (ITU-T T.30).

Tones alone prove nothing, because a person can whistle or play them. The first voice ends the suspicion.
"""

import math
from dataclasses import dataclass

BURSTS = 3
"""Bursts of the calling tone at the right intervals that suggest a machine."""
APART_S = (2.8, 4.2)
"""From the end of one burst to the end of the next, seconds: 3.5 s, plus or minus 15 % and a packet."""
PAUSE_S = 2.1
"""How long the tone is away before each burst but the first, seconds: the least of `APART_S` less the longest burst."""
QUIET_S = 2.0
"""How long neither side may speak after the tones have persisted, for a suspicion."""


@dataclass(slots=True)
class FaxRule:
    """Applies the rule to the tones and voices of one call; times are monotonic seconds."""

    _bursts: int = 0
    _last_s: float = 0.0
    _quiet_from_s: float | None = None

    def heard(self, kind: str, now_s: float, pause_s: float = math.inf) -> bool:
        """Note a tone; return whether tones have persisted, so that `is_fax` has to be asked after `QUIET_S`.

        Args:
            kind: ``cng`` is one burst of a calling tone (1100 Hz); ``ced`` is a long answering tone (2100 Hz).
            now_s: The time of the tone.
            pause_s: How long the tone was away before this burst; a steady tone that packets are missing of never is.
        """
        if kind == "cng":
            is_in_time = APART_S[0] <= now_s - self._last_s <= APART_S[1] and pause_s >= PAUSE_S
            self._bursts, self._last_s = (self._bursts + 1 if is_in_time else 1), now_s
            if self._bursts < BURSTS:
                return False
        if self._quiet_from_s is None:
            self._quiet_from_s = now_s
        return True

    def spoken(self) -> None:
        """Reset, because somebody speaks."""
        self._bursts, self._quiet_from_s = 0, None

    def is_fax(self, now_s: float) -> bool:
        """Tell whether tones have persisted, and nobody has spoken for `QUIET_S` since."""
        return self._quiet_from_s is not None and now_s - self._quiet_from_s >= QUIET_S
