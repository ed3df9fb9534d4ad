"""The parties of one call, by side. No I/O."""

from collections.abc import Iterator

from recorder.calls.rules.call_events import Side
from recorder.calls.rules.call_progress import CallProgress
from recorder.calls.rules.transfer import Party
from recorder.rules.policy import Extension


class CallParties:
    """The parties of one call, by side.

    Args:
        people: The parties when the call begins.
        progress: The call's state in the table, which says on which side the officer is.

    Attributes:
        called: The sides whose party was called, as opposed to calling.
    """

    def __init__(self, people: dict[Side, Party], progress: CallProgress) -> None:
        self._people = people
        self._progress = progress
        self.called = {Side.B}

    def __getitem__(self, side: Side) -> Party:
        """Return the party on a side."""
        return self._people[side]

    def __setitem__(self, side: Side, party: Party) -> None:
        """Put a party on a side."""
        self._people[side] = party

    def __iter__(self) -> Iterator[Party]:
        """Iterate over the parties."""
        return iter(self._people.values())

    @property
    def outside(self) -> Party:
        """Return the outside party, who hears the notice."""
        return self._people[self._progress.outside]

    @property
    def officer(self) -> Extension | None:
        """Return the extension on the officer's side; None if it is not nominated."""
        return self._people[self._progress.officer].extension

    @property
    def numbers(self) -> frozenset[str]:
        """Return the nominated extensions that are on the call."""
        return frozenset(party.extension.number for party in self if party.extension is not None)
