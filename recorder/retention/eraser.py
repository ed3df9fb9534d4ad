"""Carries out orders to erase, on the machine with the private keys: one at a time, by one process at a time."""

import logging
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from audio.speech import speech_kept
from recorder.common.file_lock import locked
from recorder.common.turns import Turn
from recorder.retention.erasure_approvals import Approvals
from recorder.retention.erasure_repositories import lengths_of, takes_three
from recorder.rules.erasing import ALONE_WITHIN, MANY_WHOLE, day_alone_s, whole_alone
from recorder.rules.holds import OrderVerdict, verdict_on
from storage.audit import AuditLog
from storage.audit_entry import RECORDER
from storage.container_rows import read_row
from storage.database import Database
from storage.epochs import EpochKeys
from storage.erase import Preview, erase_spans, preview
from storage.erasures import Erasures
from storage.errors import AuditUnavailableError, DamagedError, KeyProblemError, NotFoundError, StorageError
from storage.hold_journal import steady
from storage.hold_lock import lock_holds
from storage.holds import Holds
from storage.index import Index
from storage.reader import fresh_path
from storage.retention_types import ErasureOrder, ErasureState, Hold
from storage.rewrite import Progress, clear_up
from storage.rows import row_from_json, time_to_json
from storage.spans import Span
from storage.types import RecordingRow, SegmentKind
from storage.vault import Vault

_log = logging.getLogger(__name__)

