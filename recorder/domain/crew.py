"""Whose call it is, and whose it was: officers hand calls over. Pure."""

from collections.abc import Callable, Collection

from recorder.domain.policy import Extension, Nomination


class Crew:
    """The officers of one call, in the order in which it came to them.

    Args:
        operator_of: Who sits at an extension now.
        nomination: What the call began with; an internal one has two officers from the start.
    """

    def __init__(self, operator_of: Callable[[Extension], str], nomination: Nomination) -> None:
        self._operator_of = operator_of
        self.first = nomination.extension
        self._operators: dict[str, str] = {}
        self.add(self.first)
        self.opened_by = self.now
        if nomination.second is not None:
            self._operators.setdefault(nomination.second.number, operator_of(nomination.second))

    def add(self, extension: Extension) -> None:
        """Take it that the call is this extension's now; whoever sat there before keeps their part in it."""
        self._operators.setdefault(extension.number, self._operator_of(extension))
        self.now = self._operators[extension.number]

    def take_part(self, extension: Extension) -> None:
        """Take it that an extension is on the call too, whoever's call it is."""
        self._operators.setdefault(extension.number, self._operator_of(extension))

    def open(self, extension: Extension) -> None:
        """Take it that recording begins now, as the call of an extension: it is filed under whoever answered.

        An officer who was dialled, and whose call another one answered, took no part in it.
        """
        self.add(extension)
        self.opened_by = self.now
        if extension.number != self.first.number:
            self._operators.pop(self.first.number, None)

    def at(self, extensions: Collection[str]) -> frozenset[str]:
        """Return who of the officers sits at these extensions; whoever came by another one is left out."""
        return frozenset(self._operators[number] for number in extensions if number in self._operators)

    @property
    def operators(self) -> tuple[str, ...]:
        """Return everybody whose call it was, each once, the first one first."""
        return tuple(dict.fromkeys(self._operators.values()))

    @property
    def extensions(self) -> tuple[str, ...]:
        """Return every extension whose call it was, the first one first."""
        return tuple(self._operators)
