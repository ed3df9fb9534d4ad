"""Calls for tests of their table, and scripts that are played to them."""

from typing import Any

from recorder.calls.rules.call_events import Command, Event
from recorder.calls.rules.call_progress import CallProgress
from recorder.calls.rules.call_table import handle
from recorder.rules.policy import Direction, NoticeWhen


def make(**changes: Any) -> CallProgress:
    """Return an inbound call of a nominated extension with one target, the notice before ringing."""
    values: dict[str, Any] = {
        "is_nominated": True,
        "direction": Direction.INBOUND,
        "notice_when": NoticeWhen.BEFORE_RING,
        "targets": 1,
    }
    return CallProgress(**{**values, **changes})


def play(call: CallProgress, script: list[tuple[Event, list[Command]]]) -> None:
    """Hand the events of a script to a call; each must give exactly its commands."""
    for number, (event, commands) in enumerate(script, 1):
        assert handle(call, event) == commands, f"step {number}: {event}"
