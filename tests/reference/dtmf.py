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
    """Tells key presses from their packets: an event is identified by (SSRC, timestamp) (RFC 4733 section 2.5.1.2).

    The three end packets, packets of an event already over and codes that are no keys give nothing.
    """

    def __init__(self) -> None:
        self._identity: tuple[int, int] | None = None
        self._event = 0
        self._duration = 0
        self._is_over = True

    def receive(self, ssrc: int, timestamp: int, event: TelephoneEvent) -> list[KeyPressed | KeyReleased]:
        """Take one event packet and return what it began and ended, in order."""
        if event.event >= len(KEYS):
            return []
        happened: list[KeyPressed | KeyReleased] = []
        if (ssrc, timestamp) != self._identity:
            happened += self._release()
            self._identity, self._event, self._duration, self._is_over = (ssrc, timestamp), event.event, 0, False
            happened.append(KeyPressed(key=KEYS[event.event], timestamp=timestamp))
        if self._is_over:
            return happened
        self._duration = max(self._duration, event.duration)
        if event.is_end:
            happened += self._release()
        return happened

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
