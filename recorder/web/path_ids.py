"""What of a request's path may stand in the audit log, which nobody can take anything out of. Pure.

Whoever is refused chose the path, and may have typed a telephone number into it: only what has the form of an id of
its kind is kept.
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
    "number": _form(r"[0-9*#]{1,6}"),  # an extension; a longer one may be anybody's number
    "account": _form(r"(?=.*[a-z])[a-z0-9][a-z0-9._-]{1,39}"),  # likewise one of digits only
    "case_id": _form(r"[A-Z]{2,4}-[0-9]{4}-[0-9]{4,6}"),
    **dict.fromkeys(("claim_id", "emergency_id", "hold_id", "order_id", "proposal", "request_id"), _RANDOM),
}
WORDS = frozenset({"act", "decision", "event"})
"""What stands in a path and is no id: what is asked for, which the entry says as its act."""


def id_in_path(values: Mapping[str, str]) -> str:
    """Return the id that comes first in a path, or "": what stands there has not the form of one.

    Args:
        values: What stands in the path, by name, in its order.
    """
    name, value = next(iter(values.items()), ("", ""))
    has_form = _FORMS.get(name)
    return value if has_form is not None and has_form(value) else ""
