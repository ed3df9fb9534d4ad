"""Tells cases what was done to recordings that they hold, without a person who works on them."""

from collections.abc import Iterable
from contextlib import suppress
from zoneinfo import ZoneInfo

from recorder.data_subjects.case_repository import CaseRepository, ChangedError
from recorder.rules.cases import CaseEntry, CaseEvent
from storage.audit import AuditLog
from storage.audit_entry import RECORDER
from storage.retention_types import ErasureOrder, Hold

_TRIES = 20


def tell_of_erasure(
    cases: CaseRepository, audit: AuditLog, timezone: str, order: ErasureOrder, holds: Iterable[Hold]
) -> None:
    """Write into each case that holds a recording that card data was erased from it.

    Args:
        cases: Cases.
        audit: The audit log.
        timezone: IANA name of the council's zone.
        order: What was carried out.
        holds: Those that stood. A complaint's reference is of another system, and is passed over.

    Raises:
        AuditUnavailableError: The audit log cannot be written; no case was told.
    """
    to = "the end" if order.end_s is None else f"{order.end_s:.1f} s"
    text = f"Card data was erased from {order.recording}, from {order.start_s:.1f} s to {to} (order {order.id})."
    now = cases.now()
    for reference in sorted({hold.case_reference for hold in holds}):
        if cases.get(reference) is None:
            continue
        entry = CaseEntry(
            step=CaseEvent.NOTED,
            at=now,
            by=RECORDER,
            on=now.astimezone(ZoneInfo(timezone)).date(),
            text=text,
            details={},
        )
        audit.append(
            act=f"case.{CaseEvent.NOTED}", actor=RECORDER, subject=reference, details={"order": order.id}, text=text
        )
        _append(cases, reference, entry)


def _append(cases: CaseRepository, reference: str, entry: CaseEntry) -> None:
    for _ in range(_TRIES):
        case = cases.get(reference)
        assert case is not None, "no case is ever taken away"
        with suppress(ChangedError):  # somebody wrote into it in this moment
            cases.append(reference, len(case.entries), entry)
            return
