"""Returns the details of audit entries in words; empty ones are left out. Pure."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from storage.rows import time_from_json

_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "act": "act", "by": "looked for by", "from": "from", "to": "up to", "texts": "with free texts",
        "granted_s": "for", "os_user": "user of the machine", "was_kept": "was kept", "break_glass": "without approval",
        "on_day": "on", "sha256": "SHA-256", "had_pin": "had a PIN", "leave": "access",
    }
)  # fmt: skip
_CODES = frozenset(
    {"act", "by", "category", "decision", "event", "ground", "kind", "leave", "listed", "outcome", "report", "right",
     "roles", "second_factor", "state", "step", "what", "why"}
)  # fmt: skip
"""Details whose values are words of this program: their underscores and dots are spaces."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def details_in_words(details: Mapping[str, Any], when: Callable[[datetime], str]) -> list[tuple[str, str]]:
    """Return label and value of each detail that says something.

    Args:
        details: Of an entry, as they came from JSON.
        when: Returns a time in words.
    """
    found = [(_label(name), _words(name, value, when)) for name, value in details.items()]
    return [(label, words) for label, words in found if words]


def _label(name: str) -> str:
    return _LABELS.get(name) or name.removesuffix("_s").removesuffix("_at").removeprefix("is_").replace("_", " ")


def _words(name: str, value: object, when: Callable[[datetime], str]) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _length(value) if name.endswith("_s") else f"{value:,}"
    if isinstance(value, dict):
        parts = [(_label(inner), _words(inner, one, when)) for inner, one in value.items()]
        return ", ".join(f"{label} {words or 'none'}" for label, words in parts)  # "new none" says something
    if isinstance(value, list):
        return ", ".join(filter(None, (_words(name, one, when) for one in value)))
    return "" if value is None else _text(name, str(value), when)


def _text(name: str, text: str, when: Callable[[datetime], str]) -> str:
    if name in _CODES:
        return text.replace("_", " ").replace(".", " ")
    try:
        moment = time_from_json(text) if _TIME.fullmatch(text) else None
    except ValueError:  # such as a 30 February
        return text
    return when(moment) if moment is not None else text


def _length(seconds: float) -> str:
    minutes, rest = divmod(round(seconds, 1), 60)
    parts = [(f"{minutes:.0f} min", minutes), (f"{rest:g} s", rest or not minutes)]
    return " ".join(words for words, is_said in parts if is_said)
