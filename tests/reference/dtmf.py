"""Digits of the media core in plain Python: which event packets are one key press, and which tone is an echo."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from audio.dtmf import KEYS
from tests.reference.rtp import TelephoneEvent

ECHO_NS = 600_000_000
"""How long after a tone of the caller's the same tone on the officer's leg may still be its echo."""

ECHO_LEAD_NS = 80_000_000
"""How much earlier than the caller's an echo may seem to begin: event packets lag behind the tone they stand for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPressed:
    """A new event began at RTP timestamp ``timestamp``."""

    key: str
    timestamp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyReleased:
    """An event ended: by its E bit, or because another one began. ``duration`` in ticks."""

    key: str
    timestamp: int
    duration: int


class EventTracker:
    """Tells key presses from their packets, so that each one that a receiver would read as a digit is one (ADR 81).

    A key begins where SSRC, timestamp or code differ from those of the event in progress, and after its end with a
    marker or with a packet that is no end. An end that repeats the one before is none, nor is one of the event before
    in an earlier timestamp. Packets that are not newer than all of the event, and codes that are no keys, begin
    nothing.
    """

    def __init__(self) -> None:
        self._identity: tuple[int, int] | None = None
        self._event = 0
        self._duration = 0
        self._is_over = True
        self._end: TelephoneEvent | None = None
        self._former: tuple[int, int, TelephoneEvent | None] | None = None

    def receive(
        self, ssrc: int, timestamp: int, event: TelephoneEvent, *, is_marked: bool = False, is_newer: bool = False
    ) -> list[KeyPressed | KeyReleased]:
        """Take one event packet and return what it began and ended, in order.

        Args:
            ssrc: Of its stream.
            timestamp: Of its header, in [0, 2**32).
            event: Its payload.
            is_marked: Its marker bit.
            is_newer: Its sequence number is higher than all of the event in progress.
        """
        is_earlier = self._identity is not None and timestamp < self._identity[1]
        if event.event >= len(KEYS):
            return []
        if is_earlier and not is_marked and event.is_end and (ssrc, timestamp, event) == self._former:
            return []
        happened: list[KeyPressed | KeyReleased] = []
        if (ssrc, timestamp) != self._identity or (is_newer and self._is_another(event, is_marked=is_marked)):
            happened += self._release()
            self._former = (*self._identity, self._end) if self._identity is not None else None
            self._identity, self._event, self._duration, self._is_over = (ssrc, timestamp), event.event, 0, False
            self._end = None
            happened.append(KeyPressed(key=KEYS[event.event], timestamp=timestamp))
        if event.is_end:
            self._end = event
        if self._is_over:
            return happened
        self._duration = max(self._duration, event.duration)
        if event.is_end:
            happened += self._release()
        return happened

    def _is_another(self, event: TelephoneEvent, *, is_marked: bool) -> bool:
        if event.event != self._event:
            return True
        return self._end is not None and (not event.is_end or (is_marked and event != self._end))

    def _release(self) -> list[KeyPressed | KeyReleased]:
        if self._is_over or self._identity is None:
            return []
        self._is_over = True
        return [KeyReleased(key=KEYS[self._event], timestamp=self._identity[1], duration=self._duration)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """A key that was heard on a leg, from its first trace to its last; monotonic nanoseconds."""

    key: str = field(repr=False)
    from_ns: int
    to_ns: int


def is_echo(officer: Press, caller: Iterable[Press]) -> bool:
    """Tell whether a tone on the officer's leg is what the officer's telephone hears of the caller's keys.

    An echo does not begin before its origin, nor long after its end. A tone that begins on the officer's leg first is
    the officer's own key, even if the caller's line sends it back.
    """
    return any(
        press.key == officer.key and press.from_ns - ECHO_LEAD_NS <= officer.from_ns <= press.to_ns + ECHO_NS
        for press in caller
    )
