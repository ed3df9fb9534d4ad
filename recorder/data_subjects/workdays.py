"""Working days in England and Wales, computed without the network."""

import functools
from datetime import date

import holidays

_SATURDAY = 5


def is_working_day(day: date) -> bool:
    """Tell whether a day is neither at a weekend nor a bank holiday."""
    return day.weekday() < _SATURDAY and day not in _bank_holidays(day.year)


@functools.lru_cache(maxsize=16)
def _bank_holidays(year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("GB", subdiv="ENG", years=year))
