"""Calls in progress as pages show them: what the daemon lists, and what somebody may do with each now. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from recorder.console.live_desk import facts_now, facts_of
from recorder.domain.access import Act, DeniedError, Person
from recorder.domain.opt_out import check_raise, check_theirs, may_decide


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRow:
    """One call as the page shows it: what the daemon lists, and what this person may do with it now."""

    call: dict[str, Any]
    may_ask: bool
    may_opt_out: bool
    may_forget: bool
    may_play_second: bool

    @property
    def key(self) -> tuple[object, ...]:
        """Return all that is shown of it: two rows with the same key look the same."""
        request = (self.call.get("opt_out") or {}).get("state")
        may = self.may_ask, self.may_opt_out, self.may_forget, self.may_play_second
        return *map(self.call.get, _SHOWN), request, *may


_SHOWN = ("call", "started_at", "operator", "extension", "caller", "called", "state", "second_message", "recordings")


def row_of(person: Person, call: dict[str, Any]) -> LiveRow:
    """Return a call as the daemon lists it, with what this person may do with it."""
    facts = facts_of(call)
    is_open = call.get("state") in ("recording", "paused")
    has_request = (call.get("opt_out") or {}).get("state") == "raised"
    decides = may_decide(person, facts)
    return LiveRow(
        call=call,
        may_ask=is_open and not has_request and not decides and _passes(lambda: check_raise(person)),
        may_opt_out=is_open and decides,
        may_forget=is_open and _passes(lambda: check_theirs(person, Act.FORGOT, facts)),
        may_play_second=_has_second(call)
        and _passes(lambda: check_theirs(person, Act.SECOND_MESSAGE, facts_now(call))),
    )


def _has_second(call: dict[str, Any]) -> bool:
    """Tell whether the second message can be played now: to a caller who is joined to an officer of ours."""
    is_joined = call.get("phase") == "joined" and bool(call.get("extensions_now"))
    return is_joined and call.get("second_message") in ("ready", "played")


def _passes(check: Callable[[], None]) -> bool:
    try:
        check()
    except DeniedError:
        return False
    return True
