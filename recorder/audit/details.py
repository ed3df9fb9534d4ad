"""Returns the details of audit entries in words; empty ones are left out. Pure."""

import re
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from recorder.rules import times, wording
from storage.rows import time_from_json

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_UNIT = re.compile(r" (in )?seconds| \(seconds\)")
"""In the words for the name of a length: the value says its units itself."""


def details_in_words(details: Mapping[str, Any], zone: ZoneInfo) -> list[tuple[str, str]]:
    """Return name and value of each detail that says something.

    Args:
        details: Of an entry, as they came from JSON.
        zone: Time zone of the site.
    """
    found = [(_name(name), _words(name, value, zone)) for name, value in details.items()]
    return [(name, words) for name, words in found if words]


def _name(name: str) -> str:
    words = wording.detail_name(name)
    return _UNIT.sub("", words).removesuffix(" s") if name.endswith("_s") else words.removeprefix("is ")


def _words(name: str, value: object, zone: ZoneInfo) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _length(value) if name.endswith("_s") else f"{value:,}"
    if isinstance(value, dict):
        parts = [(_name(inner), _words(inner, one, zone)) for inner, one in value.items()]
        return ", ".join(f"{inner} {words or 'none'}" for inner, words in parts)  # "new none" says something
    if isinstance(value, list):
        return ", ".join(filter(None, (_words(name, one, zone) for one in value)))
    return "" if value is None else _text(name, str(value), zone)


def _text(name: str, text: str, zone: ZoneInfo) -> str:
    if name == "act":
        return wording.audit_event(text)
    try:
        moment = time_from_json(text) if _TIME.fullmatch(text) else None
    except ValueError:  # such as a 30 February
        moment = None
    return wording.known_code(text) if moment is None else times.moment(moment, zone, with_seconds=True)


def _length(seconds: float) -> str:
    return times.duration(seconds) if float(seconds).is_integer() else f"{seconds:g} seconds"
