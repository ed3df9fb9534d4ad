"""Rows of live calls: the daemon's data, and the acts that a person may do now. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from recorder.permissions import Act, Allowed, Person
from recorder.rules import wording
from recorder.rules.authorisation import may as decide

LONG_PAUSE_S = 300.0
"""Length of a pause from which the board shows it in amber, seconds; `[pause] max_s`, the alarm, comes later."""

OPEN = frozenset({"recording", "paused", "not_begun", "fax_suspected"})
"""States in which a person can still decide about the recording."""

STAGES: Mapping[str, str] = MappingProxyType(
    {
        "offered": "ringing",
        "notice": "notice",
        "notice, answered side held": "notice",
        "second message": "second_message",
        "second message, answered side held": "second_message",
        "ringing after the notice": "ringing",
        "ringing before the notice": "ringing",
    }
)
"""What goes on before the recording begins, by the phase of a call that the daemon lists."""

COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "recording": "green",
        "paused": "yellow",
        "on_hold": "yellow",
        "notice": "teal",
        "second_message": "teal",
        "ringing": "teal",
        "opted_out": "purple",
        "discarded": "purple",
        "not_confirmed": "red",
        "unknown": "red",
        "failed": "red",
    }
)
"""Colours of the tags by state; other states are grey."""

_HAS_FILE = frozenset({"recording", "paused"})
"""States in which there is a recording that can be held."""

_OVER = frozenset({"opted_out", "discarded", "out_of_scope", "voicemail", "blocked", "failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """The state of a call as it is shown.

    Attributes:
        state: The daemon's state; before the recording begins, what goes on instead.
        words: The state in words.
        colour: The colour of its tag.
        why: The reasons of a pause in words; empty without one, and where the state says it.
        is_over: Whether the recording has ended before the call.
    """

    state: str
    words: str
    colour: str
    why: str
    is_over: bool


@lru_cache(maxsize=512)
def face_of(state: str, phase: str, reasons: tuple[str, ...]) -> Face:
    """Return how a state is shown."""
    why = wording.capital(wording.outcome_reason(",".join(reasons))) if state == "paused" else ""
    if state == "not_begun":
        state = STAGES.get(phase, state)
    elif state == "paused" and reasons == ("hold",):
        state, why = "on_hold", ""
    return Face(
        state=state, words=wording.capital(wording.live_state(state)), colour=COLOURS.get(state, "grey"), why=why,
        is_over=state in _OVER,
    )  # fmt: skip


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
    may_hold: bool = False

    @property
    def key(self) -> tuple[object, ...]:
        """Everything that the row shows, except what runs: rows with equal keys look the same."""
        get, request = self.call.get, self.call.get("opt_out")
        return (
            *map(get, _SHOWN), *(get("reasons") or ()), request and request.get("state"), self.may_pause,
            self.may_resume, self.may_ask, self.may_opt_out, self.may_forget, self.may_play_second, self.may_hold,
        )  # fmt: skip

    @property
    def may_act(self) -> bool:
        """Whether the row has a button."""
        return self.may_pause or self.may_resume or self.may_forget or self.may_ask or self.may_play_second

    @property
    def face(self) -> "Face":
        """The state as it is shown."""
        call = self.call
        return face_of(
            str(call.get("state", "not_confirmed")), str(call.get("phase")), tuple(call.get("reasons") or ())
        )

    @property
    def paused_since(self) -> str | None:
        """Since when the call has been paused by somebody, ISO 8601; None without a pause, and on a SIP hold alone."""
        if self.call.get("state") != "paused" or self.call.get("reasons") == ["hold"]:
            return None
        return self.call.get("paused_since") or self.call.get("state_since")


_SHOWN = (
    "call",
    "started_at",
    "operator",
    "extension",
    "service",
    "team",
    "caller",
    "called",
    "state",
    "state_since",
    "paused_since",
    "phase",
    "second_message",
    "recordings",
    "node",
)


def row_of(call: dict[str, Any], person: Person | None = None) -> LiveRow:
    """Return the row of a call that was filtered for a person (`recorder.rules.live_access.seen`).

    Args:
        call: The call.
        person: Who is offered a hold on its recording, if they may place one; None to offer none.
    """
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
        may_hold=person is not None and call.get("state") in _HAS_FILE and _may_hold(person, call),
    )


def _may_hold(person: Person, call: Mapping[str, Any]) -> bool:
    teams = {*(call.get("teams_now") or ()), call.get("team") or ""}
    return any(isinstance(decide(person, Act.PLACE_HOLD, reason="shown", team=team), Allowed) for team in teams)


def is_of_team(call: Mapping[str, Any], team: str) -> bool:
    """Tell whether a call is with a team now; every call is for an empty name."""
    return not team or team in (call.get("teams_now") or (call.get("team"),))


def _has_second(call: dict[str, Any]) -> bool:
    """Tell whether the second message can be played now: the caller must be joined to a nominated extension."""
    is_joined = call.get("phase") == "joined" and bool(call.get("extensions_now"))
    return is_joined and call.get("second_message") in ("ready", "played")
