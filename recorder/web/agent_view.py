"""What the agent page shows: one state for all calls at somebody's phone. Pure."""

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recorder.web.conversations import by_conversation
from recorder.web.live_rows import LiveRow, row_of


class PhoneState(enum.StrEnum):
    """How the recording of somebody's calls stands."""

    NOT_CONFIRMED = "not_confirmed"
    NO_CALL = "no_call"
    BEGINNING = "beginning"
    RECORDING = "recording"
    PAUSED = "paused"
    NOT_RECORDED = "not_recorded"


WORDS: dict[PhoneState, str] = {
    PhoneState.NOT_CONFIRMED: "Not confirmed",
    PhoneState.NO_CALL: "No call",
    PhoneState.BEGINNING: "Call begins",
    PhoneState.RECORDING: "Recording",
    PhoneState.PAUSED: "Paused",
    PhoneState.NOT_RECORDED: "Not recorded",
}

_OPEN = {"recording", "paused", "not_begun"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneView:
    """What is known of somebody's phone.

    Attributes:
        standing: The state that is shown large.
        extensions: Where they sit; empty: nowhere that is recorded, or it is not known.
        rows: Their calls.
        since: Since when the state holds; None where nothing is known of it.
        paused_s: How long the pause has lasted, seconds; None while none does, and in a hold by rule.
        max_s: After how many seconds of it there is an alarm.
        why: What holds the pause, or why nothing is recorded.
    """

    standing: PhoneState
    extensions: tuple[str, ...] = ()
    rows: tuple[LiveRow, ...] = ()
    since: datetime | None = None
    paused_s: float | None = None
    max_s: float | None = None
    why: str = ""

    @property
    def words(self) -> str:
        """Return the state in words."""
        return WORDS[self.standing]

    @property
    def act(self) -> str:
        """Return what the large button does now; pausing stays possible while nothing is known."""
        return "resume" if self.standing is PhoneState.PAUSED else "pause"

    @property
    def can_act(self) -> bool:
        """Tell whether there is anything to pause or resume."""
        return self.standing not in (PhoneState.NO_CALL, PhoneState.NOT_RECORDED)

    @property
    def may_forget(self) -> bool:
        """Tell whether they may say that they forgot to pause."""
        return any(row.may_forget and _is_taped(row.call) for row in self.rows)


def phone_of(extensions: Sequence[str], calls: Collection[dict[str, Any]]) -> PhoneView:
    """Return how somebody's phone stands, out of what the daemon answered.

    One call that is recorded is enough to say so: "paused" means that every call is.
    """
    theirs = [call for call in calls if _numbers(call) & set(extensions)]
    standings = {call["call"]: _standing(call) for call in theirs}
    standing = next((one for one in _LOUDEST if one in standings.values()), PhoneState.NO_CALL)
    about = [call for call in theirs if standings[call["call"]] is standing]
    pauses = [call["paused_s"] for call in about if call.get("paused_s") is not None]
    is_paused = standing is PhoneState.PAUSED
    return PhoneView(
        standing=standing,
        extensions=tuple(extensions),
        rows=tuple(row_of(call) for call in by_conversation(theirs).values()),
        since=min((datetime.fromisoformat(c["state_since"]) for c in about if c.get("state_since")), default=None),
        paused_s=max(pauses) if is_paused and pauses else None,
        max_s=about[0].get("pause_max_s") if is_paused else None,
        why=", ".join(sorted({word for call in about for word in _why(call)})),
    )


_LOUDEST = (PhoneState.RECORDING, PhoneState.BEGINNING, PhoneState.PAUSED, PhoneState.NOT_RECORDED)


def _numbers(call: dict[str, Any]) -> set[str]:
    return set(call.get("extensions_now") or [call.get("extension")])


def _is_taped(call: dict[str, Any]) -> bool:
    return bool(call.get("is_recorded", True))


def _standing(call: dict[str, Any]) -> PhoneState:
    state, is_joined = call.get("state"), call.get("phase", "joined") == "joined"
    if state not in _OPEN or (is_joined and not _is_taped(call)):
        return PhoneState.NOT_RECORDED
    if state == "paused":
        return PhoneState.PAUSED
    return PhoneState.RECORDING if _is_taped(call) else PhoneState.BEGINNING


_REASONS = {
    "agent": "by you or by key",
    "card_digits": "the caller keyed digits",
    "payment_app": "by the payment system",
    "manager": "by a manager",
    "hold": "the call is on hold",
    "opted_out": "the caller opted out",
    "discarded": "the call is discarded",
    "out_of_scope": "the call is with somebody who is not recorded",
    "blocked": "the notice was not heard in full",
    "fax_suspected": "tones of a fax, until somebody speaks",
    "failed": "the recorder could not begin it",
}


def _why(call: dict[str, Any]) -> list[str]:
    keys = call.get("reasons") or [call.get("state")]
    return [_REASONS[key] for key in (str(one).partition(":")[0] for one in keys) if key in _REASONS]
