"""The officers who have had a call, since officers hand calls over. Pure."""

from collections.abc import Callable, Collection

from recorder.rules.policy import Extension, Nomination
from recorder.rules.sign_on import Seat


class CallOperators:
    """The officers of one call, in the order in which they had it.

    Args:
        seat_of: Returns the operator at an extension now.
        nomination: The call's nomination; an internal call has two officers from the start.
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
        """Assign the call to this extension; earlier officers stay in the list."""
        self._seats.setdefault(extension.number, self._seat_of(extension))
        self.now = self._seats[extension.number].operator

    def add_participant(self, extension: Extension) -> None:
        """Add an extension that is on the call, without assigning the call to it."""
        self._seats.setdefault(extension.number, self._seat_of(extension))

    def open(self, extension: Extension) -> None:
        """Assign the call to the extension that answered, before recording begins.

        An officer who was dialled, but did not answer, is removed.
        """
        self.add(extension)
        self.opened_by = self.now
        if extension.number != self.first.number:
            self._seats.pop(self.first.number, None)

    def at(self, extensions: Collection[str]) -> frozenset[str]:
        """Return the operators of the call at these extensions."""
        return frozenset(self._seats[number].operator for number in extensions if number in self._seats)

    def proven_at(self, extensions: Collection[str]) -> frozenset[str]:
        """Return those of `at` who are at their configured phone, or keyed a code at this one."""
        return frozenset(
            self._seats[number].operator
            for number in extensions
            if number in self._seats and self._seats[number].is_proven
        )

    def prove(self, extension: str, operator: str) -> None:
        """Note that the operator at an extension keyed a code there."""
        seat = self._seats.get(extension)
        if seat is not None and seat.operator == operator:
            self._seats[extension] = Seat(operator=operator, is_proven=True)

    @property
    def is_proven(self) -> bool:
        """Tell whether every officer was at their configured phone, or keyed a code."""
        return all(seat.is_proven for seat in self._seats.values())

    @property
    def names(self) -> tuple[str, ...]:
        """Return the operators who had the call, each once, in order."""
        return tuple(dict.fromkeys(seat.operator for seat in self._seats.values()))

    @property
    def extensions(self) -> tuple[str, ...]:
        """Return the extensions that had the call, in order."""
        return tuple(self._seats)
