"""Builds the syslog message of an audit entry, from an allow-list of its fields. Pure.

A message names the account that acted, the act, the recording or case, and facts from closed vocabularies. It never has
a number or name of a caller, free text, or a value that is not on the list: an entry of a later version may have
details that nobody has judged yet.
"""

import re
from collections.abc import Mapping
from typing import Any

from recorder.common.logs import MASKED_FROM
from recorder.common.syslog_format import ALERT, NOTICE, WARNING, message
from storage.audit_entry import AuditEntry
from storage.format import is_recording_id

ENTRY_ID, DETAILS_ID = "entry@32473", "details@32473"
"""Names of the structured data; 32473 is the enterprise number for documentation (RFC 5612)."""
DAMAGED = "audit.damaged"
"""MSGID of the message about a line that is no entry; no act of the log has this name."""

_MOST_CHARACTERS, _MOST_VALUES = 64, 16
_WORD = re.compile(r"[a-z][a-z0-9_.:+-]{0,63}")
_ID = re.compile(r"[0-9a-f]{6,32}")
_CASE = re.compile(r"[A-Z]{2,4}-\d{4}-\d{1,4}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z")
_UNPRINTABLE = re.compile(r"[^!-~]")
_NUMBER = re.compile(rf"\+?\d(?:[^0-9A-Za-z]{{0,3}}\d){{{MASKED_FROM - 1},}}")
"""Digits that could be a number. Unlike in logs, dots and underscores between them do not end it: names have neither
times nor addresses."""
_ESCAPED = re.compile(r'(["\\\]])')

_WORDS = frozenset({
    "where", "why", "kind", "state", "way", "carrier", "by_act", "decision", "outcome", "rule", "scope", "what",
    "os_user", "reasons", "roles", "changed",
})  # fmt: skip
"""Details with words of a closed vocabulary, names of settings, or users of the operating system. Not ``form``: how the
request of a case came is typed freely."""
_FLAGS = frozenset({"late", "break_glass", "without_account", "deputy", "kept", "complete"})
_IDS = frozenset({"order", "request", "hold", "claim"})
_TIMES = frozenset({"happened_at"})


def message_of(entry: AuditEntry, host: str) -> bytes:
    """Return an entry as an RFC 5424 message, without framing.

    Args:
        entry: The entry.
        host: Name of this machine.
    """
    about = {
        "n": str(entry.number),
        "act": _plain(entry.act),
        "actor": name_of(entry.actor),
        "subject": subject_of(entry.subject),
        "hash": entry.hash,
    }
    severity = WARNING if entry.act.endswith(("refused", "not_stored", "doubted", "stopped")) else NOTICE
    said = f"{about['act']} by {about['actor'] or '-'}" + (f" on {about['subject']}" if about["subject"] else "")
    data = _element(ENTRY_ID, about) + _element(DETAILS_ID, details_of(entry.details))
    at = entry.at if _TIME.fullmatch(entry.at) else "-"
    return message(severity, at, host, f"{data} {said}", kind=about["act"])


def damaged_message(offset: int, at: str, host: str) -> bytes:
    """Return the message that says that a line of the log is no entry.

    Args:
        offset: Where the line begins, bytes.
        at: The time now, RFC 3339.
        host: Name of this machine.
    """
    said = "a line of the audit log is damaged or was changed; recorder audit verify says where"
    data = _element(ENTRY_ID, {"offset": str(offset)})
    return message(ALERT, at, host, f"{data} {said}", kind=DAMAGED)


def name_of(actor: str) -> str:
    """Return the name of an account, token or user; a run of digits in it is masked."""
    return _masked(_plain(actor))


def subject_of(subject: str) -> str:
    """Return a recording id, a case or the name of an account; anything else without its digits."""
    if is_recording_id(subject) or _CASE.fullmatch(subject) or _is_id(subject):
        return subject
    return _masked(_plain(subject))


def details_of(details: Mapping[str, Any]) -> dict[str, str]:
    """Return the details that are on the allow-list and have the form that belongs to them, sorted."""
    found = {name: _value(name, value) for name, value in sorted(details.items())}
    return {name: value for name, value in found.items() if value is not None}


def _value(name: str, value: object) -> str | None:
    if name in _FLAGS:
        return str(value).lower() if isinstance(value, bool) else None
    if name in _WORDS:
        values = value if isinstance(value, list) else [value]
        words = [one for one in values if isinstance(one, str) and _is_word(one)]
        return ",".join(words) if words and len(words) == len(values) <= _MOST_VALUES else None
    if not isinstance(value, str):
        return None
    is_of_form = (name in _IDS and _is_id(value)) or (name in _TIMES and _TIME.fullmatch(value) is not None)
    return value if is_of_form else None


def _is_word(text: str) -> bool:
    return _WORD.fullmatch(text) is not None and _masked(text) == text


def _is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None and not text.isdigit()


def _plain(text: str) -> str:
    return _UNPRINTABLE.sub("_", text)[:_MOST_CHARACTERS]


def _masked(text: str) -> str:
    return _NUMBER.sub(lambda found: f"[{sum(map(str.isdigit, found[0]))} digits]", text)


def _element(name: str, values: Mapping[str, str]) -> str:
    """Return an element of structured data (RFC 5424 section 6.3); nothing if it has no values."""
    said = "".join(f' {key}="{_escaped(value)}"' for key, value in values.items() if value)
    return f"[{name}{said}]" if said else ""


def _escaped(value: str) -> str:
    return _ESCAPED.sub(r"\\\1", value)
