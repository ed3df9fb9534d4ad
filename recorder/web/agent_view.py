"""The state that the agent page shows for all calls at an officer's phone. Pure."""

import enum
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from recorder.permissions import Act
from recorder.rules.wording import title
from recorder.web.conversations import by_conversation
from recorder.web.live_rows import LiveRow, row_of


class PhoneState(enum.StrEnum):
    """State of the recording at an officer's phone."""

    NOT_CONFIRMED = "not_confirmed"
    NO_CALL = "no_call"
    BEGINNING = "beginning"
    RECORDING = "recording"
    PAUSED = "paused"
    NOT_RECORDED = "not_recorded"


_OPEN = {"recording", "paused", "not_begun"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneView:
    """State of an officer's phone.

    Attributes:
        standing: The state that is shown large.
        extensions: Their extensions; empty if none is recorded, or if they are not known.
        rows: Their calls.
        since: When the state began; None if not known.
        paused_s: Length of the pause, seconds; None without a pause and during a SIP hold.
        alarm_s: Seconds until the first alarm of a long pause, as the daemon counts; negative after it, None if no
            pause has a limit. Nothing but a person ends a pause.
        max_s: Length of the pause at that alarm, seconds; None if no pause has a limit.
        why: Reasons of the pause, or why nothing is recorded.
        running_since: When the oldest of their calls began; None without a call.
        erases_s: How much audio before the moment of pausing is erased with it at least, seconds; None if the daemon
            did not say, if nothing has been recorded, and in a pause that erased nothing.
        discards: Whether a pause by this person erases the whole recording.
    """

    standing: PhoneState
    extensions: tuple[str, ...] = ()
    rows: tuple[LiveRow, ...] = ()
    since: datetime | None = None
    paused_s: float | None = None
    alarm_s: float | None = None
    max_s: float | None = None
    why: str = ""
    running_since: datetime | None = None
    erases_s: float | None = None
    discards: bool = False

    @property
    def recordings(self) -> tuple[str, ...]:
        """Ids of their calls that they may pause retroactively."""
        return tuple(str(row.call["call"]) for row in self.rows if Act.RETROACTIVE_PAUSE in (row.call.get("may") or ()))

    @property
    def words(self) -> str:
        """The state in words."""
        return title(self.standing)

    @property
    def act(self) -> str:
        """Act of the large button; pausing is offered even if the state is not known."""
        return "resume" if self.standing is PhoneState.PAUSED else "pause"

    @property
    def can_act(self) -> bool:
        """Whether there is anything to pause or resume."""
        return self.standing not in (PhoneState.NO_CALL, PhoneState.NOT_RECORDED)

    @property
    def may_forget(self) -> bool:
        """Whether the person may pause retroactively."""
        return any(row.may_forget and _is_recorded(row.call) for row in self.rows)


def phone_of(
    extensions: Sequence[str], calls: Collection[dict[str, Any]], *, silent: Collection[str] = ()
) -> PhoneView:
    """Return the state of an officer's phone, from the daemon's list of calls.

    One recorded call is enough for "recording"; "paused" means that all calls are paused.

    Args:
        extensions: The officer's extensions.
        calls: The calls that the officer may see.
        silent: Nodes that do not answer and may have calls: without a known call the state is then not confirmed.
    """
    theirs = [call for call in calls if _numbers(call) & set(extensions)]
    standings = {call["call"]: _standing(call) for call in theirs}
    standing = next((one for one in _LOUDEST if one in standings.values()), PhoneState.NO_CALL)
    if standing is PhoneState.NO_CALL and silent and extensions:
        standing = PhoneState.NOT_CONFIRMED
    about = [call for call in theirs if standings[call["call"]] is standing]
    pauses = [call["paused_s"] for call in about if call.get("paused_s") is not None]
    is_paused = standing is PhoneState.PAUSED
    alarm_s, max_s = min(map(_alarm, about), key=itemgetter(0), default=_NO_ALARM) if is_paused else _NO_ALARM
    return PhoneView(
        standing=standing,
        extensions=tuple(extensions),
        rows=tuple(row_of(call) for call in by_conversation(theirs).values()),
        since=_oldest(about, "state_since"),
        paused_s=max(pauses) if is_paused and pauses else None,
        alarm_s=alarm_s if max_s is not None else None,
        max_s=max_s,
        running_since=_oldest(theirs, "started_at"),
        erases_s=min((erased for call in about if (erased := _erased_s(call))), default=None),
        discards=any(call.get("pause_discards") and Act.DISCARD in (call.get("may") or ()) for call in about),
        why=", ".join(
            sorted({word for call in about for word in _why(call)}) + [f"{one} does not answer" for one in silent]
        ),
    )


_LOUDEST = (
    PhoneState.RECORDING, PhoneState.BEGINNING, PhoneState.NOT_CONFIRMED, PhoneState.PAUSED, PhoneState.NOT_RECORDED,
)  # fmt: skip


def _numbers(call: dict[str, Any]) -> set[str]:
    return set(call.get("extensions_now") or [call.get("extension")])


_NO_ALARM: tuple[float, float | None] = (math.inf, None)


def _alarm(call: dict[str, Any]) -> tuple[float, float | None]:
    """Return in how many seconds a call's pause has its alarm, and how long the pause is then."""
    paused_s, max_s = call.get("paused_s"), call.get("pause_max_s")
    return _NO_ALARM if paused_s is None or max_s is None else (max_s - paused_s, max_s)


def _oldest(calls: Collection[dict[str, Any]], key: str) -> datetime | None:
    return min((datetime.fromisoformat(call[key]) for call in calls if call.get(key)), default=None)


def _erased_s(call: dict[str, Any]) -> float | None:
    is_hold_alone = call.get("state") == "paused" and call.get("reasons") == ["hold"]
    return None if is_hold_alone else call.get("pause_erases_s")


def _is_recorded(call: dict[str, Any]) -> bool:
    return bool(call.get("is_recorded", True))


def _standing(call: dict[str, Any]) -> PhoneState:
    state, is_joined = call.get("state"), call.get("phase", "joined") == "joined"
    if state == PhoneState.NOT_CONFIRMED:
        return PhoneState.NOT_CONFIRMED
    if state not in _OPEN or (is_joined and not _is_recorded(call)):
        return PhoneState.NOT_RECORDED
    if state == "paused":
        return PhoneState.PAUSED
    return PhoneState.RECORDING if _is_recorded(call) else PhoneState.BEGINNING


_REASONS = {
    "agent": "by you or with a phone key",
    "card_digits": "the caller keyed digits",
    "payment_app": "by the payment system",
    "manager": "by a manager",
    "hold": "the call is on hold",
    "opted_out": "the caller opted out",
    "discarded": "the call is discarded",
    "out_of_scope": "the call is with somebody who is not recorded",
    "blocked": "the notice was not heard in full",
    "fax_suspected": "fax tones were heard, and recording starts when somebody speaks",
    "failed": "the recorder could not start recording",
}


def _why(call: dict[str, Any]) -> list[str]:
    keys = call.get("reasons") or [call.get("state")]
    return [_REASONS[key] for key in (str(one).partition(":")[0] for one in keys) if key in _REASONS]
