"""Whose call it is, and whose it was: officers hand calls over. Pure."""

from collections.abc import Callable, Collection

from recorder.rules.policy import Extension, Nomination
from recorder.rules.sign_on import Seat


class CallOperators:
    """The officers of one call, in the order in which it came to them.

    Args:
        seat_of: Who sits at an extension now.
        nomination: What the call began with; an internal one has two officers from the start.
    """

    def __init__(self, seat_of: Callable[[Extension], Seat], nomination: Nomination) -> None:
        self._seat_of = seat_of
        self.first = nomination.extension
        self._seats: dict[str, Seat] = {}
        self.add(self.first)
        self.opened_by = self.now
        if nomination.second is not None:
            self._seats.setdefault(nomination.second.number, seat_of(nomination.second))

    def add(self, extension: Extension) -> None:
        """Assign the call to this extension; the officer before keeps their part in it."""
        self._seats.setdefault(extension.number, self._seat_of(extension))
        self.now = self._seats[extension.number].operator

    def add_participant(self, extension: Extension) -> None:
        """Add an extension that is on the call too, whoever's call it is."""
        self._seats.setdefault(extension.number, self._seat_of(extension))

    def open(self, extension: Extension) -> None:
        """Begin the recording as the call of an extension: it is filed under whoever answered.

        An officer who was dialled, and whose call another one answered, took no part in it.
        """
        self.add(extension)
        self.opened_by = self.now
        if extension.number != self.first.number:
            self._seats.pop(self.first.number, None)

    def at(self, extensions: Collection[str]) -> frozenset[str]:
        """Return who of the officers sits at these extensions; whoever came by another one is left out."""
        return frozenset(self._seats[number].operator for number in extensions if number in self._seats)

    def proven_at(self, extensions: Collection[str]) -> frozenset[str]:
        """Return those of them whose own phone it is, or who keyed a code there."""
        return frozenset(
            self._seats[number].operator
            for number in extensions
            if number in self._seats and self._seats[number].is_proven
        )

    def prove(self, extension: str, operator: str) -> None:
        """Note that a code was keyed at a phone; the call's owner does not change."""
        seat = self._seats.get(extension)
        if seat is not None and seat.operator == operator:
            self._seats[extension] = Seat(operator=operator, is_proven=True)

    @property
    def is_proven(self) -> bool:
        """Tell whether every officer was at their own phone, or keyed a code there."""
        return all(seat.is_proven for seat in self._seats.values())

    @property
    def names(self) -> tuple[str, ...]:
        """Return everybody whose call it was, each once, the first one first."""
        return tuple(dict.fromkeys(seat.operator for seat in self._seats.values()))

    @property
    def extensions(self) -> tuple[str, ...]:
        """Return every extension whose call it was, the first one first."""
        return tuple(self._seats)
