"""Rows of live calls: the daemon's data, and the acts that a person may do now. Pure."""

from dataclasses import dataclass
from typing import Any

from recorder.permissions import Act


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRow:
    """A live call, and the acts that this person may do on it now."""

    call: dict[str, Any]
    may_pause: bool
    may_resume: bool
    may_ask: bool
    may_opt_out: bool
    may_forget: bool
    may_play_second: bool

    @property
    def key(self) -> tuple[object, ...]:
        """Everything that the row shows: rows with equal keys look the same."""
        request = (self.call.get("opt_out") or {}).get("state")
        may = self.may_pause, self.may_resume, self.may_ask, self.may_opt_out, self.may_forget, self.may_play_second
        return *map(self.call.get, _SHOWN), request, *may


_SHOWN = (
    "call",
    "started_at",
    "operator",
    "extension",
    "caller",
    "called",
    "state",
    "second_message",
    "recordings",
    "node",
)


OPEN = frozenset({"recording", "paused", "not_begun", "fax_suspected"})
"""States in which a person can still decide about the recording."""


def row_of(call: dict[str, Any]) -> LiveRow:
    """Return the row of a call that was filtered for a person (`recorder.rules.live_access.seen`)."""
    may = frozenset(call.get("may") or ())
    is_open = call.get("state") in OPEN
    has_request = (call.get("opt_out") or {}).get("state") == "raised"
    return LiveRow(
        call=call,
        may_pause=Act.PAUSE in may,
        may_resume=Act.RESUME in may,
        may_ask=is_open and not has_request and Act.RAISE_OPT_OUT in may,
        may_opt_out=is_open and Act.OPT_OUT in may,
        may_forget=is_open and Act.RETROACTIVE_PAUSE in may,
        may_play_second=_has_second(call) and Act.SECOND_MESSAGE in may,
    )


def _has_second(call: dict[str, Any]) -> bool:
    """Tell whether the second message can be played now: the caller must be joined to a nominated extension."""
    is_joined = call.get("phase") == "joined" and bool(call.get("extensions_now"))
    return is_joined and call.get("second_message") in ("ready", "played")
