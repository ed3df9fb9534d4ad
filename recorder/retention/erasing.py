"""Gives orders to erase, for commands and console; `recorder.retention.eraser` carries them out.

Each act is written to the audit log first, with everything needed to replay it.
"""

import math
from dataclasses import replace

from recorder.common.problems import ProblemError
from recorder.permissions import Act, Actor, Refusal
from recorder.retention.erasure_repositories import (
    ErasureRepositories,
    erasure_facts,
    lengths_of,
    row_of,
    storage_problems,
)
from recorder.rules.call_parts import officers_throughout, owners_of
from recorder.rules.erasing import (
    ALONE_WITHIN,
    STATE_AT_ORDER,
    Confirmation,
    alone_s,
    card_s,
    check_third,
    confirmation_for,
    day_alone_s,
    may_order,
)
from storage.erasures import new_order_id
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState
from storage.rows import time_to_json
from storage.types import RecordingRow

OVERHANG_S = 1.0
"""How far a span may end after the recording, seconds: people read the length off a page that rounds it."""


def forgot_recording(
    repos: ErasureRepositories,
    person: Actor,
    recording: str,
    *,
    seconds: float | None = None,
    span_s: tuple[float, float | None] | None = None,
    reason: str = "",
    third: str = "",
) -> ErasureOrder:
    """Order the erasure of what should have been paused in a finished recording (retroactive pause).

    Args:
        repos: Where orders are kept.
        person: Who forgot; tokens and shell users are refused.
        recording: Its id.
        seconds: Length before the end; None for all of it. Ignored if there is a span.
        span_s: From and to, seconds; an end of None is the end of the recording.
        reason: In their words; may be empty.
        third: Account of a third person, required for much card data of a held recording.

    Raises:
        ProblemError: Refused, with a sentence; nothing was changed.
    """
    if span_s is None:
        if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
            raise ProblemError(422, "The number of seconds must be over 0.")
        known = repos.audit_service.require(person, Act.RETROACTIVE_PAUSE, recording)
        row = row_of(repos, known, Act.RETROACTIVE_PAUSE, recording)
        span_s = (0.0 if seconds is None else max(row.duration_s - seconds, 0.0), None)
    return _order(
        repos,
        person,
        recording,
        span_s,
        kind=ErasureKind.CARD_DATA,
        reason=reason,
        act=Act.RETROACTIVE_PAUSE,
        third=third,
    )


def order_erasure(
    repos: ErasureRepositories,
    person: Actor,
    recording: str,
    *,
    span_s: tuple[float, float | None],
    kind: ErasureKind,
    reason: str,
    third: str = "",
) -> ErasureOrder:
    """Order the erasure of a span of a finished recording; see `forgot_recording`.

    Raises:
        ProblemError: Refused, with a sentence; nothing was changed.
    """
    return _order(repos, person, recording, span_s, kind=kind, reason=reason, act=Act.ERASE, third=third)


def check_order(
    repos: ErasureRepositories,
    person: Actor,
    recording: str,
    span_s: tuple[float, float | None],
    *,
    kind: ErasureKind,
    reason: str,
    act: Act = Act.ERASE,
    third: str = "",
) -> tuple[RecordingRow, ErasureOrder, Confirmation]:
    """Return the row, the order as it would be given and the confirmation it needs; only refusals are logged.

    Raises:
        ProblemError: Refused, with a sentence.
    """
    person = repos.audit_service.require(person, act, recording, reason=reason)
    row = row_of(repos, person, act, recording)
    start_s, end_s = _checked(span_s, row)
    about = erasure_facts(row, repos.now())
    operators, team = owners_of(row, start_s, row.duration_s if end_s is None else end_s)
    decision = may_order(person, kind, replace(about, operators=operators, team=team), act=act, reason=reason)
    if isinstance(decision, Refusal):
        raise repos.audit_service.denied(person, act, row.id, decision)
    with storage_problems():
        before = repos.erasures.of_recording(row.id)
        alone = repos.erasures.alone_since(repos.now() - ALONE_WITHIN, by=person.actor)
        lengths = {**lengths_of(repos.index, alone), row.id: row.duration_s}
    span_s = (start_s, row.duration_s if end_s is None else end_s)
    length_s = alone_s(before, span_s, duration_s=row.duration_s)
    held_s = card_s(before, duration_s=row.duration_s, span_s=span_s)
    theirs = replace(about, operators=officers_throughout(row, *span_s))
    order = ErasureOrder(
        id=new_order_id(),
        recording=row.id,
        start_s=start_s,
        end_s=end_s,
        kind=kind,
        ordered_by=person.actor,
        ordered_at=repos.now(),
        state=ErasureState.WAITING,
    )
    needed = confirmation_for(
        kind, theirs, person, length_s=length_s, forgot_s=repos.forgot_s, held_s=held_s,
        day_s=day_alone_s([*alone, order], lengths), alone_day_s=repos.alone_day_s,
    )  # fmt: skip
    assert needed is not Confirmation.NEVER, "refused above"
    order = replace(order, state=STATE_AT_ORDER[needed])
    if needed is Confirmation.THREE:
        problem = check_third(repos.person(third) if third else None, order, replace(about, team=team), repos.vouched())
        if problem is not None:
            raise repos.audit_service.refusal(person.actor, act, row.id, problem)
    return row, order, needed


def _order(
    repos: ErasureRepositories, person: Actor, recording: str, span_s: tuple[float, float | None], *, kind: ErasureKind,
    reason: str, act: Act, third: str,
) -> ErasureOrder:  # fmt: skip
    with repos.ordering:
        return _ordered(repos, person, recording, span_s, kind=kind, reason=reason, act=act, third=third)


def _ordered(
    repos: ErasureRepositories, person: Actor, recording: str, span_s: tuple[float, float | None], *, kind: ErasureKind,
    reason: str, act: Act, third: str,
) -> ErasureOrder:  # fmt: skip
    _, order, needed = check_order(repos, person, recording, span_s, kind=kind, reason=reason, act=act, third=third)
    is_for_three = needed is Confirmation.THREE
    details = {
        "order": order.id,
        "start_s": order.start_s,
        "end_s": order.end_s,
        "kind": str(order.kind),
        "state": str(order.state),
        "at": time_to_json(order.ordered_at),
        "by_act": str(act),
        **({"third": third} if is_for_three else {}),
    }
    repos.audit_service.note("erasure.ordered", order.ordered_by, order.recording, details, text=reason)
    if is_for_three:
        assert repos.approvals is not None, "approvals are configured wherever a third person can be named"
        repos.approvals.name_third(order.id, ordered_by=order.ordered_by, third=third)
    with storage_problems():
        repos.erasures.place(order)
    return order


def _checked(span_s: tuple[float, float | None], row: RecordingRow) -> tuple[float, float | None]:
    start_s, end_s = span_s
    if not math.isfinite(start_s) or (end_s is not None and not math.isfinite(end_s)):
        raise ProblemError(422, "The beginning and the end must be numbers.")
    if start_s < 0 or start_s >= row.duration_s:
        raise ProblemError(422, f"The span begins outside the recording, which is {row.duration_s:.1f} s long.")
    if end_s is None:
        return round(start_s, 4), None
    if end_s <= start_s:
        raise ProblemError(422, "The end must be after the beginning.")
    if end_s > row.duration_s + OVERHANG_S:
        raise ProblemError(422, f"The span ends outside the recording, which is {row.duration_s:.1f} s long.")
    return round(start_s, 4), None if end_s >= row.duration_s else round(end_s, 4)
