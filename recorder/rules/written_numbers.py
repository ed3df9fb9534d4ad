"""Phone numbers as people and systems write them, with separators that carry no meaning. Pure."""

import re

_SEPARATORS = re.compile(r"[-.()\s]+")


def without_separators(number: str) -> str:
    """Return a number without visual separators (RFC 3966 section 5.1.1): ``20-01`` becomes 2001.

    A PBX may ignore them, so no rule may be evaded by adding some.
    """
    return _SEPARATORS.sub("", number)


def is_spelled_alike(one: str, other: str) -> bool:
    """Tell whether two numbers differ only in their separators."""
    return without_separators(one) == without_separators(other)
