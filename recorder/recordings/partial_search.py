"""Searches by part of an officer's name and by the end of a number, turned into searches by whole ones.

The index compares whole names and numbers. Officers are few, and an index has numbers from their end, so the parts are
looked up first. Numbers are stored as they are; nothing more than them is kept for it.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from recorder.audit.audit_service import incomplete
from recorder.permissions import Act, Allowed, Person
from recorder.rules.authorisation import may
from storage.known_values import KnownValues
from storage.phone_numbers import normalise_number
from storage.searches import MOST_VALUES
from storage.types import Search

LEAST_DIGITS = 3
_WHOLE_FROM = 9
"""Digits from which a typed number is a whole one: shorter ones are extensions, or the end of a number."""
_KNOWN_FOR_S = 60.0
_MOST_QUERIES = 300
"""Most queries of one value each that a search may need: SQLite joins 500, and each takes a millisecond to write."""
_NO_DIGIT = re.compile(r"[\s().\-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pickers:
    """What a person may choose from: officers, services and teams, sorted."""

    officers: list[str]
    services: list[str]
    teams: list[str]


class PartialSearches:
    """Looks up parts of names and numbers in one index; names are read again after a minute. Blocks.

    Raises:
        DatabaseError: The database does not answer; applies to every method.
    """

    def __init__(self, known: KnownValues, clock: Callable[[], float] = time.monotonic) -> None:
        self._known = known
        self._clock = clock
        self._kept: dict[object, tuple[float, list[str]]] = {}

    def whole(self, search: Search, person: Person) -> Search | None:
        """Return a search by whole names and numbers; None if nothing can match.

        Args:
            search: ``operator`` may be a part of a name, in any case; ``number`` the last digits of a number.
            person: Who searches: parts of names are looked up, and counted, among the officers that they may find.

        Raises:
            ProblemError: 422, at its field: too many officers or numbers fit, or too few digits were given.
        """
        most = _most_values(search, person)
        return self._by_number(self._by_name(search, person, most), most)

    def _by_name(self, search: Search, person: Person, most: int) -> Search:
        names, part = self.pickers(person).officers, search.operator
        if part is None or part in names:
            return search
        fitting = tuple(name for name in names if part.casefold() in name.casefold())
        if len(fitting) >= most:
            raise incomplete(f"{len(fitting)} officers have {part!r} in their name. Give more of it.", "operator")
        # What was typed may be the name of somebody whose first call has just been filed.
        return replace(search, operator=None, operators=(part, *fitting)) if fitting else search

    def _by_number(self, search: Search, most: int) -> Search | None:
        digits = "" if search.number is None else _NO_DIGIT.sub("", search.number)
        if not (digits.isascii() and digits.isdigit()) or len(digits) >= _WHOLE_FROM:
            return search
        if len(digits) < LEAST_DIGITS:
            raise incomplete(f"Give at least {LEAST_DIGITS} digits of the number.", "number")
        fitting = self._known.numbers_ending(digits, most)
        if fitting is None:
            raise incomplete(f"More than {most} numbers end in {digits}. Give more digits.", "number")
        numbers = tuple(dict.fromkeys(map(normalise_number, fitting)))
        return replace(search, number=None, numbers=numbers) if numbers else None

    def pickers(self, person: Person) -> Pickers:
        """Return the officers, services and teams whose calls a person may find."""
        decision = may(person, Act.SEARCH)
        if not isinstance(decision, Allowed):
            return Pickers(officers=[], services=[], teams=[])
        services = self._read("services", self._known.services)
        if not decision.is_part:
            return Pickers(officers=self._officers(), services=services, teams=self._read("teams", self._known.teams))
        teams = sorted(person.teams) if decision.team_only else []
        officers = self._read(tuple(teams), lambda: self._known.operators(teams)) if teams else []
        own = {person.display_name} if decision.own_only else set()
        return Pickers(officers=sorted({*officers, *own} - {""}), services=services, teams=teams)

    def _officers(self) -> list[str]:
        return self._read("officers", self._known.operators)

    def _read(self, key: object, read: Callable[[], list[str]]) -> list[str]:
        kept = self._kept.get(key)
        if kept is None or self._clock() >= kept[0]:
            self._kept[key] = kept = (self._clock() + _KNOWN_FOR_S, read())
        return kept[1]


def _most_values(search: Search, person: Person) -> int:
    """Return how many officers or numbers may fit a part: fewer, the more is asked for besides.

    A call matches each of these by its own row or by one beside it, and is found within a limit in three ways, so each
    multiplies the queries (`storage.searches`).
    """
    given = (search.operator, search.extension, search.number, search.team)
    decision = may(person, Act.SEARCH)
    is_part = isinstance(decision, Allowed) and decision.is_part
    ways = (1 << sum(one is not None for one in given)) * (3 if is_part else 1)
    return min(MOST_VALUES, _MOST_QUERIES // ways)
