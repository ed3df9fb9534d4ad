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
    """Return an id for an act that may reach several calls; it is not stored."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseAnswer:
    """What an act on a recording did: the JSON that `pause`, `resume` and `opt-out` answer with."""

    call: str
    state: PauseState
    reasons: tuple[str, ...]
    position_s: float
    erasure: ErasureOrder | None = None
    """The order that the act placed."""
    is_kept: bool = False
    """Whether it was paused only, and not discarded, because it is held or claimed."""
    also: "tuple[PauseAnswer, ...]" = ()
    """What the same act did to other calls."""

    def with_also(self, others: "Sequence[PauseAnswer]") -> "PauseAnswer":
        """Return this with what the same act did to other calls."""
        return replace(self, also=(*self.also, *others))

    def as_json(self) -> dict[str, Any]:
        """Return the answer as JSON-able values; ``erasure``, ``kept`` and ``also`` are there only where they apply."""
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
            fields["also"] = [one.as_json() for one in self.also]
        return fields


Act = Future[PauseAnswer]
"""An act: its answer once the state is on disk; OSError when it could not be stored."""


class AppliedAct(Act):
    """An act whose deed is done already, and only its state has still to be stored; ``answer`` is what it will be."""

    def __init__(self, answer: PauseAnswer) -> None:
        super().__init__()
        self.answer = answer


def all_of(act: Act, others: Sequence[Act]) -> Act:
    """Return an act that is done when others are done as well; what it answers is the first one's.

    If any of them could not be stored, neither could the whole: nobody may rely on a pause that is half on disk.
    """
    if not others:
        return act
    whole: Act = AppliedAct(act.answer) if isinstance(act, AppliedAct) else Act()
    waiting = [act, *others]

    def on_done(_: Act) -> None:
        with lock:
            left[0] -= 1
            if left[0]:
                return
        error = next((one.exception() for one in waiting if one.exception() is not None), None)
        if error is not None:
            whole.set_exception(error)
        else:
            whole.set_result(act.result())

    lock, left = threading.Lock(), [len(waiting)]
    for one in waiting:
        one.add_done_callback(on_done)
    return whole


@dataclass(frozen=True, slots=True, kw_only=True)
class ActEntry:
    """Who did an act, as the audit log names it."""

    act: str
    actor: str
    subject: str
    details: dict[str, Any]
    text: str = ""

    def of(self, subject: str) -> "ActEntry":
        """Return the same for another subject."""
        return replace(self, subject=subject)


def audited(services: CallServices, act: Act, signature: ActEntry) -> "Future[PauseAnswer]":
    """Return the answer of an act once it is in the audit log as well, whether or not somebody still waits for it.

    What is done already is written down while its state is being stored. An act that could not be stored is audited as
    such, and its error is passed on. If the audit log cannot be written that is an alarm, not a refusal: pausing never
    stops for it (design section 6), and its entry comes later.
    """
    told: Future[PauseAnswer] = Future()
    begun = submit_entry(services, signature, act.answer.as_json()) if isinstance(act, AppliedAct) else None

    def on_disk(stored: Act) -> None:
        error = stored.exception()
        if error is not None:
            services.alarm("pause_state_not_stored")
            not_stored = replace(signature, act=f"{signature.act}.not_stored")
            submit_entry(services, not_stored).add_done_callback(lambda _: told.set_exception(error))
            return
        answer = stored.result()
        entry = begun or submit_entry(services, signature, answer.as_json())
        entry.add_done_callback(lambda _: told.set_result(answer))

    act.add_done_callback(on_disk)
    return told


def write_entry(services: CallServices, signature: ActEntry) -> "Future[None]":
    """Write a signature down by itself; AuditUnavailableError, and an alarm, when the audit log cannot be written."""

    def append() -> None:
        try:
            services.audit.append(**_fields(signature, {}))
        except AuditUnavailableError:
            services.alarm("audit_unavailable")
            raise

    return services.act_writer.submit(append)


def audit_refusal(services: CallServices, signature: ActEntry, why: str) -> "Future[None]":
    """Write down that an act was refused; the future is done when that is in the audit log, or kept for it."""
    return submit_entry(services, replace(signature, act=f"{signature.act}.refused"), {"why": why})


def place_order(services: CallServices, order: ErasureOrder) -> "Future[None]":
    """Store an order to erase; the future is done when it is on disk, and an OSError when it is not.

    Nobody may be told that a span will be erased before that.
    """

    def place() -> None:
        try:
            services.erasures.place(order)
        except StorageError as error:
            services.alarm("erasure_not_placed")
            raise OSError(errno.EIO, f"the order to erase was not stored ({error})") from error

    return services.orders.submit(place)


def submit_entry(services: CallServices, signature: ActEntry, also: Mapping[str, Any] | None = None) -> "Future[None]":
    """Write a signature down, with more details; the future is done when it is in the audit log, or kept for it."""
    return services.act_writer.submit(services.late.enter, **_fields(signature, also or {}))


def _fields(signature: ActEntry, also: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "act": signature.act,
        "actor": signature.actor,
        "subject": signature.subject,
        "details": {**also, **signature.details},
        "text": signature.text or None,
    }
