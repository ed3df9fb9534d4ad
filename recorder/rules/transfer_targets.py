"""Which numbers a transfer or a redirection may dial: at the council's cost, and under its name. Pure.

Whoever asks for one need not be an officer: a caller's REFER may come through the PBX. Emergency numbers and numbers
of ours are never asked about here.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from recorder.rules.routing import Route
from recorder.rules.written_numbers import without_separators

UK_DENIED = ("09", "118xxx", "00", "070", "087")
"""Premium rate, directory enquiries, international, personal numbers, and services at up to 13p a minute."""

UK_PREFIXES = ("9", "141", "1470", "1280", "18001", "18002")
"""For an outside line, to withhold or show the number, for another carrier, and for the text relay."""

LEAST_BEHIND_PREFIX = 6
"""Digits of the shortest number that is looked for behind a prefix, or in a code with ``*``: what is shorter may be the
end of an extension."""

LEAST_NATIONAL = 9
"""Digits of the shortest number that is looked for behind the country's code where nothing says that it is one: trunks
take +44 without the plus as well."""

LONGEST = 40
"""Characters of the longest number that is dialled: E.164 has 15 digits, and codes stand before them."""

_PATTERN = re.compile(r"[0-9*#]+|[0-9*#x]*x[0-9*#x]*", re.ASCII)
_DIALLED = re.compile(r"\+?[0-9*#]+", re.ASCII)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]*", re.ASCII)


def is_pattern(text: str) -> bool:
    """Tell whether a text can stand in a list of numbers: digits, which are a prefix, or with x a whole number."""
    return _PATTERN.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRules:
    """What no transfer dials.

    Attributes:
        deny: Beginnings of numbers, as they are dialled inside the country (``09``); with x for any digit, whole ones
            (``118xxx``).
        prefixes: What may stand before a number: for an outside line, to withhold one's own.
        country: The country's own code, and what is dialled instead of it.
    """

    deny: tuple[str, ...] = UK_DENIED
    prefixes: tuple[str, ...] = UK_PREFIXES
    country: str = "44"

    def may_dial(self, number: str, route: Route) -> bool:
        """Tell whether a transfer may dial a number on a route: as it was asked for, and as the route writes it."""
        if not route.transfers:
            return False
        return not any(self._denies(one, route.transfer_allow) for one in (number, route.dialled(number)))

    def _denies(self, number: str, allow: Iterable[str]) -> bool:
        plain = without_separators(unquote(number).partition(";")[0])
        if _NAME.fullmatch(plain):
            return False
        if not _DIALLED.fullmatch(plain) or len(plain) > LONGEST:
            return True  # nobody knows what a PBX makes of it
        return any(_fits(form, self.deny) and not _fits(form, allow) for form in self._forms(plain))

    def _forms(self, number: str) -> Iterator[str]:
        """Yield what a number may be to the network, each as it is dialled inside the country."""
        yield self._national(number)
        if number.startswith(self.country) and len(number) - len(self.country) >= LEAST_NATIONAL:
            yield self._national("+" + number)
        behind = [number[len(prefix) :] for prefix in self.prefixes if prefix and number.startswith(prefix)]
        for rest in (*behind, *_in_codes(number)):
            if len(rest) >= LEAST_BEHIND_PREFIX:
                yield from self._forms(rest)

    def _national(self, number: str) -> str:
        for code in (f"+{self.country}", f"00{self.country}"):
            if number.startswith(code):
                return "0" + number[len(code) :].removeprefix("0")
        return "00" + number[1:] if number.startswith("+") else number


def _in_codes(number: str) -> list[str]:
    """Return what may be a number within a code: ``*21*0900...#`` and ``*720900...`` forward a telephone to it."""
    parts = re.split(r"[*#]", number)
    return [part[at:] for part in parts for at in range(len(part))] if len(parts) > 1 else []


def _fits(number: str, patterns: Iterable[str]) -> bool:
    return any(_fits_one(number, pattern) for pattern in patterns)


def _fits_one(number: str, pattern: str) -> bool:
    if "x" not in pattern:
        return number.startswith(pattern)
    return len(number) == len(pattern) and all(
        digit == one or (one == "x" and digit.isdigit()) for digit, one in zip(number, pattern, strict=True)
    )
