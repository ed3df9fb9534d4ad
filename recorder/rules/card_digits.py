"""Whether digits that the caller keys look like a card number. Pure; no message holds a digit."""

from collections import deque
from dataclasses import dataclass

SAME_PRESS_NS = 1_000_000_000
"""A digit that comes by two carriers comes twice within this: in band 38 ms after it began, otherwise at its end."""


@dataclass(slots=True)
class _Press:
    """One press of a key: when it was first seen, the carriers that have brought it, and which key was only heard."""

    at_ns: int
    carriers: set[str]
    heard: str | None


class CardRule:
    """Counts digits of the caller: ``digits`` within ``within_s`` seconds look like a card number.

    A press that comes by several carriers (RFC 4733 and in band, in band and SIP INFO) counts once: a carrier's digit
    belongs to the oldest press of the last second that this carrier has not brought yet. One and the same key that was
    only heard, again and again, is no card number: a voice on two steady harmonics is taken for a key now and then, and
    always for the same one (docs/tones.md). Holds the last ``digits`` presses at most.
    """

    def __init__(self, *, digits: int = 4, within_s: float = 10.0) -> None:
        if digits < 1 or within_s <= 0:
            raise ValueError(f"at least one digit in a positive time, got {digits} in {within_s} s")
        self._within_ns = round(within_s * 1e9)
        self._presses: deque[_Press] = deque(maxlen=digits)

    def count(self, now_ns: int, carrier: str = "", *, heard: str | None = None) -> bool:
        """Take one digit; True if it makes the rule true, also while it stays true.

        Args:
            now_ns: Moment, monotonic.
            carrier: What brought it.
            heard: Which key, if nothing but its sound says that it was pressed.
        """
        for press in self._presses:
            if now_ns - press.at_ns <= SAME_PRESS_NS and carrier not in press.carriers:
                press.carriers.add(carrier)
                press.heard = None
                return self._is_card(now_ns)
        self._presses.append(_Press(now_ns, {carrier}, heard))
        return self._is_card(now_ns)

    def _is_card(self, now_ns: int) -> bool:
        heard = {press.heard for press in self._presses}
        is_voice = len(heard) == 1 and None not in heard and len(self._presses) > 1
        is_enough = len(self._presses) == self._presses.maxlen
        return is_enough and not is_voice and now_ns - self._presses[0].at_ns <= self._within_ns

    def forget(self) -> None:
        """Start again, as after a resume."""
        self._presses.clear()