EVERY_S = 3.0
"""How often the key holder looks for orders, seconds."""
_HELD = "the recording is under a legal hold, so only card data may be erased from it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Eraser:
    """Carries out orders to erase.

    Attributes:
        holds: Legal holds. From a held recording only card data is erased, and only by the DPO's decision.
        lock: File in the home's folder of states; the process that locks it carries out orders.
        now: The clock, UTC.
        approvals: Approvals of orders that take three people; None to carry out no such order here.
        alone_day_s: ``[pause] alone_day_s``. An order given in a call is checked here: the daemon answers an officer
            at once, without asking the database what they erased before.
        tell: Called with an order that was carried out and the active holds, so that their cases are notified.
    """

    vault: Vault
    keys: EpochKeys
    index: Index
    erasures: Erasures
    holds: Holds
    audit: AuditLog
    lock: Path
    now: Callable[[], datetime]
    approvals: Approvals | None = None
    tell: Callable[[ErasureOrder, Iterable[Hold]], None] = lambda _order, _holds: None
    alone_day_s: float = math.inf

    def carry_out_due(
        self, *, progress: Progress = lambda _done, _total: None, wait: bool = False
    ) -> list[ErasureOrder]:
        """Carry out every order that is due, oldest first.

        If nothing was kept of a call, its order needs no second person. A failed order is noted and tried again, also
        when the failure cannot be noted.

        Args:
            progress: Called with the progress of each order.
            wait: Wait for another process that carries out orders, instead of leaving them to it.

        Returns:
            The orders that were tried, in their new state.

        Raises:
            StorageError, OSError: Database or audit log failed; the remaining orders are due the next time.
        """
        with locked(self.lock, wait=wait) as is_alone:
            tried = [self._carry_out(order, progress) for order in self._pointless()] if is_alone else []
            while is_alone and (order := self.erasures.take_next(now=self.now(), is_ready=self._is_closed)) is not None:
                tried.append(self._carry_out(order, progress))
        return tried

    def on(self, database: Database) -> "Eraser":
        """Return the same over another view of the database, as the one of a lease's holder."""
        return replace(self, index=Index(database), erasures=Erasures(database), holds=Holds(database))

    def preview(self, order: ErasureOrder) -> Preview:
        """Return what an order would erase; raises StorageError if the recording cannot be opened."""
        return preview(self.vault, self.keys, self.index.get(order.recording), [_span(order)], speech=speech_kept)

    def problem_with_key(self, row: RecordingRow) -> str:
        """Return why this process cannot open a recording, or ""."""
        try:
            self.keys.load_private(self.vault.sealed.locate(row.id))
        except (StorageError, OSError) as error:
            return str(error)
        return ""

    def _pointless(self) -> list[ErasureOrder]:
        """Return orders that wait for a second person although there is nothing to erase."""
        waiting = [order for order in self.erasures.open_orders() if order.state is ErasureState.WAITING]
        return [o for o in waiting if self._is_closed(o) and self.index.get(o.recording).path is None]

    def _is_closed(self, order: ErasureOrder) -> bool:
        """Tell whether a recording's call is over and filed, so that its row is final."""
        try:
            row = self.index.get(order.recording)
        except NotFoundError:
            return False
        suffixes = {path.suffix for path in self.vault.files_of(order.recording)}
        return ".part" not in suffixes if row.path is not None else not suffixes

    def _carry_out(self, order: ErasureOrder, progress: Progress) -> ErasureOrder:
        try:
            with steady(self.lock.parent, self.holds, self.audit):  # no hold can be placed meanwhile
                row = self.index.get(order.recording)
                holds = self.holds.keeping(row.id, self.now()) if row.path is not None else ()
                verdict = verdict_on(order, holds)
                if verdict is OrderVerdict.CARRY_OUT and holds and not self._is_approved(order, row):
                    verdict = OrderVerdict.ASK_THE_DPO
                if verdict is not OrderVerdict.CARRY_OUT and (erased := self._cut_off(order, row)) is not None:
                    self._done(order, erased, row)
                elif verdict is OrderVerdict.ASK_THE_DPO:
                    return self._sent_back(order, "held", "under a legal hold")
                elif row.path is not None and self._is_over_day(order):
                    return self._sent_back(order, "alone_day_s", "its officer has erased too much alone within a day")
                elif verdict is OrderVerdict.NEVER:
                    raise StorageError(_HELD)
                else:
                    self._erase(order, row, progress)
                self.tell(order, holds)
        except (StorageError, OSError, ValueError) as error:
            if isinstance(error, AuditUnavailableError):
                raise
            return self._failed(order, str(error))
        return self.erasures.finish(order.id, at=self.now())

    def _cut_off(self, order: ErasureOrder, row: RecordingRow) -> RecordingRow | None:
        """Return the row in a recording's file if an interrupted run erased the span before the hold was placed."""
        if row.path is None:
            return None
        path = self.vault.locate(row.path)
        if not path.exists() and not fresh_path(path).exists():
            return None  # it is only in the object store, so no run was interrupted
        try:
            clear_up(self.vault, self.keys, path)
            found = row_from_json(read_row(self.vault, path))
        except (DamagedError, KeyProblemError):
            return None
        end_s = found.duration_s if order.end_s is None else order.end_s
        kinds = {one.kind for one in found.segments if one.end_s > order.start_s and one.start_s < end_s}
        return found if SegmentKind.ERASED in kinds and SegmentKind.RECORDING not in kinds else None

    def _is_approved(self, order: ErasureOrder, row: RecordingRow) -> bool:
        """Tell whether three people approved, where much card data of a held recording is erased."""
        if not takes_three(self.erasures, row):
            return True
        approval = None if self.approvals is None else self.approvals.get(order.id)
        return approval is not None and approval.is_complete

    def _erase(self, order: ErasureOrder, row: RecordingRow, progress: Progress) -> None:
        if row.path is None:
            self._note("erasure.done", order, {**_facts(order), "was_kept": False})
            return
        done = erase_spans(
            self.vault, self.keys, row, [_span(order)], speech=speech_kept, progress=progress,
            exchanging=lambda: self._while_not_held(order, row),
        )  # fmt: skip
        self._done(order, done, row)

    @contextmanager
    def _while_not_held(self, order: ErasureOrder, row: RecordingRow) -> Iterator[None]:
        """Look at the holds again, and let no machine place one during a block; a new container takes long to write.

        Raises:
            StorageError: A hold was placed meanwhile, or another console has taken over.
        """
        with self.index.database.begin() as connection:
            lock_holds(connection)
            holds = self.holds.keeping(row.id, self.now())
            if verdict_on(order, holds) is not OrderVerdict.CARRY_OUT or (holds and not self._is_approved(order, row)):
                raise StorageError("a legal hold was placed meanwhile, so nothing was erased")
            yield

    def _done(self, order: ErasureOrder, done: RecordingRow, row: RecordingRow) -> None:
        self._save(done, row.sha256)
        sums = {"sha256": done.sha256, "bytes": done.bytes, "before_sha256": row.sha256}
        self._note("erasure.done", order, {**_facts(order), "was_kept": True, **sums})
        _log.info("recording %s: order %s to erase carried out", order.recording, order.id)

    def _save(self, done: RecordingRow, before: str | None) -> None:
        """Save only the fields that erasing changed: others may have changed meanwhile."""
        self.index.save_rewritten(
            replace(
                self.index.get(done.id),
                segments=done.segments,
                recorded_s=done.recorded_s,
                peaks=done.peaks,
                speech_s=done.speech_s,
                bytes=done.bytes,
                sha256=done.sha256,
            ),
            before=before, node=self.vault.node.fingerprint, at=self.now(),
        )  # fmt: skip
        self.index.database.truncate_log()

    def _is_over_day(self, order: ErasureOrder) -> bool:
        """Tell whether an order without a second person exceeds what its giver may erase alone within a day."""
        if order.decided_by is not None or self.alone_day_s == math.inf:
            return False
        alone = self.erasures.alone_since(order.ordered_at - ALONE_WITHIN, by=order.ordered_by)
        upto = [one for one in alone if one.ordered_at <= order.ordered_at]  # what came later was judged with this one
        return day_alone_s(upto, lengths_of(self.index, upto)) > self.alone_day_s

    def _sent_back(self, order: ErasureOrder, why: str, said: str) -> ErasureOrder:
        _log.warning("recording %s: %s, order %s to erase waits for a decision", order.recording, said, order.id)
        self._note("erasure.sent_back", order, {"order": order.id, "why": why})
        if self.approvals is not None:
            self.approvals.begin_again(order.id)
        return self.erasures.send_back(order.id)

    def _failed(self, order: ErasureOrder, problem: str) -> ErasureOrder:
        _log.error("recording %s: order %s to erase failed: %s", order.recording, order.id, problem)
        self._note("erasure.failed", order, {"order": order.id, "problem": problem})
        return self.erasures.finish(order.id, at=self.now(), problem=problem)

    def _note(self, act: str, order: ErasureOrder, details: dict[str, Any]) -> None:
        self.audit.append(
            act=act, actor=RECORDER, subject=order.recording, details={**details, "at": time_to_json(self.now())}
        )


