"""Extensions whose ``operator`` is the name of an account instead of its display name. Pure.

An officer's calls are found by their display name. Calls of an extension with the account's name are filed under a name
that nobody has, so their officer does not find them.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from recorder.permissions import Person


@dataclass(frozen=True, slots=True)
class MisnamedOperator:
    """An extension's number, the name in its ``operator``, and the person who is probably meant."""

    extension: str
    operator: str
    person: Person

    @property
    def sentence(self) -> str:
        """Return what is wrong and what to do."""
        return (
            f"extension {self.extension} has operator {self.operator!r}, but calls of the account {self.person.name} "
            f"are found by {self.person.display_name!r}: write that as its operator in recorder.toml"
        )


def misnamed_operators(
    operators: Collection[tuple[str, str]], people: Collection[Person]
) -> Iterator[MisnamedOperator]:
    """Yield the extensions that do not use the display name of their operator.

    Args:
        operators: Number and ``operator`` of each extension.
        people: Everybody with an account.
    """
    shown = {person.display_name for person in people}
    for number, operator in operators:
        if not operator or operator in shown:
            continue
        for person in people:
            if operator.casefold() in (person.name.casefold(), person.display_name.casefold()):
                yield MisnamedOperator(number, operator, person)
                break
