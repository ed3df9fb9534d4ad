"""Where a packet belongs on its channel's time line; the rules are in docs/media-core.md, "Time line of a channel".

Pure and integers only: the reference that the media core must equal to the byte.
"""

from dataclasses import dataclass

from tests.reference.rtp import ticks_between

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
SETTLED = 8000
"""Ticks after which the envelope of a stream is trusted: by then a packet with little delay has come."""
MAX_PAST = 4
"""Streams before the current one that are remembered."""


def numbers_between(earlier: int, later: int) -> int:
    """Return the signed distance between two RTP sequence numbers, the shorter way round (RFC 3550 appendix A.1)."""
    return (later - earlier + 0x8000) % 0x10000 - 0x8000


@dataclass(slots=True)
class Epoch:
    """One run of a sender's clock: ``ref_ts`` is at ``ref_pos``; ``newest`` is the highest sequence number of it."""

    ssrc: int
    ref_ts: int
    ref_pos: int
    newest: int

    def position_of(self, timestamp: int) -> int:
        """Return where this clock puts a timestamp."""
        return self.ref_pos + ticks_between(self.ref_ts, timestamp)

    def is_passed(self, sequence: int) -> bool:
        """Tell whether a packet of this number, or one after it, has come."""
        return numbers_between(self.newest, sequence) <= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a packet's first byte goes.

    Attributes:
        position: Of its first byte.
        lead: Position minus arrival.
        is_new_epoch: It began one.
        former: Where the clock of its stream would have put it before, if it began a new epoch of a known stream.
        late: How late it is at most, if the stream before it was the same.
        is_passed: Such a packet, that was numbered behind what has come of its stream.
    """

    position: int
    lead: int
    is_new_epoch: bool
    former: int | None = None
    late: int | None = None
    is_passed: bool = False


class Timeline:
    """The time line of one channel.

    ``next_pos`` is the end of the furthest audio so far, ``longest`` the longest payload, ``began_here`` when the
    epoch began on the call's clock (None before the first); all ticks.
    """

    def __init__(self) -> None:
        self.next_pos = 0
        self.longest = 0
        self.began_here: int | None = None
        self.has_restarted = False
        """The epoch is not the first."""
        self.has_moved = False
        """Another stream took the first one's place: its way may be slower or faster, and nothing tells."""
        self.epoch: Epoch | None = None
        self._past: list[Epoch] = []
        self._stepped_at: int | None = None
        self._last_here = 0
        self._began_lead = 0
        self._began_late: int | None = 0
        self._newest_here = 0
        self._newest_late: int | None = 0
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
        position = self.epoch.position_of(timestamp)
        envelope = self.envelope(here)
        most = self._began_lead + BEHIND + max(here - self.began_here, 0) // RUN_AWAY
        return position if envelope - BEHIND <= position - here <= min(envelope + AHEAD, most) else None

    def place(
        self, ssrc: int, sequence: int, timestamp: int, length: int, here: int, *, has_returned: bool = False
    ) -> Placement | None:
        """Place ``length`` ticks of audio that arrived at ``here``; None if the packet is dropped, state unchanged.

        ``has_returned``: its stream is the voice again, in the place of one that goes on.
        """
        position = self.expect(ssrc, timestamp, here)
        if position is None or self._is_before_step(sequence) or self._steps_back(sequence, position):
            return self._place_anew(ssrc, sequence, timestamp, length, here, has_returned=has_returned)
        self._env_value, self._env_here = max(self.envelope(here), position - here), here
        self._take(sequence, timestamp, position, length, here)
        return Placement(position=position, lead=position - here, is_new_epoch=False)

    def _place_anew(
        self, ssrc: int, sequence: int, timestamp: int, length: int, here: int, *, has_returned: bool
    ) -> Placement | None:
        known = next((each for each in (self.epoch, *self._past) if each is not None and each.ssrc == ssrc), None)
        is_passed = known is not None and known.is_passed(sequence)
        is_previous = known is not None and known in self._past[:1] and not has_returned
        if (is_passed or is_previous) and here - self._last_here < STALE_AFTER:
            return None
        position = max(here, self.next_pos)
        if position > here + AHEAD:
            return None
        former = None if known is None else known.position_of(timestamp)
        late = self._late_at_most(here) if known is not None and known is self.epoch else None
        self._begin(ssrc, sequence, timestamp, position, here)
        self._began_late = 0 if known is None else late
        self._stepped_at = None if known is None else sequence
        self._take(sequence, timestamp, position, length, here)
        return Placement(
            position=position, lead=position - here, is_new_epoch=True, former=former, late=late, is_passed=is_passed
        )

    def _late_at_most(self, here: int) -> int | None:
        """Return how late a packet can be that was sent after all others of the epoch, whatever its timestamp says.

        What was sent after a packet was said after it: no longer ago than the time since that one came, and what that
        one was late itself.
        """
        return None if self._newest_late is None else here - self._newest_here + self._newest_late

    def _note_newest(self, lead: int, here: int) -> None:
        assert self.began_here is not None
        began_late = self._began_late if here - self.began_here < SETTLED else 0
        self._newest_here = here
        self._newest_late = None if began_late is None else self.envelope(here) - lead + began_late

    def _is_before_step(self, sequence: int) -> bool:
        """Tell whether a packet belongs to the clock that its stream had before it stepped."""
        return self._stepped_at is not None and numbers_between(self._stepped_at, sequence) < 0

    def _steps_back(self, sequence: int, position: int) -> bool:
        """Tell whether a packet is numbered after all others, and its timestamp lies before that of the furthest."""
        assert self.epoch is not None
        return position < self.epoch.ref_pos and not self.epoch.is_passed(sequence)

    def _take(self, sequence: int, timestamp: int, position: int, length: int, here: int) -> None:
        assert self.epoch is not None
        if position + length > self.next_pos or not self.epoch.is_passed(sequence):
            self._note_newest(position - here, here)
        self._last_here = here
        self.longest = max(self.longest, length)
        if position + length > self.next_pos:
            self.next_pos = position + length
            self.epoch.ref_ts, self.epoch.ref_pos, self.epoch.newest = timestamp, position, sequence
        elif not self.epoch.is_passed(sequence):
            self.epoch.newest = sequence

    def _begin(self, ssrc: int, sequence: int, timestamp: int, position: int, here: int) -> None:
        if self.epoch is not None and self.epoch.ssrc != ssrc:
            self._past = [self.epoch, *(each for each in self._past if each.ssrc != ssrc)][:MAX_PAST]
            self.has_moved = True
        self.has_restarted = self.epoch is not None
        self.epoch = Epoch(ssrc, timestamp, position, sequence)
        self.began_here = here
        self._began_lead = position - here
        self._env_value, self._env_here = position - here, here
