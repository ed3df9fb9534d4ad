"""Orders to erase: given and decided here, by commands and console alike; `recorder.retention.eraser` carries them out.

Each act is in the audit log, with all that it takes to replay it, before it is done.
"""

import contextlib
import logging
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from recorder.audit.ledger import Ledger
from recorder.common.problems import ProblemError
from recorder.permissions import MAX_REASON_CHARACTERS, MIN_REASON_CHARACTERS, Act, Actor, DeniedError, Person, Refused
from recorder.recordings.known import begun_row, check_known, none_such
from recorder.retention.erasure_approvals import Approval, Approvals
from recorder.rules.authorisation import knows_all, knows_of
from recorder.rules.call_parts import officers_throughout, owners_of, relation
from recorder.rules.erasing import (
    HELD_ALONE_S,
    STATE_AT_ORDER,
    About,
    Confirmation,
    alone_s,
    card_s,
    check_third,
    confirmation_for,
    may_decide,
    may_order,
    span_of,
)
from recorder.rules.sign_on import NOT_PROVEN
from storage.audit import AuditLog
from storage.erasures import Erasures, is_open, new_order_id
from storage.errors import DatabaseError, ErasureStateError, NotFoundError, OutsideError, StorageError
from storage.format import is_recording_id
from storage.index import Index
from storage.rows import time_to_json
from storage.tombstones import Deletions
from storage.types import ErasureKind, ErasureOrder, ErasureState, RecordingId, RecordingRow
from storage.vault import Vault

_log = logging.getLogger(__name__)

