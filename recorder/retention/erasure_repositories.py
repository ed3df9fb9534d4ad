"""Repositories of orders to erase, and the checks of a recording before an order is given or decided."""

import contextlib
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from recorder.audit.audit_service import AuditService
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Person
from recorder.recordings.visibility import begun_row, check_known, none_such
from recorder.retention.erasure_approvals import Approvals
from recorder.rules.authorisation import knows_all, knows_of
from recorder.rules.call_parts import relation
from recorder.rules.erasing import HELD_ALONE_S, ErasureFacts, card_s
from recorder.rules.sign_on import NOT_PROVEN
from recorder.rules.vouching import NOBODY, Vouched
from recorder.rules.wording import outcome_words
from storage.audit import AuditLog
from storage.erasures import Erasures, is_open
from storage.errors import DatabaseError, ErasureStateError, NotFoundError, OutsideError, StorageError
from storage.format import is_recording_id
from storage.index import Index
from storage.retention_types import ErasureOrder
from storage.rows import time_to_json
from storage.tombstones import Deletions
from storage.types import RecordingId, RecordingRow
from storage.vault import Vault

LOCKED = (
    "The recording is locked: part of it is waiting to be erased (order {order}, {state}). "
    "You can listen to it again once the order is done or declined."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureRepositories:
    """What giving and deciding orders needs.

    Attributes:
        vault: Tells whether a recording is still being written.
        forgot_s: ``[pause] forgot_s``.
        alone_day_s: ``[pause] alone_day_s``.
        now: The clock, UTC.
        ordering: Lock from the decision on an order until it is stored, so that simultaneous orders add up.
        approvals: Approvals of orders that take three people; None where they cannot be given.
        person: Returns the active account of a name, or None.
        vouched: Returns who vouched for each account.
    """

    index: Index
    erasures: Erasures
    audit: AuditLog
    audit_service: AuditService
    vault: Vault
    forgot_s: float
    now: Callable[[], datetime]
    ordering: AbstractContextManager[Any] = field(default_factory=threading.Lock)
    approvals: Approvals | None = None
    person: Callable[[str], Person | None] = lambda _name: None
    vouched: Callable[[], Vouched] = lambda: NOBODY
    alone_day_s: float = math.inf


def lengths_of(index: Index, orders: Iterable[ErasureOrder]) -> dict[RecordingId, float]:
    """Return the lengths of the recordings of some orders, seconds; those of which nothing was kept are left out.

    Raises:
        DatabaseError: Unknown.
    """
    found = {}
    for recording in {order.recording for order in orders}:
        with contextlib.suppress(NotFoundError):
            row = index.get(recording)
            found[recording] = row.duration_s if row.path is not None else 0.0
    return found


def order_to_json(order: ErasureOrder) -> dict[str, Any]:
    """Return an order as JSON values."""
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
    """Refuse the use of a recording while an order is open for it.

    Raises:
        ProblemError: 409: locked, with a sentence that says why and what comes next. 503: unknown.
    """
    try:
        orders = erasures.of_recording(recording)
    except (StorageError, OSError) as error:
        raise ProblemError(503, f"Cannot find out whether the recording is locked: {error}.") from error
    for order in filter(is_open, orders):
        raise ProblemError(409, LOCKED.format(order=order.id, state=order.state), extra={"locked": True})


def takes_three(erasures: Erasures, row: RecordingRow) -> bool:
    """Tell whether a recording, while held, takes three people because much of its card data is to be erased.

    Raises:
        DatabaseError: Unknown.
    """
    return card_s(erasures.of_recording(row.id), duration_s=row.duration_s) > HELD_ALONE_S


def row_of(repos: ErasureRepositories, person: Person, act: Act, recording: str) -> RecordingRow:
    """Return the row of a finished recording of which something was kept.

    Raises:
        ProblemError: It does not exist or is hidden from them; it is in progress; nothing was kept; it was deleted.
    """
    if not is_recording_id(recording):
        raise none_such()
    with storage_problems():
        try:
            row = repos.index.get(recording)
            check_known_row(repos, person, act, row)
        except NotFoundError as error:
            if not knows_unfiled(repos, person, RecordingId(recording)):
                raise none_such() from error
            if (tombstone := Deletions(repos.index.database).get(RecordingId(recording))) is not None:
                raise ProblemError(410, f"{tombstone.sentence}.") from error
            if repos.vault.files_of(RecordingId(recording)):
                raise ProblemError(409, "The call is in progress or not filed yet: pause it there.") from error
            raise none_such() from error
    if row.path is None:
        raise ProblemError(409, f"Nothing was kept of this call. {outcome_words(row.outcome, row.reason)}.")
    try:
        is_there = repos.vault.has(row)
    except OutsideError as error:
        raise ProblemError(409, f"The recording cannot be changed: {error}.") from error
    if not is_there:
        raise ProblemError(409, "The recording was deleted: its file is gone.")
    return row


def check_known_row(
    repos: ErasureRepositories, person: Person, act: Act, row: RecordingRow, what: str = "recording"
) -> None:
    """Check that a person may know of a recording; a refused attempt is in the audit log.

    Raises:
        ProblemError: 404: they may not; it says that there is no such ``what``.
    """
    operator, team = relation(person, row)
    check_known(repos.audit_service, person, act, row.id, operators=(operator,), team=team, what=what)


def knows_unfiled(repos: ErasureRepositories, person: Person, recording: RecordingId) -> bool:
    """Tell whether a person may know of a recording without a row: in progress, deleted, or never made."""
    if knows_all(person):
        return True
    row = begun_row(repos.vault, recording)
    if row is None:
        return False
    operator, team = relation(person, row)
    return knows_of(person, operators=(operator,), team=team)


def erasure_facts(row: RecordingRow, now: datetime) -> ErasureFacts:
    """Return the facts of a recording that the erasure rules need."""
    ended_at = row.ended_at or row.started_at + timedelta(seconds=row.duration_s)
    return ErasureFacts(
        operators=frozenset((row.operator, *row.operators)),
        extensions=frozenset((row.extension, *row.extensions)),
        team=row.team,
        is_proven=NOT_PROVEN not in row.remarks,
        is_held=bool(row.holds),
        since_end_s=(now - ended_at).total_seconds(),
    )


@contextlib.contextmanager
def storage_problems() -> Iterator[None]:
    """Turn a failure of database or disk into a ProblemError with 503."""
    try:
        yield
    except (DatabaseError, OSError) as error:
        raise ProblemError(503, "The database of orders does not answer. Try again later.") from error
    except StorageError as error:
        if isinstance(error, ErasureStateError | NotFoundError):
            raise
        raise ProblemError(503, f"{error}.") from error
