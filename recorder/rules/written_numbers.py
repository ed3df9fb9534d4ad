"""How people and systems write a number: what stands between its digits, and counts for nothing. Pure."""

import re

_SEPARATORS = re.compile(r"[-.()\s]+")


def without_separators(number: str) -> str:
    """Return a number without what is written between its digits (RFC 3966 section 5.1.1): ``20-01`` is 2001.

    A PBX may leave them out, so no rule may be got round by them.
    """
    return _SEPARATORS.sub("", number)


def is_spelled_alike(one: str, other: str) -> bool:
    """Tell whether two numbers are the same but for what is written between their digits."""
    return without_separators(one) == without_separators(other)
