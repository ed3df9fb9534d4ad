"""What is written down of a recorded call: its row in the index, and its line in the list of live calls. Pure."""

from datetime import datetime, timedelta
from typing import Any, Protocol

from recorder.calls.call_facts import segment_of
from recorder.calls.gate_acts import GateActs
from recorder.calls.rules.call import Call
from recorder.calls.rules.crew import Crew
from recorder.calls.rules.identities import Identities
from recorder.calls.second_message import Second
from recorder.calls.taping import Taping
from recorder.calls.works import Works
from recorder.rules.pausing import Final, PauseBook, PauseState
from recorder.rules.policy import Nomination, Service
from recorder.rules.retention import DataClass, days_of
from recorder.rules.sign_on import NOT_PROVEN
from storage.types import NoticeProof, Outcome, RecordingId, RecordingRow


class WrittenCall(Protocol):
    """What the row is made of; `recorder.calls.taped_call.TapedCall` is the real one."""

    id: RecordingId
    works: Works
    call: Call
    nomination: Nomination
    crew: Crew
    identities: Identities
    related: tuple[RecordingId, ...]
    service: Service
    operator: str
    book: PauseBook
    taping: Taping | None
    started_at: datetime
    joined_at: datetime | None
    blocked: str | None
    fault: str | None
    gate: GateActs
    second: Second

    @property
    def numbers(self) -> frozenset[str]:
        """Return the nominated extensions that are on the call now."""

    @property
    def conversation(self) -> RecordingId:
        """Return the id of the oldest recording in progress of the same conversation."""

    @property
    def caller(self) -> str:
        """Return the number that calls."""

    @property
    def called(self) -> str:
        """Return the number that was dialled."""

    @property
    def proof(self) -> NoticeProof:
        """Return what is known of the notice."""


def row_of(call: WrittenCall) -> RecordingRow:
    """Return the row as it stands; it starts when the sides were joined, as positions do."""
    started_at = call.joined_at or call.started_at
    return RecordingRow(
        id=call.id,
        started_at=started_at,
        ended_at=None,
        direction=call.nomination.direction.value,
        extension=call.crew.first.number,
        operator=call.crew.opened_by,
        operators=call.crew.operators,
        extensions=call.crew.extensions,
        numbers=tuple(number for number in call.identities.numbers if number not in (call.caller, call.called)),
        related=call.related,
        service=call.service.name,
        team=call.crew.first.team,
        caller=call.caller,
        called=call.called,
        outcome=Outcome.FAILED,
        reason="in_progress",
        notice=call.proof,
        opted_out=call.book.final is Final.OPTED_OUT,
        card_payment=call.service.card_payment.value,
        retention_due=due_from(call, started_at),
        operator_key=call.works.operator_key(call.crew.opened_by),
        remarks=() if call.crew.is_proven else (NOT_PROVEN,),
    )


def due_from(call: WrittenCall, ended_at: datetime) -> datetime:
    """Return when a recording that ended then is due, as things stand now; the sweep works it out anew."""
    days = days_of(call.works.config.periods, DataClass.RECORDINGS, call.service.name)
    return ended_at + timedelta(days=days)


def state_of(call: WrittenCall) -> str:
    """Return how the recording stands: where there is none yet, or none any more, it does not say *recording*."""
    if call.blocked is not None:
        return "blocked"
    if call.taping is None and call.book.state is PauseState.RECORDING:
        return "not_begun" if call.fault is None else "failed"
    return call.book.state.value


def listing_of(call: WrittenCall) -> dict[str, Any]:
    """Return the call as JSON-able values for `GET /api/calls`."""
    position_s = call.taping.position_s if call.taping is not None else None
    watch = call.gate.watch
    since = call.gate.state_since or call.joined_at or call.started_at
    return {
        "id": call.id,
        "call": call.id,
        "conversation": call.conversation,
        "started_at": _iso(call.started_at),
        "direction": call.nomination.direction.value,
        "extension": call.nomination.extension.number,
        "operator": call.operator,
        "extensions": list(call.crew.extensions),
        "operators": list(call.crew.operators),
        **segment_of(call).as_json(),
        "service": call.service.name,
        "team": call.nomination.extension.team,
        "caller": call.caller,
        "called": call.called,
        "phase": call.call.state.value,
        "is_recorded": call.taping is not None,
        "state": state_of(call),
        "state_since": _iso(since),
        "reasons": sorted(call.book.reasons),
        "paused_s": None if watch.held_s is None else round(watch.held_s, 1),
        "pause_max_s": watch.max_s,
        "position_s": None if position_s is None else round(position_s, 3),
        "second_message": call.second.state,
        "erase_on_opt_out": call.service.erase_on_opt_out,
    }


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
