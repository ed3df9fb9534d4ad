"""Which values of a request's path may be logged in the audit log, from which nothing can be removed. Pure.

A refused client chose the path, and may have typed a telephone number into it. So a value is logged only if it has the
form of its kind of id.
"""

import re
from collections.abc import Callable, Mapping

from storage.format import is_recording_id


def _form(pattern: str) -> Callable[[str], bool]:
    form = re.compile(pattern, re.ASCII)
    return lambda text: form.fullmatch(text) is not None


_RANDOM = _form(r"[0-9a-f]{8}")
_FORMS: Mapping[str, Callable[[str], bool]] = {
    "recording_id": is_recording_id,
    "call": is_recording_id,
    "number": _form(r"[0-9*#]{1,6}"),  # an extension; a longer value may be a telephone number
    "account": _form(r"(?=.*[a-z])[a-z0-9][a-z0-9._-]{1,39}"),  # not digits only, which may be a telephone number
    "message": _form("first|second"),
    "case_id": _form(r"[A-Z]{2,4}-[0-9]{4}-[0-9]{4,6}"),
    "finding_id": _form(r"[0-9a-f]{16}"),
    "day": _form(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    **dict.fromkeys(("claim_id", "emergency_id", "hold_id", "order_id", "proposal", "request_id"), _RANDOM),
}
WORDS = frozenset({"act", "decision", "event"})
"""Path parameters that are not ids but words for the act, which the entry has as its act."""


def id_in_path(values: Mapping[str, str]) -> str:
    """Return the first id in a path, or "" if the first value does not have the form of one.

    Args:
        values: Path parameters by name, in the order of the path.
    """
    name, value = next(iter(values.items()), ("", ""))
    has_form = _FORMS.get(name)
    return value if has_form is not None and has_form(value) else ""
