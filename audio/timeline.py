"""Where a packet belongs on its channel's time line; the rules are in docs/media-core.md, "Time line of a channel".

Pure and integers only: the reference that the media core must equal to the byte.
"""

from dataclasses import dataclass

from audio.rtp import ticks_between

AHEAD = 4000
"""Ticks that a packet of an epoch may lie ahead of the envelope: 0.5 s."""
BEHIND = 32000
"""Ticks that it may lie behind: 4 s."""
STALE_AFTER = 8000
"""Ticks of silence after which the stream before the current one may come back."""
DECAY = 2000
"""The envelope sinks one tick in so many: 500 ppm."""
RUN_AWAY = 1000
"""No clock is faster than the call's by more than one tick in so many."""


@dataclass(slots=True)
class Epoch:
    """One run of a sender's clock: ``ref_ts`` is at ``ref_pos``."""

    ssrc: int
    ref_ts: int
    ref_pos: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a packet's first byte goes, and whether it began a new epoch; ``lead`` is position minus arrival."""

    position: int
    lead: int
    is_new_epoch: bool


class Timeline:
    """The time line of one channel.

    ``next_pos`` is the end of the furthest audio so far, ``longest`` the longest payload, ``began_here`` when the
    epoch began on the call's clock (None before the first); all ticks.
    """

    def __init__(self) -> None:
        self.next_pos = 0
        self.longest = 0
        self.began_here: int | None = None
        self.epoch: Epoch | None = None
        self._previous_ssrc: int | None = None
        self._last_here = 0
        self._began_lead = 0
        self._env_value = 0
        self._env_here = 0

    def envelope(self, here: int) -> int:
        """Return the largest lead seen lately, decayed to the time ``here`` (ticks of the call's clock)."""
        if self.epoch is None:
            return 0
        return self._env_value - max(here - self._env_here, 0) // DECAY

    def expect(self, ssrc: int, timestamp: int, here: int) -> int | None:
        """Return the position of ``timestamp`` in the running epoch, or None; no state changes."""
        if self.epoch is None or self.began_here is None or self.epoch.ssrc != ssrc:
            return None
        position = self.epoch.ref_pos + ticks_between(self.epoch.ref_ts, timestamp)
        envelope = self.envelope(here)
        most = self._began_lead + BEHIND + max(here - self.began_here, 0) // RUN_AWAY
        return position if envelope - BEHIND <= position - here <= min(envelope + AHEAD, most) else None

    def place(self, ssrc: int, timestamp: int, length: int, here: int) -> Placement | None:
        """Place ``length`` ticks of audio that arrived at ``here``; None if the packet is dropped, state unchanged."""
        position = self.expect(ssrc, timestamp, here)
        is_new_epoch = position is None
        if position is None:
            if self._is_stale(ssrc, here):
                return None
            position = max(here, self.next_pos)
            if position > here + AHEAD:
                return None
            self._begin(ssrc, timestamp, position, here)
        else:
            self._env_value, self._env_here = max(self.envelope(here), position - here), here
        self._last_here = here
        self.longest = max(self.longest, length)
        if position + length > self.next_pos:
            self.next_pos = position + length
            self.epoch = Epoch(ssrc, timestamp, position)
        return Placement(position=position, lead=position - here, is_new_epoch=is_new_epoch)

    def _is_stale(self, ssrc: int, here: int) -> bool:
        return ssrc == self._previous_ssrc and here - self._last_here < STALE_AFTER

    def _begin(self, ssrc: int, timestamp: int, position: int, here: int) -> None:
        if self.epoch is not None and self.epoch.ssrc != ssrc:
            self._previous_ssrc = self.epoch.ssrc
        self.epoch = Epoch(ssrc, timestamp, position)
        self.began_here = here
        self._began_lead = position - here
        self._env_value, self._env_here = position - here, here
