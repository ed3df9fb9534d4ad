"""Joins recordings of one conversation into one line, as a PBX may pass a transfer through the recorder twice. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

Call = dict[str, Any]

_LOUDEST = ("recording", "not_begun", "paused")
"""States by priority: a conversation is paused only if all its recordings are."""


def by_conversation(calls: Iterable[Call]) -> dict[str, Call]:
    """Return one line for each conversation, by the id of its oldest recording.

    A call with the only recording of its conversation is returned as the same object.

    Args:
        calls: Calls as the daemon lists them, oldest first.
    """
    found: dict[str, list[Call]] = {}
    for call in calls:
        found.setdefault(str(call.get("conversation") or call.get("call")), []).append(call)
    return {str(same[0].get("call")): same[0] if len(same) == 1 else _as_one(same) for same in found.values()}


def _as_one(calls: Sequence[Call]) -> Call:
    first = calls[0]
    state = next((one for one in _LOUDEST if any(call.get("state") == one for call in calls)), first.get("state"))
    asked = [call["opt_out"] for call in calls if call.get("opt_out")]
    open_request = next((one for one in asked if one.get("state") == "raised"), asked[0] if asked else None)
    return {
        **first,
        "state": state,
        "opt_out": open_request,
        "recordings": len(calls),
        **{key: sorted({one for call in calls for one in call.get(key) or ()}) for key in _LISTS},
    }


_LISTS = ("reasons", "extensions", "extensions_now", "operators", "operators_now")