OVERHANG_S = 1.0
"""A span may end so much after the recording: people read its length off a page that rounds it."""
APPROVED = "erasure.approved"
"""As the audit log has it: one of the two approvals of an order that takes three people."""
LOCKED = (
    "The recording is locked: part of it is to be erased (order {order}, {state}). "
    "It can be heard again once that is done or declined."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What orders are given and decided with.

    Attributes:
        index: Recordings.
        erasures: Orders.
        audit: The audit log.
        vault: Tells whether a recording is still being written.
        forgot_s: ``[pause] forgot_s``.
        now: The clock, UTC.
        origin: Facts for the audit log: from where the acts come.
        ordering: Held from the decision on an order until it is placed: what is given at once adds up too.
        approvals: Of orders that take three people; None where they cannot be given.
        person: Returns whose account a name is, if it can be used.
    """

    index: Index
    erasures: Erasures
    audit: AuditLog
    vault: Vault
    forgot_s: float
    now: Callable[[], datetime]
    origin: Mapping[str, str] = field(default_factory=dict)
    ordering: AbstractContextManager[Any] = field(default_factory=threading.Lock)
    approvals: Approvals | None = None
    person: Callable[[str], Person | None] = lambda _name: None

    @property
    def ledger(self) -> Ledger:
        """Return the audit log as acts of people write it."""
        return Ledger(audit=self.audit, origin=self.origin)


def order_to_json(order: ErasureOrder) -> dict[str, Any]:
    """Return an order as JSON-able values."""
    return {
        "id": order.id,
        "recording": order.recording,
        "start_s": order.start_s,
        "end_s": order.end_s,
        "kind": str(order.kind),
        "state": str(order.state),
        "ordered_by": order.ordered_by,
        "ordered_at": time_to_json(order.ordered_at),
        "decided_by": order.decided_by,
        "decided_at": time_to_json(order.decided_at),
        "done_at": time_to_json(order.done_at),
        "problem": order.problem,
    }


def refuse_locked(erasures: Erasures, recording: RecordingId) -> None:
    """Do nothing, unless an order is open for a recording.

    Raises:
        ProblemError: 409, a sentence that says why it is locked and what comes next; 503 if that cannot be known.
    """
    try:
        orders = erasures.of_recording(recording)
    except (StorageError, OSError) as error:
        raise ProblemError(503, f"Whether the recording is locked cannot be known: {error}.") from error
    for order in filter(is_open, orders):
        raise ProblemError(409, LOCKED.format(order=order.id, state=order.state), extra={"locked": True})


def forgot_recording(
    books: Books,
    person: Actor,
    recording: str,
    *,
    seconds: float | None = None,
    span_s: tuple[float, float | None] | None = None,
    reason: str = "",
    third: str = "",
) -> ErasureOrder:
    """Have what should have been paused in a finished recording erased.

    Args:
        books: Where orders are kept.
        person: Who forgot; a token or somebody at the shell is refused.
        recording: Its id.
        seconds: How much before the end; None is all of it. Not looked at when there is a span.
        span_s: From and to, seconds; an end of None is the end of the recording.
        reason: In their words; may be empty.
        third: The account of a third person, where it takes one: much card data of a held recording.

    Raises:
        ProblemError: Refused, with a sentence; nothing was changed.
    """
    if span_s is None:
        if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
            raise ProblemError(422, "The number of seconds must be over 0.")
        known = books.ledger.require(person, Act.FORGOT, recording)
        row = row_of(books, known, Act.FORGOT, recording)
        span_s = (0.0 if seconds is None else max(row.duration_s - seconds, 0.0), None)
    return _order(
        books, person, recording, span_s, kind=ErasureKind.CARD_DATA, reason=reason, act=Act.FORGOT, third=third
    )


def order_erasure(
    books: Books,
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
    return _order(books, person, recording, span_s, kind=kind, reason=reason, act=Act.ERASE, third=third)


def check_order(
    books: Books,
    person: Actor,
    recording: str,
    span_s: tuple[float, float | None],
    *,
    kind: ErasureKind,
    reason: str,
    act: Act = Act.ERASE,
    third: str = "",
) -> tuple[RecordingRow, ErasureOrder, Confirmation]:
    """Return the row, the order as it would be given and what it needs; nothing is changed but a refusal is audited.

    Raises:
        ProblemError: Refused, with a sentence.
    """
    person = books.ledger.require(person, act, recording, reason=reason)
    row = row_of(books, person, act, recording)
    start_s, end_s = _checked(span_s, row)
    about = about_row(row, books.now())
    operators, team = owners_of(row, start_s, row.duration_s if end_s is None else end_s)
    decision = may_order(person, kind, replace(about, operators=operators, team=team), act=act, reason=reason)
    if isinstance(decision, Refused):
        raise books.ledger.refusal(person, act, row.id, decision.reason)
    with _database():
        before = books.erasures.of_recording(row.id)
    span_s = (start_s, row.duration_s if end_s is None else end_s)
    length_s = alone_s(before, span_s, duration_s=row.duration_s)
    held_s = card_s(before, duration_s=row.duration_s, span_s=span_s)
    theirs = replace(about, operators=officers_throughout(row, *span_s))
    needed = confirmation_for(kind, theirs, person, length_s=length_s, forgot_s=books.forgot_s, held_s=held_s)
    assert needed is not Confirmation.NEVER, "refused above"
    order = ErasureOrder(
        id=new_order_id(),
        recording=row.id,
        start_s=start_s,
        end_s=end_s,
        kind=kind,
        ordered_by=person.actor,
        ordered_at=books.now(),
        state=STATE_AT_ORDER[needed],
    )
    if needed is Confirmation.THREE:
        problem = check_third(books.person(third) if third else None, order, replace(about, team=team))
        if problem is not None:
            raise books.ledger.refusal(person, act, row.id, problem)
    return row, order, needed


def _order(
    books: Books, person: Actor, recording: str, span_s: tuple[float, float | None], *, kind: ErasureKind, reason: str,
    act: Act, third: str,
) -> ErasureOrder:  # fmt: skip
    with books.ordering:
        return _ordered(books, person, recording, span_s, kind=kind, reason=reason, act=act, third=third)


def _ordered(
    books: Books, person: Actor, recording: str, span_s: tuple[float, float | None], *, kind: ErasureKind, reason: str,
    act: Act, third: str,
) -> ErasureOrder:  # fmt: skip
    _, order, needed = check_order(books, person, recording, span_s, kind=kind, reason=reason, act=act, third=third)
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
    books.ledger.note("erasure.ordered", order.ordered_by, order.recording, details, text=reason)
    if is_for_three:
        assert books.approvals is not None, "nobody is known who could be named"
        books.approvals.name_third(order.id, ordered_by=order.ordered_by, third=third)
    with _database():
        books.erasures.place(order)
    return order


def decide_erasure(books: Books, person: Actor, order_id: str, *, confirm: bool, reason: str = "") -> ErasureOrder:
    """Confirm or decline an order that waits, or decline one that failed.

    Raises:
        ProblemError: Refused, with a sentence; nothing was changed.
    """
    person, order, row = _known_order(books, person, order_id)
    about, approval = _about_order(books, order, row), books.approvals.get(order.id) if books.approvals else None
    decision = may_decide(person, order, about, confirm=confirm, third=approval.third if approval else None)
    if isinstance(decision, Refused):
        raise books.ledger.refusal(person, Act.CONFIRM_ERASURE, order.recording, decision.reason)
    if order.state is not ErasureState.WAITING and (confirm or order.state is not ErasureState.FAILED):
        raise ProblemError(409, f"The order does not wait for anybody: it is {order.state}.")
    if confirm and not MIN_REASON_CHARACTERS <= len(reason.strip()) <= MAX_REASON_CHARACTERS:
        raise ProblemError(422, "Say why it is to be erased for good, in words that can be checked later.")
    if confirm and about.is_held and takes_three(books.erasures, row) and not _approved(books, person, order, approval):
        return order
    act = "erasure.confirmed" if confirm else "erasure.declined"
    at = books.now()
    books.ledger.note(act, person.actor, order.recording, {"order": order.id, "at": time_to_json(at)}, text=reason)
    with _database():
        try:
            return books.erasures.decide(order.id, by=person.actor, at=at, confirm=confirm)
        except ErasureStateError as error:
            raise ProblemError(409, f"{error}.") from error


def order_to_hear(books: Books, person: Actor, order_id: str) -> tuple[ErasureOrder, RecordingRow]:
    """Return an order whose span somebody may hear: one of the two who approve it, while it waits.

    Raises:
        ProblemError: Refused, with a sentence; that is in the audit log.
    """
    person, order, row = _known_order(books, person, order_id)
    approval = books.approvals.get(order.id) if books.approvals else None
    if approval is None or order.state is not ErasureState.WAITING:
        raise ProblemError(409, "The span of an order that takes three people is heard, while it waits; no other.")
    decision = may_decide(person, order, _about_order(books, order, row), confirm=True, third=approval.third)
    if isinstance(decision, Refused):
        raise books.ledger.refusal(person, Act.PLAY, row.id, decision.reason)
    return order, row


def _about_order(books: Books, order: ErasureOrder, row: RecordingRow) -> About:
    """Return what the rules have to know of an order's recording: the team is that of its span."""
    _, team = owners_of(row, *span_of(order, row.duration_s))
    return replace(about_row(row, books.now()), team=team)


def _known_order(books: Books, actor: Actor, order_id: str) -> tuple[Person, ErasureOrder, RecordingRow]:
    """Return who is about to decide, and an order of which they may know, with its recording."""
    person = books.ledger.require(actor, Act.CONFIRM_ERASURE, order_id)
    with _database():
        try:
            order = books.erasures.get(order_id)
        except NotFoundError as error:
            raise none_such("order") from error
        try:
            row = books.index.get(order.recording)
            _check_known(books, person, Act.CONFIRM_ERASURE, row, what="order")
        except NotFoundError as error:
            if not _knows_unfiled(books, person, order.recording):
                raise none_such("order") from error
            raise ProblemError(
                409, "The call goes on or is not filed yet: the order can be decided once it is."
            ) from error
    return person, order, row


def takes_three(erasures: Erasures, row: RecordingRow) -> bool:
    """Tell whether so much of a recording goes as card data that, while it is held, three people have to say so.

    Raises:
        DatabaseError: That cannot be known.
    """
    return card_s(erasures.of_recording(row.id), duration_s=row.duration_s) > HELD_ALONE_S


def _approved(books: Books, person: Person, order: ErasureOrder, approval: Approval | None) -> bool:
    """Approve an order that takes three people; tells whether that was the last approval."""
    if approval is None or books.approvals is None:
        raise ProblemError(
            409,
            f"More than {HELD_ALONE_S:.0f} s of a held recording go as card data, and the order names no third person: "
            "decline it, and have it ordered anew with one.",
        )
    if approval.is_complete:  # whoever was the last ended before the order itself was confirmed
        return True
    at = books.now()
    details = {"order": order.id, "at": time_to_json(at), "is_third": person.name == approval.third}

    def enter() -> None:
        books.ledger.note(APPROVED, person.actor, order.recording, details)

    try:
        return books.approvals.approve(order.id, person.name, at, enter=enter).is_complete
    except DeniedError as error:
        raise ProblemError(409, str(error)) from error


def row_of(books: Books, person: Person, act: Act, recording: str) -> RecordingRow:
    """Return the row of a finished recording of which something was kept.

    Raises:
        ProblemError: There is none, or none that they may know of; it is in progress; nothing was kept; it was deleted.
    """
    if not is_recording_id(recording):
        raise none_such()
    with _database():
        try:
            row = books.index.get(recording)
            _check_known(books, person, act, row)
        except NotFoundError as error:
            if not _knows_unfiled(books, person, RecordingId(recording)):
                raise none_such() from error
            if (tombstone := Deletions(books.index.database).get(RecordingId(recording))) is not None:
                raise ProblemError(410, f"{tombstone.sentence}.") from error
            if books.vault.files_of(RecordingId(recording)):
                raise ProblemError(409, "The call is in progress or not filed yet: mark it there.") from error
            raise none_such() from error
    if row.path is None:
        raise ProblemError(409, f"Nothing was kept of this call: {row.outcome}, {row.reason}.")
    try:
        is_there = books.vault.locate(row.path).exists()
    except OutsideError as error:
        raise ProblemError(409, f"The recording cannot be touched: {error}.") from error
    if not is_there:
        raise ProblemError(409, "The recording was deleted: its file is gone.")
    return row


def _check_known(books: Books, person: Person, act: Act, row: RecordingRow, what: str = "recording") -> None:
    operator, team = relation(person, row)
    check_known(books.ledger, person, act, row.id, operators=(operator,), team=team, what=what)


def _knows_unfiled(books: Books, person: Person, recording: RecordingId) -> bool:
    """Tell whether somebody may know of a recording without a row: it goes on, or was deleted, or never was."""
    if knows_all(person):
        return True
    row = begun_row(books.vault, recording)
    if row is None:
        return False
    operator, team = relation(person, row)
    return knows_of(person, operators=(operator,), team=team)


def about_row(row: RecordingRow, now: datetime) -> About:
    """Return what the rules have to know of a recording."""
    ended_at = row.ended_at or row.started_at + timedelta(seconds=row.duration_s)
    return About(
        operators=frozenset((row.operator, *row.operators)),
        extensions=frozenset((row.extension, *row.extensions)),
        team=row.team,
        is_proven=NOT_PROVEN not in row.remarks,
        is_held=bool(row.holds),
        since_end_s=(now - ended_at).total_seconds(),
    )


def _checked(span_s: tuple[float, float | None], row: RecordingRow) -> tuple[float, float | None]:
    start_s, end_s = span_s
    if not math.isfinite(start_s) or (end_s is not None and not math.isfinite(end_s)):
        raise ProblemError(422, "The span is not given in numbers.")
    if start_s < 0 or start_s >= row.duration_s:
        raise ProblemError(422, f"The span begins outside of the recording, which is {row.duration_s:.1f} s long.")
    if end_s is None:
        return round(start_s, 4), None
    if end_s <= start_s:
        raise ProblemError(422, "The span ends before it begins.")
    if end_s > row.duration_s + OVERHANG_S:
        raise ProblemError(422, f"The span ends outside of the recording, which is {row.duration_s:.1f} s long.")
    return round(start_s, 4), None if end_s >= row.duration_s else round(end_s, 4)


@contextlib.contextmanager
def _database() -> Iterator[None]:
    try:
        yield
    except (DatabaseError, OSError) as error:
        raise ProblemError(503, "The database of orders does not answer.") from error
    except StorageError as error:
        if isinstance(error, ErasureStateError | NotFoundError):
            raise
        raise ProblemError(503, f"{error}.") from error
