"""What is said of a value that is not known or not valid: the nearest valid one, and pydantic's findings in our words.

Pure. Used by commands, the configuration and the problem documents of both HTTP interfaces.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

LISTED = 20
"""Most known values that a sentence lists; of more it names the nearest only."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known value that is written most like a word; empty if none is known."""
    from difflib import get_close_matches  # noqa: PLC0415 - only of use after a mistake

    values = {one.lower(): one for one in known}
    found = get_close_matches(word.lower()[:80], values, n=1, cutoff=0.0)
    return values[found[0]] if found else ""


def unknown(word: str, known: Iterable[str], *, what: str) -> str:
    """Return the sentence about a value that is not among the known ones.

    Args:
        word: As given.
        known: The valid values.
        what: What it should be, with its article, such as ``an alarm``.
    """
    values = list(known)
    listed = f"; known are {', '.join(values)}" if len(values) <= LISTED else ""
    return f"{word!r} is not {what}; the nearest is {nearest(word, values)!r}{listed}"


_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "missing": "is missing",
        "missing_argument": "is missing",
        "extra_forbidden": "is not known here",
        "json_invalid": "is not JSON",
        "json_type": "is not JSON",
        "string_type": "must be text",
        "string_unicode": "must be text",
        "string_too_short": "must have at least {min_length} characters",
        "string_too_long": "must have at most {max_length} characters",
        "string_pattern_mismatch": "is not in the form {pattern}",
        "int_type": "must be a whole number, such as 5",
        "int_parsing": "must be a whole number, such as 5",
        "int_parsing_size": "must be a whole number, such as 5",
        "int_from_float": "must be a whole number, such as 5",
        "float_type": "must be a number, such as 2.5",
        "float_parsing": "must be a number, such as 2.5",
        "finite_number": "must be a number, such as 2.5",
        "bool_type": "must be true or false",
        "bool_parsing": "must be true or false",
        "greater_than": "must be over {gt}",
        "greater_than_equal": "must be at least {ge}",
        "less_than": "must be under {lt}",
        "less_than_equal": "must be at most {le}",
        "enum": "must be {expected}",
        "literal_error": "must be {expected}",
        "too_short": "must have at least {min_length} items",
        "too_long": "must have at most {max_length} items",
        "list_type": "must be a list",
        "tuple_type": "must be a list",
        "set_type": "must be a list",
        "frozen_set_type": "must be a list",
        "dict_type": "must be an object",
        "model_type": "must be an object",
        "model_attributes_type": "must be an object",
        "dataclass_type": "must be an object",
        "timezone_aware": "must have a time zone, such as 2026-11-28T14:30:00Z",
        "none_required": "must be left out",
    }
)
"""What is wrong with a value, by pydantic's type of the finding."""
_EXAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "datetime": "must be a time, such as 2026-11-28T14:30:00Z",
        "date": f"must be a day, such as {date(2026, 11, 28)}",
        "time": "must be a time of day, such as 14:30",
        "uuid": "must be a UUID",
        "ip": "must be an IP address, such as 192.0.2.10",
        "url": "must be an address, such as https://example.org/",
        "bytes": "must be text",
        "decimal": "must be a number, such as 2.5",
    }
)
"""The same, by how that type begins."""


def fault_of(finding: Mapping[str, Any]) -> str:
    """Return what pydantic found, in plain words and without the value; to be read after the name of the field.

    Args:
        finding: An item of ``errors()`` of its ValidationError, or of FastAPI's.
    """
    kind, context = str(finding["type"]), finding.get("ctx") or {}
    if kind in ("value_error", "assertion_error"):
        return f"is not valid: {str(context.get('error', '')).rstrip('.')}".removesuffix(": ")
    sentence = _SENTENCES.get(kind)
    if sentence is not None:
        return sentence.format_map({name: _plain(value) for name, value in context.items()})
    return next((told for start, told in _EXAMPLES.items() if kind.startswith(start)), "is not valid")


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
