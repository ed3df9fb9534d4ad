"""Which numbers a transfer or a redirection may dial, at the council's cost and under its name. Pure.

The request need not come from an officer: a caller's REFER may pass through the PBX. Emergency numbers and the
council's own numbers are not checked here.
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
"""Fewest digits of a number looked for after a prefix or in a ``*`` code; fewer may end an extension."""

LEAST_NATIONAL = 9
"""Fewest digits of a number that is looked for after the country code without a plus, which trunks accept too."""

LONGEST = 40
"""Most characters that are dialled: E.164 has 15 digits, and codes may precede them."""

_PATTERN = re.compile(r"[0-9*#]+|[0-9*#x]*x[0-9*#x]*", re.ASCII)
_DIALLED = re.compile(r"\+?[0-9*#]+", re.ASCII)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]*", re.ASCII)


def is_pattern(text: str) -> bool:
    """Tell whether a text can be listed as a number: digits are a prefix, with x it is a whole number."""
    return _PATTERN.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRules:
    """The numbers that no transfer dials.

    Attributes:
        deny: Prefixes of numbers as dialled inside the country (``09``); with x for any digit, whole numbers
            (``118xxx``).
        prefixes: What may precede a number: for an outside line, to withhold the own number.
        country: The country's own code, which 0 replaces inside the country.
    """

    deny: tuple[str, ...] = UK_DENIED
    prefixes: tuple[str, ...] = UK_PREFIXES
    country: str = "44"

    def may_dial(self, number: str, route: Route) -> bool:
        """Tell whether a transfer may dial a number on a route, as asked for and as the route rewrites it."""
        if not route.transfers:
            return False
        return not any(self._denies(one, route.transfer_allow) for one in (number, route.dialled(number)))

    def _denies(self, number: str, allow: Iterable[str]) -> bool:
        plain = without_separators(unquote(number).partition(";")[0])
        if _NAME.fullmatch(plain):
            return False
        if not _DIALLED.fullmatch(plain) or len(plain) > LONGEST:
            return True  # a PBX may turn it into any number
        return any(_fits(form, self.deny) and not _fits(form, allow) for form in self._forms(plain))

    def _forms(self, number: str) -> Iterator[str]:
        """Yield the numbers that the network may take it for, each as dialled inside the country."""
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
    """Return possible numbers within a code: ``*21*0900...#`` and ``*720900...`` divert a phone to them."""
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
