"""Acts on a recording: each is applied, persisted and entered in the audit log before it is answered.

An act that stops recording is applied first. An act that lets recording go on is persisted first.
"""

import errno
import secrets
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from recorder.calls.call_services import CallServices
from recorder.rules.pausing import PauseState
from storage.errors import AuditUnavailableError, StorageError
from storage.retention_types import ErasureOrder


def new_act_id() -> str:
    """Return an id for an act that may be applied to several calls; it is not stored."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseAnswer:
    """The result of an act on a recording, which `pause`, `resume` and `opt-out` return as JSON."""

    call: str
    state: PauseState
    reasons: tuple[str, ...]
    position_s: float
    erasure: ErasureOrder | None = None
    """The order to erase that the act stored."""
    is_kept: bool = False
    """Whether it was only paused, not discarded, because of a legal hold or a rights request."""
    also: "tuple[PauseAnswer, ...]" = ()
    """The results of the same act on other calls."""

    def with_also(self, others: "Sequence[PauseAnswer]") -> "PauseAnswer":
        """Return a copy with the results of the same act on other calls."""
        return replace(self, also=(*self.also, *others))

    def as_json(self) -> dict[str, Any]:
        """Return JSON-serialisable values; ``erasure``, ``kept`` and ``also`` only if they apply."""
        fields: dict[str, Any] = {
            "call": self.call,
            "state": self.state.value,
            "reasons": list(self.reasons),
            "position_s": round(self.position_s, 4),
        }
        order = self.erasure
        if order is not None:
            fields["erasure"] = {
                "id": order.id,
                "state": order.state.value,
                "start_s": order.start_s,
                "end_s": order.end_s,
            }
        if self.is_kept:
            fields["kept"] = True
        if self.also:
            fields["also"] = [answer.as_json() for answer in self.also]
        return fields


PendingAct = Future[PauseAnswer]
"""An act in progress: its answer once the state is on disk, or OSError if it could not be stored."""


class AppliedAct(PendingAct):
    """An act that is applied, and whose state has still to be stored; ``answer`` is its future result."""

    def __init__(self, answer: PauseAnswer) -> None:
        super().__init__()
        self.answer = answer


def all_of(act: PendingAct, others: Sequence[PendingAct]) -> PendingAct:
    """Return an act that is done when all of these are done, with the answer of the first.

    If one of them could not be stored, it has that error: a pause that is only partly on disk is not acknowledged.
    """
    if not others:
        return act
    combined: PendingAct = AppliedAct(act.answer) if isinstance(act, AppliedAct) else PendingAct()
    waiting = [act, *others]

    def on_done(_: PendingAct) -> None:
        with lock:
            left[0] -= 1
            if left[0]:
                return
        error = next((each.exception() for each in waiting if each.exception() is not None), None)
        if error is not None:
            combined.set_exception(error)
        else:
            combined.set_result(act.result())

    lock, left = threading.Lock(), [len(waiting)]
    for each in waiting:
        each.add_done_callback(on_done)
    return combined


@dataclass(frozen=True, slots=True, kw_only=True)
class ActEntry:
    """An audit entry for an act, before the results of the act are added."""

    act: str
    actor: str
    subject: str
    details: dict[str, Any]
    text: str = ""

    def of(self, subject: str) -> "ActEntry":
        """Return a copy with another subject."""
        return replace(self, subject=subject)


def audited(services: CallServices, act: PendingAct, entry: ActEntry) -> "Future[PauseAnswer]":
    """Return the answer of an act once it is in the audit log as well.

    The entry of an `AppliedAct` is written while its state is being stored. An act that could not be stored gets an
    entry that says so, and its error is passed on. If the audit log cannot be written, the alarm is raised and the
    entry is written later: a pause is never refused for that reason (design section 6).
    """
    answered: Future[PauseAnswer] = Future()
    early_entry = submit_entry(services, entry, act.answer.as_json()) if isinstance(act, AppliedAct) else None

    def on_disk(stored: PendingAct) -> None:
        error = stored.exception()
        if error is not None:
            services.alarm("pause_state_not_stored")
            not_stored = replace(entry, act=f"{entry.act}.not_stored")
            submit_entry(services, not_stored).add_done_callback(lambda _: answered.set_exception(error))
            return
        answer = stored.result()
        in_log = early_entry or submit_entry(services, entry, answer.as_json())
        in_log.add_done_callback(lambda _: answered.set_result(answer))

    act.add_done_callback(on_disk)
    return answered


def write_entry(services: CallServices, entry: ActEntry) -> "Future[None]":
    """Write an audit entry now.

    The future has an AuditUnavailableError, and the alarm is raised, if the audit log cannot be written.
    """

    def append() -> None:
        try:
            services.audit.append(**_fields(entry, {}))
        except AuditUnavailableError:
            services.alarm("audit_unavailable")
            raise

    return services.act_writer.submit(append)


def audit_refusal(services: CallServices, entry: ActEntry, why: str) -> "Future[None]":
    """Write an audit entry for an act that was refused; see `submit_entry`."""
    return submit_entry(services, replace(entry, act=f"{entry.act}.refused"), {"why": why})


def place_order(services: CallServices, order: ErasureOrder) -> "Future[None]":
    """Store an order to erase; the future is done when it is on disk, or has an OSError.

    Do not say that a span will be erased before it is done.
    """

    def place() -> None:
        try:
            services.erasures.place(order)
        except StorageError as error:
            services.alarm("erasure_not_placed")
            raise OSError(errno.EIO, f"the order to erase was not stored ({error})") from error

    return services.orders.submit(place)


def submit_entry(services: CallServices, entry: ActEntry, also: Mapping[str, Any] | None = None) -> "Future[None]":
    """Write an audit entry with the further details ``also``, now or when the log can be written again.

    The future is done when the entry is in the log or is waiting for it.
    """
    return services.act_writer.submit(services.late.enter, **_fields(entry, also or {}))


def _fields(entry: ActEntry, also: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "act": entry.act,
        "actor": entry.actor,
        "subject": entry.subject,
        "details": {**also, **entry.details},
        "text": entry.text or None,
    }