def _facts(order: ErasureOrder) -> dict[str, Any]:
    return {"order": order.id, "start_s": order.start_s, "end_s": order.end_s, "kind": str(order.kind)}


def _span(order: ErasureOrder) -> Span:
    return Span(start_s=order.start_s, end_s=order.end_s, reason=str(order.kind), by=order.ordered_by)


def keep_erasing(
    eraser: Eraser, stopping: threading.Event, *, turn: Turn | None = None, every_s: float = EVERY_S
) -> None:
    """Carry out due orders until told to stop; a repeated failure is logged once.

    Args:
        eraser: Carries them out.
        stopping: Set to end it.
        turn: Keeps several consoles of a site apart; None if there is one.
        every_s: Seconds between two looks.
    """
    last_problem = ""
    while not stopping.wait(every_s):
        problem = ""
        try:
            if turn is None:
                eraser.carry_out_due()
            else:
                turn.do(lambda database: eraser.on(database).carry_out_due())
        except Exception as error:  # noqa: BLE001 - orders must be carried out in the end
            problem = str(error) if isinstance(error, StorageError) else type(error).__name__
        if problem != last_problem and problem:
            _log.error("Carrying out orders to erase failed; retrying: %s", problem)
        last_problem = problem
    if turn is not None:
        turn.close()


def alarms_of(erasures: Erasures, index: Index, now: datetime) -> dict[str, int]:
    """Return the key holder's health alarms about orders; empty if there are none."""
    failed = sum(order.state is ErasureState.FAILED for order in erasures.open_orders())
    alone = erasures.alone_since(now - ALONE_WITHIN)
    lengths = lengths_of(index, alone)
    of_each = ([one for one in alone if one.ordered_by == who] for who in {one.ordered_by for one in alone})
    many = sum(whole_alone(theirs, lengths) >= MANY_WHOLE for theirs in of_each)
    return ({"erasure_failed": failed} if failed else {}) | ({"calls_erased_alone": many} if many else {})
